# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Say how a server of this host fares, and if it is ill, why and what to do. Changes nothing."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._change import Change, pending
from ansible_collections.llmops.serving.plugins.module_utils._diagnosis_notes import notes, watchdog_records
from ansible_collections.llmops.serving.plugins.module_utils._doctor import Diagnosis, matched
from ansible_collections.llmops.serving.plugins.module_utils._evidence import Evidence, collect, last_starts
from ansible_collections.llmops.serving.plugins.module_utils._gate import Gate, GateError, deadline, server_url
from ansible_collections.llmops.serving.plugins.module_utils._generations import Generation, Store
from ansible_collections.llmops.serving.plugins.module_utils._hide import veil_of_host
from ansible_collections.llmops.serving.plugins.module_utils._hold import HoldError, held_notice, read_held
from ansible_collections.llmops.serving.plugins.module_utils._http import NOT_READY, get_status
from ansible_collections.llmops.serving.plugins.module_utils._judgement import explained
from ansible_collections.llmops.serving.plugins.module_utils._lock import holder
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit, UnitState
from ansible_collections.llmops.serving.plugins.module_utils._watch_notes import read_notes

_OK = 200
# How far back the journal is read, for a server that was given up long ago.
_PAST_S = 7 * 86400
# An engine that is at work answers this at once; one that does not hangs.
_READY_TIMEOUT_S = 10


class Verdict(t.NamedTuple):
    """How a server fares.

    Attributes:
        ok: Whether all is well.
        state: `serving`, `loading`, `changing`, `ill`, `stopped`, `held`, `cut off` or `absent`.
        check: What failed.
        cause: Why.
        remedy: What to do.
        probes: What the gate found.
    """

    ok: bool
    state: str
    check: str = ""
    cause: str = ""
    remedy: str = ""
    probes: t.Sequence[t.Any] = ()


def examine(name: str, gate: bool = True, lines: int = 60, wanted: bool = True) -> dict[str, t.Any]:
    """Examine one server.

    Args:
        name: Its name.
        gate: Whether to send it the requests of its gate.
        lines: How many lines of each log are in the evidence.
        wanted: Whether the inventory has it.

    Returns:
        One entry of the module `server_diagnosis`.

    Raises:
        CommandError: systemd does not answer.
    """
    began, store, unit = time.monotonic(), Store(name), Unit(name)
    current, state = store.current(), unit.state()
    kept = [generation for generation in map(store.read, store.numbers()) if generation]
    failed = [generation for generation in kept if generation.failed]
    shown = current or (kept[-1] if kept else None)
    starts = last_starts(state.active, state.restarts)
    evidence = collect(unit, time.time() - _PAST_S, starts=starts)
    if shown is None:
        # Nobody knows the keys any more that it may have written.
        evidence = evidence._replace(log=[])
    patient = _Patient(name, unit, state, shown, evidence)
    verdict = patient.judge(gate) if shown else patient.absent(wanted)
    rules = shown.asked.get("doctor") or [] if shown else []
    found = _found(verdict, evidence, rules)
    told: dict[str, t.Any] = {
        "name": name,
        "engine": shown.asked.get("engine") if shown else None,
        "ok": verdict.ok,
        "state": verdict.state,
        "generation": current.number if current else None,
        "image": shown.image if shown else None,
        "models": [model["name"] for model in shown.asked["models"]] if shown else [],
        "probes": list(verdict.probes),
        "msg": "" if verdict.ok else _line(verdict),
        "failed_check": verdict.check,
        "cause": verdict.cause,
        "remedy": verdict.remedy,
        "rule": found.rule if found else "",
        "source": found.source if found else "",
        "line": found.line if found else "",
        "log": evidence.log[-lines:] if lines else [],
        "evidence": evidence.to_dict(lines),
        "change": _words(patient.change),
        "lock": patient.holder,
        "failed_generations": [_failed(generation) for generation in failed],
        "watchdog": watchdog_records(name, veil_of_host(), lines),
    }
    if shown:
        bind, port = shown.asked["bind"], shown.asked["port"]
        told.update(url=server_url(bind, port) + "/v1", bind=bind, port=port)
    told["notes"] = list(notes(told, unit, current))
    told["seconds"] = {"total": time.monotonic() - began}
    return told


class _Patient:
    """A server, with what the host keeps of it."""

    def __init__(
        self, name: str, unit: Unit, state: UnitState, generation: Generation | None, evidence: Evidence
    ) -> None:
        self.name = name
        self.unit = unit
        self.state = state
        self.generation = generation
        self.evidence = evidence
        self.holder = holder(name)
        self.change = pending(name)

    def judge(self, gate: bool) -> Verdict:
        """Say how it fares, the plainest reasons first."""
        if self.holder:
            words = "process {pid} is {what} it since {since}".format(**self.holder)
            return Verdict(True, "changing", cause=words, remedy="wait for it")
        held = self._held()
        if held and not self.state.running:
            return Verdict(False, "held", "hold", held, "let go of it")
        if self.change:
            cause = "a change to generation {to} that began at {since} was cut off ({step})"
            remedy = "apply the inventory again, which finishes it or goes back"
            return Verdict(False, "cut off", "change", cause.format(**self.change._asdict()), remedy)
        if self.state.running:
            return self._running(gate)
        return self._down()

    def absent(self, wanted: bool) -> Verdict:
        """Say that the host has nothing of it."""
        cause = f"server {self.name} is not on this host"
        if self.evidence.systemd:
            cause += f"; what it said when it was is in journalctl -u {self.unit.name}"
        remedy = "apply the inventory" if wanted else "correct the name: serving_servers has no such server either"
        return Verdict(False, "absent", "generations", cause, remedy)

    def _held(self) -> str:
        try:
            held = read_held()
        except HoldError as exc:
            return str(exc)
        return held_notice() if held and self.name in held.servers else ""

    def _down(self) -> Verdict:
        """Say why a server's unit does not run."""
        seen = self.evidence.unit
        if self.unit.read() is None:
            return Verdict(False, "ill", "unit", f"{self.unit.path} is gone", "apply the inventory, which writes it")
        # systemd counts what it stopped itself as well done.
        if self.state.active == "inactive" and seen.get("result") in {"success", "", None}:
            words = "; it is not enabled either" if self.state.enabled != "enabled" else ""
            remedy = f"start it: systemctl start {self.unit.name}; or apply the inventory"
            return Verdict(False, "stopped", "unit", f"its unit {self.unit.name} is stopped{words}", remedy)
        return self._explained(GateError("start", f"its unit is {self.state.active}", "", died=True))

    def _running(self, gate: bool) -> Verdict:
        """Ask a server whose unit runs, without waiting."""
        asked, key = self._asked
        url = server_url(asked["bind"], asked["port"]) + asked["readiness"]
        status = get_status(url, timeout=_READY_TIMEOUT_S, api_key=key)
        if status != _OK:
            return self._not_ready(url, status)
        if not gate:
            return Verdict(True, "serving")
        try:
            probes = Gate(asked, key, self.unit, self.state.restarts).run()
        except GateError as exc:
            return self._explained(exc)
        wrong = matched(self.evidence.log, asked.get("healthy_but") or [])
        if wrong:
            return Verdict(False, "ill", "log", wrong.cause, wrong.remedy, probes)
        return Verdict(True, "serving", probes=probes)

    def _not_ready(self, url: str, status: int | str) -> Verdict:
        still = [line for line in self.evidence.told if line.startswith(("process ", "container "))]
        if still:
            remedy = f"see who stopped it, and start it anew: systemctl restart {self.unit.name}"
            return Verdict(False, "ill", "wait", f"it does not answer: {'; '.join(still)}", remedy)
        asked, _key = self._asked
        limit = deadline(asked["load"], [model["path"] for model in asked["models"]])
        lasted = self.evidence.container.get("last_run_s")
        if self.state.restarts and lasted is not None and lasted < limit:
            # It is between two starts that fail alike.
            return self._explained(GateError("start", "it ends again and again", "", died=True))
        age, seen = self.evidence.age(), read_notes(self.name)
        was_ready = seen.ready and seen.invocation == self.state.invocation
        if age is not None and age < limit and not was_ready:
            return Verdict(True, "loading", cause=f"it loads since {age:.0f} s, of {limit:.0f} s at the most")
        cause = f"{url} does not answer" if status == NOT_READY else f"{url}: {status}"
        remedy = f"start it anew: systemctl restart {self.unit.name}"
        remedy += "" if was_ready else "; if it loads that long, set load_timeout of the server"
        return self._explained(GateError("wait", cause, remedy, broke=True))

    @property
    def _asked(self) -> tuple[dict[str, t.Any], str | None]:
        # Only called where there is a generation.
        return (self.generation.asked, self.generation.client_key()) if self.generation else ({}, None)

    def _explained(self, failure: GateError) -> Verdict:
        asked, _key = self._asked
        error = explained(failure, self.evidence, asked)
        return Verdict(False, "ill", error.check, error.cause, error.remedy, error.probes)


def _found(verdict: Verdict, evidence: Evidence, rules: t.Sequence[t.Mapping[str, t.Any]]) -> Diagnosis | None:
    """Give the rule behind a verdict."""
    found = None if verdict.ok else matched(evidence.lines(), rules)
    return found if found and found.cause in verdict.cause else None


def _line(verdict: Verdict) -> str:
    return "; ".join(filter(None, [f"{verdict.check}: {verdict.cause}", verdict.remedy]))


def _failed(generation: Generation) -> dict[str, t.Any]:
    return {"number": generation.number, "made": generation.made, **(generation.failed or {})}


def _words(change: Change | None) -> dict[str, t.Any] | None:
    return dict(change._asdict()) if change else None
