# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of the cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

TABLE = Path(__file__).with_name("cases.yml")


def faults() -> list[dict[str, Any]]:
    """Give the twenty faults."""
    return list(yaml.safe_load(TABLE.read_text(encoding="utf-8"))["faults"])


def interruptions() -> list[dict[str, Any]]:
    """Give the interruptions of a change, each a step and what happens there."""
    return list(yaml.safe_load(TABLE.read_text(encoding="utf-8")).get("interruptions", []))
