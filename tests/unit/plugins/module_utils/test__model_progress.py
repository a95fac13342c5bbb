# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a meter counts, how often it writes, and what a reader makes of it."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_progress import CHECK, Meter, read

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "progress.json")


def test_nobody_who_waits_costs_nothing(tmp_path: Path) -> None:
    meter = Meter(None)
    meter.plan("x", 10)
    meter.add("x", 5)
    meter.add("never planned", 5)
    meter.done("x")
    meter.close()
    assert list(tmp_path.iterdir()) == []


def test_bytes_speed_and_time_left(path: str, clock: Clock) -> None:
    meter = Meter(path, clock)
    meter.plan("x", 100 * MIB, 20 * MIB)
    for _second in range(4):
        clock.now += 1
        meter.add("x", 10 * MIB)
    found = read(path, clock)
    assert found
    assert found["models"] == {
        "x": {"doing": "fetch", "total": 100 * MIB, "kept": 20 * MIB, "done": 60 * MIB, "finished": False}
    }
    # What was kept came in no time, and makes nothing faster.
    assert (found["rate"], found["left"], found["seconds"]) == (10 * MIB, 4.0, 4.0)


def test_the_speed_is_that_of_the_last_seconds(path: str, clock: Clock) -> None:
    meter = Meter(path, clock)
    meter.plan("x", 1000 * MIB)
    for _second in range(20):
        clock.now += 1
        meter.add("x", 30 * MIB)
    for _second in range(20):
        clock.now += 1
        meter.add("x", MIB)
    found = read(path, clock)
    assert found
    assert found["rate"] == MIB


def test_a_fetch_that_waits_gets_slower_without_writing(path: str, clock: Clock) -> None:
    meter = Meter(path, clock)
    meter.plan("x", 100 * MIB)
    clock.now += 1
    meter.add("x", 10 * MIB)
    rates = []
    for _look in range(3):
        clock.now += 10
        rates.append((read(path, clock) or {})["rate"])
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > rates[-1] > 0


def test_several_models_and_one_without_a_size(path: str, clock: Clock) -> None:
    meter = Meter(path, clock)
    meter.plan("a", 10 * MIB, doing=CHECK)
    clock.now += 1
    meter.add("a", 10 * MIB)
    meter.done("a")
    meter.plan("b", 0)
    clock.now += 1
    meter.add("b", 2 * MIB)
    found = read(path, clock)
    assert found
    assert [(name, model["doing"], model["finished"]) for name, model in found["models"].items()] == [
        ("a", "check", True),
        ("b", "fetch", False),
    ]
    assert found["left"] is None


def test_what_is_thrown_away_is_taken_back(path: str, clock: Clock) -> None:
    meter = Meter(path, clock)
    meter.plan("x", 10 * MIB, 4 * MIB)
    clock.now += 1
    meter.add("x", 2 * MIB)
    clock.now += 1
    meter.add("x", -6 * MIB)
    found = read(path, clock)
    assert found
    assert (found["models"]["x"]["done"], found["rate"], found["left"]) == (0, 0, None)


def test_it_writes_twice_a_second_at_most(path: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = []
    meter = Meter(path, clock)
    monkeypatch.setattr(meter, "_text", lambda: writes.append(clock.now) or "{}")
    meter.plan("x", 0)
    for _piece in range(1000):
        clock.now += 0.01
        meter.add("x", 1)
    assert 10 <= len(writes) <= 22


def test_no_piece_of_any_thread_is_lost(path: str) -> None:
    meter = Meter(path)
    meter.plan("x", 16 * 5000)
    threads = [threading.Thread(target=lambda: [meter.add("x", 1) for _piece in range(5000)]) for _thread in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    meter.done("x")
    meter.close()
    found = read(path)
    assert found
    assert (found["models"]["x"]["done"], found["models"]["x"]["finished"], found["closed"]) == (80000, True, True)


def test_a_closed_one_stands_still(path: str, clock: Clock) -> None:
    meter = Meter(path, clock)
    meter.plan("x", MIB)
    clock.now += 2
    meter.add("x", MIB)
    meter.done("x")
    meter.close()
    clock.now += 1000
    found = read(path, clock)
    assert found
    assert (found["seconds"], found["left"]) == (2.0, 0.0)


def test_a_model_of_which_nothing_was_missing_may_be_done(path: str) -> None:
    meter = Meter(path)
    meter.done("x")
    found = read(path)
    assert found
    assert found["models"] == {}


def test_a_file_that_cannot_be_written_hinders_nobody(tmp_path: Path) -> None:
    meter = Meter(str(tmp_path / "none" / "progress.json"))
    meter.plan("x", 1)
    meter.add("x", 1)
    meter.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"version": 2}', '{"version": 1}', json.dumps({"version": 1, "models": 3})]
)
def test_what_is_no_progress_is_none(path: str, tmp_path: Path, text: str) -> None:
    assert read(path) is None
    (tmp_path / "progress.json").write_text(text, encoding="utf-8")
    assert read(path) is None
