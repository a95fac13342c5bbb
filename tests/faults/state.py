# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a server stands on its host, and what must be true of that after any fault."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

#: What the lab's models say to look.py's question.
SENSIBLE = re.compile(r"Paris|384 numbers")


@dataclass(frozen=True)
class State:
    """What look.py saw."""

    server: str
    seen: dict[str, Any]

    @property
    def active(self) -> str:
        """What systemd says of the unit."""
        return str(self.seen["active"])

    @property
    def answer(self) -> str:
        """What the engine says to a question."""
        return str(self.seen["answer"])

    @property
    def container(self) -> str:
        """The container's id, another one after each start."""
        return str(self.seen["container"].get("id", ""))

    @property
    def current(self) -> str:
        """The generation that is kept as the good one."""
        return str(self.seen["current"])

    @property
    def store(self) -> dict[str, str]:
        """By path below the store, the sha256 of each model file, those that wait for a next run as well."""
        found: dict[str, str] = self.seen["store"]
        return found

    def must_serve(self, *, settled: bool = True) -> State:
        """One complete generation serves and answers sensibly, systemd knows it, and nothing half-done is left.

        Where the host was cut off (not `settled`), what was begun may lie there until the next run takes it away.
        """
        seen = self.seen
        half_done = self._half_done()
        left = [path for path in seen["left"] if settled or not any(f"/{name}/" in path for name in half_done)]
        good = seen["generations"].get(self.current, {})
        wrong = [
            what
            for what, right in (
                (f"the unit is {seen['active']} ({seen['sub']})", seen["active"] == "active"),
                (f"the unit is {seen['enabled']}, so a reboot ends it", seen["enabled"] == "enabled"),
                ("systemd has another text of the unit in mind", not seen["stale"]),
                (f"generation {self.current or '(none)'} is not whole", good.get("whole") is True),
                ("the unit is not that of the current generation", seen["unit"] == good.get("unit")),
                ("the current generation is marked as failed", not good.get("failed")),
                ("a model of it is gone", all(good.get("models", {}).values())),
                ("the container runs another image", seen["container"].get("image") == good.get("image")),
                ("the engine has a file mapped that the store has not", all(seen["engine_maps"].values())),
                (f"the answer is {self.answer!r}", SENSIBLE.search(self.answer)),
                (f"the lock is held: {seen['holder']}", not seen["holder"]),
                (f"left over: {', '.join(left)}", not left),
                (f"half-done: {', '.join(half_done)}", not (half_done and settled)),
            )
            if not right
        ]
        assert not wrong, f"server {self.server}: " + "; ".join(wrong)
        return self

    def must_be_untouched_since(self, before: State) -> State:
        """The same container runs the same generation: it was never away."""
        self.must_serve()
        assert (self.container, self.current) == (before.container, before.current), "it was started anew"
        return self

    def must_run(self, *words: str) -> State:
        """The container was started with these words."""
        argv = " ".join(self.seen["container"].get("argv", []))
        missing = [word for word in words if word not in argv]
        assert not missing, f"{missing} not in {argv}"
        return self

    def _half_done(self) -> list[str]:
        """Generations that neither passed a gate nor are kept because they failed."""
        return [
            name
            for name, found in self.seen["generations"].items()
            if name != self.current
            and not (found["whole"] and (found["failed"] or found["gated"] or not found.get("made")))
        ]
