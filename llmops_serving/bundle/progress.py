# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show how far a long work on bytes has come: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from ansible_collections.llmops.serving.plugins.module_utils._model_files import human
from ansible_collections.llmops.serving.plugins.module_utils._model_progress import FETCH, Meter

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console

SEND = "send"
# Seconds between two lines where there is no terminal.
HEARTBEAT_S = 10.0
_SECONDS_A_MINUTE = 60


class Stopped(Exception):  # noqa: N818  no error: somebody has had enough
    """The work was given up."""


class Bars(Meter):
    """Counts the bytes of several things at work, from any number of threads, for people.

    Args:
        console: Where to; a terminal gets bars, anything else plain lines.
    """

    def __init__(self, console: Console) -> None:
        """Begin with nothing at work."""
        super().__init__(None)
        self.console = console
        self._lock = threading.RLock()
        self._tasks: dict[str, TaskID] = {}
        #: Bytes that came, of everything that was fetched.
        self.fetched = 0
        self._fetches: set[str] = set()
        self._over = threading.Event()
        self._beat = threading.Thread(target=self._tell_now_and_then, daemon=True)
        self._bars = Progress(
            TextColumn("{task.fields[doing]}", style="dim"),
            TextColumn("{task.description}", style="bold"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        """Begin to show."""
        self._bars.start()
        if not self.console.is_terminal:
            self._beat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        self.stop()
        self._bars.stop()

    def stop(self) -> None:
        """Let whoever still counts end with `Stopped`."""
        self._over.set()

    def plan(self, model: str, total: int, kept: int = 0, doing: str = FETCH) -> None:
        """Begin with a thing.

        Args:
            model: Its name.
            total: Bytes of the whole, those that are kept among them; 0 when not known.
            kept: Bytes that an interrupted run left.
            doing: What is done.
        """
        with self._lock:
            self.done(model)
            if doing == FETCH:
                self._fetches.add(model)
            self._tasks[model] = self._bars.add_task(model, total=total or None, completed=kept, doing=doing)

    def add(self, model: str, count: int) -> None:
        """Count bytes of a thing that was planned; a negative count takes back what was thrown away.

        Raises:
            Stopped: Nobody wants them any more.
        """
        if self._over.is_set():
            raise Stopped
        with self._lock:
            if model in self._fetches:
                self.fetched += max(count, 0)
            if model in self._tasks:
                self._bars.advance(self._tasks[model], count)

    def done(self, model: str) -> None:
        """End with a thing, whether it was planned or not."""
        with self._lock:
            if model in self._tasks:
                self._bars.remove_task(self._tasks.pop(model))

    def close(self) -> None:
        """End with all of them."""
        with self._lock:
            for model in list(self._tasks):
                self.done(model)

    def say(self, text: str, style: str = "") -> None:
        """Print a line."""
        # Plain lines are for logs, where a wrapped line is a broken one.
        self.console.print(Text(text, style=style), soft_wrap=True)

    def _tell_now_and_then(self) -> None:
        while not self._over.wait(HEARTBEAT_S):
            with self._lock:
                lines = [_line(self._bars, task) for task in self._tasks.values()]
            for line in lines:
                self.say(line)


def _line(bars: Progress, number: TaskID) -> str:
    task = next(task for task in bars.tasks if task.id == number)
    of = f" of {human(task.total)}" if task.total else ""
    speed = f", {human(task.speed)}/s" if task.speed else ""
    left = f", {duration(task.time_remaining)} left" if task.total and task.time_remaining else ""
    return f"{task.fields['doing']} {task.description}: {human(task.completed)}{of}{speed}{left}"


def duration(seconds: float) -> str:
    """Seconds for people, such as `1 min 20 s`."""
    minutes, rest = divmod(round(seconds), _SECONDS_A_MINUTE)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Sending:
    """Shows what a server sends to whom, and says a line when something has gone out whole.

    Args:
        bars: Shows it.
    """

    def __init__(self, bars: Bars) -> None:
        """Begin with nothing under way."""
        self._bars = bars
        self._lock = threading.Lock()
        self._records: dict[tuple[str, str], _Record] = {}

    def begin(self, client: str, label: str, size: int) -> _Record:
        """Notice that something begins to go to a client; several connections may bring parts of it."""
        with self._lock:
            record = self._records.setdefault((client, label), _Record(client, label, size))
            record.active += 1
            if record.active == 1:
                record.begun = time.monotonic()
                self._bars.plan(record.title, size, record.sent, doing=SEND)
        return record

    def sent(self, what: object, count: int) -> None:
        """Notice bytes that went."""
        if isinstance(what, _Record):
            with self._lock:
                what.sent += count
            self._bars.add(what.title, count)

    def end(self, what: object) -> None:
        """Notice that a part ended."""
        if not isinstance(what, _Record):
            return
        with self._lock:
            what.active -= 1
            if what.active:
                return
            # A look at a file's head, long before, is no part of the time that the file took.
            what.seconds += time.monotonic() - what.begun
            self._bars.done(what.title)
            if what.sent < what.size:
                return
            self._records.pop((what.client, what.label), None)
        self._bars.say(f"{what.title}  {human(what.sent)} in {duration(what.seconds)}")

    def refused(self, client: str, line: str) -> None:
        """Notice a request without an answer to use."""
        self._bars.say(f"{client}  {line}", "yellow")


@dataclass
class _Record:
    client: str
    label: str
    size: int
    begun: float = 0.0
    seconds: float = 0.0
    sent: int = 0
    active: int = 0

    @property
    def title(self) -> str:
        return f"{self.client}  {self.label}"
