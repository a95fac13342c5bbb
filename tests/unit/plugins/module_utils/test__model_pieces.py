# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces in memory between the connections and the digest."""

from __future__ import annotations

from ansible_collections.llmops.serving.plugins.module_utils._model_pieces import PIECE_MAX, Pieces


def test_pieces_that_follow_wait() -> None:
    pieces = Pieces()
    first, second = pieces.buffer(), pieces.buffer()
    assert pieces.put(0, first, 10) is not first
    # Not behind the last one: the digest reads it from the file.
    assert pieces.put(20, second, 10) is second
    assert pieces.put(10, second, 10) is not second
    assert pieces.take(0, 30) == (first, 10)
    assert pieces.take(10, 30) == (second, 10)
    assert pieces.take(20, 30) is None


def test_no_more_than_a_few_wait() -> None:
    pieces = Pieces()
    waiting = [position for position in range(100) if pieces.put(position, own := bytearray(1), 1) is not own]
    assert waiting == list(range(8))


def test_after_a_read_from_the_file_pieces_wait_again() -> None:
    pieces = Pieces()
    own = bytearray(1)
    assert pieces.put(50, own, 1) is own
    assert pieces.take(0, 50) is None
    assert pieces.put(50, own, 1) is not own


def test_a_buffer_is_used_again_when_the_digest_is_done_with_it() -> None:
    pieces = Pieces()
    buffer = bytearray(PIECE_MAX)
    following = pieces.put(0, buffer, PIECE_MAX)
    taken = pieces.take(0, PIECE_MAX)
    assert taken is not None
    # While it is hashed nobody else may have it.
    assert pieces.buffer() is not buffer
    pieces.give_back(PIECE_MAX, *taken, PIECE_MAX)
    assert pieces.buffer() is buffer
    assert following is not buffer


def test_rest_of_a_piece_waits_on() -> None:
    pieces = Pieces()
    pieces.put(0, bytearray(b"abcdef"), 6)
    taken = pieces.take(0, 6)
    assert taken is not None
    pieces.give_back(4, *taken, 4)
    assert pieces.take(4, 6) == (bytearray(b"ef"), 2)


def test_restart() -> None:
    pieces = Pieces()
    pieces.put(0, bytearray(9), 9)
    pieces.restart(100)
    assert pieces.take(0, 1) is None
    own = bytearray(1)
    assert pieces.put(100, own, 1) is not own
