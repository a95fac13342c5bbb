# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a fetch, or another long work on the store, has come: written by those who work, read by those who wait.

The file is JSON, replaced whole, and holds no address and no secret::

    {"version": 1, "start": 1234.5, "now": 1240.0, "added": 900, "window": [1230.0, 100], "closed": false,
     "models": {"x": {"doing": "fetch", "total": 1000, "kept": 50, "done": 950, "finished": false}}}

Times are of the host's monotonic clock, which all its processes share and nobody sets.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = 1
INTERVAL_S = 0.5
# A speed is that of the last seconds: long enough to be calm, short enough to show that a line broke.
WINDOW_S = 10.0
FETCH, CHECK = "fetch", "check"


@dataclass
class _Count:
    doing: str
    total: int
    kept: int
    done: int
    finished: bool = False


class Meter:
    """Counts the bytes of each model, from any number of threads, and writes them to a file now and then.

    Counting costs a lock and an addition; a file that cannot be written hinders no work.
    """

    def __init__(self, path: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Count for a reader.

        Args:
            path: The file to write; None counts nothing and writes nothing.
            clock: Tells the time in seconds (tests put their own here).
        """
        self._path = path
        self._clock = clock
        self._counting = threading.Lock()
        self._writing = threading.Lock()
        self._models: dict[str, _Count] = {}
        self._start = self._due = clock()
        self._added = 0
        self._window: deque[tuple[float, int]] = deque([(self._start, 0)])
        self._closed = False

    def plan(self, model: str, total: int, kept: int = 0, doing: str = FETCH) -> None:
        """Begin with a model.

        Args:
            model: Its name.
            total: Bytes of the whole work on it, those that are kept among them; 0 when not known.
            kept: Bytes of it that an interrupted run left.
            doing: What is done, ``fetch`` or ``check``.
        """
        if self._path is None:
            return
        with self._counting:
            self._models[model] = _Count(doing, total, kept, kept)
        self._write(wait=True)

    def add(self, model: str, count: int) -> None:
        """Count bytes of a model that was planned; a negative count takes back what was thrown away."""
        if self._path is None:
            return
        with self._counting:
            self._models[model].done += count
            self._added += count
            if self._clock() < self._due:
                return
            self._due = self._clock() + INTERVAL_S
        self._write(wait=False)

    def done(self, model: str) -> None:
        """End with a model; one that was never planned, since nothing of it was missing, is fine."""
        if self._path is None:
            return
        with self._counting:
            if model in self._models:
                self._models[model].finished = True
        self._write(wait=True)

    def close(self) -> None:
        """Write the last state."""
        if self._path is None:
            return
        self._closed = True
        self._write(wait=True)

    def _write(self, wait: bool) -> None:
        if self._path is None or not self._writing.acquire(wait):
            return
        try:
            draft = self._path + ".new"
            with open(draft, "w", encoding="utf-8") as file:  # noqa: PTH123 - a path for each write costs more
                file.write(self._text())
            os.replace(draft, self._path)  # noqa: PTH105
        except OSError:
            pass
        finally:
            self._writing.release()

    def _text(self) -> str:
        with self._counting:
            now = self._clock()
            while len(self._window) > 1 and self._window[1][0] <= now - WINDOW_S:
                self._window.popleft()
            state = {
                "version": VERSION,
                "start": self._start,
                "now": now,
                "added": self._added,
                "window": self._window[0],
                "closed": self._closed,
                "models": {name: asdict(count) for name, count in self._models.items()},
            }
            self._window.append((now, self._added))
        return json.dumps(state)


def read(path: str, clock: Callable[[], float] = time.monotonic) -> dict[str, Any] | None:
    """Read how far the work has come.

    Args:
        path: The file that a ``Meter`` writes on this host.
        clock: Tells the time in seconds (tests put their own here).

    Returns:
        ``models`` (by name ``doing``, ``total``, ``kept``, ``done`` in bytes, ``finished``), ``seconds`` since the
        work began, ``rate`` in bytes per second, ``left`` in seconds or None when nothing tells, and ``closed``; None
        when nothing was written yet.
    """
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            state = json.load(file)
        if state.get("version") != VERSION:
            return None
        # A writer that waits for the network writes nothing: its speed falls all the same.
        now = state["now"] if state["closed"] else max(clock(), state["now"])
        since, before = state["window"]
        rate = max(0.0, (state["added"] - before) / max(now - since, INTERVAL_S))
        open_ones = [model for model in state["models"].values() if not model["finished"]]
        rest = sum(max(0, model["total"] - model["done"]) for model in open_ones)
        known = all(model["total"] for model in open_ones)
        return {
            "models": state["models"],
            "seconds": round(now - state["start"], 1),
            "rate": round(rate),
            "left": round(rest / rate, 1) if rate >= 1 and known else None,
            "closed": state["closed"],
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
