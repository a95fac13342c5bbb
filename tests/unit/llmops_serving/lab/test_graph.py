# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import time

import pytest

from llmops_serving.lab.graph import Work, run_all


def work(name: str, after: str, run: object) -> Work:
    return Work(name, frozenset(after.split()), run)  # type: ignore[arg-type]


def test_everything_runs_after_what_it_waits_for() -> None:
    done: list[str] = []
    works = [
        work(name, after, lambda n=name: done.append(n))
        for name, after in [("d", "b c"), ("b", "a"), ("c", "a"), ("a", "")]
    ]
    run_all(works, 2)
    assert sorted(done) == ["a", "b", "c", "d"]
    assert done[0] == "a"
    assert done[-1] == "d"


def test_no_more_than_allowed_run_side_by_side() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def busy() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1

    run_all([work(str(index), "", busy) for index in range(8)], 2)
    assert most[0] == 2


def test_after_a_failure_nothing_begins_and_the_error_is_raised() -> None:
    done: list[str] = []

    def fail() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        run_all(
            [work("a", "", fail), work("b", "a", lambda: done.append("b")), work("c", "b", lambda: done.append("c"))], 2
        )
    assert done == []


@pytest.mark.parametrize(
    ("works", "words"),
    [([("a", "nothing")], "unknown"), ([("a", "b"), ("b", "a")], "each other")],
)
def test_impossible_orders_are_refused(works: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run_all([work(name, after, lambda: None) for name, after in works], 2)
