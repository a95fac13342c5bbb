# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Read out of journal and kernel log what concerns one server."""

from __future__ import annotations

import json
import re
import time
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._command import run

_TIMEOUT = 20.0
_ENGINE_LINES = 400
_HOST_LINES = 400
# Colours, and whatever else a terminal would take for a command.
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_BREAKS = re.compile(r"\r\n?")
# Kernel messages that can be why a program ended, hangs or lost its GPU.
_TELLING = re.compile(
    r"\boom[-_]|oom-kill|out of memory|killed process|\bNVRM\b|\bXid\b|segfault|traps:|general protection"
    r"|I/O error|(?:EXT4|XFS|BTRFS)\b.*(?:error|corrupt)|blocked for more than|Hardware Error|Machine check",
    re.IGNORECASE,
)
_OOM_TASK = re.compile(r"task_memcg=(?P<group>[^,\s]*),task=(?P<task>[^,]*),pid=(?P<pid>\d+)")
_OOM_PID = re.compile(r"(?:Killed?|reaped) process (?P<pid>\d+)")
_ID = re.compile(r"[0-9a-f]{64}")
_OOM = re.compile(r"\boom[-_]|oom-kill|out of memory|killed? process", re.IGNORECASE)


class Said(t.NamedTuple):
    """What the journal has of a unit, oldest first: its program's lines, and systemd's about it; and from when on."""

    engine: list[str]
    systemd: list[str]
    began: float


class _Entry(t.NamedTuple):
    text: str
    by_systemd: bool
    start: str
    at: float


def read_unit(unit: str, since: float, invocation: str = "", starts: int = 0) -> Said:
    """Read what a unit's program wrote, and what systemd says about it.

    Args:
        unit: The unit's name.
        since: Seconds since the epoch; older lines are left out.
        invocation: Of one start of the unit, to leave out what was said of others.
        starts: How many of the last starts count; 0 for all.

    Raises:
        CommandError: The journal cannot be read.
    """
    own, about = f"_SYSTEMD_UNIT={unit}", f"UNIT={unit}"
    if invocation:
        own, about = f"_SYSTEMD_INVOCATION_ID={invocation}", f"INVOCATION_ID={invocation}"
    fields = "MESSAGE,UNIT,_SYSTEMD_INVOCATION_ID,INVOCATION_ID"
    rows = _journal([own, "+", about], since, _ENGINE_LINES, fields)
    entries = [_Entry(text, *_origin(row)) for row in rows for text in _texts(row.get("MESSAGE"))]
    if starts:
        known = list(dict.fromkeys(entry.start for entry in entries if entry.start))[-starts:]
        first = [place for place, entry in enumerate(entries) if entry.start in known][:1]
        entries = entries[first[0] :] if first else entries
        since = max([since, *(entry.at for entry in entries[:1])])
    return Said(
        [entry.text for entry in entries if not entry.by_systemd],
        [entry.text for entry in entries if entry.by_systemd],
        since,
    )


def _origin(row: t.Mapping[str, t.Any]) -> tuple[bool, str, float]:
    """Tell whether systemd wrote an entry, of which start of the unit, and when."""
    start = str(row.get("INVOCATION_ID") or row.get("_SYSTEMD_INVOCATION_ID") or "")
    return "UNIT" in row, start, int(row.get("__REALTIME_TIMESTAMP") or 0) / 1e6


def read_kernel(since: float, ours: t.Collection[str], killed: bool) -> list[str]:
    """Read the kernel's messages that can be why a server failed.

    Args:
        since: Seconds since the epoch; older ones are left out.
        ours: The container's name, which its unit's begins with, and ids of its containers.
        killed: Whether the server was killed. Without an id nobody can tell whose container the kernel ended for want
            of memory; then it counts where that can be.

    Raises:
        CommandError: Neither the journal nor dmesg can be read.
    """
    rows = _journal(["_TRANSPORT=kernel"], since, _HOST_LINES, "MESSAGE")
    lines = [text for row in rows for text in _texts(row.get("MESSAGE"))]
    # A journal inside of a container, or of a host with another log daemon, has nothing of the kernel.
    lines = lines or _dmesg(since)
    telling = [line for line in lines if _TELLING.search(line)]
    if any(map(_ID.fullmatch, ours)):
        return of_server(telling, ours)
    return telling if killed else [line for line in telling if not _OOM.search(line)]


def read_docker(since: float, ours: t.Collection[str]) -> list[str]:
    """Read the errors of Docker's daemon that name a server's container.

    Args:
        since: Seconds since the epoch; older ones are left out.
        ours: Name and ids of its containers.

    Raises:
        CommandError: The journal cannot be read.
    """
    rows = _journal(["_SYSTEMD_UNIT=docker.service"], since, _HOST_LINES, "MESSAGE")
    lines = [text for row in rows for text in _texts(row.get("MESSAGE"))]
    grave = [line for line in lines if "level=error" in line or "level=fatal" in line]
    return [line for line in grave if "level=fatal" in line or any(word in line for word in ours)]


def of_server(lines: t.Sequence[str], ours: t.Collection[str]) -> list[str]:
    """Leave out that the kernel ended somebody else's process for want of memory.

    Args:
        lines: Messages of the kernel.
        ours: As for `read_kernel`.
    """
    tasks = [match for match in map(_OOM_TASK.search, lines) if match]
    others = {match.group("pid") for match in tasks if not any(word in match.group("group") for word in ours)}
    own = {match.group("pid") for match in tasks} - others
    kept = []
    for line in lines:
        ended = _OOM_TASK.search(line) or _OOM_PID.search(line)
        about = ended.group("pid") if ended else ""
        if about in others or (not about and not own and _OOM.search(line)):
            continue
        kept.append(line)
    return kept


def _journal(matches: list[str], since: float, lines: int, fields: str) -> list[dict[str, t.Any]]:
    # Until systemd 254, --lines with --since gives the first lines and not the last ones (its issue 26657), but for
    # --reverse.
    span = ["--since", f"@{int(since)}", "--reverse", "--lines", str(lines)]
    argv = ["journalctl", *span, "--no-pager", "--quiet", "--all"]
    done = run([*argv, "--output", "json", "--output-fields", fields, *matches], timeout=_TIMEOUT)
    rows = []
    for line in reversed(done.out.splitlines()):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def _texts(message: t.Any) -> list[str]:
    """Give the lines of a message; journalctl writes one with bytes that are no text as a list of numbers."""
    if isinstance(message, list):
        message = bytes(byte for byte in message if isinstance(byte, int)).decode("utf-8", "replace")
    return [line.rstrip() for line in plain(str(message or "")).split("\n") if line.strip()]


def plain(text: str) -> str:
    """Take the commands of a terminal out of a text; what it would write over stands on lines of its own."""
    return _ESCAPES.sub("", _BREAKS.sub("\n", text))


def _dmesg(since: float) -> list[str]:
    # Not --time-format: that of BusyBox and of old releases has no such option.
    booted = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    found = []
    for line in run(["dmesg"], timeout=_TIMEOUT).out.splitlines():
        match = re.match(r"(?:<\d+>)?\[\s*(?P<seconds>\d+\.\d+)\] ?(?P<text>.*)", line)
        if match and booted + float(match.group("seconds")) >= since:
            found.append(match.group("text"))
    return found
