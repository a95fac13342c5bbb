# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Keep what each server ran with: its generations on the host.

Layout, below the state directory:

    servers/<name>/0001/unit          the unit's text, as it was in /etc/systemd/system
    servers/<name>/0001/server.json   what was asked for, the image by digest, and how the generation fared
    servers/<name>/0001/secrets/      0600 files, mounted into the container
    servers/<name>/0001/client-key    0600, the key that the gate sends
    servers/<name>/current -> 0001    the last generation that passed its gate
    servers/<name>/change.json        a change that is under way, or was cut off (_change.py)

The unit names its generation's directory, so the one rename that puts the unit in place switches everything.
"""

from __future__ import annotations

import json
import os
import shutil
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._clock import now
from ansible_collections.llmops.serving.plugins.module_utils._unit import write_atomically

STATE_DIR = Path("/var/lib/llmops/servers")
KEEP = 3
# Of those that did not pass their gate and are kept for inspection.
_FAILED_KEPT = 2


class Secrets(t.NamedTuple):
    """What a generation must keep to itself."""

    files: dict[str, str]
    client_key: str | None
    # User and group id of the container, who alone may read the files.
    owner: tuple[int, int]


class Generation(t.NamedTuple):
    """One state of a server that can be put back whole."""

    number: int
    directory: Path
    unit: str
    asked: dict[str, t.Any]
    image: str
    # UTC times, ISO 8601; of one from before they were written down the first is empty.
    made: str = ""
    gated: str | None = None
    # Of one that did not pass its gate and is kept for inspection: check, cause, remedy, at.
    failed: dict[str, str] | None = None

    @property
    def passed(self) -> bool:
        """Whether it has passed its gate; those from before that was written down are kept because they did."""
        return self.gated is not None or not self.made

    def client_key(self) -> str | None:
        """Read the key that a caller of this generation sends, if it wants one."""
        path = self.directory / "client-key"
        return path.read_text(encoding="utf-8") if path.exists() else None

    def secrets(self) -> dict[str, str]:
        """Read the generation's secrets, by file name."""
        directory = self.directory / "secrets"
        paths = directory.iterdir() if directory.is_dir() else ()
        return {path.name: path.read_text(encoding="utf-8") for path in paths}


class Store:
    """The generations of one server."""

    def __init__(self, server: str, state_dir: Path | None = None) -> None:
        """Name the server; `state_dir` is where all servers' generations lie."""
        self.directory = (state_dir or STATE_DIR) / server
        self._link = self.directory / "current"

    def current(self) -> Generation | None:
        """Give the last generation that passed its gate, or None."""
        try:
            return self.read(int(self._link.resolve().name)) if self._link.is_symlink() else None
        except (OSError, ValueError):
            return None

    def read(self, number: int) -> Generation | None:
        """Give one generation, or None when it is not there whole."""
        directory = self._path(number)
        try:
            record = json.loads((directory / "server.json").read_text(encoding="utf-8"))
            unit = (directory / "unit").read_text(encoding="utf-8")
            fared = {word: record[word] for word in ("made", "gated", "failed") if word in record}
            return Generation(number, directory, unit, record["asked"], record["image"], **fared)
        except (OSError, ValueError, KeyError):
            return None

    def add(self, asked: dict[str, t.Any], image: str, secrets: Secrets) -> Generation:
        """Write a new generation, not yet current.

        Args:
            asked: What was asked for, without secrets; kept to compare with the next time. Its `unit` is the unit's
                text with `@GENERATION@` and `@IMAGE@` in it.
            image: The image by digest.
            secrets: The generation's secrets.

        Returns:
            The generation.

        Raises:
            OSError: It could not be written, say because the disk is full; nothing of it is left then.
        """
        number = max(self.numbers(), default=0) + 1
        directory = self._path(number)
        unit = asked["unit"].replace("@GENERATION@", str(directory)).replace("@IMAGE@", image)
        generation = Generation(number, directory, unit, asked, image, made=now())
        try:
            _make_directory(directory, 0o755)
            if asked.get("files"):
                _make_directory(directory / "files", 0o755)
                for name, text in asked["files"].items():
                    write_atomically(directory / "files" / name, text, 0o644)
            if secrets.files:
                _write_secrets(directory / "secrets", secrets)
            if secrets.client_key is not None:
                write_atomically(directory / "client-key", secrets.client_key, 0o600)
            write_atomically(directory / "unit", unit, 0o644)
            self.record(generation)
        except OSError:
            self.drop(generation)
            raise
        return generation

    def record(self, generation: Generation) -> None:
        """Write down what a generation was asked for; last of all, for without it a generation does not count."""
        words = ("asked", "image", "made", "gated", "failed")
        record = json.dumps({word: getattr(generation, word) for word in words}, indent=1, sort_keys=True)
        write_atomically(generation.directory / "server.json", record, 0o644)

    def keep(self, generation: Generation, kept: int = KEEP) -> None:
        """Make a generation the current one, and forget those too old to be wanted again.

        Args:
            generation: The one that has passed its gate.
            kept: How many are kept, itself among them.
        """
        self.record(generation._replace(gated=now(), failed=None))
        temporary = self._link.with_name("current.new")
        if temporary.is_symlink():
            temporary.unlink()
        temporary.symlink_to(generation.directory.name)
        temporary.replace(self._link)
        # Good ones by when they served last, and failed ones apart, for none of those is ever gone back to.
        failed = [one for one in self._others() if one.failed]
        for old in self.good()[: -(kept - 1) or None] + failed[:-_FAILED_KEPT]:
            self.drop(old)

    def good(self) -> list[Generation]:
        """List the generations that have passed their gate and do not serve; the one that served last comes last."""
        found = [one for one in self._others() if one.passed and not one.failed]
        return sorted(found, key=lambda one: (one.gated or "", one.number))

    def _others(self) -> list[Generation]:
        current = self.current()
        found = [self.read(number) for number in self.numbers() if current is None or number != current.number]
        return [generation for generation in found if generation]

    def drop_leftovers(self) -> None:
        """Forget generations that an interrupted change left: neither judged good, nor kept because they failed."""
        current = self.current()
        for number in self.numbers():
            generation = self.read(number)
            whole = generation is not None and (generation.passed or generation.failed)
            if not whole and (current is None or number != current.number):
                shutil.rmtree(str(self._path(number)), ignore_errors=True)

    def drop(self, generation: Generation) -> None:
        """Forget a generation that failed."""
        shutil.rmtree(str(generation.directory), ignore_errors=True)

    def remove(self) -> None:
        """Forget the server."""
        shutil.rmtree(str(self.directory), ignore_errors=True)

    def numbers(self) -> list[int]:
        """List the generations there are, oldest first."""
        paths = self.directory.iterdir() if self.directory.is_dir() else ()
        return sorted(int(path.name) for path in paths if path.name.isdigit())

    def _path(self, number: int) -> Path:
        return self.directory / f"{number:04d}"


def server_names(state_dir: Path | None = None) -> list[str]:
    """List the servers that the host has generations of."""
    directory = state_dir or STATE_DIR
    return sorted(path.name for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []


def make_cache(path: Path, owner: tuple[int, int]) -> None:
    """Make the directory that a container writes to, and give it to the container's user with all that is in it.

    Another engine of before may have run as another user.
    """
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    stat = path.stat()
    if (stat.st_uid, stat.st_gid) != owner:
        for place in [path, *path.rglob("*")]:
            os.chown(str(place), *owner, follow_symlinks=False)


def _make_directory(path: Path, mode: int) -> None:
    path.mkdir(parents=True)
    # Not mkdir's own mode, from which the caller's umask takes away.
    path.chmod(mode)


def _write_secrets(directory: Path, secrets: Secrets) -> None:
    _make_directory(directory, 0o700)
    for name, text in secrets.files.items():
        write_atomically(directory / name, text, 0o600)
        os.chown(str(directory / name), *secrets.owner)
    os.chown(str(directory), *secrets.owner)
