# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Ask Docker about a server's container: as it stands, and what became of those before it."""

from __future__ import annotations

import json
import re
import time
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, run

_TIMEOUT = 10.0
_KIB = 1 << 10
_STATE = "{{json .State}}\n{{.HostConfig.Memory}}\n{{.Id}}"
# Not {{json .}}: its words differ from release to release, and it repeats the container's labels.
_EVENT = (
    '{{.Time}} {{.Action}} {{.Actor.ID}} {{index .Actor.Attributes "exitCode"}} {{index .Actor.Attributes "signal"}}'
)
_ROW = re.compile(r"(?P<at>\d+) (?P<action>\S+) (?P<identity>\S+) (?P<code>\S*) (?P<signal>\S*)")
_PROCESS = re.compile(r"\s*(?P<pid>\d+)\s+(?P<state>\S+)\s+(?P<rss>\d+)\s+(?P<name>.*)")
# proc_pid_stat(5), of processes that do not go on.
_STANDSTILLS = {"T": "is stopped by a signal", "t": "is stopped by a debugger", "D": "waits for a device or a disk"}


class Container(t.NamedTuple):
    """What Docker knows: `words` and `ids` as `Evidence.container` has them, events, and what follows from both."""

    words: dict[str, t.Any]
    events: list[str]
    told: list[str]

    @property
    def ids(self) -> list[str]:
        """The ids of the container and of those before it."""
        return list(self.words.get("ids", []))


class _Event(t.NamedTuple):
    at: int
    action: str
    identity: str
    code: str
    signal: str


def look_at(name: str, since: float, past: float = 0) -> Container:
    """Look at a container.

    Args:
        name: Its name.
        since: Seconds since the epoch; what happened before is left out.
        past: The same for telling how long those before it ran.

    Raises:
        CommandError: Docker does not answer.
    """
    words = _state(name)
    rows = _events(name, past or since)
    late = [row for row in rows if row.at >= int(since)]
    ids = list(dict.fromkeys([*(row.identity for row in late), *words.get("ids", [])]))
    told = [f"container {name} is paused"] if words.get("status") == "paused" else []
    told += [
        "process {} ({}) {} (state {})".format(
            process["pid"], process["name"], _STANDSTILLS[process["state"][0]], process["state"]
        )
        for process in words.get("processes", [])
        if process["state"][0] in _STANDSTILLS
    ]
    words.update(ids=ids, last_run_s=_last_run(rows))
    return Container(words, [line for row in late for line in _told(row)], told)


def _last_run(rows: t.Sequence[_Event]) -> int | None:
    """Tell how many seconds the container ran that ended last; None if Docker does not remember."""
    started = {row.identity: row.at for row in rows if row.action == "start"}
    runs = [row.at - started[row.identity] for row in rows if row.action == "die" and row.identity in started]
    return runs[-1] if runs else None


def _state(name: str) -> dict[str, t.Any]:
    done = run(["docker", "container", "inspect", "--format", _STATE, name], timeout=_TIMEOUT, check=False)
    if done.code:
        if "no such container" in done.err.lower():
            return {}
        raise CommandError(f"docker: {(done.err.strip() or 'no message').splitlines()[-1]}")
    state, limit, identity = done.out.strip().split("\n")
    seen = json.loads(state)
    return {
        "status": seen.get("Status", ""),
        "oom_killed": bool(seen.get("OOMKilled")),
        "memory_limit": int(limit),
        "processes": _processes(name) if seen.get("Running") else [],
        "ids": [identity],
    }


def _processes(name: str) -> list[dict[str, t.Any]]:
    """List what runs inside. Names only, for a program's arguments may be an engine's key."""
    done = run(["docker", "top", name, "-eo", "pid,stat,rss,comm"], timeout=_TIMEOUT, check=False)
    rows = filter(None, map(_PROCESS.fullmatch, done.out.splitlines()))
    return [
        {"pid": int(row["pid"]), "state": row["state"], "rss": int(row["rss"]) * _KIB, "name": row["name"]}
        for row in rows
    ]


def _events(name: str, since: float) -> list[_Event]:
    """List what happened to containers of a name; Docker remembers 256 events of all containers."""
    kinds = [word for action in ("start", "oom", "kill", "die") for word in ("--filter", f"event={action}")]
    # Not later than now: it would wait for what is to come.
    span = ["--since", f"{since:.6f}", "--until", f"{time.time():.6f}"]
    argv = ["docker", "events", *span, "--filter", f"container={name}", *kinds, "--format", _EVENT]
    rows = filter(None, map(_ROW.fullmatch, run(argv, timeout=_TIMEOUT).out.splitlines()))
    return [_Event(int(row["at"]), row["action"], row["identity"], row["code"], row["signal"]) for row in rows]


def _told(event: _Event) -> t.Iterator[str]:
    if event.action == "oom":
        yield "docker event: oom: the container ran out of memory"
    elif event.action == "die":
        yield f"docker event: die: exit code {event.code}"
    elif event.action == "kill":
        yield f"docker event: kill: signal {event.signal}"
