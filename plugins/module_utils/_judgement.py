# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Judge a start of a server: by its answers, and by what it and its host write."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._doctor import diagnose, last_words, matched
from ansible_collections.llmops.serving.plugins.module_utils._evidence import Evidence, collect
from ansible_collections.llmops.serving.plugins.module_utils._gate import Gate, GateError
from ansible_collections.llmops.serving.plugins.module_utils._hide import veil_of_host
from ansible_collections.llmops.serving.plugins.module_utils._server_error import ServerError

if t.TYPE_CHECKING:
    from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit

# Seconds in which an engine that could not answer writes down why.
_LAST_WORDS_S = 4
# Of each log in the evidence that a failure carries.
_LINES = 8


class Judgement:
    """One judgement of a server.

    Attributes:
        answered: When it said that it is ready, by the monotonic clock; None if it did not.
    """

    def __init__(self, unit: Unit, asked: dict[str, t.Any], since: float) -> None:
        """Take the unit, what was asked for, and since when (seconds since the epoch) the server runs."""
        self.answered: float | None = None
        self._unit = unit
        self._asked = asked
        self._since = since

    def pass_on(self, gate: Gate) -> list[dict[str, t.Any]]:
        """Let the server pass the gate.

        Args:
            gate: Its gate.

        Returns:
            What the probes found.

        Raises:
            ServerError: It does not pass.
        """
        try:
            gate.wait()
            self.answered = time.monotonic()
            probes = gate.run()
        except GateError as exc:
            raise explained(exc, self._after(exc), self._asked) from exc
        rules = self._asked.get("healthy_but") or []
        # Of this start alone: what it took the place of may have written just that, a moment ago.
        log = self._unit.log(self._since, 2000, self._unit.state().invocation) if rules else []
        wrong = matched(log, rules)
        if wrong:
            raise ServerError(
                "log", wrong.cause, wrong.remedy, [veil_of_host().cover(line) for line in log[-30:]], probes
            )
        return probes

    def _after(self, failure: GateError) -> Evidence:
        """Look at what the host knows about a failure; an engine that lives still writes when its answer is here."""
        rules = self._asked.get("doctor") or []
        deadline = time.monotonic() + (_LAST_WORDS_S if failure.broke and rules else 0)
        while not matched(self._unit.log(self._since), rules) and time.monotonic() < deadline:
            time.sleep(0.25)
        return collect(self._unit, self._since)


def not_started(seen: str, unit: Unit, asked: dict[str, t.Any], since: float) -> ServerError:
    """Say why a unit could not even be started: Docker and what the unit runs before it write the reason down.

    Args:
        seen: What `systemctl` said.
        unit: The unit.
        asked: What the server shall be.
        since: When that began, in seconds since the epoch.
    """
    evidence = collect(unit, since)
    known = matched(evidence.lines(), asked.get("doctor") or [])
    cause, remedy = (known.cause, known.remedy) if known else (seen, f"read journalctl -u {unit.name} on the host")
    error = ServerError("start", cause, remedy, evidence.log[-30:])
    error.evidence = evidence.to_dict(lines=_LINES)
    return error


def explained(failure: GateError, evidence: Evidence, asked: dict[str, t.Any]) -> ServerError:
    """Say why a gate was not passed, with what the engine itself and its host say.

    Args:
        failure: What was seen from outside.
        evidence: What the host knows.
        asked: What the server shall be, its doctor's rules among it.
    """
    rules, lines = asked.get("doctor") or [], evidence.lines()
    cause, remedy = failure.cause, failure.remedy
    if failure.died:
        why = diagnose(lines, rules)
        cause, remedy = why.cause, why.remedy
    else:
        # Of an answer that it cannot the reason is in its log; some answers say it all.
        known = (matched(lines, rules) if failure.broke else None) or matched([cause], rules)
        words = known.cause if known else last_words(evidence.log) if failure.broke else ""
        cause = "{}; {} says: {}".format(cause, asked["engine"], words) if words else cause
        remedy = known.remedy if known else remedy
    error = ServerError(failure.check, cause, remedy, evidence.log[-30:], failure.probes)
    error.evidence = evidence.to_dict(lines=_LINES)
    return error
