# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs pieces of work that depend on each other, a few side by side."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Work:
    """One piece: its name, what must be done before, and what it does."""

    name: str
    after: frozenset[str]
    run: Callable[[], object]


def run_all(works: Sequence[Work], side_by_side: int, interrupt: Callable[[], object] = lambda: None) -> None:
    """Do all works, earlier ones of the list first where several could begin.

    After a failure nothing new begins; the first error is raised when the running ones have ended.

    Args:
        works: what is to be done.
        side_by_side: how many at a time.
        interrupt: called on Ctrl-C; must make the running works end soon.

    Raises:
        ValueError: a work waits for one that is not there or that waits for it.
    """
    _check(works)
    waiting = list(works)
    done: set[str] = set()
    running: dict[Future[object], str] = {}
    failure: BaseException | None = None
    with ThreadPoolExecutor(side_by_side) as pool:
        while running or (waiting and failure is None):
            ready = [work for work in waiting if work.after <= done] if failure is None else []
            for work in ready[: side_by_side - len(running)]:
                waiting.remove(work)
                running[pool.submit(work.run)] = work.name
            try:
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                interrupt()
                raise
            for future in finished:
                failure = failure or future.exception()
                done.add(running.pop(future))
    if failure is not None:
        raise failure


def _check(works: Sequence[Work]) -> None:
    """Refuse an order in which not everything can be done."""
    names = {work.name for work in works}
    if unknown := {name for work in works for name in work.after} - names:
        raise ValueError(f"works wait for unknown ones: {sorted(unknown)}")
    done: set[str] = set()
    while done != names:
        ready = {work.name for work in works if work.after <= done}
        if ready <= done:
            raise ValueError(f"works wait for each other: {sorted(names - done)}")
        done |= ready
