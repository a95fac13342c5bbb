# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every molecule scenario on a bare host of its own, with real engines."""

from __future__ import annotations

import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
# The whole way first: what it breaks, the roles' own scenarios tell apart.
SCENARIOS = sorted(
    (path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")), key=lambda name: name != "default"
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\\\?")
_STEP = re.compile(r"➜ (\w+).*: Executing")
_SHOWN = 200


def lines_of(command: list[str]) -> Iterator[str]:
    """Run a command from the checkout and give what it prints, as it comes; the last line is its exit code."""
    with subprocess.Popen(  # noqa: S603  molecule, by this interpreter
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        yield from process.stdout
    yield str(process.returncode)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, capfd: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    for raw in lines_of([sys.executable, "-m", "molecule", "test", "--scenario-name", scenario]):
        said.append(_COLOUR.sub("", raw.rstrip()))
        if step := _STEP.search(said[-1]):
            with capfd.disabled():
                print(f"  {scenario}: {step[1]}", flush=True)  # noqa: T201  progress of minutes
    assert said[-1] == "0", "\n".join(said[-_SHOWN:])


def test_the_end_to_end_scenario_is_the_default() -> None:
    assert SCENARIOS[0] == "default"
