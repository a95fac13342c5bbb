# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranges of bytes, against a set of bytes."""

from __future__ import annotations

import random

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_extents import Extents

SIZE = 60


def ranges_of(there: set[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for byte in sorted(there):
        if found and found[-1][1] == byte:
            found[-1] = (found[-1][0], byte + 1)
        else:
            found.append((byte, byte + 1))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_like_a_set_of_bytes(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - to be repeated
    extents, there = Extents(), set[int]()
    for _step in range(60):
        start, end = sorted(rng.choices(range(SIZE + 1), k=2))
        if rng.random() < 0.6:
            extents.add(start, end)
            there |= set(range(start, end))
        else:
            extents.remove(start, end)
            there -= set(range(start, end))
        assert list(extents) == ranges_of(there)
        assert extents.total == len(there)
        position = rng.randrange(SIZE + 1)
        expected = next(byte for byte in range(position, SIZE + 2) if byte not in there)
        assert extents.end_from(position) == expected
        gaps = [gap for gap in ranges_of(set(range(position, SIZE)) - there) if gap]
        assert extents.gap_from(position, SIZE) == (gaps[0] if gaps else None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        ([(3, 3)], []),
        ([(5, 4)], []),
        ([(0, 1), (1, 2)], [(0, 2)]),
        ([(0, 1), (2, 3)], [(0, 1), (2, 3)]),
        ([(2, 3), (0, 1), (1, 2)], [(0, 3)]),
        ([(0, 9), (3, 4)], [(0, 9)]),
        ([(3, 4), (0, 9)], [(0, 9)]),
        ([(0, 1 << 40), (1 << 40, 1 << 41)], [(0, 1 << 41)]),
    ],
)
def test_add(given: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    assert list(Extents(given)) == expected


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ((0, 0), [(10, 20), (30, 40)]),
        ((20, 30), [(10, 20), (30, 40)]),
        ((0, 10), [(10, 20), (30, 40)]),
        ((0, 11), [(11, 20), (30, 40)]),
        ((12, 15), [(10, 12), (15, 20), (30, 40)]),
        ((10, 20), [(30, 40)]),
        ((19, 31), [(10, 19), (31, 40)]),
        ((0, 100), []),
    ],
)
def test_remove(out: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    extents = Extents([(10, 20), (30, 40)])
    extents.remove(*out)
    assert list(extents) == expected


def test_no_gap_in_nothing() -> None:
    assert Extents().gap_from(0, 0) is None
    assert Extents().gap_from(0, 5) == (0, 5)
    assert Extents([(0, 9)]).gap_from(0, 5) is None
