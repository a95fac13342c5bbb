# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Change one server as one transaction: kept only when real requests are answered sensibly."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils import _change
from ansible_collections.llmops.serving.plugins.module_utils._clock import now
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._differences import differences, mark
from ansible_collections.llmops.serving.plugins.module_utils._docker import image_digest, pull, remove_container
from ansible_collections.llmops.serving.plugins.module_utils._gate import Gate
from ansible_collections.llmops.serving.plugins.module_utils._generations import (
    KEEP,
    Generation,
    Secrets,
    Store,
    make_cache,
)
from ansible_collections.llmops.serving.plugins.module_utils._judgement import Judgement, not_started
from ansible_collections.llmops.serving.plugins.module_utils._prepare import (
    Unready,
    demand_models,
    demand_port,
    demand_unit,
)
from ansible_collections.llmops.serving.plugins.module_utils._same_image import same_image
from ansible_collections.llmops.serving.plugins.module_utils._server_error import ServerError
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit

# The words of `asked` that make a new generation when they change. The others (gate, load, doctor …) say how a server
# is judged, not how it runs.
_RUNS = ("unit", "files")
_JUDGING = "waiting until it is ready, and judging its answers"


class Server:
    """One server on this host: its unit, its generations, its gate."""

    def __init__(
        self, name: str, asked: dict[str, t.Any], secrets: Secrets, keep_failed: bool = False, keep: int = KEEP
    ) -> None:
        """Take what a server shall be.

        Args:
            name: The server's name.
            asked: All but the secrets: `unit` (text with `@GENERATION@` and `@IMAGE@`), `image`, `bind`, `port`,
                `models`, `files`, `cache`, `readiness`, `guarded`, `gate`, `load`, `doctor`, `healthy_but`,
                `watchdog`, `routes`, `exposed`, `accept_open_routes`.
            secrets: Its secrets.
            keep_failed: Whether a generation that fails is kept for inspection.
            keep: How many generations are kept.
        """
        self.name = name
        self.asked = asked
        self.secrets = secrets
        self.keep_failed = keep_failed
        self.keep = keep
        self.container = "llmops-" + name
        self.unit = Unit(name)
        self.store = Store(name)
        self.seconds: dict[str, float] = {}
        # When it was last found ready.
        self._answered = time.monotonic()

    @classmethod
    def of(cls, name: str, generation: Generation) -> Server:
        """Give a server as one of its generations says, for looking after it: nothing of it is written anew."""
        # So the owner of its secrets does not matter.
        return cls(name, generation.asked, Secrets(generation.secrets(), generation.client_key(), (0, 0)))

    # -- compare

    def same(self, current: Generation | None) -> bool:
        """Whether the host already has this server, running or not."""
        return (
            current is not None
            and _change.pending(self.name) is None
            and self._has_image(current)
            and all((current.asked.get(word) or {}) == (self.asked.get(word) or {}) for word in _RUNS)
            and current.secrets() == self.secrets.files
            and current.client_key() == self.secrets.client_key
            and self.unit.read() == current.unit
            and self.unit.state().enabled == "enabled"
        )

    def differs(self, current: Generation | None) -> list[str]:
        """Name what differs on the host, a line each."""
        return differences(self.unit, current, self.asked, self.secrets, self.container)

    def diff(self, current: Generation | None) -> dict[str, str]:
        """Show the unit before and after, and which secrets change without their values."""
        before = self.unit.read() or ""
        image = current.image if current and self._has_image(current) else self.asked["image"]
        if current:
            before = before.replace(str(current.directory), "@GENERATION@")
        old = current.secrets() if current else {}
        names = sorted(set(old) | set(self.secrets.files))
        marks = [f"# secret {name} {mark(old.get(name), self.secrets.files.get(name))}" for name in names]
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

        All that can fail while the old one serves is done first.

        Returns:
            `action`, `changed`, `generation`, `image`, `probes` and `seconds`.

        Raises:
            ServerError: It does not serve. Whatever worked before works again, unless the message says otherwise.
        """
        current = self.store.current()
        if current is not None and self.same(current):
            # Of a run that was killed while it wrote: there may be a secret in it.
            self.store.drop_leftovers()
            return self.confirm(current)
        image = self._image(current)
        self._demand()
        generation = self._prepare(image)
        probes = self._switch(current, generation)
        return self._outcome("updated" if current else "created", generation, probes)

    def rollback(self, target: Generation) -> dict[str, t.Any]:
        """Make an earlier generation serve again, gated as any change.

        Args:
            target: Which one, as `_rollback.choose` gives it.

        Returns:
            As `apply`, with the action `rolled_back`.

        Raises:
            ServerError: It does not serve; then what served before serves again.
        """
        current = self.store.current()
        if current and target.number == current.number:
            return Server.of(self.name, current).confirm(current)
        server = Server.of(self.name, target)
        # What is told of it, and what has to be looked after, is asked of this one.
        server.unit, server.seconds, server.keep = self.unit, self.seconds, self.keep
        server._image_of(target)
        server._demand()
        server._examine(target)
        probes = server._switch(current, target)
        return server._outcome("rolled_back", target, probes)

    def exists(self) -> bool:
        """Whether the host has anything of this server."""
        return self.unit.read() is not None or self.store.directory.is_dir()

    def remove(self) -> bool:
        """Remove unit, container, generations and secrets; tell whether there was any."""
        there = self.exists()
        if there:
            self.unit.remove()
            remove_container(self.container)
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

    def _has_image(self, current: Generation) -> bool:
        return same_image(self.asked["image"], str(current.asked.get("image")), current.image)

    def _image(self, current: Generation | None) -> str:
        began = time.monotonic()
        asked = self.asked["image"]
        if current and self._has_image(current) and image_digest(current.image):
            return current.image
        try:
            return pull(asked)
        except CommandError as exc:
            raise ServerError(
                "pull", str(exc), "correct image of the server, or serving_registries, or wait for the registry"
            ) from exc
        finally:
            self.seconds["pull"] = time.monotonic() - began

    def _prepare(self, image: str) -> Generation:
        """Write the new generation, unless a run before has done so already."""
        try:
            if self.asked.get("cache"):
                make_cache(Path(self.asked["cache"]), self.secrets.owner)
            generation = self._cut_off(image)
            if generation is not None:
                return generation
            self.store.drop_leftovers()
            generation = self.store.add(self.asked, image, self.secrets)
        except OSError as exc:
            raise ServerError(
                "generation",
                f"it cannot be written: {exc}",
                f"make room in {self.store.directory.parent}, and run again; nothing was touched",
            ) from exc
        try:
            self._examine(generation)
        except ServerError:
            self.store.drop(generation)
            raise
        return generation

    def _image_of(self, generation: Generation) -> None:
        """Bring the very image of a generation that is kept, where the host has it no more."""
        if image_digest(generation.image):
            return
        try:
            pull(generation.image)
        except CommandError as exc:
            raise ServerError(
                "pull", str(exc), "choose another generation of llmops history, or wait for the registry"
            ) from exc

    def _demand(self) -> None:
        """Look for what the server needs, while the one that serves is left alone."""
        try:
            demand_models(self.asked["models"])
            # Where its own container listens, systemd would say who else does.
            if ":{}:".format(self.asked["port"]) not in (self.unit.read() or ""):
                demand_port(self.asked["bind"], self.asked["port"])
        except Unready as exc:
            raise ServerError(exc.check, exc.cause, exc.remedy) from exc

    def _examine(self, generation: Generation) -> None:
        try:
            demand_unit(self.unit.name, generation.unit)
        except Unready as exc:
            raise ServerError(exc.check, exc.cause, exc.remedy) from exc

    def _cut_off(self, image: str) -> Generation | None:
        """Give the generation at which a run before was cut off, if it is just what is asked for now."""
        change = _change.pending(self.name)
        found = self.store.read(change.to) if change else None
        if (
            found is None
            or found.failed
            or found.image != image
            or found.secrets() != self.secrets.files
            or found.client_key() != self.secrets.client_key
            or any((found.asked.get(word) or {}) != (self.asked.get(word) or {}) for word in _RUNS)
        ):
            return None
        found = found._replace(asked=self.asked)
        self.store.record(found)
        return found

    def _switch(self, previous: Generation | None, generation: Generation) -> list[dict[str, t.Any]]:
        """Let a generation take the place of the one before, and put that back where it does not serve.

        Returns:
            What the probes found.

        Raises:
            ServerError: It does not serve.
        """
        under_way = self._is_under_way(generation)
        try:
            _change.begin(self.name, previous.number if previous else None, generation.number, "the unit")
            if previous:
                self.unit.keep_at_hand(previous.unit)
            self.unit.write(generation.unit)
        except (CommandError, OSError) as exc:
            # What serves was not stopped, and its unit is there still or at hand.
            self._undo(previous, generation)
            raise ServerError("unit", str(exc), "see the disk and systemd of the host, and run again") from exc
        away = time.monotonic()
        try:
            if under_way:
                probes = self._judge(self.asked, self.secrets.client_key, away, self.unit.state().restarts)
            else:
                probes = self._start(generation, self.asked, self.secrets.client_key)
            self._keep(generation)
        except ServerError as exc:
            self._put_back(previous, generation, exc, away)
            raise
        if previous and not under_way:
            self.seconds["away"] = self._answered - away
        self.unit.forget_at_hand()
        _change.end(self.name)
        return probes

    def _is_under_way(self, generation: Generation) -> bool:
        """Whether a run before was cut off when this generation ran already, so that it need not start anew."""
        change = _change.pending(self.name)
        return (
            change is not None
            and change.to == generation.number
            and change.step == _JUDGING
            and self.unit.read() == generation.unit
            and self.unit.state().running
        )

    def _keep(self, generation: Generation) -> None:
        try:
            self.store.keep(generation, self.keep)
        except OSError as exc:
            raise ServerError(
                "record",
                f"it cannot be written down that the server is good: {exc}",
                f"make room in {self.store.directory.parent}",
            ) from exc

    def _undo(self, previous: Generation | None, generation: Generation) -> None:
        """Put the unit back that is in use still, as far as the host lets us; else the next run or a reboot does."""
        try:
            if previous is None:
                self.unit.remove()
            elif self.unit.read() != previous.unit:
                self.unit.write(previous.unit)
            self.unit.forget_at_hand()
            _change.end(self.name)
            if not generation.passed:
                self.store.drop(generation)
        except (CommandError, OSError):
            pass

    def _start(self, generation: Generation, asked: dict[str, t.Any], key: str | None) -> list[dict[str, t.Any]]:
        """Put a generation's unit in place, start it and judge it."""
        began = time.monotonic()
        try:
            self.unit.write(generation.unit)
            self._note(generation, "stopping what served")
            self.unit.stop()
            self.seconds["stop"] = time.monotonic() - began
            began = time.monotonic()
            self._note(generation, "starting")
            self.unit.restart()
        except OSError as exc:
            raise ServerError("start", str(exc), "see the disk of the host, and run again") from exc
        except CommandError as exc:
            raise not_started(str(exc), self.unit, asked, time.time() - (time.monotonic() - began) - 1) from exc
        self.seconds["start"] = time.monotonic() - began
        self._note(generation, _JUDGING)
        return self._judge(asked, key, time.monotonic(), 0)

    def _note(self, generation: Generation, step: str) -> None:
        """Write down how far a change has come. Where the disk is full by now, the change goes on all the same."""
        change = _change.pending(self.name)
        if change is not None:
            try:
                way = "" if change.to == generation.number else f"putting generation {generation.number} back: "
                _change.begin(self.name, change.before, change.to, way + step)
            except OSError:
                pass

    def _judge(self, asked: dict[str, t.Any], key: str | None, began: float, restarts: int) -> list[dict[str, t.Any]]:
        """Wait until the server is ready, and gate it."""
        since = time.time() - (time.monotonic() - began) - self.seconds.get("start", 0) - 1
        judgement = Judgement(self.unit, asked, since)
        try:
            return judgement.pass_on(Gate(asked, key, self.unit, restarts))
        finally:
            if judgement.answered is not None:
                self._answered = judgement.answered
                self.seconds["wait"] = judgement.answered - began
                self.seconds["gate"] = time.monotonic() - judgement.answered

    def _put_back(self, previous: Generation | None, failed: Generation, error: ServerError, away: float) -> None:
        """Bring the previous generation back, gate that too, and tell in the error how it went."""
        if previous is None:
            self._leave_nothing(failed, error)
            return
        took, began = dict(self.seconds), time.monotonic()
        try:
            self._start(previous, previous.asked, previous.client_key())
        except ServerError as second:
            self.seconds["away"] = time.monotonic() - away
            error.second = {"check": second.check, "cause": second.cause}
            error.cause += f"; and the generation before fails too: {second}"
            error.remedy = f"both generations are kept on the host; {error.remedy}"
            # It stays written down that the host has neither: the next run begins anew, a reboot puts the old one back.
            self._inspect_later(failed, error)
            return
        # The parts are those of the change that failed.
        self.seconds.update(took, back=self._answered - began, away=self._answered - away)
        error.rolled_back = True
        self.unit.forget_at_hand()
        _change.end(self.name)
        error.remedy += (
            f" (generation {previous.number} serves again; the service was away for {self.seconds['away']:.1f} s)"
        )
        if self.keep_failed:
            self._inspect_later(failed, error)
        elif not failed.passed:
            self.store.drop(failed)

    def _leave_nothing(self, failed: Generation, error: ServerError) -> None:
        """Take a first attempt away that failed, or leave it all for inspection."""
        if self.keep_failed:
            self._inspect_later(failed, error)
            error.remedy += f" (it is left as it is, as keep_failed asks: journalctl -u {self.unit.name})"
            return
        try:
            self.remove()
        except CommandError as second:
            error.cause += f"; and what is left of the attempt could not be removed: {second}"
            return
        error.remedy += " (nothing served under this name before, and nothing is left of the attempt)"

    def _inspect_later(self, failed: Generation, error: ServerError) -> None:
        words = {"check": error.check, "cause": error.cause, "remedy": error.remedy, "at": now()}
        try:
            if not failed.passed:
                self.store.record(failed._replace(failed=words))
            (failed.directory / "log").write_text("\n".join(error.log) + "\n", encoding="utf-8")
            (failed.directory / "log").chmod(0o600)
        except OSError:
            return
        error.kept_failed = failed.number

    def _outcome(self, action: str, generation: Generation, probes: list[dict[str, t.Any]]) -> dict[str, t.Any]:
        return {
            "action": action,
            "changed": action != "unchanged",
            "generation": generation.number,
            "image": generation.image,
            "probes": probes,
        }
