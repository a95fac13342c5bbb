# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces of a file that wait in memory for its digest, so that they need not be read from the disk again.

Whoever calls holds the file's lock. A buffer belongs to one connection, to the pieces that wait, or to the digest.
"""

from __future__ import annotations

# The longest read, and the shortest: what a kill loses of each connection is below one of them.
PIECE_MAX, PIECE_MIN = 1 << 20, 64 << 10
# Pieces that wait at a time.
_WAITING_MAX = 8


class Pieces:
    """The pieces behind the digest's position, unbroken, and buffers that nobody uses at the moment."""

    def __init__(self) -> None:
        """Begin with none, at the file's start."""
        self._waiting: dict[int, tuple[bytearray, int]] = {}
        self._next = 0
        self._spare: list[bytearray] = []

    def buffer(self) -> bytearray:
        """Give a buffer to read into."""
        return self._spare.pop() if self._spare else bytearray(PIECE_MAX)

    def put(self, position: int, buffer: bytearray, count: int) -> bytearray:
        """Let a piece wait when it follows on those that do.

        Args:
            position: Where it begins in the file.
            buffer: Holds it.
            count: Bytes of it.

        Returns:
            The buffer to read the next piece into: the same one where this piece does not wait.
        """
        if position != self._next or len(self._waiting) >= _WAITING_MAX:
            return buffer
        self._waiting[position] = (buffer, count)
        self._next += count
        return self.buffer()

    def take(self, position: int, ready: int) -> tuple[bytearray, int] | None:
        """Take the piece at the digest's position; None when the bytes up to ``ready`` are to be read from the file."""
        found = self._waiting.pop(position, None)
        if found is None and self._next <= position:
            # Pieces that come behind them may wait in memory again.
            self._next = ready
        return found

    def give_back(self, position: int, buffer: bytearray, count: int, used: int) -> None:
        """Take a piece back from the digest.

        Args:
            position: Where its rest begins in the file.
            buffer: Holds it.
            count: Bytes of it.
            used: Bytes that the digest took; the rest waits on.
        """
        if used < count:
            self._waiting[position] = (buffer[used:count], count - used)
        elif len(buffer) == PIECE_MAX:
            self._spare.append(buffer)

    def restart(self, position: int) -> None:
        """Forget what waits; the digest goes on at another position."""
        self._waiting.clear()
        self._next = position
