# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest that runs behind the bytes, with its marks and its way back."""

from __future__ import annotations

import hashlib

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_digest import RunningDigest
from ansible_collections.llmops.serving.plugins.module_utils._model_journal import mark_of

DATA = bytes(range(256)) * 4


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("step", [1, 7, 256, 1024, 5000])
def test_pieces_of_any_length(step: int) -> None:
    run = RunningDigest(3)
    for start in range(0, len(DATA), step):
        run.update(memoryview(DATA)[start : start + step])
    assert (run.generation, run.position, run.hexdigest()) == (3, len(DATA), sha(DATA))
    assert run.mark() == mark_of(sha(DATA))


def test_nothing() -> None:
    assert RunningDigest(0).hexdigest() == sha(b"")


def test_marks_are_of_all_up_to_a_block_s_end() -> None:
    run = RunningDigest(0)
    for start in range(0, 1000, 250):
        run.update(memoryview(DATA)[start : start + 250])
        run.next_block()
        assert run.block_start == start + 250
    assert run.marks == [mark_of(sha(DATA[:end])) for end in (250, 500, 750, 1000)]


def test_back_to_the_block_s_start() -> None:
    run = RunningDigest(0)
    run.update(memoryview(DATA)[:300])
    run.next_block()
    for _time in range(2):
        run.update(memoryview(b"damaged"))
        run.back()
        assert (run.position, run.hexdigest()) == (300, sha(DATA[:300]))
    run.update(memoryview(DATA)[300:])
    assert run.hexdigest() == sha(DATA)
    assert len(run.marks) == 1
