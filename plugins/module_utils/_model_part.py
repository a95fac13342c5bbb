# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file on its way: which bytes are there, who fetches which, and the digest that follows behind.

Several connections write ranges of the file in any order, near each other; one thread hashes from the start on, right
behind them, out of memory where it can. What an earlier run left is read again, and only damaged blocks come again.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.module_utils._model_digest import RunningDigest
from ansible_collections.llmops.serving.plugins.module_utils._model_download import Arrived, Download
from ansible_collections.llmops.serving.plugins.module_utils._model_extents import Extents
from ansible_collections.llmops.serving.plugins.module_utils._model_journal import (
    Identity,
    Journal,
    block_for,
    boot,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_pieces import PIECE_MAX, Pieces
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError

if TYPE_CHECKING:
    from pathlib import Path

# Bytes that one request asks for.
SEGMENT_MAX = 64 << 20
# A source whose ETag changes again and again while it is read in ranges.
_RESTARTS_MAX = 2


class ChangedError(Exception):
    """The content at the source is not that of the bytes that are there: they were thrown away."""


class Claim:
    """A range that one connection fetches.

    Attributes:
        start: Where the range begins.
        position: Where the next byte goes.
        end: Where the range ends; None for a source that is read whole, up to its end.
        generation: The content that it belongs to.
        trickles: Whether its connection was given up for being slow beyond all use.
    """

    def __init__(self, position: int, end: int | None, generation: int) -> None:
        """Begin a range."""
        self.start = self.position = position
        self.end = end
        self.generation = generation
        self.trickles = False


class Part:
    """A file on its way. Its methods may be called by several threads at a time."""

    def __init__(self, want: Download, target: Path, journal: Path, connections: int) -> None:
        """Open the file and what an earlier run left of it.

        Args:
            want: What is wanted.
            target: Where it goes.
            journal: Where its journal is.
            connections: How many at most will fetch it.
        """
        self.want = want
        self.target = target
        self.changed = threading.Condition()
        self.size = want.size
        self.etag = ""
        # None: not known yet; False: the source sends everything or nothing.
        self.ranged: bool | None = None
        self.complete = False
        self.stopped = False
        self.arrived: Arrived | None = None
        self._connections = connections
        self._journal = Journal(journal)
        self._have = Extents()
        self._taken = Extents()
        self._claims = 0
        self._generation = 0
        self._stale = 0
        self._restarts = 0
        # Whether an answer of this generation has begun: all others must be of its ETag.
        self._begun = False
        self._closing = False
        self._pieces = Pieces()
        self._marks: dict[int, str] = {}
        self._suspect = self._doubted = False
        # Failures of a source that has to be read whole: each begins again at its first byte.
        self.failures = 0
        self._block = block_for(want.size)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(str(target), os.O_RDWR | os.O_CREAT, 0o600)
        self._take_up()

    @property
    def kept(self) -> int:
        """Bytes that are there."""
        with self.changed:
            return self._have.total

    @property
    def claims(self) -> int:
        """Connections at work on it."""
        return self._claims

    def claim(self) -> Claim | None:
        """Take the next range to fetch, None when there is none at the moment."""
        with self.changed:
            whole = self.size is None or self.ranged is False
            if self.complete or self._stale or ((whole or self.ranged is None) and self._claims):
                return None
            if self.size is None or whole:
                if self._have.total and self._have.total == self.size:
                    return None
                if self._have.total:
                    # What came before the connection broke is of no use where the source knows no ranges.
                    self._drop("")
                return self._claimed(Claim(0, None, self._generation))
            busy = Extents([*self._have, *self._taken])
            gap = busy.gap_from(0, self.size)
            if gap is None:
                return None
            end = min(gap[1], gap[0] + self.segment)
            self._taken.add(gap[0], end)
            return self._claimed(Claim(gap[0], end, self._generation))

    def _claimed(self, claim: Claim) -> Claim:
        self._claims += 1
        return claim

    @property
    def segment(self) -> int:
        """Bytes of a request: some for each connection, so that none waits long for the last."""
        share = (self.size or 0) // (self._connections * 4)
        return max(PIECE_MAX, min(SEGMENT_MAX, share // PIECE_MAX * PIECE_MAX))

    def release(self, claim: Claim) -> None:
        """Give a range back; what did not arrive of it can be claimed again."""
        with self.changed:
            self._claims -= 1
            if claim.generation != self._generation:
                self._stale -= 1
            elif claim.end is not None:
                # What arrived of it as well: it is there now, and can be claimed again should it turn out damaged.
                self._taken.remove(claim.start, claim.end)
            if self._closing and not self._claims:
                self._shut()
            self.changed.notify_all()

    def begin(self, claim: Claim, start: int, total: int | None, etag: str, ranged: bool) -> None:
        """Take the head of an answer to a claim's request.

        Args:
            claim: The claim.
            start: Position of the answer's first byte.
            total: Bytes of the whole file, None when the source does not say.
            etag: Its strong ETag, empty without one.
            ranged: Whether the answer is a range.

        Raises:
            ChangedError: What is there is of another content; everything is open again.
            ModelError: The source sends a part where the whole was asked for.
        """
        with self.changed:
            self._same_generation(claim)
            if ranged and claim.end is None:
                if start:
                    raise ModelError(
                        self.want.variable,
                        f"{self.want.label} comes from byte {start} on where its whole was asked for; look at the hub, "
                        "or at a proxy on the way",
                    )
                ranged = False
            # Where none is known, the bytes came from elsewhere (a peer, the damaged file): the sha256 is their proof.
            known = self._begun or (self._have.total and self.etag)
            if known and etag != self.etag and not self.want.handed_out:
                self._restart(etag)
            whole = not ranged or start != claim.position or not (etag or self.want.sha256)
            if whole and (ranged or self._have.total or claim.position or self._claims > 1):
                # The source sends everything or nothing (or nothing proves that its ranges belong together).
                self._drop("")
                self.ranged = False
                raise ChangedError
            if self.size is None:
                self.size = total
                self._block = block_for(total)
            self.ranged = not whole
            if whole and claim.end is not None:
                self._taken.remove(claim.start, claim.end)
                claim.end = None
            self.etag, self._begun = etag, True
            if self._journal.identity is None and self.size is not None and not whole:
                os.ftruncate(self._file, self.size)
                self._begin_journal(self.size)
            self.changed.notify_all()

    def buffer(self) -> bytearray:
        """An empty buffer to read into."""
        with self.changed:
            return self._pieces.buffer()

    def received(self, claim: Claim, buffer: bytearray, count: int) -> bytearray:
        """Put a piece in its place.

        Args:
            claim: Whose piece it is; moves on.
            buffer: Holds the piece.
            count: Bytes of the piece.

        Returns:
            The buffer to read the next piece into: the same one, or another while the digest still needs it.

        Raises:
            ChangedError: The piece is of a content that was given up meanwhile.
        """
        position = claim.position
        with self.changed:
            self._same_generation(claim)
        view = memoryview(buffer)[:count]
        written = 0
        while written < count:
            written += os.pwrite(self._file, view[written:], position + written)
        with self.changed:
            self._same_generation(claim)
            self._have.add(position, position + count)
            claim.position += count
            if self.ranged:
                self._journal.received(position, position + count)
            buffer = self._pieces.put(position, buffer, count)
            self.changed.notify_all()
        self.want.on_bytes(count)
        return buffer

    def ended(self, claim: Claim) -> None:
        """Note that a source which is read whole has come to its end."""
        with self.changed:
            self._same_generation(claim)
            self.size = claim.position
            self.changed.notify_all()

    def stop(self) -> None:
        """End the waiting of the thread that hashes."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()

    def close(self) -> None:
        """Close the file and its journal, which stay for the next run, as soon as no connection writes there."""
        with self.changed:
            self._closing = True
            if not self._claims:
                self._shut()

    def _shut(self) -> None:
        self._journal.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def follow(self) -> Arrived | None:
        """Hash the file as it arrives, until it is whole; None when it was stopped before.

        Raises:
            ModelError: It is whole and not what was wanted.
        """
        while True:
            found = self._hash()
            if found is None:
                return None
            if not self.want.sha256 or found.sha256 == self.want.sha256:
                break
            self._doubt(found.sha256)
        # What a broken connection still wrote behind its end goes.
        os.ftruncate(self._file, found.size)
        # On the disk before anybody is told: a power cut must not turn it into zeros behind its good name.
        os.fdatasync(self._file)
        with self.changed:
            self.arrived, self.complete = found, True
            self.changed.notify_all()
        return found

    def _hash(self) -> Arrived | None:
        run = RunningDigest(self._generation)
        scratch = memoryview(bytearray(PIECE_MAX))
        while True:
            step = self._next_step(run)
            if step is None:
                return None
            run, block_end, ready, waiting = step
            if waiting is not None:
                self._hash_waiting(run, block_end, waiting)
            elif run.position < block_end:
                count = os.preadv(self._file, [scratch[: ready - run.position]], run.position)
                if count == 0:
                    # Shorter than its journal says: somebody cut it off.
                    self._lose(run, run.position, block_end)
                    continue
                run.update(scratch[:count])
            if run.position < block_end or not self._end_block(run, block_end):
                continue
            _write_out(self._file, block_end - self._block, self._block)
            with self.changed:
                if run.position == self.size and run.generation == self._generation:
                    return Arrived(run.position, run.hexdigest(), self._block, tuple(run.marks))

    def _next_step(self, run: RunningDigest) -> tuple[RunningDigest, int, int, tuple[bytearray, int] | None] | None:
        """Wait for bytes: the digest to go on with, its block's end, the end of what is ready, a piece in memory."""
        with self.changed:
            while not self.stopped:
                if run.generation != self._generation:
                    run = RunningDigest(self._generation)
                block_end = run.block_start + self._block
                if self.size is not None:
                    block_end = min(block_end, self.size)
                ready = min(self._have.end_from(run.position), block_end, run.position + PIECE_MAX)
                if ready > run.position or run.position == self.size:
                    return run, block_end, ready, self._pieces.take(run.position, ready)
                self.changed.wait()
        return None

    def _hash_waiting(self, run: RunningDigest, block_end: int, waiting: tuple[bytearray, int]) -> None:
        buffer, count = waiting
        here = min(count, block_end - run.position)
        run.update(memoryview(buffer)[:here])
        with self.changed:
            if run.generation == self._generation:
                # The rest of a piece across two blocks waits on.
                self._pieces.give_back(block_end, buffer, count, here)

    def _end_block(self, run: RunningDigest, block_end: int) -> bool:
        """See whether a block is what it was; False when it comes again."""
        if block_end == run.block_start:
            return True
        number, mark = run.block_start // self._block, run.mark()
        known = self._marks.get(number)
        if known not in (None, mark) and number not in run.again:
            run.again.add(number)
            run.back()
            self._lose(run, run.block_start, block_end)
            return False
        if known != mark:
            self._note(run, number, mark)
        run.next_block()
        return True

    def _note(self, run: RunningDigest, number: int, mark: str) -> None:
        with self.changed:
            if run.generation != self._generation:
                return
            self._marks[number] = mark
            if self.ranged:
                self._journal.mark(number, mark)

    def _lose(self, run: RunningDigest, start: int, end: int) -> None:
        """Open a damaged block again."""
        with self.changed:
            if run.generation != self._generation:
                return
            before = self._have.total
            self._have.remove(start, end)
            self._pieces.restart(start)
            self._journal.lost(start, end)
            lost = before - self._have.total
            self.changed.notify_all()
        self.want.on_bytes(-lost)

    def _doubt(self, found: str) -> None:
        """The whole is not what was wanted: what an earlier run left may be to blame, once."""
        with self.changed:
            if self._suspect and not self._doubted:
                self._doubted = True
                self._drop(self.etag)
                return
        # Nothing tells which of its bytes are wrong, so the next run shall not begin with any of them.
        self.discard()
        raise ModelError(
            self.want.variable,
            f"{self.want.label} arrived with sha256 {found}, expected {self.want.sha256}: the file was changed or "
            "damaged on its way; run again, and if it stays so correct sha256 or the hub's copy",
        )

    def suspect(self) -> None:
        """Note that the file was pieced together after a failure: wrong as a whole, it is worth a second try."""
        with self.changed:
            self._suspect = True

    def discard(self) -> None:
        """Throw away what is there."""
        with self.changed:
            self._drop("")

    def _take_up(self) -> None:
        """Go on with what an earlier run left, where it is a part of the same content."""
        found = self._journal.identity
        if found is None or not self._journal.serves(self.want.size, self.want.sha256):
            self._journal.discard()
            os.ftruncate(self._file, 0)
            return
        self.etag, self._block = found.etag, found.block
        self._marks = dict(self._journal.marks)
        self._journal.resume(os.fstat(self._file).st_size)
        self._have = Extents(self._journal.have)
        self._suspect = self._have.total > 0
        os.ftruncate(self._file, found.size)

    def _begin_journal(self, size: int) -> None:
        self._journal.begin(Identity(size, self.want.sha256, self._own_etag(), self._block, boot()))

    def _own_etag(self) -> str:
        return "" if self.want.handed_out else self.etag

    def _same_generation(self, claim: Claim) -> None:
        if claim.generation != self._generation:
            raise ChangedError

    def _restart(self, etag: str) -> None:
        self._restarts += 1
        if self._restarts > _RESTARTS_MAX:
            # Perhaps several servers that name the same content differently: one answer is of one of them.
            self.ranged = False
        self._drop(etag)
        raise ChangedError

    def _drop(self, etag: str) -> None:
        lost = self._have.total
        self._generation += 1
        self._stale = self._claims
        self._have, self._taken, self._marks = Extents(), Extents(), {}
        self._pieces.restart(0)
        self._suspect = self._begun = False
        self.etag = etag
        self.size = self.want.size
        # The journal first: it must never speak of bytes that are no longer there.
        self._journal.discard()
        os.ftruncate(self._file, 0)
        self.changed.notify_all()
        self.want.on_bytes(-lost)


def _write_out(file: int, start: int, length: int) -> None:
    """Begin to write a hashed block to the disk, so that the wait for the whole file is short in the end.

    The kernel starts to write dirty pages that it is told not to keep, posix_fadvise(2); they stay in memory anyhow.
    """
    os.posix_fadvise(file, max(0, start), length, os.POSIX_FADV_DONTNEED)
