# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every molecule scenario on a bare host of its own, with real engines."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import typing as t
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
# The whole way first, for what it breaks the roles' own scenarios tell apart; then those of engines that load long, so
# that no long one is left alone at the end.
SCENARIOS = sorted(
    (path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")),
    key=lambda name: (
        name != "default",
        "LLMOPS_LAB_ENGINES" not in (ROOT / "molecule" / name / "molecule.yml").read_text(encoding="utf-8"),
        name,
    ),
)
# Each waits a lot for its host, so two fill two cores.
SIDE_BY_SIDE = 2
_COLOUR = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\\\?")
_STEP = re.compile(r"➜ (\w+).*: Executing$")
_SHOWN = 200


class Run(t.NamedTuple):
    """What came of a scenario."""

    code: int
    said: list[str]


def run(scenario: str) -> Run:
    """Run a scenario, and print when each of its steps begins; `make test` lets that through."""
    said: list[str] = []
    began = time.monotonic()
    command = [sys.executable, "-m", "molecule", "test", "--scenario-name", scenario]
    with subprocess.Popen(  # noqa: S603  molecule, by this interpreter
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for raw in process.stdout:
            said.append(_COLOUR.sub("", raw.rstrip()))
            if step := _STEP.search(said[-1]):
                print(f"{time.monotonic() - began:6.0f} s  {scenario}: {step[1]}", flush=True)
    return Run(process.returncode, said)


@pytest.fixture(scope="session")
def runs(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Run]]]:
    """Start those scenarios that were chosen, two side by side."""
    chosen = [
        item.callspec.params["scenario"] for item in request.session.items if item.originalname == "test_scenario"
    ]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {scenario: pool.submit(run, scenario) for scenario in chosen}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, runs: dict[str, Future[Run]]) -> None:
    done = runs[scenario].result()
    assert done.code == 0, "\n".join(done.said[-_SHOWN:])


def test_the_end_to_end_scenario_is_the_default() -> None:
    assert SCENARIOS[0] == "default"
