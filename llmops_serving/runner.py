# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run one playbook of the collection through ansible-runner: private files, live events, a clean stop."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ansible_runner.interface

from llmops_serving.errors import DriverError
from llmops_serving.paths import collection_root, run_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

# How often a run looks at interrupts and lets the progress move, in seconds.
POLL_SECONDS = 0.25
# How long ansible-playbook may take to stop its workers after an interrupt, in seconds, before it is killed.
STOP_SECONDS = 20.0
BECOME_PROMPT = r"BECOME password.*:\s*?$"


@dataclass(frozen=True)
class PlaybookRun:
    """What to run.

    Attributes:
        playbook: A playbook by its fully qualified name, or a path.
        inventory: Inventory sources: absolute paths, or lists of hosts that hold a comma.
        limit: A host pattern as of `ansible-playbook --limit`.
        check: Change nothing.
        diff: Let modules report differences.
        extra_vars: Variables that win over the inventory; they travel in a private file.
        options: Further options of ansible-playbook, one word each.
        become_password: The password of sudo on the hosts.
        verbosity: Number of -v.
        environment: Variables to add to the environment.
        keep_artifacts: A folder where ansible-runner's files are kept; None deletes them after the run.
    """

    playbook: str
    inventory: tuple[str, ...]
    limit: str | None = None
    check: bool = False
    diff: bool = False
    extra_vars: Mapping[str, Any] = field(default_factory=dict, repr=False)
    options: tuple[str, ...] = ()
    become_password: str | None = field(default=None, repr=False)
    verbosity: int = 0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    keep_artifacts: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        rc: Exit code of ansible-playbook.
        events: The events of ansible-runner in order.
        seconds: Duration in seconds.
        interrupted: Whether the run was stopped before its end.
    """

    rc: int
    events: tuple[Mapping[str, Any], ...] = field(repr=False)
    seconds: float
    interrupted: bool


class Interrupt:
    """A request to stop, made from a signal handler or another thread.

    The first request lets Ansible stop by itself, a second one kills it.
    """

    def __init__(self) -> None:
        """Begin without a request."""
        self.requests = 0

    def request(self) -> None:
        """Ask for a stop, or for a kill when asked again."""
        self.requests += 1

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Turn signals, that of a closed terminal too, into requests; in the main thread, while the context lasts."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handler(_number: int, _frame: FrameType | None) -> None:
            self.request()

        previous = {number: signal.signal(number, handler) for number in _stops()}
        try:
            yield
        finally:
            for number, old in previous.items():
                signal.signal(number, old)


def _stops() -> list[signal.Signals]:
    """List the signals that mean a stop; a terminal that closes means none to a program started with nohup."""
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGINT, signal.SIGTERM, *hangup]


class _Watch:
    """Takes the events of a run and decides when it has to be killed."""

    def __init__(
        self,
        interrupt: Interrupt,
        on_event: Callable[[Mapping[str, Any]], None],
        on_tick: Callable[[], None],
        on_stop: Callable[[], None],
    ) -> None:
        self.events: list[Mapping[str, Any]] = []
        self.failure: Exception | None = None
        self.orphans: list[int] = []
        self._interrupt = interrupt
        self._on_event = on_event
        self._on_tick = on_tick
        self._on_stop = on_stop
        self._pid: int | None = None
        self._deadline: float | None = None

    def event(self, event: dict[str, Any]) -> None:
        self._pid = event.get("pid", self._pid)
        self.events.append(event)
        self._guarded(lambda: self._on_event(event))

    def cancelled(self) -> bool:
        self._guarded(self._on_tick)
        if self.failure:
            return self._kill()
        if not self._interrupt.requests:
            return False
        if self._deadline is None:
            self._deadline = time.monotonic() + STOP_SECONDS
            self._guarded(self._on_stop)
            if self._pid is None:
                # Not even the first play has begun.
                return self._kill()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGINT)
        if self._interrupt.requests > 1 or time.monotonic() > self._deadline:
            return self._kill()
        return False

    def _guarded(self, call: Callable[[], None]) -> None:
        # An exception that left ansible-runner from here would leave ansible-playbook running, so it is raised later.
        try:
            call()
        except Exception as error:
            self.failure = self.failure or error

    def _kill(self) -> bool:
        # Ansible's workers lead sessions of their own, so killing the group of ansible-playbook would orphan them.
        if self._pid is not None:
            self.orphans = descendants(self._pid)
        return True


def descendants(pid: int) -> list[int]:
    """List the processes below a process.

    Args:
        pid: A process.

    Returns:
        Its children and their children, none where the system has no /proc.
    """
    parents: dict[int, int] = {}
    for stat_file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            # The name in parentheses may hold blanks and parentheses: fields are counted after the last one.
            parents[int(stat_file.parent.name)] = int(stat_file.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for ancestor in found:
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]


def run_playbook(
    run: PlaybookRun,
    *,
    on_event: Callable[[Mapping[str, Any]], None] = lambda _event: None,
    on_tick: Callable[[], None] = lambda: None,
    on_stop: Callable[[], None] = lambda: None,
    interrupt: Interrupt | None = None,
) -> Outcome:
    """Run a playbook to its end, or until it is interrupted.

    Args:
        run: What to run.
        on_event: Called with each event as it comes.
        on_tick: Called about four times a second.
        on_stop: Called once, when Ansible has been asked to stop.
        interrupt: Lets somebody else stop the run.

    Returns:
        What came of it.

    Raises:
        DriverError: ansible-playbook is not installed.
    """
    interrupt = interrupt or Interrupt()
    watch = _Watch(interrupt, on_event, on_tick, on_stop)
    cwd = Path.cwd()
    began = time.monotonic()
    # Events hold what modules returned, so they stay in a folder that only this user can enter.
    with tempfile.TemporaryDirectory(prefix="llmops-", ignore_cleanup_errors=True) as folder:
        _write_private(Path(folder), run)
        environment = {**run_environment({**os.environ, **run.environment}, cwd, collection_root()), **run.environment}

        def handle(event: dict[str, Any]) -> bool:
            watch.event(event)
            return run.keep_artifacts is not None

        with interrupt.on_signals():
            # ansible-runner carries no types.
            runner = ansible_runner.interface.run(  # type: ignore[no-untyped-call]
                private_data_dir=folder,
                artifact_dir=str(run.keep_artifacts or Path(folder, "artifacts")),
                ident=f"{run.playbook.rpartition('.')[2]}-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}",
                # Ansible runs where the user is: relative paths in inventories and options mean what they always do.
                project_dir=str(cwd),
                playbook=run.playbook,
                inventory=list(run.inventory),
                limit=run.limit,
                verbosity=run.verbosity,
                cmdline=shlex.join(_options(run)) or None,
                envvars=environment,
                passwords={BECOME_PROMPT: run.become_password} if run.become_password is not None else None,
                suppress_env_files=True,
                fact_cache_type="memory",
                quiet=True,
                event_handler=handle,
                cancel_callback=watch.cancelled,
            )
        for pid in watch.orphans:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
    if watch.failure:
        raise watch.failure
    if runner.rc == 127:  # noqa: PLR2004 - the shell's number for a command that does not exist
        msg = "ansible-playbook was not found: install ansible-core in the environment of llmops"
        raise DriverError(msg)
    # One that is stopped before Ansible runs has no exit code.
    rc = 1 if runner.rc is None else int(runner.rc)
    return Outcome(rc, tuple(watch.events), time.monotonic() - began, interrupt.requests > 0)


def _options(run: PlaybookRun) -> list[str]:
    flags = [("--check", run.check), ("--diff", run.diff), ("--ask-become-pass", run.become_password is not None)]
    return [*(flag for flag, wanted in flags if wanted), *run.options]


def _write_private(folder: Path, run: PlaybookRun) -> None:
    env = folder / "env"
    env.mkdir(mode=0o700)
    # ansible-runner ignores the argument `settings` where it writes no files of its own; a file it does read.
    files = {"settings": {"pexpect_timeout": POLL_SECONDS}}
    if run.extra_vars:
        files["extravars"] = dict(run.extra_vars)
    for name, content in files.items():
        file = env / name
        file.touch(mode=0o600)
        file.write_text(json.dumps(content), encoding="utf-8")
    if run.keep_artifacts:
        run.keep_artifacts.mkdir(mode=0o700, parents=True, exist_ok=True)
