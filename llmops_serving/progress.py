# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show a run while it goes on: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self

from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from llmops_serving.results import message_of, step_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from rich.console import Console, RenderableType

    from llmops_serving.results import Step

# Ansible's own housekeeping: worth a line only when it fails.
_QUIET_ACTIONS = frozenset(
    f"ansible.builtin.{name}"
    for name in (
        "assert",
        "debug",
        "fail",
        "include_role",
        "include_tasks",
        "import_role",
        "meta",
        "set_fact",
        "validate_argument_spec",
    )
)
_STYLES = {"ok": "green", "changed": "yellow", "failed": "bold red", "unreachable": "bold red"}
HEARTBEAT_SECONDS = 30.0


class Progress(Protocol):
    """Somebody who watches a run."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Take the next event."""

    def tick(self) -> None:
        """Notice that time has passed."""

    def stopping(self) -> None:
        """Notice that the run was interrupted and is about to stop."""


@dataclass(frozen=True)
class Running:
    """A task at work on a host.

    Attributes:
        name: The task's name.
        since: When it, or the current item of its loop, began; monotonic seconds.
        done: Items of its loop that are done.
        said: How far it has come, in its own words; empty if it says nothing.
    """

    name: str
    since: float
    done: int = 0
    said: str = ""


@dataclass(frozen=True)
class Finished:
    """A step that has ended.

    Attributes:
        step: The step.
        seconds: Its duration in seconds.
        reason: Why it failed, empty if it did not.
    """

    step: Step
    seconds: float
    reason: str = ""


class Tracker:
    """Follows which task runs on which host.

    Attributes:
        running: The task at work by host.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing running."""
        self.running: dict[str, Running] = {}
        self._clock = clock

    def feed(self, event: Mapping[str, Any]) -> Finished | None:
        """Take an event.

        Args:
            event: An event of ansible-runner.

        Returns:
            The step that ended with it, if it is one worth telling.
        """
        kind, data = event.get("event", ""), event.get("event_data") or {}
        if not kind.startswith("runner_") or "host" not in data:
            return None
        host = data["host"]
        if kind == "runner_on_start":
            self.running[host] = Running(str(data.get("task") or data.get("task_action")), self._clock())
            return None
        if kind not in _ENDS:
            return None
        begun = self.running.get(host)
        step = step_of(kind, data)
        seconds = step.seconds if step.seconds is not None else self._clock() - begun.since if begun else 0.0
        looped = bool(begun and begun.done)
        if kind.startswith("runner_item"):
            self.running[host] = Running(step.name, self._clock(), begun.done + 1 if begun else 1)
        else:
            self.running.pop(host, None)
            if looped:
                # Its items have been told one by one.
                return None
        return Finished(step, seconds, _reason(data)) if _worth_telling(step) else None

    def hear(self, event: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Take what tasks at work say of themselves.

        Args:
            event: An event of ansible-runner.

        Returns:
            Each host, and how far its task has come.
        """
        heard = [(host, said) for host, said in reports(event) if host in self.running]
        for host, said in heard:
            self.running[host] = replace(self.running[host], said=said)
        return heard


_ENDS = frozenset(
    {
        "runner_on_ok",
        "runner_on_failed",
        "runner_on_skipped",
        "runner_on_unreachable",
        "runner_item_on_ok",
        "runner_item_on_failed",
        "runner_item_on_skipped",
    }
)


def _worth_telling(step: Step) -> bool:
    if step.status == "skipped":
        return False
    return step.status in {"failed", "unreachable"} or step.action not in _QUIET_ACTIONS


def _reason(data: Mapping[str, Any]) -> str:
    return message_of(data.get("res") or {}).partition("\n")[0]


def notices(event: Mapping[str, Any]) -> Iterator[str]:
    """Find what Ansible says outside of tasks and people should read.

    Args:
        event: An event of ansible-runner.

    Yields:
        Warnings, without those that the driver reports in words of its own.
    """
    if event.get("event") in {"warning", "verbose"}:
        for line in str(event.get("stdout", "")).splitlines():
            if line.startswith("[WARNING]:") and "Could not match supplied host pattern" not in line:
                yield "warning:" + line.removeprefix("[WARNING]:")


def reports(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find what the actions of the collection print while they work: two blanks, the host, what is done and how far.

    Args:
        event: An event of ansible-runner.

    Yields:
        What may be a host's name, and the rest of its line.
    """
    if event.get("event") == "verbose":
        for line in str(event.get("stdout", "")).splitlines():
            if found := _REPORT.fullmatch(line):
                yield found["host"], found["said"]


_REPORT = re.compile(r" {2}(?P<host>\S+) (?P<said>\S.*: .+)")


class ConsoleProgress:
    """Prints a line for each step on each host, and between them what is running now.

    Args:
        console: Where to; a terminal gets a live display, anything else plain lines.
        raw: Print what Ansible prints as well (-v).
    """

    def __init__(self, console: Console, *, raw: bool = False) -> None:
        """Choose the display that fits the console."""
        self._console = console
        self._raw = raw
        self._tracker = Tracker()
        self._width = 0
        self._spinners: dict[str, Spinner] = {}
        self._said: set[str] = set()
        self._spoken = time.monotonic()
        # The live display draws from a thread of its own.
        self._lock = threading.Lock()
        self._live = (
            Live(
                console=console,
                get_renderable=self._render,
                refresh_per_second=8,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        if self._live:
            self._live.stop()

    def event(self, event: Mapping[str, Any]) -> None:
        """Take the next event of the run."""
        if self._raw and (text := str(event.get("stdout", "")).strip("\r\n")):
            self._print(Text(text.replace("\r\n", "\n"), style="dim"))
        elif event.get("event") == "runner_on_file_diff" and (diff := _coloured_diff(str(event.get("stdout", "")))):
            self._print(diff)
        for notice in notices(event):
            if notice not in self._said and not self._raw:
                self._said.add(notice)
                self._print(Text(notice, style="yellow"))
        with self._lock:
            finished = self._tracker.feed(event)
            heard = self._tracker.hear(event)
        if not self._live and not self._raw:
            for host, said in heard:
                self._print(Text.assemble((self._padded(host), "bold"), "  ", said))
        if finished:
            self._print(self._line(finished))

    def tick(self) -> None:
        """Tell what takes long where nothing moves on the screen."""
        if self._live or time.monotonic() - self._spoken < HEARTBEAT_SECONDS:
            return
        for host, running in self._tracker.running.items():
            self._print(Text(f"{host}  {running.name} … {time.monotonic() - running.since:.0f} s so far"))

    def stopping(self) -> None:
        """Tell that the run stops, and how to make it stop at once."""
        self._print(Text("stopping; Ctrl-C again kills", style="bold yellow"))

    def say(self, text: str) -> None:
        """Print a line of one's own."""
        self._print(Text(text))

    def _print(self, text: Text) -> None:
        self._spoken = time.monotonic()
        # Plain lines are for logs, where a wrapped line is a broken one.
        self._console.print(text, soft_wrap=True)

    def _padded(self, host: str) -> str:
        self._width = max(self._width, len(host))
        return host.ljust(self._width)

    def _line(self, finished: Finished) -> Text:
        step = finished.step
        style = _STYLES.get(step.status, "")
        line = Text.assemble((self._padded(step.host), "bold"), "  ", (step.status.ljust(7), style), "  ", step.label)
        line.append(f"  {finished.seconds:.1f} s", style="dim")
        if step.status in {"failed", "unreachable"} and finished.reason:
            line.append(f"\n{' ' * self._width}  {finished.reason}", style="red")
        return line

    def _render(self) -> RenderableType:
        with self._lock:
            running = dict(self._tracker.running)
        now = time.monotonic()
        grid = Table.grid(padding=(0, 1))
        for host, task in sorted(running.items()):
            spinner = self._spinners.setdefault(host, Spinner("dots"))
            done = f" ({task.done} done)" if task.done else ""
            grid.add_row(
                spinner,
                Text(host, style="bold"),
                Text.assemble(task.name + done, (f"  {task.said}" if task.said else "", "cyan")),
                Text(f"{now - task.since:.0f} s", style="dim"),
            )
        return Group(grid) if running else Text("")


def _coloured_diff(text: str) -> Text:
    styles = {"+": "green", "-": "red", "@": "cyan"}
    lines = Text()
    for line in text.replace("\r\n", "\n").strip("\n").splitlines():
        lines.append(line + "\n", style=styles.get(line[:1], ""))
    lines.rstrip()
    return lines
