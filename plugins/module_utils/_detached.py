# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Go on after the module has answered, and end that again.

Nothing of it is written down on the host: whoever started it knows the process, by number and start time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NOBODY = 65534
_PATIENCE_S = 5.0
_POLL_S = 0.02


class Process(NamedTuple):
    """A process, and when it began in ticks since boot: a number alone comes again some day."""

    pid: int
    began: int


def detach(work: Callable[[], None], keep: Sequence[int], name: str, readable: Sequence[Path] = ()) -> Process:
    """Let a function run in a process of its own, which neither session nor connection holds.

    Args:
        work: What it does. The process ends with it.
        keep: File descriptors that it needs; all others are closed.
        name: How `ps` calls it, 15 letters at most.
        readable: Files that it reads. Where nobody's rights suffice for them, it keeps no others.

    Returns:
        The process.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Whatever happens here, it must not go back into the module's code.
        try:
            os.close(reader)
            os.setsid()
            if os.fork() == 0:
                _settle(keep, name, writer)
                _give_up_rights(readable)
                os.write(writer, str(os.getpid()).encode("ascii"))
                os.close(writer)
                work()
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as answer:
        said = answer.read()
    if not said:
        raise OSError(0, "the process in the background ended at once")
    pid = int(said)
    return Process(pid, _began(pid) or 0)


def end(process: Process) -> bool:
    """End a process; False when it is gone already."""
    if not _lives(process):
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            if not _lives(process):
                return True
            time.sleep(_POLL_S)
    return True


def _settle(keep: Sequence[int], name: str, writer: int) -> None:
    """Let go of everything that belongs to the module's connection."""
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    kept = {0, 1, 2, writer, *keep}
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if descriptor not in kept:
            with contextlib.suppress(OSError):
                os.close(descriptor)
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(name, encoding="ascii")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _give_up_rights(readable: Sequence[Path]) -> None:
    """Be nobody, if nobody can read what is to be read."""
    if os.geteuid() != 0:
        return
    groups = os.getgroups()
    try:
        os.setgroups([])
        os.setegid(_NOBODY)
        os.seteuid(_NOBODY)
        suffices = all(map(_can_read, readable))
    except OSError:
        suffices = False  # a container may know no such user
    os.seteuid(0)
    os.setegid(0)
    if suffices:
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        return
    with contextlib.suppress(OSError):
        os.setgroups(groups)


def _can_read(path: Path) -> bool:
    # Not os.access, which asks for the real user.
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False


def _lives(process: Process) -> bool:
    return process.pid > 1 and _began(process.pid) == process.began


def _began(pid: int) -> int | None:
    """When a process began, field 22 of proc_pid_stat(5); None when it is gone, or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])
