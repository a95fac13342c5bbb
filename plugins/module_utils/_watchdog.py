# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""Look after the servers of a host while no Ansible runs: what hangs is started anew, what works is left alone."""

from __future__ import annotations

import calendar
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.llmops.serving.plugins.module_utils._change import pending
from ansible_collections.llmops.serving.plugins.module_utils._clock import now
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, run
from ansible_collections.llmops.serving.plugins.module_utils._evidence import collect
from ansible_collections.llmops.serving.plugins.module_utils._gate import deadline, server_url
from ansible_collections.llmops.serving.plugins.module_utils._generations import Generation, Store, server_names
from ansible_collections.llmops.serving.plugins.module_utils._http import get_status
from ansible_collections.llmops.serving.plugins.module_utils._lock import LockError, holder, server_lock
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit
from ansible_collections.llmops.serving.plugins.module_utils._watch_ask import Ask
from ansible_collections.llmops.serving.plugins.module_utils._watch_notes import (
    STRIKES,
    forget,
    keep_evidence,
    read_notes,
    write_notes,
)
from ansible_collections.llmops.serving.plugins.module_utils._watch_processes import (
    container_processes,
    describe,
    holds_port_of_nobody,
)
from ansible_collections.llmops.serving.plugins.module_utils._watch_recover import Told, is_held

_READY = 200
_READINESS_S = 5.0
_AT_ONCE = 16
# What systemd says of a unit that it has given up, systemd v252 src/core/service.c.
_GIVEN_UP = "Start request repeated too quickly"
# Seconds of the engine's log that are kept.
_LOG_S = 900


class Start(t.NamedTuple):
    """How a unit stands, and when it was started last, in the kernel's seconds."""

    active: str
    invocation: str
    entered: float
    left: float


def watch_all() -> list[Told]:
    """Look at every server of the host once, side by side.

    Returns:
        What was seen and done, for servers of which there is anything to say.
    """
    names = server_names()
    if not names:
        return []
    with ThreadPoolExecutor(max_workers=min(len(names), _AT_ONCE)) as pool:
        return [told for told in pool.map(_watch, names) if told.lines]


def _watch(name: str) -> Told:
    try:
        return Told(name, True, _Server(name).look())
    except (CommandError, OSError, ValueError, KeyError) as exc:
        return Told(name, False, [f"the watchdog cannot look at it: {exc or type(exc).__name__}"])


class _Server:
    """One server, for one look."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.unit = Unit(name)
        self.notes = read_notes(name)
        self.moment = time.clock_gettime(time.CLOCK_MONOTONIC)

    def look(self) -> list[str]:
        """Look once, and do what is due; tell it in lines."""
        current = Store(self.name).current()
        if holder(self.name) is not None:
            # Whoever changes it judges it too.
            return self._leave()
        if current is not None and pending(self.name):
            # In a unit of its own, for it takes as long as the server loads.
            run(["systemctl", "start", "--no-block", f"llmops-recover@{self.name}.service"])
            return [*self._leave(), "a change of it was cut off; putting it back"]
        if current is None or not current.asked.get("watchdog") or is_held(self.name):
            return self._leave()
        start = self._start()
        wrong = self._wrong(start, current)
        if wrong is None:
            return self._leave()
        lines = self._judge(wrong, start, current)
        write_notes(self.name, self.notes)
        return lines

    def _leave(self) -> list[str]:
        forget(self.name)
        return []

    def _start(self) -> Start:
        names = "ActiveState,InvocationID,ActiveEnterTimestampMonotonic,InactiveEnterTimestampMonotonic"
        done = run(["systemctl", "show", "--property", names, self.unit.name])
        words = dict(line.partition("=")[::2] for line in done.out.splitlines())
        return Start(
            active=words.get("ActiveState", ""),
            invocation=words.get("InvocationID", ""),
            entered=int(words.get("ActiveEnterTimestampMonotonic") or 0) / 1e6,
            left=int(words.get("InactiveEnterTimestampMonotonic") or 0) / 1e6,
        )

    def _wrong(self, start: Start, current: Generation) -> str | None:
        """Tell what is wrong; nothing if nothing is; None if it does not run because somebody wants it so."""
        if start.active == "failed" and self._given_up(start):
            self.notes.begin(start.invocation)
            return "systemd has given it up, for it ended again and again"
        if start.active in ("inactive", "failed"):
            return None
        if start.active != "active":
            # Between two starts: systemd is at it.
            return ""
        self.notes.begin(start.invocation)
        if not self.notes.ready:
            return self._loads(start, current)
        return Ask(self.name, current.asked, current.client_key()).wrong(self.notes, self.moment)

    def _given_up(self, start: Start) -> bool:
        since = time.time() - (self.moment - start.left) - 2
        done = run(["journalctl", "--unit", self.unit.name, "--since", f"@{int(since)}", "--reverse", "--lines", "20",
                    "--output", "cat", "--no-pager", "--quiet"], check=False)  # fmt: skip
        return _GIVEN_UP in done.out

    def _loads(self, start: Start, current: Generation) -> str:
        """See whether it has become ready, or has had its time for that."""
        asked = current.asked
        status = get_status(server_url(asked["bind"], asked["port"]) + asked["readiness"], timeout=_READINESS_S)
        # A gate that it has passed since may be the last thing that it answered.
        if status == _READY or _seconds(current.gated) - (time.time() - self.moment) > start.entered:
            self.notes.ready = True
            return ""
        # After a new start that did not help it may be that there was too little time.
        limit = deadline(asked["load"], [model["path"] for model in asked["models"]]) * 2.0**self.notes.restarts
        since = self.moment - start.entered
        return (
            f"it is not ready {since:.0f} s after its start, more than the {limit:.0f} s it has"
            if since > limit
            else ""
        )

    def _judge(self, wrong: str, start: Start, current: Generation) -> list[str]:
        """Count strikes, and start it anew at the last."""
        if not wrong:
            self.notes.well(self.moment)
            return []
        told = len(self.notes.strikes) >= STRIKES
        self.notes.strike(wrong)
        count = len(self.notes.strikes)
        if count < STRIKES:
            return [f"strike {count} of {STRIKES}: {wrong}"]
        due = self.notes.due(self.moment)
        if due > 0:
            # Once, and not at each look.
            return (
                []
                if told
                else [f"{wrong}; it was started anew {self.notes.restarts} times, the next time in {due:.0f} s"]
            )
        return self._restart(wrong, start, current)

    def _restart(self, wrong: str, start: Start, current: Generation) -> list[str]:
        try:
            with server_lock(self.name, patience=0, what="starting anew"):
                again = self._start()
                if (again.invocation, again.active) != (start.invocation, start.active):
                    return []
                lines = [
                    f"strike {STRIKES} of {STRIKES}: {wrong}; it is started anew",
                    *self._write_down(wrong, start, current),
                ]
                run(["systemctl", "reset-failed", self.unit.name], check=False)
                if start.active == "failed" and holds_port_of_nobody(current.asked["port"]):
                    lines.append("Docker keeps its port for a container that is gone, and none runs: it is restarted")
                    run(["systemctl", "restart", "--no-block", "docker.service"])
                # An engine that hangs takes as long to stop as it may; the next look finds out how it went.
                run(["systemctl", "restart", "--no-block", self.unit.name])
        except LockError:
            return []
        self.notes.restarts += 1
        self.notes.restarted = self.moment
        self.notes.strikes = []
        return lines

    def _write_down(self, wrong: str, start: Start, current: Generation) -> list[str]:
        """Keep what can be seen while it hangs; that it cannot be kept is no reason to leave it hanging."""
        words: dict[str, t.Any] = {
            "at": now(),
            "server": self.name,
            "generation": current.number,
            "seen": wrong,
            "strikes": self.notes.strikes,
            "restarts": self.notes.restarts,
            "progress": self.notes.progress,
        }
        try:
            words["processes"] = describe(container_processes("llmops-" + self.name))
        except CommandError as exc:
            words["processes"] = str(exc)
        try:
            words["evidence"] = collect(self.unit, time.time() - _LOG_S, start.invocation).to_dict()
            return [f"evidence: {keep_evidence(self.name, words)}"]
        except OSError as exc:
            return [f"the evidence cannot be kept: {exc}"]


def _seconds(written: str | None) -> float:
    """Read a time as `now` writes it; 0 for none."""
    return float(calendar.timegm(time.strptime(written, "%Y-%m-%dT%H:%M:%SZ"))) if written else 0.0
