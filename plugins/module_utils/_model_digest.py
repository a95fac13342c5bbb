# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sha256 that grows block by block and can go back to the beginning of the block it is in."""

from __future__ import annotations

import hashlib

from ansible_collections.llmops.serving.plugins.module_utils._model_journal import mark_of


class RunningDigest:
    """The digest of a file's first ``position`` bytes.

    Attributes:
        position: Bytes that are in it.
        block_start: Where the block began that it is in.
        marks: The marks at the ends of the blocks before.
        again: Numbers of blocks that were fetched again because their mark was another.
    """

    def __init__(self, generation: int) -> None:
        """Begin with nothing.

        Args:
            generation: The content that it belongs to.
        """
        self.generation = generation
        self.position = 0
        self.block_start = 0
        self.marks: list[str] = []
        self.again: set[int] = set()
        self._digest = hashlib.sha256()
        self._at_start = self._digest.copy()

    def update(self, piece: memoryview) -> None:
        """Take the next bytes."""
        self._digest.update(piece)
        self.position += len(piece)

    def mark(self) -> str:
        """The mark of everything so far."""
        return mark_of(self._digest.hexdigest())

    def hexdigest(self) -> str:
        """The digest of everything so far."""
        return self._digest.hexdigest()

    def next_block(self) -> None:
        """Leave a block, which was good."""
        self.marks.append(self.mark())
        self.block_start, self._at_start = self.position, self._digest.copy()

    def back(self) -> None:
        """Forget the block it is in, which was not good."""
        self._digest, self.position = self._at_start.copy(), self.block_start
