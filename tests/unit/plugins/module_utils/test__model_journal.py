# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of an unfinished file: what a kill at any moment leaves, and what of it counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_journal
from ansible_collections.llmops.serving.plugins.module_utils._model_journal import (
    Identity,
    Journal,
    block_for,
    boot,
    mark_of,
)

if TYPE_CHECKING:
    from pathlib import Path

MARK = "0123456789abcdef"
WHOLE = 1000
IDENTITY = Identity(WHOLE, "ab" * 32, '"tag"', 100, boot())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "journal" / "x.journal"


def begun(place: Path, identity: Identity = IDENTITY) -> Journal:
    journal = Journal(place)
    journal.begin(identity)
    return journal


def test_nothing_is_there(place: Path) -> None:
    journal = Journal(place)
    assert (journal.identity, journal.have.total, journal.marks) == (None, 0, {})
    assert not place.exists()


def test_round_trip(place: Path) -> None:
    journal = begun(place)
    journal.received(0, 100)
    journal.mark(0, MARK)
    journal.received(300, 400)
    journal.received(100, 250)
    journal.lost(50, 100)
    journal.close()
    found = Journal(place)
    assert found.identity == IDENTITY
    assert list(found.have) == [(0, 50), (100, 250), (300, 400)]
    assert found.marks == {0: MARK}
    assert oct(place.stat().st_mode & 0o777) == "0o600"
    assert oct(place.parent.stat().st_mode & 0o777) == "0o700"


def test_what_is_written_after_a_resume_counts(place: Path) -> None:
    begun(place).received(0, 100)
    second = Journal(place)
    second.resume(WHOLE)
    second.received(100, 200)
    second.close()
    assert list(Journal(place).have) == [(0, 200)]


def test_line_that_was_cut_off(place: Path) -> None:
    journal = begun(place)
    journal.received(0, 100)
    journal.close()
    for cut in ("r 100 2", "r 100", "m 0 0123", "r", "x 0 5"):
        text = place.read_text()
        place.write_text(text + cut)
        assert list(Journal(place).have) == [(0, 100)]
        # The next line does not melt with it.
        again = Journal(place)
        again.resume(WHOLE)
        again.received(200, 300)
        again.close()
        assert (200, 300) in Journal(place).have
        place.write_text(text)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "r",
        "r 1",
        "r a b",
        "r 0 50 60",
        "q 0 50",
        "m 0 short",
        "m x " + MARK,
        "\x00\x00\x00",
        "r -5 0",
        "r 2000 3000",
    ],
)
def test_garbage_between_lines_counts_for_nothing(place: Path, line: str) -> None:
    begun(place).close()
    with place.open("a") as file:
        file.write(f"r 0 10\n{line}\nr 20 30\n")
    found = Journal(place)
    assert list(found.have) == [(0, 10), (20, 30)]
    assert found.marks == {}


def test_no_range_lies_outside_the_file(place: Path) -> None:
    begun(place).close()
    with place.open("a") as file:
        file.write(f"r -5 10\nr 990 {WHOLE * 2}\n")
    assert list(Journal(place).have) == [(0, 10), (990, WHOLE)]


@pytest.mark.parametrize(
    "head",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        '{"size": 3}',
        '{"size": 3, "sha256": "", "etag": "", "block": 1, "more": 1}',
        '{"size": "3", "sha256": "", "etag": "", "block": 1}',
        '{"size": 3, "sha256": "", "etag": "", "block": 0}',
        '{"size": -3, "sha256": "", "etag": "", "block": 1}',
        "\x00\x00\x00\x00",
        "ümlaut",
    ],
)
def test_head_of_no_use(place: Path, head: str) -> None:
    place.parent.mkdir()
    place.write_text(head + "\nr 0 3\n", encoding="utf-8")
    found = Journal(place)
    assert (found.identity, found.have.total) == (None, 0)


@pytest.mark.parametrize(
    ("identity", "size", "sha256", "serves"),
    [
        (IDENTITY, WHOLE, IDENTITY.sha256, True),
        (replace(IDENTITY, etag=""), WHOLE, IDENTITY.sha256, True),
        (replace(IDENTITY, sha256=""), WHOLE, "", True),
        # Nothing would tell pieces of one content from those of another.
        (replace(IDENTITY, sha256="", etag=""), WHOLE, "", False),
        (IDENTITY, WHOLE + 1, IDENTITY.sha256, False),
        (IDENTITY, None, IDENTITY.sha256, False),
        (IDENTITY, WHOLE, "cd" * 32, False),
        (IDENTITY, WHOLE, "", False),
        (replace(IDENTITY, sha256=""), WHOLE, "cd" * 32, False),
    ],
)
def test_which_content_it_serves(place: Path, identity: Identity, size: int | None, sha256: str, serves: bool) -> None:
    begun(place, identity).close()
    assert Journal(place).serves(size, sha256) is serves


def test_begin_forgets_the_content_before(place: Path) -> None:
    journal = begun(place)
    journal.received(0, 100)
    journal.mark(0, MARK)
    other = replace(IDENTITY, etag='"other"')
    journal.begin(other)
    journal.close()
    found = Journal(place)
    assert (found.identity, found.have.total, found.marks) == (other, 0, {})


def test_adopt(place: Path) -> None:
    journal = Journal(place)
    journal.adopt(IDENTITY, 950, {0: MARK, 1: MARK})
    journal.close()
    found = Journal(place)
    assert (found.identity, list(found.have), found.marks) == (IDENTITY, [(0, 950)], {0: MARK, 1: MARK})


def test_discard(place: Path) -> None:
    journal = begun(place)
    journal.discard()
    journal.discard()
    assert (journal.identity, place.exists()) == (None, False)


def test_closed_journal_takes_nothing(place: Path) -> None:
    journal = begun(place)
    journal.close()
    journal.received(0, 100)
    assert Journal(place).have.total == 0


def test_file_that_is_shorter_than_its_journal_says(place: Path) -> None:
    journal = begun(place)
    journal.received(0, 400)
    journal.received(600, 700)
    journal.close()
    again = Journal(place)
    again.resume(350)
    assert list(again.have) == [(0, 350)]
    again.close()
    # For good: the file is made as long as before, and would hide it from the next run.
    assert list(Journal(place).have) == [(0, 350)]


@pytest.mark.parametrize(("sha256", "kept"), [("", [(0, 200)]), (IDENTITY.sha256, [(0, 350), (600, 700)])])
def test_after_a_power_cut_only_what_is_proven_counts(
    place: Path, monkeypatch: pytest.MonkeyPatch, sha256: str, kept: list[tuple[int, int]]
) -> None:
    journal = begun(place, replace(IDENTITY, sha256=sha256))
    journal.received(0, 350)
    journal.received(600, 700)
    for block in (0, 1, 6):
        journal.mark(block, MARK)
    journal.close()
    monkeypatch.setattr(_model_journal, "boot", lambda: "the next one")
    again = Journal(place)
    again.resume(WHOLE)
    assert list(again.have) == kept


@pytest.mark.parametrize(
    ("size", "block"),
    [
        (0, 256 << 10),
        (32 << 20, 256 << 10),
        ((32 << 20) + 1, 512 << 10),
        (2 << 30, 16 << 20),
        (1 << 40, 16 << 20),
        (None, 16 << 20),
    ],
)
def test_block(size: int | None, block: int) -> None:
    assert block_for(size) == block


def test_mark_is_short() -> None:
    assert mark_of("ab" * 32) == "ab" * 8
