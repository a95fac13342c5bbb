# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The twenty faults, each on a real host with a real engine, and how the host stands afterwards."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.table import faults

if TYPE_CHECKING:
    from tests.faults.bench import Bench


def _marked(case: dict[str, Any]) -> Any:
    marks = [pytest.mark.core] if case.get("core") else []
    return pytest.param(case, id=f"{case['number']:02d} {case['fault']}", marks=marks)


@pytest.mark.parametrize("case", [_marked(case) for case in faults()])
def test_fault(bench: Bench, case: dict[str, Any]) -> None:
    module = importlib.import_module(f"tests.faults.{case['in']}")
    getattr(module, case["by"])(bench)
    # Whatever it asked of itself: the good generation serves at its end.
    bench.host.wait_until_idle()
    bench.host.wait_until_served().must_serve()
