# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table is whole: twenty faults, each with what does it, and each told in docs/faults.md."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from tests.faults import test_interruptions
from tests.faults.runs import ROOT
from tests.faults.table import faults, interruptions

# It takes no time, so it is in the short run too.
pytestmark = pytest.mark.core
DOCS = (ROOT / "docs/faults.md").read_text(encoding="utf-8")


def test_there_are_twenty() -> None:
    assert [case["number"] for case in faults()] == list(range(1, 21))


@pytest.mark.parametrize("case", faults(), ids=lambda case: case["fault"])
def test_each_fault_is_done_and_told(case: dict[str, Any]) -> None:
    assert callable(getattr(importlib.import_module(f"tests.faults.{case['in']}"), case["by"]))
    assert f"| {case['number']} | {case['fault']} |" in DOCS


@pytest.mark.parametrize("case", interruptions(), ids=lambda case: f"{case['what']} at {case['at']}")
def test_each_interruption_is_done_and_told(case: dict[str, Any]) -> None:
    assert callable(getattr(test_interruptions, f"at_{case['at']}"))
    assert callable(getattr(test_interruptions, case["what"]))
    (row,) = [line for line in DOCS.splitlines() if line.startswith(f"| `{case['at']}` |")]
    assert case["what"].replace("_", " ") in row


def test_a_core_is_run_each_time() -> None:
    assert [case for case in faults() if case.get("core")]
    assert [case for case in interruptions() if case.get("core")]
