# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of a file that is being fetched: what an interrupted run leaves behind for the next one.

One line each, appended as things happen, so that it is right after a kill at any moment::

    {"size": 2147483648, "sha256": "…", "etag": "…", "block": 16777216, "boot": "…"}
    r 0 1048576        these bytes were written
    m 0 90a3c1f2…      the digest of everything up to the end of block 0 begins so
    x 0 16777216       these bytes were found damaged

A mark costs nothing, for the running digest is there anyway, and tells the damaged block from the sound ones when the
file is read again. The proof is never a mark but the sha256 of the whole file.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.module_utils._model_extents import Extents

if TYPE_CHECKING:
    from collections.abc import Mapping

# Hexadecimal digits of a mark: enough to find damage, which is not to prove that there is none.
MARK_DIGITS = 16
_BLOCK_MIN, _BLOCK_MAX, _BLOCKS = 256 << 10, 16 << 20, 128


@dataclass(frozen=True)
class Identity:
    """What a partial is a part of.

    Attributes:
        size: Bytes of the whole file.
        sha256: Its digest, empty when not known.
        etag: The source's strong ETag, empty when there is none.
        block: Bytes between marks.
        boot: The run of the machine in which it was begun: a power cut loses what was not on the disk yet.
    """

    size: int
    sha256: str
    etag: str
    block: int
    boot: str = ""


def block_for(size: int | None) -> int:
    """Bytes of a block: a power of two, so that a file has some hundred of them and none is above 16 MiB."""
    block = _BLOCK_MIN
    while block < _BLOCK_MAX and (size is None or block * _BLOCKS < size):
        block *= 2
    return block


def boot() -> str:
    """The present run of the machine, empty where the kernel does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def mark_of(hexdigest: str) -> str:
    """The part of a digest that is kept as a mark."""
    return hexdigest[:MARK_DIGITS]


def journal_path(work: Path, path: str) -> Path:
    """Where the journal of a file is.

    Args:
        work: The folder of a model's unfinished work.
        path: The file's path inside the model.
    """
    return work / "journal" / (path + ".journal")


def kept_bytes(work: Path, sizes: Mapping[str, int]) -> int:
    """Bytes that an interrupted run left of files, path to size."""
    found = 0
    for path, size in sizes.items():
        journal = Journal(journal_path(work, path))
        if journal.identity is not None and journal.identity.size == size:
            found += min(journal.have.total, size)
    return found


class Journal:
    """A journal on disk. Lines are short and appended whole, so several threads may write."""

    def __init__(self, path: Path) -> None:
        """Read what is there; ``identity`` is None when that is nothing of use."""
        self.path = path
        self.identity: Identity | None = None
        self.have = Extents()
        self.marks: dict[int, str] = {}
        self._descriptor = -1
        self._load()

    def begin(self, identity: Identity) -> None:
        """Start over for another content: nothing is there."""
        self.close()
        self.identity, self.have, self.marks = identity, Extents(), {}
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(str(self.path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self._write(json.dumps(asdict(identity)))

    def serves(self, size: int | None, sha256: str) -> bool:
        """Whether it is of a part of the wanted content, and tells pieces of another one apart."""
        found = self.identity
        return found is not None and (found.size, found.sha256) == (size, sha256) and bool(sha256 or found.etag)

    def resume(self, there: int) -> None:
        """Go on with what was read.

        Args:
            there: Bytes of the file as it is now.
        """
        self.close()
        self._descriptor = os.open(str(self.path), os.O_WRONLY | os.O_APPEND)
        # A kill may have left a line without its end.
        self._write("")
        found = self.identity
        if found is not None and not found.sha256 and found.boot != boot():
            # A power cut may have turned into zeros what was written, and without a sha256 only marks would tell.
            there = min(there, self._marked(found.block))
        past = max([end for _start, end in self.have], default=0)
        if past > there:
            self.have.remove(there, past)
            self.lost(there, past)

    def _marked(self, block: int) -> int:
        """Bytes at the file's start that have marks."""
        number = 0
        while number in self.marks:
            number += 1
        return number * block

    def adopt(self, identity: Identity, end: int, marks: Mapping[int, str]) -> None:
        """Begin with a file that is there up to ``end`` and was good once."""
        self.begin(identity)
        self.marks = dict(marks)
        for block, mark in marks.items():
            self._write(f"m {block} {mark}")
        self.received(0, end)
        self.have.add(0, end)

    def received(self, start: int, end: int) -> None:
        """Note bytes that were written to the file."""
        self._write(f"r {start} {end}")

    def mark(self, block: int, mark: str) -> None:
        """Note the digest up to a block's end."""
        self._write(f"m {block} {mark}")

    def lost(self, start: int, end: int) -> None:
        """Note bytes that turned out to be damaged."""
        self._write(f"x {start} {end}")

    def discard(self) -> None:
        """Remove it: nothing is there any more."""
        self.close()
        self.identity = None
        if self.path.exists():
            self.path.unlink()

    def close(self) -> None:
        """Close the file and leave it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, line: str) -> None:
        if self._descriptor >= 0:
            os.write(self._descriptor, (line + "\n").encode("ascii"))

    def _load(self) -> None:
        try:
            lines = self.path.read_text(encoding="ascii", errors="replace").split("\n")
            found = Identity(**json.loads(lines[0]))
            # A block of none, or of something else than a number, is of no use.
            self.identity = found if found.size >= 0 and found.block >= 1 else None
        except (OSError, ValueError, TypeError):
            return
        # What follows the last line end was not written whole.
        for line in lines[1:-1]:
            self._take(line.split(" "))

    def _take(self, words: list[str]) -> None:
        try:
            kind, first, second = words
            if kind == "m" and len(second) == MARK_DIGITS:
                self.marks[int(first)] = second
            elif kind == "r" and self.identity is not None:
                self.have.add(max(0, int(first)), min(int(second), self.identity.size))
            elif kind == "x":
                self.have.remove(int(first), int(second))
        except ValueError:
            return
