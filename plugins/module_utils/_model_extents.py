# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bytes of a file are there: a set of half-open ranges."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Extents:
    """Ranges ``[start, end)`` in bytes, sorted, apart from each other."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """Begin with the given ranges."""
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in ranges:
            self.add(start, end)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Give the ranges in order."""
        return iter([(start, self._ends[index]) for index, start in enumerate(self._starts)])

    @property
    def total(self) -> int:
        """Bytes in all ranges."""
        return sum(self._ends) - sum(self._starts)

    def add(self, start: int, end: int) -> None:
        """Put a range in; it melts with those that it meets."""
        if start >= end:
            return
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def remove(self, start: int, end: int) -> None:
        """Take a range out."""
        if start >= end:
            return
        first = bisect_right(self._ends, start)
        last = bisect_left(self._starts, end)
        if first >= last:
            return
        kept = []
        if self._starts[first] < start:
            kept.append((self._starts[first], start))
        if end < self._ends[last - 1]:
            kept.append((end, self._ends[last - 1]))
        self._starts[first:last] = [piece[0] for piece in kept]
        self._ends[first:last] = [piece[1] for piece in kept]

    def end_from(self, position: int) -> int:
        """The end of the unbroken bytes from a position on; the position itself where its byte is not there."""
        index = bisect_right(self._starts, position) - 1
        if index >= 0 and position < self._ends[index]:
            return self._ends[index]
        return position

    def gap_from(self, position: int, size: int) -> tuple[int, int] | None:
        """The first range at or after a position, and below a size, that is not there."""
        start = self.end_from(position)
        if start >= size:
            return None
        index = bisect_right(self._starts, start)
        return start, min(size, self._starts[index] if index < len(self._starts) else size)
