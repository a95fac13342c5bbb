# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose systemd, journal, kernel and Docker say what a test gives them, for what collects evidence."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils import (
    _evidence,
    _evidence_container,
    _evidence_journal,
)
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, Completed

if TYPE_CHECKING:
    import pytest

ID = "a" * 64
OTHER_ID = "b" * 64


@dataclass
class PlayedEvidence:
    """What the programs of a host say.

    Attributes:
        unit: Of `systemctl show`.
        journal: Entries of the unit's journal, as `journalctl --output json` prints them.
        kernel: Messages of the kernel in the journal.
        dmesg: What dmesg prints.
        dockerd: Messages of Docker's daemon.
        container: Of `docker container inspect`: its state, its memory limit and its id; None where there is none.
        top: The rows of `docker top`.
        events: The rows of `docker events`.
        broken: The beginning of the commands that fail, with their message.
        commands: What was run, in order.
    """

    unit: dict[str, str] = field(default_factory=dict)
    journal: list[dict[str, Any]] = field(default_factory=list)
    kernel: list[str] = field(default_factory=list)
    dmesg: str = ""
    dockerd: list[str] = field(default_factory=list)
    container: tuple[dict[str, Any], int, str] | None = None
    top: str = ""
    events: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    commands: list[list[str]] = field(default_factory=list)

    def run(self, argv: list[str], timeout: float = 60, check: bool = True) -> Completed:
        """Play a program; the real `run` has the same signature."""
        self.commands.append(argv)
        for start, message in self.broken.items():
            if " ".join(argv).startswith(start):
                raise CommandError(f"{start}: {message}, within {timeout:g} s")
        code, out, err = self._play(argv)
        if code and check:
            raise CommandError(f"{argv[0]}: {err}")
        return Completed(code, out, err)

    def _play(self, argv: list[str]) -> tuple[int, str, str]:
        if argv[0] == "journalctl":
            asked = {"_TRANSPORT=kernel": self.kernel, "_SYSTEMD_UNIT=docker.service": self.dockerd}
            lines = asked.get(argv[-1])
            rows = self.journal if lines is None else [{"MESSAGE": line} for line in lines]
            # Newest first: without --reverse the same --lines are the oldest on some hosts and the newest on others.
            assert {"--reverse", "--lines"} <= set(argv)
            return 0, _lines(reversed(rows)), ""
        said = {"systemctl": "".join(f"{word}={value}\n" for word, value in self.unit.items()), "dmesg": self.dmesg}
        if argv[0] in said:
            return 0, said[argv[0]], ""
        if argv[:3] == ["docker", "container", "inspect"]:
            if self.container is None:
                return 1, "", "Error: No such container: " + argv[-1]
            state, limit, identity = self.container
            return 0, f"{json.dumps(state)}\n{limit}\n{identity}\n", ""
        return 0, self.top if argv[1] == "top" else "".join(line + "\n" for line in self.events), ""


def played_evidence(monkeypatch: pytest.MonkeyPatch) -> PlayedEvidence:
    """Make what collects evidence in this process ask a played host."""
    host = PlayedEvidence()
    for module in (_evidence, _evidence_container, _evidence_journal):
        monkeypatch.setattr(module, "run", host.run)
    return host


def engine_line(text: Any, start: str = "one", at: float = 1000.0) -> dict[str, Any]:
    """An entry of the journal that an engine wrote, in one start of its unit."""
    return {"MESSAGE": text, "_SYSTEMD_INVOCATION_ID": start, "__REALTIME_TIMESTAMP": str(int(at * 1e6))}


def systemd_line(text: str, start: str = "one", at: float = 1000.0) -> dict[str, Any]:
    """An entry of the journal that systemd wrote about the unit."""
    words = {"UNIT": "llmops-chat.service", "INVOCATION_ID": start, "_SYSTEMD_INVOCATION_ID": "systemd's own"}
    return {"MESSAGE": text, "__REALTIME_TIMESTAMP": str(int(at * 1e6)), **words}


def _lines(rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
