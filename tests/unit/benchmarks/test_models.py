# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from benchmarks import models
from benchmarks.models_kit.tools import OURS, Case, Tool, cases
from llmops_serving.lab.state import FileFacts, RepoFacts

if TYPE_CHECKING:
    from benchmarks.models_kit.stage import Order, Stage

MIB = 1 << 20
SIZE = 400 * MIB
QUARTER = SIZE // 4
SEEN = {
    "wall": 2.0,
    "cpu": 1.0,
    "rss": 3,
    "disk": 4,
    "sent": 60 * MIB,
    "rest": 2 * QUARTER + 5 * MIB,
    "started": 100.0,
    "output": json.dumps({"verified": 101.5, "synced": 0.25}),
}


class FakeStage:
    """Answers every order alike, and remembers them."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.repos = {
            case.repo.name: RepoFacts("c" * 40, {path: FileFacts("d" * 64, 1) for path in case.repo.files})
            for case in cases(SIZE)
        }

    def run(self, order: Order) -> dict[str, Any]:
        self.orders.append(order)
        return SEEN


@pytest.fixture
def stage() -> FakeStage:
    return FakeStage()


def chosen(case: str, tool: str) -> tuple[Case, Tool]:
    found = {one.name: one for one in cases(SIZE)}[case]
    return found, {one.name: one for one in found.tools}[tool]


@pytest.mark.parametrize(("text", "expected"), [("64M", 64 * MIB), ("2G", 2 << 30), ("16777216", 16 * MIB)])
def test_sizes(text: str, expected: int) -> None:
    assert models.parse(["--size", text]).size == expected


@pytest.mark.parametrize(
    "words",
    [["--size", "1M"], ["--size", "2T"], ["--size", "-1G"], ["--rounds", "0"], ["--only", "nothing"]],
    ids=" ".join,
)
def test_a_wrong_word_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        models.parse(words)
    assert words[0] in capsys.readouterr().err


def test_the_moment_of_verification_counts_from_the_start(stage: FakeStage) -> None:
    found = models.speed(cast("Stage", stage), *chosen("file", OURS))
    assert (found.wall, found.verified, found.synced) == (2.0, 1.5, 0.25)
    assert models.speed(cast("Stage", stage), *chosen("file", "curl")).verified is None


def test_a_kill_is_followed_by_a_run_that_finds_what_is_left(stage: FakeStage) -> None:
    found = models.kill(cast("Stage", stage), *chosen("killed", "git lfs pull"))
    assert [(order.fresh, order.kill_after) for order in stage.orders] == [
        (True, 0),
        (False, QUARTER // 2),
        (False, 0),
    ]
    # What is set up beforehand is no result yet.
    assert [bool(order.expect) for order in stage.orders] == [False, True, True]
    assert (found.first, found.second, found.twice) == (60 * MIB, 60 * MIB, 20 * MIB)
    # It keeps the model twice by its design; only what is beyond is left over.
    assert found.left == 5 * MIB


def test_a_tool_without_preparation_starts_in_an_empty_folder(stage: FakeStage) -> None:
    found = models.kill(cast("Stage", stage), *chosen("killed", "hf download"))
    assert [(order.fresh, order.kill_after) for order in stage.orders] == [(True, QUARTER // 2), (False, 0)]
    assert found.left == QUARTER + 5 * MIB


def test_tools_take_turns(stage: FakeStage) -> None:
    case, _tool = chosen("capped", OURS)
    measured = models.measure(cast("Stage", stage), case, 2)
    assert [order.script for order in stage.orders] == 2 * [tool.script for tool in case.tools]
    assert {name: len(runs) for name, runs in measured.runs.items()} == {tool.name: 2 for tool in case.tools}
    assert not measured.kills
