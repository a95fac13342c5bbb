# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""See whether the processes of a container compute, as the kernel and the GPUs' driver count it."""

from __future__ import annotations

import os
import shutil
import time
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, run
from ansible_collections.llmops.serving.plugins.module_utils._host_ports import listening_ports

#: Seconds between two looks at what was computed.
SPAN_S = 3.0
# Of one core. An engine that waits for requests, and answers /metrics, takes less; one that computes takes all of it.
_SHARE = 0.2
_LATE = 2.0
_TICKS_PER_S = 100  # USER_HZ, which is the same on every Linux
_LISTENS = "0A"
_PMON = ("nvidia-smi", "pmon", "--count", "1", "--select", "u")
_THREADS_SHOWN = 64


class Process(t.NamedTuple):
    """One process: its number on the host, its parent's, its name, its state (proc_pid_stat(5)), and its CPU time."""

    pid: int
    parent: int
    name: str
    state: str
    ticks: int


def container_processes(container: str, root: Path = Path("/")) -> list[Process]:
    """List the processes of a container.

    Args:
        container: Its name.
        root: Where /proc is.

    Raises:
        CommandError: Docker knows no such container, or does not answer.
    """
    said = run(["docker", "inspect", "--format", "{{.State.Pid}}", container], timeout=10).out.strip()
    everything = {process.pid: process for process in map(_process, (root / "proc").glob("[0-9]*")) if process}
    found, waiting = [], [int(said) if said.isdigit() else 0]
    # By parents, for control groups are laid out in two ways and this is the same in both.
    while waiting:
        pid = waiting.pop()
        if pid in everything and pid > 1:
            found.append(everything[pid])
            waiting += [process.pid for process in everything.values() if process.parent == pid]
    return found


def computes(container: str, port: int | None = None, span: float = SPAN_S, root: Path = Path("/")) -> bool | None:
    """See whether a container's processes compute.

    Args:
        container: Its name.
        port: Count those processes alone that listen on this port inside it: who does not answer HTTP must be busy
            itself, and not another that spins while it waits.
        span: Seconds to look.
        root: Where /proc is.

    Returns:
        Whether they do; None where it cannot be seen.
    """
    try:
        before = container_processes(container, root)
        pids = {process.pid for process in before}
        if port is not None:
            pids = listeners(sorted(pids), port, root) or pids
        wanted = {pid for pid in pids if _wants(pid, root)}
        began = time.monotonic()
        time.sleep(span)
        slept = time.monotonic() - began
        after = {process.pid: process.ticks for process in container_processes(container, root)}
    except CommandError:
        return None
    ticks = sum(after.get(process.pid, process.ticks) - process.ticks for process in before if process.pid in pids)
    return (
        ticks / _TICKS_PER_S >= _SHARE * span
        # On a host that has too much to do, who gets nothing is not idle; and then this was not woken in time either.
        or any(_wants(pid, root) for pid in wanted)
        or slept > span * _LATE
        or _on_gpu(pids)
    )


def _wants(pid: int, root: Path) -> bool:
    """Whether a thread of a process waits for a processor or for a disk, so that it would go on if it could."""
    threads = map(_process, (root / "proc" / str(pid) / "task").glob("[0-9]*"))
    return any(thread.state in ("R", "D") for thread in threads if thread)


def listeners(pids: t.Sequence[int], port: int, root: Path = Path("/")) -> set[int]:
    """Find which of some processes of one container listen on a port inside it, proc_pid_net(5)."""
    sockets = set()
    for pid in pids[:1]:
        for table in ("tcp", "tcp6"):
            for row in _lines(root / "proc" / str(pid) / "net" / table)[1:]:
                fields = row.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    return {pid for pid in pids if sockets & _links(root / "proc" / str(pid) / "fd")}


def holds_port_of_nobody(port: int, root: Path = Path("/")) -> bool:
    """See whether Docker keeps a port of the host for a container that is gone, while no container runs at all.

    After a power cut Docker 20.10 may take up the port of a container that it then removes, and never give it back;
    nothing but its own restart helps, which harms nobody while nothing runs.

    Args:
        port: Of the host.
        root: Where /proc is.
    """
    try:
        if run(["docker", "ps", "--quiet"], timeout=10).out.strip():
            return False
    except CommandError:
        return False
    return {entry["process"] for entry in listening_ports(root) if entry["port"] == port} == {"docker-proxy"}


def describe(processes: t.Sequence[Process], root: Path = Path("/")) -> list[dict[str, t.Any]]:
    """Tell how processes and their threads stand, for whoever looks into it later.

    Args:
        processes: As `container_processes` gives them.
        root: Where /proc is.

    Returns:
        For each `pid`, `name`, `state`, `cpu_s`, and `threads`: each `name`, `state` and `waits_in`, the kernel's
        function, of which the same are told once, with their number in `count`.
    """
    return [
        {
            "pid": process.pid,
            "name": process.name,
            "state": process.state,
            "cpu_s": process.ticks / _TICKS_PER_S,
            "threads": _threads(root / "proc" / str(process.pid) / "task"),
        }
        for process in processes
    ]


def _threads(folder: Path) -> list[dict[str, t.Any]]:
    counts: dict[tuple[str, str, str], int] = {}
    for place in folder.glob("[0-9]*"):
        thread = _process(place)
        if thread:
            waits = "".join(_lines(place / "wchan")[:1])
            key = (thread.name, thread.state, "" if waits == "0" else waits)
            counts[key] = counts.get(key, 0) + 1
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_THREADS_SHOWN]
    return [{"name": name, "state": state, "waits_in": waits, "count": count} for (name, state, waits), count in rows]


def _process(place: Path) -> Process | None:
    """Read proc_pid_stat(5); None of one that has ended."""
    text = "".join(_lines(place / "stat"))
    head, _paren, tail = text.rpartition(")")
    fields = tail.split()
    if not fields:
        return None
    ticks = int(fields[11]) + int(fields[12])
    return Process(int(place.name), int(fields[1]), head.partition("(")[2], fields[0], ticks)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _links(folder: Path) -> set[str]:
    try:
        return {os.readlink(str(place)) for place in folder.iterdir()}  # noqa: PTH115  Python 3.8 has no Path.readlink
    except OSError:
        return set()  # it has ended


def _on_gpu(pids: t.Collection[int]) -> bool:
    """Whether the driver counts work of these processes; one may wait for its GPU without taking any CPU."""
    if shutil.which(_PMON[0]) is None:
        return False
    try:
        rows = run(list(_PMON), timeout=10).out.splitlines()
    except CommandError:
        return False
    # "# gpu  pid  type  sm  mem …", with a dash for what is not counted.
    fields = [row.split() for row in rows if not row.startswith("#")]
    return any(row[1].isdigit() and int(row[1]) in pids and row[3] not in ("-", "0") for row in fields if len(row) > 3)  # noqa: PLR2004
