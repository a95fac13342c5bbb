# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Change one server as one transaction: kept only when real requests are answered sensibly."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._docker import image_digest, pull, remove_container
from ansible_collections.llmops.serving.plugins.module_utils._doctor import diagnose, last_words, matched
from ansible_collections.llmops.serving.plugins.module_utils._gate import Gate, GateError
from ansible_collections.llmops.serving.plugins.module_utils._generations import Generation, Secrets, Store, make_cache
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit

# The words of `asked` that make a new generation when they change. The others (gate, load, doctor …) say how a server
# is judged, not how it runs.
_RUNS = ("unit", "image", "files")
# Seconds in which an engine that could not answer writes down why.
_LAST_WORDS_S = 4


class ServerError(Exception):
    """A server could not be changed, or does not serve.

    Attributes:
        check: The step or probe that failed.
        cause: Why, as far as it can be told.
        remedy: Which variable to change.
        log: The last lines of the engine.
        probes: What the gate found, as far as it came.
        rolled_back: Whether the previous generation serves again.
    """

    def __init__(
        self, check: str, cause: str, remedy: str, log: t.Sequence[str] = (), probes: t.Sequence[t.Any] = ()
    ) -> None:
        """Say what failed, why, and what to do."""
        super().__init__(f"{check}: {cause}; {remedy}")
        self.check = check
        self.cause = cause
        self.remedy = remedy
        self.log = list(log)
        self.probes = list(probes)
        self.rolled_back = False


class Server:
    """One server on this host: its unit, its generations, its gate."""

    def __init__(self, name: str, asked: dict[str, t.Any], secrets: Secrets) -> None:
        """Take what a server shall be.

        Args:
            name: The server's name.
            asked: All but the secrets: `unit` (text with `@GENERATION@` and `@IMAGE@`), `image`, `bind`, `port`,
                `models`, `files`, `cache`, `readiness`, `guarded`, `gate`, `load`, `doctor`, `healthy_but`.
            secrets: Its secrets.
        """
        self.name = name
        self.asked = asked
        self.secrets = secrets
        self.unit = Unit(name)
        self.store = Store(name)
        self.seconds: dict[str, float] = {}

    # -- compare

    def same(self, current: Generation | None) -> bool:
        """Whether the host already has this server, running or not."""
        return (
            current is not None
            and all((current.asked.get(word) or {}) == (self.asked.get(word) or {}) for word in _RUNS)
            and current.secrets() == self.secrets.files
            and current.client_key() == self.secrets.client_key
            and self.unit.read() == current.unit
            and self.unit.state().enabled == "enabled"
        )

    def diff(self, current: Generation | None) -> dict[str, str]:
        """Show the unit before and after, and which secrets change without their values."""
        before = self.unit.read() or ""
        image = current.image if current and current.asked.get("image") == self.asked["image"] else self.asked["image"]
        if current:
            before = before.replace(str(current.directory), "@GENERATION@")
        old = current.secrets() if current else {}
        names = sorted(set(old) | set(self.secrets.files))
        marks = [f"# secret {name} {_mark(old.get(name), self.secrets.files.get(name))}" for name in names]
        changed = [mark for mark in marks if not mark.endswith("unchanged")]
        after = self.asked["unit"].replace("@IMAGE@", image)
        return {
            "before": before,
            "after": after + "".join(mark + "\n" for mark in changed),
            "before_header": str(self.unit.path),
            "after_header": str(self.unit.path),
        }

    # -- change

    def apply(self) -> dict[str, t.Any]:
        """Make the host have this server, and prove it.

        Returns:
            `action`, `changed`, `generation`, `image`, `probes` and `seconds`.

        Raises:
            ServerError: It does not serve. Whatever worked before works again, unless the message says otherwise.
        """
        current = self.store.current()
        if current is not None and self.same(current):
            return self.confirm(current)
        image = self._image(current)
        self._look_for_models()
        if self.asked.get("cache"):
            make_cache(Path(self.asked["cache"]), self.secrets.owner)
        generation = self.store.add(self.asked, image, self.secrets)
        away = time.monotonic()
        try:
            probes = self._start(generation, self.asked, self.secrets.client_key)
        except ServerError as exc:
            self._put_back(current, generation, exc, away)
            raise
        self.seconds["away"] = time.monotonic() - away
        self.store.keep(generation)
        return self._outcome("updated" if current else "created", generation, probes)

    def exists(self) -> bool:
        """Whether the host has anything of this server."""
        return self.unit.read() is not None or self.store.directory.is_dir()

    def remove(self) -> bool:
        """Remove unit, container, generations and secrets; tell whether there was any."""
        there = self.exists()
        if there:
            self.unit.remove()
            remove_container("llmops-" + self.name)
            self.store.remove()
        return there

    def confirm(self, current: Generation) -> dict[str, t.Any]:
        """Gate a server that is as asked; start it anew, once, when it is down or does not answer.

        Args:
            current: The generation that serves.

        Returns:
            As `apply`.

        Raises:
            ServerError: It does not serve after the start either.
        """
        if current.asked != self.asked:
            current = current._replace(asked=self.asked)
            self.store.record(current)
        began, state = time.monotonic(), self.unit.state()
        if state.running:
            try:
                probes = self._judge(self.asked, self.secrets.client_key, began, state.restarts)
                return self._outcome("unchanged", current, probes)
            except ServerError:
                self.seconds["unanswered"] = time.monotonic() - began
        return self._outcome("restarted", current, self._start(current, self.asked, self.secrets.client_key))

    def _image(self, current: Generation | None) -> str:
        began = time.monotonic()
        asked = self.asked["image"]
        if current and current.asked.get("image") == asked and image_digest(current.image):
            return current.image
        try:
            return pull(asked)
        except CommandError as exc:
            raise ServerError(
                "pull", str(exc), "correct image of the server, or serving_registries, or wait for the registry"
            ) from exc
        finally:
            self.seconds["pull"] = time.monotonic() - began

    def _look_for_models(self) -> None:
        for model in self.asked["models"]:
            if not Path(model["path"]).is_dir():
                raise ServerError(
                    "model",
                    "{} is not in the host's model store ({})".format(model["name"], model["path"]),
                    "run the role models first, with this entry of serving_models",
                )

    def _start(self, generation: Generation, asked: dict[str, t.Any], key: str | None) -> list[dict[str, t.Any]]:
        """Put a generation's unit in place, start it and judge it."""
        began = time.monotonic()
        try:
            self.unit.write(generation.unit)
            self.unit.restart()
        except (CommandError, OSError) as exc:
            raise ServerError("start", str(exc), f"read journalctl -u {self.unit.name} on the host") from exc
        self.seconds["start"] = time.monotonic() - began
        return self._judge(asked, key, time.monotonic(), 0)

    def _judge(self, asked: dict[str, t.Any], key: str | None, began: float, restarts: int) -> list[dict[str, t.Any]]:
        """Wait until the server is ready, then gate it."""
        since = time.time() - (time.monotonic() - began) - self.seconds.get("start", 0) - 1
        gate = Gate(asked, key, self.unit, restarts)
        try:
            gate.wait()
            self.seconds["wait"] = time.monotonic() - began
            probes = gate.run()
            self.seconds["gate"] = time.monotonic() - began - self.seconds["wait"]
        except GateError as exc:
            raise _explained(exc, self._log_after(exc, since, asked.get("doctor", [])), asked) from exc
        # Of this start alone: what it took the place of may have written just that, a moment ago.
        invocation = self.unit.state().invocation if asked.get("healthy_but") else ""
        log = self.unit.log(since, 2000, invocation) if asked.get("healthy_but") else []
        wrong = matched(log, asked.get("healthy_but", []))
        if wrong:
            raise ServerError("log", wrong.cause, wrong.remedy, log[-30:], probes)
        return probes

    def _log_after(self, failure: GateError, since: float, rules: list[dict[str, t.Any]]) -> list[str]:
        """Read what an engine wrote about a failure; one that lives is still writing when its answer is here."""
        deadline = time.monotonic() + (_LAST_WORDS_S if failure.broke and rules else 0)
        log = self.unit.log(since)
        while not matched(log, rules) and time.monotonic() < deadline:
            time.sleep(0.25)
            log = self.unit.log(since)
        return log

    def _put_back(self, previous: Generation | None, failed: Generation, error: ServerError, away: float) -> None:
        """Bring the previous generation back, gate that too, and tell in the error how it went."""
        if previous is None:
            try:
                self.remove()
            except CommandError as second:
                error.cause += f"; and what is left of the attempt could not be removed: {second}"
                return
            error.remedy += " (nothing served under this name before, and nothing is left of the attempt)"
            return
        try:
            self._start(previous, previous.asked, previous.client_key())
        except ServerError as second:
            error.cause += f"; and the generation before fails too: {second}"
            error.remedy = f"both generations are kept on the host; {error.remedy}"
            return
        self.store.drop(failed)
        error.rolled_back = True
        self.seconds["away"] = time.monotonic() - away
        away_for = self.seconds["away"]
        error.remedy += f" (generation {previous.number} serves again; the service was away for {away_for:.1f} s)"

    def _outcome(self, action: str, generation: Generation, probes: list[dict[str, t.Any]]) -> dict[str, t.Any]:
        return {
            "action": action,
            "changed": action != "unchanged",
            "generation": generation.number,
            "image": generation.image,
            "probes": probes,
        }


def _explained(failure: GateError, log: list[str], asked: dict[str, t.Any]) -> ServerError:
    """Say why a gate was not passed, with what the engine itself wrote."""
    rules = asked.get("doctor", [])
    if failure.died:
        why = diagnose(log, rules)
        return ServerError(failure.check, why.cause, why.remedy, log[-30:], failure.probes)
    cause, remedy = failure.cause, failure.remedy
    if failure.broke:
        # It answers that it cannot: the reason is in its log alone.
        known = matched(log, rules)
        words = known.cause if known else last_words(log)
        cause = "{}; {} says: {}".format(cause, asked["engine"], words) if words else cause
        remedy = known.remedy if known else remedy
    return ServerError(failure.check, cause, remedy, log[-30:], failure.probes)


def _mark(old: str | None, new: str | None) -> str:
    if old == new:
        return "unchanged"
    return "added" if old is None else "removed" if new is None else "changed"
