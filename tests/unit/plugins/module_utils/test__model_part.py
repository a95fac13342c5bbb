# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file on its way: claims, answers and pieces by hand, in every order that connections may bring them."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_journal, _model_part, _model_pieces
from ansible_collections.llmops.serving.plugins.module_utils._model_download import Arrived, Download
from ansible_collections.llmops.serving.plugins.module_utils._model_journal import Identity, Journal
from ansible_collections.llmops.serving.plugins.module_utils._model_part import ChangedError, Claim, Part
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from tests.unit.plugins.fake_hub import sha256

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

PIECE, SEGMENT, BLOCK = 100, 1000, 256
DATA = random.Random(1).randbytes(5_050)  # noqa: S311 - to be repeated
OTHER = DATA[::-1]
TAG = '"one"'
PATIENCE_S = 20


class Play:
    """A file and the source that it comes from."""

    def __init__(self, folder: Path, data: bytes = DATA, connections: int = 1) -> None:
        self.target = folder / "x"
        self.journal = folder / "x.journal"
        self.data = data
        self.connections = connections
        self.counts: list[int] = []
        self.sha256 = sha256(data)
        self.size: int | None = len(data)
        self.handed_out = False
        self.part = self.open()
        self._pool = ThreadPoolExecutor(4)

    def open(self) -> Part:
        """Begin, or begin again, as a run does."""
        want = Download(
            "x",
            "variable",
            lambda: ("", {}),
            handed_out=self.handed_out,
            size=self.size,
            sha256=self.sha256,
            on_bytes=self.counts.append,
        )
        self.part = Part(want, self.target, self.journal, self.connections)
        return self.part

    def again(self) -> Part:
        """End this run as a kill does, and begin the next."""
        self.part.stop()
        self.part.close()
        return self.open()

    def claim(self) -> Claim:
        found = self.part.claim()
        assert found is not None
        return found

    def head(self, claim: Claim, etag: str = TAG, ranged: bool = True) -> None:
        start = claim.position if ranged else 0
        self.part.begin(claim, start, len(self.data), etag, ranged)

    def bring(self, claim: Claim, count: int | None = None, data: bytes | None = None) -> None:
        """Receive that many bytes of a claim, all without a count."""
        data = self.data if data is None else data
        end = len(data) if claim.end is None else claim.end
        end = end if count is None else min(end, claim.position + count)
        buffer = self.part.buffer()
        while claim.position < end:
            piece = data[claim.position : min(end, claim.position + PIECE)]
            buffer[: len(piece)] = piece
            buffer = self.part.received(claim, buffer, len(piece))

    def rest(self, etag: str = TAG, ranged: bool = True) -> list[tuple[int, int | None]]:
        """Fetch whatever can be claimed, and give the ranges."""
        ranges: list[tuple[int, int | None]] = []
        while True:
            claim = self.part.claim()
            if claim is None:
                return ranges
            ranges.append((claim.start, claim.end))
            try:
                self.head(claim, etag, ranged)
                self.bring(claim)
                if claim.end is None:
                    self.part.ended(claim)
            except ChangedError:
                pass
            finally:
                self.part.release(claim)

    def follow(self) -> Future[Arrived | None]:
        return self._pool.submit(self.part.follow)

    def arrives(self) -> Arrived:
        """See that it is whole, and what was wanted."""
        found = self.follow().result(PATIENCE_S)
        assert found is not None
        assert self.target.read_bytes() == self.data
        assert (found.size, found.sha256) == (len(self.data), sha256(self.data))
        return found

    def close(self) -> None:
        self.part.stop()
        self._pool.shutdown()
        self.part.close()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_model_part, "PIECE_MAX", PIECE)
    monkeypatch.setattr(_model_pieces, "PIECE_MAX", PIECE)
    monkeypatch.setattr(_model_part, "SEGMENT_MAX", SEGMENT)
    monkeypatch.setattr(_model_journal, "_BLOCK_MIN", BLOCK)
    monkeypatch.setattr(_model_journal, "_BLOCK_MAX", BLOCK)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    made = Play(tmp_path)
    yield made
    made.close()


def flip(play: Play, position: int) -> None:
    data = bytearray(play.target.read_bytes())
    data[position] ^= 1
    play.target.write_bytes(data)


def test_claims_cover_the_file_once(play: Play) -> None:
    first = play.claim()
    # Whether the source knows ranges is not known before its first answer.
    assert play.part.claim() is None
    play.head(first)
    claims = [first]
    while True:
        claim = play.part.claim()
        if claim is None:
            break
        play.head(claim)
        claims.append(claim)
    ranges = [(claim.start, claim.end) for claim in claims]
    assert [start for start, _end in ranges] == [0] + [end for _start, end in ranges[:-1]]
    assert ranges[-1][1] == len(DATA)
    following = play.follow()
    for claim in reversed(claims):
        play.bring(claim)
        play.part.release(claim)
    assert following.result(PATIENCE_S) is not None
    assert play.target.read_bytes() == DATA
    assert sum(play.counts) == len(DATA)


def test_range_that_broke_off_is_claimed_from_there(play: Play) -> None:
    claim = play.claim()
    play.head(claim)
    play.bring(claim, 250)
    play.part.release(claim)
    assert play.part.kept == 250
    assert play.claim().start == 250


@pytest.mark.parametrize("seed", range(12))
def test_pieces_in_any_order_and_of_any_length(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - to be repeated
    play = Play(tmp_path, connections=8)
    following = play.follow()
    claim = play.claim()
    play.head(claim)
    claims = [claim]
    while claims:
        more = play.part.claim() if rng.random() < 0.4 else None
        if more is not None:
            play.head(more)
            claims.append(more)
        chosen = rng.choice(claims)
        count = rng.randrange(1, PIECE + 1)
        # One piece at a time, of a length that does not meet the blocks.
        end = chosen.position + count if chosen.end is None else min(chosen.end, chosen.position + count)
        piece = DATA[chosen.position : end]
        buffer = play.part.buffer()
        buffer[: len(piece)] = piece
        play.part.received(chosen, buffer, len(piece))
        if chosen.position == chosen.end or rng.random() < 0.05:
            claims.remove(chosen)
            play.part.release(chosen)
        if not claims and play.part.kept < len(DATA):
            claims.append(play.claim())
            play.head(claims[0])
    found = following.result(PATIENCE_S)
    assert found is not None
    assert (found.sha256, play.target.read_bytes()) == (sha256(DATA), DATA)
    assert len(found.marks) == -(-len(DATA) // BLOCK)
    play.close()


@pytest.mark.parametrize("size", [0, 1, PIECE, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, SEGMENT, SEGMENT + 1])
@pytest.mark.parametrize("ranged", [True, False])
def test_sizes_at_the_edges(tmp_path: Path, size: int, ranged: bool) -> None:
    play = Play(tmp_path, DATA[:size])
    following = play.follow()
    play.rest(ranged=ranged)
    found = following.result(PATIENCE_S)
    assert found is not None
    assert (found.size, found.sha256) == (size, sha256(DATA[:size]))
    assert play.target.read_bytes() == DATA[:size]
    play.close()


def test_file_without_bytes_asks_for_none(tmp_path: Path) -> None:
    play = Play(tmp_path, b"")
    assert play.part.claim() is None
    assert play.arrives().marks == ()
    play.close()


@pytest.mark.parametrize("size", [0, 70, BLOCK, 1234])
def test_size_is_not_known(tmp_path: Path, size: int) -> None:
    play = Play(tmp_path, DATA[:size])
    play.size, play.sha256 = None, ""
    play.again()
    claim = play.claim()
    assert (claim.start, claim.end, play.part.claim()) == (0, None, None)
    play.part.begin(claim, 0, None, "", False)
    following = play.follow()
    play.bring(claim)
    assert not following.done()
    play.part.ended(claim)
    play.part.release(claim)
    assert following.result(PATIENCE_S) is not None
    assert play.target.read_bytes() == DATA[:size]
    play.close()


def test_source_without_ranges(play: Play) -> None:
    claim = play.claim()
    play.head(claim, ranged=False)
    assert claim.end is None
    assert play.part.claim() is None
    play.bring(claim, 300)
    play.part.release(claim)
    # Nothing of a part is kept where none can be asked for.
    whole = play.claim()
    assert (whole.start, whole.end, play.part.kept) == (0, None, 0)
    play.head(whole, ranged=False)
    following = play.follow()
    play.bring(whole)
    play.part.ended(whole)
    play.part.release(whole)
    assert following.result(PATIENCE_S) is not None
    assert sum(play.counts) == len(DATA)
    assert not play.journal.exists()


def test_ranges_that_nothing_holds_together(play: Play) -> None:
    play.sha256 = ""
    play.again()
    assert play.rest(etag="")[:2] == [(0, 1000), (0, None)]


def test_range_that_begins_elsewhere(play: Play) -> None:
    claim = play.claim()
    with pytest.raises(ChangedError):
        play.part.begin(claim, 7, len(DATA), TAG, True)
    play.part.release(claim)
    whole = play.claim()
    assert whole.end is None
    with pytest.raises(ModelError, match="variable: x comes from byte 7 on where its whole was asked for"):
        play.part.begin(whole, 7, len(DATA), TAG, True)


def test_one_answer_is_whole_though_others_are_ranges(play: Play) -> None:
    first = play.claim()
    play.head(first)
    second = play.claim()
    # Two would write the same bytes of the file, behind the digest's back.
    with pytest.raises(ChangedError):
        play.part.begin(second, 0, len(DATA), TAG, False)
    with pytest.raises(ChangedError):
        play.bring(first, 1)
    play.part.release(first)
    assert play.part.claim() is None
    play.part.release(second)
    assert play.claim().end is None


class TestOtherContent:
    def test_other_etag_begins_again(self, play: Play) -> None:
        first = play.claim()
        play.head(first)
        second = play.claim()
        play.bring(first, 300)
        with pytest.raises(ChangedError):
            play.head(second, '"two"')
        # What is still on its way is of no use, and nothing new begins before the last of it has ended.
        with pytest.raises(ChangedError):
            play.bring(first, 1)
        assert play.part.claim() is None
        play.part.release(second)
        assert play.part.claim() is None
        play.part.release(first)
        assert (play.part.kept, play.part.etag, sum(play.counts)) == (0, '"two"', 0)
        assert play.rest('"two"')[0] == (0, 1000)
        play.arrives()

    def test_other_etag_before_the_first_byte(self, play: Play) -> None:
        play.sha256 = ""
        play.again()
        first = play.claim()
        play.head(first)
        second = play.claim()
        with pytest.raises(ChangedError):
            play.head(second, '"two"')
        with pytest.raises(ChangedError):
            play.bring(first)

    def test_ever_another_etag_is_read_whole(self, play: Play) -> None:
        asked = []
        for number in range(20):
            claim = play.part.claim()
            if claim is None:
                break
            asked.append(claim.end)
            try:
                play.head(claim, f'"{number}"', ranged=claim.end is not None)
                play.bring(claim, None if claim.end is None else 300)
                if claim.end is None:
                    play.part.ended(claim)
            except ChangedError:
                pass
            finally:
                play.part.release(claim)
        assert asked[-1] is None
        play.arrives()

    def test_handed_out_addresses_have_etags_of_their_own(self, play: Play) -> None:
        play.handed_out = True
        play.again()
        claim = play.claim()
        play.head(claim)
        play.bring(claim)
        play.part.release(claim)
        following = play.claim()
        play.head(following, '"two"')
        assert play.part.kept == 1000

    def test_wrong_as_a_whole(self, play: Play) -> None:
        following = play.follow()
        for _time in range(6):
            claim = play.claim()
            play.head(claim)
            play.bring(claim, data=OTHER)
            play.part.release(claim)
        with pytest.raises(ModelError, match=f"variable: x arrived with sha256 {sha256(OTHER)}, expected"):
            following.result(PATIENCE_S)
        # The next run must not begin with any of it.
        assert (play.target.stat().st_size, play.journal.exists()) == (0, False)

    def test_pieced_together_it_is_tried_once_more(self, play: Play) -> None:
        following = play.follow()
        for wrong in (True, True, False):
            play.part.suspect()
            claim = play.part.claim()
            while claim is not None:
                play.head(claim)
                play.bring(claim, data=OTHER if wrong else DATA)
                play.part.release(claim)
                claim = play.part.claim()
            seen = threading.Event()
            while play.part.kept == len(DATA) and not following.done():
                seen.wait(0.01)
            if following.done():
                break
        # Twice wrong: however often it was pieced together, it is not fetched for ever.
        with pytest.raises(ModelError, match="arrived with sha256"):
            following.result(PATIENCE_S)


class TestResume:
    def half(self, play: Play, count: int = 2100) -> None:
        """Fetch, and hash, the first bytes; then be killed."""
        following = play.follow()
        while play.part.kept < count:
            claim = play.claim()
            play.head(claim)
            play.bring(claim, count - play.part.kept)
            play.part.release(claim)
        blocks = count // BLOCK
        seen = threading.Event()
        while len(Journal(play.journal).marks) < blocks:
            seen.wait(0.01)
        play.part.stop()
        assert following.result(PATIENCE_S) is None
        play.counts.clear()

    @pytest.mark.parametrize(("etag", "again"), [(TAG, TAG), ("", ""), ("", TAG)])
    def test_only_the_rest_comes(self, play: Play, etag: str, again: str) -> None:
        following = play.follow()
        claim = play.claim()
        play.head(claim, etag)
        play.bring(claim, 600)
        play.again()
        assert following.result(PATIENCE_S) is None
        assert (play.part.kept, play.part.etag) == (600, etag)
        play.counts.clear()
        assert play.rest(again)[0] == (600, 1600)
        play.arrives()
        assert sum(play.counts) == len(DATA) - 600

    def test_other_etag_throws_it_away(self, play: Play) -> None:
        self.half(play)
        play.again()
        assert play.part.etag == TAG
        assert play.rest('"two"')[:2] == [(2100, 3100), (0, 1000)]
        play.arrives()

    def test_without_a_digest_only_the_same_etag_goes_on(self, play: Play) -> None:
        play.sha256 = ""
        play.again()
        self.half(play)
        play.again()
        assert play.rest(TAG)[0] == (2100, 3100)
        play.arrives()
        play.target.unlink()

    @pytest.mark.parametrize("change", ["size", "sha256", "size is not known"])
    def test_other_wish_begins_anew(self, play: Play, change: str) -> None:
        self.half(play)
        if change == "sha256":
            play.sha256 = "0" * 64
        else:
            play.size = None if "known" in change else len(DATA) + 1
        play.again()
        assert (play.part.kept, play.target.stat().st_size, play.journal.exists()) == (0, 0, False)

    def test_only_the_damaged_block_comes_again(self, play: Play) -> None:
        self.half(play)
        play.again()
        flip(play, 3 * BLOCK + 5)
        following = play.follow()
        seen = threading.Event()
        while play.part.kept == 2100 and not following.done():
            seen.wait(0.01)
        assert play.rest()[0] == (3 * BLOCK, 4 * BLOCK)
        assert following.result(PATIENCE_S) is not None
        assert play.target.read_bytes() == DATA
        assert sum(count for count in play.counts if count > 0) == len(DATA) - 2100 + BLOCK

    def test_a_mark_that_was_wrong_costs_one_block(self, play: Play) -> None:
        self.half(play)
        with play.journal.open("a") as file:
            file.write("m 2 " + "0" * 16 + "\n")
        play.again()
        following = play.follow()
        seen = threading.Event()
        while not following.done():
            play.rest()
            seen.wait(0.01)
        assert play.target.read_bytes() == DATA

    def test_block_that_came_in_this_run_is_fetched_again(self, play: Play) -> None:
        self.half(play)
        # A mark of a block whose bytes are lost: they come, and are judged by it.
        with play.journal.open("a") as file:
            file.write(f"m 2 {'0' * 16}\nx {2 * BLOCK} {3 * BLOCK}\n")
        play.again()
        first = play.claim()
        assert (first.start, first.end) == (2 * BLOCK, 3 * BLOCK)
        play.head(first)
        play.bring(first)
        following = play.follow()
        seen = threading.Event()
        while play.part.kept == 2100:
            seen.wait(0.01)
        play.part.release(first)
        while not following.done():
            play.rest()
            seen.wait(0.01)
        assert play.target.read_bytes() == DATA

    def test_damage_without_a_mark_costs_a_second_try(self, play: Play) -> None:
        claim = play.claim()
        play.head(claim)
        play.bring(claim)
        play.again()
        flip(play, 5)
        following = play.follow()
        seen = threading.Event()
        while not following.done():
            play.rest()
            seen.wait(0.01)
        assert play.target.read_bytes() == DATA

    @pytest.mark.parametrize("length", [0, 2 * BLOCK + 7])
    def test_file_that_was_cut_off(self, play: Play, length: int) -> None:
        self.half(play)
        with play.target.open("r+b") as file:
            file.truncate(length)
        play.again()
        assert play.part.kept == length
        assert play.rest()[0] == (length, length + 1000)
        play.arrives()

    def test_file_that_is_cut_off_under_it(self, play: Play) -> None:
        self.half(play)
        play.again()
        with play.target.open("r+b") as file:
            file.truncate(2 * BLOCK + 7)
        following = play.follow()
        seen = threading.Event()
        while not following.done():
            play.rest()
            seen.wait(0.01)
        assert play.target.read_bytes() == DATA

    def test_power_cut(self, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
        play.sha256 = ""
        play.again()
        self.half(play)
        play.part.close()
        # The last bytes did not reach the disk, and nothing but marks knows what they were.
        with play.target.open("r+b") as file:
            file.seek(2050)
            file.write(bytes(50))
        monkeypatch.setattr(_model_journal, "boot", lambda: "the next one")
        play.open()
        assert play.part.kept == 8 * BLOCK
        play.rest()
        play.arrives()

    def test_whole_file_that_was_not_named_yet(self, play: Play) -> None:
        play.rest()
        play.again()
        assert play.part.claim() is None
        play.arrives()

    def test_begun_with_a_file_that_was_good_once(self, play: Play) -> None:
        play.rest()
        marks = play.arrives().marks
        play.part.close()
        flip(play, 2 * BLOCK)
        journal = Journal(play.journal)
        journal.adopt(Identity(len(DATA), sha256(DATA), "", BLOCK), len(DATA), dict(enumerate(marks)))
        journal.close()
        play.open()
        following = play.follow()
        ranges: list[tuple[int, int | None]] = []
        seen = threading.Event()
        while not following.done():
            # The hub's ETag says nothing about bytes that did not come with one.
            ranges += play.rest(TAG)
            seen.wait(0.01)
        assert ranges == [(2 * BLOCK, 3 * BLOCK)]
        assert play.target.read_bytes() == DATA


class TestEnd:
    def test_stop_ends_the_waiting(self, play: Play) -> None:
        following = play.follow()
        claim = play.claim()
        play.head(claim)
        play.bring(claim, 300)
        play.part.stop()
        assert following.result(PATIENCE_S) is None

    def test_file_stays_open_as_long_as_somebody_writes(self, play: Play) -> None:
        claim = play.claim()
        play.head(claim)
        play.part.close()
        # A number that is free would be another file's by now.
        play.bring(claim, 300)
        assert play.target.read_bytes()[:300] == DATA[:300]
        play.part.release(claim)
        with pytest.raises(OSError, match="Bad file descriptor"):
            play.bring(play.claim(), 1)

    def test_what_a_broken_answer_wrote_behind_the_end_goes(self, play: Play) -> None:
        play.size, play.sha256 = None, ""
        play.again()
        claim = play.claim()
        play.part.begin(claim, 0, None, "", False)
        play.bring(claim, 700)
        play.part.ended(claim)
        play.part.release(claim)
        with play.target.open("r+b") as file:
            file.seek(900)
            file.write(b"late")
        found = play.follow().result(PATIENCE_S)
        assert found is not None
        assert play.target.read_bytes() == DATA[:700]

    def test_nothing_is_claimed_of_a_whole_file(self, play: Play) -> None:
        play.rest()
        play.arrives()
        assert play.part.claim() is None
        assert play.part.complete
