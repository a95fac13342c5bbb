# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which generations are kept, and what is known of each. The transaction's own tests show the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._generations import Secrets, Store
from tests.unit.plugins.played_host import OWNER

if TYPE_CHECKING:
    from pathlib import Path

FAILED = {"check": "chat", "cause": "garbage", "remedy": "another", "at": "2026-01-01T00:00:00Z"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store("chat", tmp_path)


def add(store: Store) -> int:
    return store.add({"unit": "x\n"}, "img@sha256:1", Secrets({}, None, OWNER)).number


def keep(store: Store, number: int, kept: int = 3) -> None:
    generation = store.read(number)
    assert generation is not None
    store.keep(generation, kept)


@pytest.mark.parametrize(("kept", "left"), [(1, [5]), (2, [4, 5]), (3, [3, 4, 5]), (0, [5]), (9, [1, 2, 3, 4, 5])])
def test_the_last_ones_are_kept(store: Store, kept: int, left: list[int]) -> None:
    for _time in range(5):
        keep(store, add(store), kept)
    assert store.numbers() == left


def test_the_one_that_serves_is_kept_however_old(store: Store) -> None:
    for _time in range(3):
        keep(store, add(store))
    keep(store, 1)
    assert store.numbers() == [1, 2, 3]
    keep(store, 1, kept=2)
    assert store.numbers() == [1, 3]
    keep(store, 1, kept=1)
    assert store.numbers() == [1]


def test_each_knows_how_it_fared(store: Store) -> None:
    first, second, third = add(store), add(store), add(store)
    keep(store, first)
    failed = store.read(second)
    assert failed is not None
    store.record(failed._replace(failed=FAILED))
    found = [store.read(number) for number in (first, second, third)]
    assert [one is not None and (one.passed, one.failed) for one in found] == [
        (True, None),
        (False, FAILED),
        (False, None),
    ]
    assert store.good() == []
    store.drop_leftovers()
    # What was cut off is nothing; what failed was kept because somebody wants to see it.
    assert store.numbers() == [first, second]


def test_those_of_earlier_releases_count_as_good(store: Store, tmp_path: Path) -> None:
    for _time in range(2):
        keep(store, add(store))
    record = tmp_path / "chat/0001/server.json"
    words = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps({"asked": words["asked"], "image": words["image"]}), encoding="utf-8")
    store.drop_leftovers()
    assert [generation.number for generation in store.good()] == [1]


def test_what_served_last_is_kept_longest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(f"2026-01-01T00:00:{number:02d}Z" for number in range(60))
    monkeypatch.setattr("ansible_collections.llmops.serving.plugins.module_utils._generations.now", lambda: next(times))
    for _time in range(3):
        keep(store, add(store))
    # Somebody went back to the first one, and then changed it: it is what served until then.
    keep(store, 1)
    keep(store, add(store))
    assert store.numbers() == [1, 3, 4]
    assert [generation.number for generation in store.good()] == [3, 1]


def test_those_that_failed_push_out_none_that_was_good(store: Store) -> None:
    for _time in range(3):
        keep(store, add(store))
    for _time in range(4):
        failed = store.read(add(store))
        assert failed is not None
        store.record(failed._replace(failed=FAILED))
    keep(store, add(store))
    assert store.numbers() == [2, 3, 6, 7, 8]


def test_a_generation_without_its_record_is_a_leftover(store: Store, tmp_path: Path) -> None:
    keep(store, add(store))
    add(store)
    (tmp_path / "chat/0002/server.json").unlink()
    store.drop_leftovers()
    assert store.numbers() == [1]
