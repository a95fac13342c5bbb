# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Remember what the watchdog saw of a server: its strikes, and how often it had to start it anew."""

from __future__ import annotations

import contextlib
import json
import time
import typing as t
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._clock import now
from ansible_collections.llmops.serving.plugins.module_utils._generations import Store
from ansible_collections.llmops.serving.plugins.module_utils._unit import write_atomically

# Empty after a boot, as it shall be: the times in it are the kernel's since then.
NOTES_DIR = Path("/run/llmops-watchdog")
STRIKES = 3
#: Seconds that a server must be left alone after a new start; doubled each time as long as it goes on failing.
FIRST_BACKOFF_S = 60.0
LAST_BACKOFF_S = 3600.0
#: Seconds that a server must be well after a new start, until it counts as cured.
CURED_S = 600.0
KEPT_EVIDENCE = 10


@dataclass
class Notes:
    """What is remembered of a server.

    Attributes:
        invocation: Of the start of its unit that this is about.
        ready: Whether it has been ready since.
        progress: The numbers that tell progress, as they were last seen.
        asked: When it was last asked a question, in the kernel's seconds.
        turn: How many questions it was asked, for each of its models comes in turn.
        strikes: What was wrong, each with `at` (UTC) and `seen`, without an interruption.
        restarts: How often it was started anew without being cured.
        restarted: When that was last, in the kernel's seconds.
    """

    invocation: str = ""
    ready: bool = False
    progress: dict[str, float] = field(default_factory=dict)
    asked: float = 0.0
    turn: int = 0
    strikes: list[dict[str, str]] = field(default_factory=list)
    restarts: int = 0
    restarted: float = 0.0

    def begin(self, invocation: str) -> None:
        """Begin anew for another start of the unit; that it had to be started anew is not forgotten."""
        if invocation != self.invocation:
            self.invocation, self.ready, self.progress, self.strikes = invocation, False, {}, []

    def well(self, moment: float) -> None:
        """Note that nothing is wrong."""
        self.strikes = []
        if self.restarts and self.ready and moment - self.restarted >= max(CURED_S, backoff(self.restarts)):
            self.restarts = 0

    def strike(self, seen: str) -> None:
        """Note what is wrong; of more than `STRIKES` the first is forgotten."""
        self.strikes = [*self.strikes, {"at": now(), "seen": seen}][-STRIKES:]

    def due(self, moment: float) -> float:
        """Give the seconds until it may be started anew; 0 or less if it may."""
        return self.restarted + backoff(self.restarts) - moment if self.restarts else 0.0


def backoff(restarts: int) -> float:
    """Give the seconds from one new start to the next, after so many that did not help."""
    return min(FIRST_BACKOFF_S * 2.0 ** (restarts - 1), LAST_BACKOFF_S) if restarts else 0.0


def read_notes(name: str) -> Notes:
    """Read what is remembered of a server; nothing where it cannot be read."""
    try:
        words = json.loads(_path(name).read_text(encoding="utf-8"))
        return Notes(**{entry.name: words[entry.name] for entry in fields(Notes)})
    except (OSError, ValueError, KeyError, TypeError):
        return Notes()


def write_notes(name: str, notes: Notes) -> None:
    """Remember it until the next look, or the next boot."""
    NOTES_DIR.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_atomically(_path(name), json.dumps(asdict(notes), indent=1), 0o644)


def forget(name: str) -> None:
    """Forget a server."""
    with contextlib.suppress(FileNotFoundError):
        _path(name).unlink()


def keep_evidence(name: str, words: dict[str, t.Any]) -> Path:
    """Write down why a server was started anew, and forget what is older than the last few times.

    Args:
        name: The server's name.
        words: Plain values.

    Returns:
        The file, which root alone may read: logs hold what users wrote.

    Raises:
        OSError: It cannot be written.
    """
    folder = Store(name).directory / "evidence"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / "{}.json".format(time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    write_atomically(path, json.dumps(words, indent=1, sort_keys=True), 0o600)
    for old in evidence_files(name)[:-KEPT_EVIDENCE]:
        old.unlink()
    return path


def evidence_files(name: str) -> list[Path]:
    """List why a server was started anew, oldest first.

    Args:
        name: The server's name.
    """
    folder = Store(name).directory / "evidence"
    return sorted(folder.glob("*.json")) if folder.is_dir() else []


def _path(name: str) -> Path:
    return NOTES_DIR / f"{name}.json"
