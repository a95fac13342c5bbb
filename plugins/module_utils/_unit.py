# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Ask and tell systemd about one unit."""

from __future__ import annotations

import os
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, run

UNIT_DIR = Path("/etc/systemd/system")


class UnitState(t.NamedTuple):
    """How a unit stands."""

    active: str
    sub: str
    restarts: int
    exit_code: int
    enabled: str
    invocation: str

    @property
    def running(self) -> bool:
        """Whether its program runs now."""
        return self.active == "active"


class Unit:
    """One unit of the collection's own: `llmops-<server>.service`."""

    def __init__(self, server: str, directory: Path | None = None) -> None:
        """Name the unit of a server; `directory` is where its file lies."""
        self.name = f"llmops-{server}.service"
        self.path = (directory or UNIT_DIR) / self.name
        self._at_hand = self.path.with_name(f".{self.name}.before")
        # Whether systemd was made to read its units anew, which some neighbours do not survive (see _neighbours.py).
        self.reloaded = False

    def read(self) -> str | None:
        """Give the text of the unit's file, or None when there is none."""
        return self.path.read_text(encoding="utf-8") if self.path.exists() else None

    def write(self, text: str) -> None:
        """Put the file in place in one step, and let systemd read it; nothing where it has been read already."""
        if self.read() == text and not self._is_stale():
            return
        if self._at_hand.exists() and self._at_hand.read_text(encoding="utf-8") == text:
            self._at_hand.replace(self.path)
        else:
            write_atomically(self.path, text, 0o644)
        self._reload()

    def keep_at_hand(self, text: str) -> None:
        """Write a text that may have to be put back, so that a disk which is full by then cannot prevent it."""
        write_atomically(self._at_hand, text, 0o644)

    def forget_at_hand(self) -> None:
        """Remove what `keep_at_hand` wrote and nobody needed."""
        if self._at_hand.exists():
            self._at_hand.unlink()

    def state(self) -> UnitState:
        """Ask systemd."""
        names = "ActiveState,SubState,NRestarts,ExecMainStatus,UnitFileState,InvocationID"
        done = run(["systemctl", "show", "--property", names, self.name])
        words = dict(line.partition("=")[::2] for line in done.out.splitlines())
        return UnitState(
            active=words.get("ActiveState", "inactive"),
            sub=words.get("SubState", "dead"),
            restarts=int(words.get("NRestarts") or 0),
            exit_code=int(words.get("ExecMainStatus") or 0),
            enabled=words.get("UnitFileState", ""),
            invocation=words.get("InvocationID", ""),
        )

    def restart(self) -> None:
        """Enable the unit and start it anew, forgetting earlier failures."""
        # Not where it is already: systemd reads all units anew for it, which some neighbours do not survive.
        if self.state().enabled != "enabled":
            self.reloaded = True
            run(["systemctl", "enable", "--quiet", self.name])
        run(["systemctl", "reset-failed", self.name], check=False)
        # The stop may take as long as the engine drains.
        run(["systemctl", "restart", self.name], timeout=600)

    def stop(self) -> None:
        """Stop the unit; one that is not there is stopped already."""
        run(["systemctl", "stop", self.name], timeout=600, check=False)

    def remove(self) -> None:
        """Stop the unit, and take it away from systemd and the disk."""
        self.stop()
        run(["systemctl", "disable", "--quiet", self.name], check=False)
        if self.path.exists():
            self.path.unlink()
        self.forget_at_hand()
        self._reload()
        run(["systemctl", "reset-failed", self.name], check=False)

    def _is_stale(self) -> bool:
        """Whether systemd has another text of the unit in mind than the file's."""
        done = run(["systemctl", "show", "--property", "NeedDaemonReload,LoadState", self.name])
        words = dict(line.partition("=")[::2] for line in done.out.splitlines())
        return words.get("NeedDaemonReload") != "no" or words.get("LoadState") != "loaded"

    def _reload(self) -> None:
        self.reloaded = True
        run(["systemctl", "daemon-reload"])

    def log(self, since: float, lines: int = 200, invocation: str = "") -> list[str]:
        """Give the unit's last lines in the journal.

        Args:
            since: Seconds since the epoch; older lines are left out.
            lines: How many at the most.
            invocation: Of one start of the unit, to leave out what the program wrote that ran before it.

        Returns:
            The lines; in their place why the journal cannot be read, which must not hide why it is read.
        """
        which = [f"_SYSTEMD_INVOCATION_ID={invocation}"] if invocation else ["--unit", self.name]
        # Up to systemd 254, --since together with --lines gives the first lines and not the last (systemd issue 26657).
        argv = ["journalctl", *which, "--since", f"@{int(since)}", "--reverse", "--lines", str(lines)]
        try:
            done = run([*argv, "--output", "cat", "--no-pager", "--quiet"], check=False)
        except CommandError as exc:
            return [str(exc)]
        return done.out.splitlines()[::-1]


def write_atomically(path: Path, text: str, mode: int) -> None:
    """Write a file so that a reader, or a crash, finds the old text or the new one, never a part.

    Args:
        path: Where it shall lie.
        text: Its content.
        mode: Its permissions, from its first moment.
    """
    handle, name = tempfile.mkstemp(dir=str(path.parent), prefix=".llmops-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        if temporary.exists():
            temporary.unlink()
        raise
