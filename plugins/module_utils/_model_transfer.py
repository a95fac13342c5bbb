# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch several files at a time, each over several connections, verified while they arrive.

It begins with one connection for each file, which is the fastest way where the network is faster than the machine.
Where a connection turns out slow (a cap of the other side, a long way) the others are opened a tenth of a second later.
"""

from __future__ import annotations

import http.client
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.llmops.serving.plugins.module_utils._model_download import Arrived, Download
from ansible_collections.llmops.serving.plugins.module_utils._model_http import (
    Answer,
    HttpClient,
    HttpError,
    Retry,
    content_range,
    for_others,
    origin,
    raise_network,
    retry_delay,
    wrong_size,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_part import ChangedError, Claim, Part
from ansible_collections.llmops.serving.plugins.module_utils._model_pieces import PIECE_MAX, PIECE_MIN
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

CONNECTIONS = 16
# Files that are on their way at the same time; each has a thread that hashes.
_FILES = 4
# A connection below this many bytes/s is slow: more of them help.
_SLOW = 100 << 20
_LOOK_S = 0.05
_SLOW_LOOKS = 2
# Of one processor; what hashes and copies at this rate is not held up by its connections.
_BUSY = 0.9
_GROW = 4
# Bytes that must arrive between two failures of a connection to earn it all its attempts back.
_FORGIVEN_AFTER = 1 << 20
# A signed address on another host that has expired answers one of these; asking the hub again gives a new one.
_EXPIRED = (400, 401, 403, 404, 410)
# A fetch is patient: an outage of a minute costs a minute, not the fetch.
RETRY = Retry(attempts=8)
# A connection that brings less than PIECE_MIN bytes in this many times the timeout is given up: each byte that trickles
# in begins the timeout anew, so a server, or a proxy on the way, could hold a fetch for days.
_TRICKLE = 2
# Seconds that a piece should take to read: what a kill loses of a slow connection stays small.
_PIECE_FAST_S, _PIECE_SLOW_S = 0.01, 0.2


class _Place(NamedTuple):
    """An address and the headers to send there; whether the hub's own answer led there; how often it was renewed."""

    url: str
    headers: Mapping[str, str]
    away: bool
    number: int


class _Address:
    """Where a file is at the moment. Several connections ask; it is looked up once, and again when it has expired."""

    def __init__(self, want: Download) -> None:
        self._want = want
        self._lock = threading.Lock()
        self._found: _Place | None = None
        self._number = self._proven = 0

    def get(self) -> _Place:
        with self._lock:
            if self._found is None:
                url, headers = self._want.link()
                self._found = _Place(url, headers, self._want.handed_out, self._number)
            return self._found

    def keep(self, asked: _Place, final: str) -> None:
        """Ask the host straight that the first answer came from, as long as its address holds."""
        with self._lock:
            if self._found is asked and origin(final) != origin(asked.url):
                self._found = _Place(final, for_others(asked.headers), True, asked.number)

    def works(self, asked: _Place) -> None:
        """Note that bytes came from it; those that still come from an older one say nothing about the newest."""
        self._proven = max(self._proven, asked.number)

    def renew(self, asked: _Place) -> bool:
        """Forget an address that is refused; False when new ones are refused as well."""
        with self._lock:
            if self._found is not None and self._found.number == asked.number:
                self._number += 1
                self._found = None
            return self._number - self._proven <= 1


class Transfer:
    """One run over a list of files."""

    def __init__(
        self,
        client: HttpClient,
        wants: Sequence[tuple[Download, Path, Path]],
        connections: int = CONNECTIONS,
        retry: Retry = RETRY,
    ) -> None:
        """Prepare.

        Args:
            client: How to ask.
            wants: The files, each with its target and its journal.
            connections: How many connections at most.
            retry: How often a connection tries again.
        """
        self._client = client
        self._queue = deque(wants)
        self._order = [want.label for want, _target, _journal in wants]
        self._connections = connections
        self._retry = retry
        self._parts: list[tuple[Part, _Address]] = []
        self._arrived: dict[str, Arrived] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._error: BaseException | None = None
        self._pausing = 0
        self._bytes = 0
        self._threads: list[threading.Thread] = []
        self._workers = 0
        # Who waits for bytes: since when, and for which answer.
        self._reading: dict[Claim, tuple[float, Answer]] = {}

    def run(self) -> list[Arrived]:
        """Fetch all files.

        Returns:
            What arrived, in the order of the files.

        Raises:
            HttpError: A source gave no answer to use; ``label`` is set to the file's.
            ModelError: A file is not what was wanted.
            OSError: It cannot be written.
        """
        try:
            self._open_more()
            self._grow(min(len(self._parts), os.cpu_count() or 1, self._connections))
            self._watch()
        finally:
            self._stop()
        if self._error is not None:
            raise self._error
        return [self._arrived[label] for label in self._order]

    def _open_more(self) -> None:
        with self._changed:
            # Not when all is about to end: nobody would tell this one.
            while self._queue and len(self._parts) < _FILES and not self._stopping:
                want, target, journal = self._queue.popleft()
                part = Part(self._counted(want), target, journal, self._connections)
                self._parts.append((part, _Address(want)))
                self._start(self._follow, part)
            self._changed.notify_all()

    def _counted(self, want: Download) -> Download:
        def count(number: int) -> None:
            # Not exact between threads, which does not matter: it only tells slow from fast.
            self._bytes += max(0, number)
            want.on_bytes(number)

        return Download(**dict(want.__dict__, on_bytes=count))

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=self._guarded, args=(target, args), daemon=True)
        thread.start()
        self._threads.append(thread)

    def _guarded(self, target: Callable[..., None], args: Sequence[object]) -> None:
        try:
            target(*args)
        except BaseException as error:
            # Whatever ends a thread ends the run, which raises it.
            with self._changed:
                self._error = self._error or error
                self._stopping = True
                self._changed.notify_all()

    def _watch(self) -> None:
        """Open more connections as long as they are slow, until all is done."""
        seen, since, slow, worked = 0, time.monotonic(), 0, time.process_time()
        while True:
            with self._changed:
                if self._stopping or not (self._parts or self._queue):
                    return
                self._changed.wait(_LOOK_S)
            now = time.monotonic()
            self._break_trickles(now)
            if now - since < _LOOK_S or self._workers >= self._connections:
                continue
            # Before the first byte nothing tells the network's speed, and a busy processor is no slow network.
            rate = (self._bytes - seen) / (now - since) / self._workers if seen else _SLOW
            busy = (time.process_time() - worked) / (now - since) > _BUSY
            # Nor is the wait for the disk at a file's end one.
            at_work = sum(part.claims for part, _address in list(self._parts)) >= self._workers
            slow = slow + 1 if rate < _SLOW and at_work and not busy and not self._pausing else 0
            seen, since, worked = self._bytes, now, time.process_time()
            if slow >= _SLOW_LOOKS:
                slow = 0
                self._grow(min(self._workers * (_GROW - 1), self._connections - self._workers))

    def _break_trickles(self, now: float) -> None:
        for claim, (since, answer) in list(self._reading.items()):
            if now - since > _TRICKLE * self._client.timeout and not claim.trickles:
                claim.trickles = True
                answer.body.break_off()

    def _grow(self, count: int) -> None:
        for _number in range(count):
            self._workers += 1
            self._start(self._work)

    def _stop(self) -> None:
        with self._changed:
            self._stopping = True
            parts = [part for part, _address in self._parts]
            self._changed.notify_all()
        for part in parts:
            part.stop()
        self._client.hang_up()
        for thread in self._threads:
            thread.join()
        for part in parts:
            part.close()

    def _follow(self, part: Part) -> None:
        """Hash one file as it arrives; the end of this thread is the file's."""
        arrived = part.follow()
        if arrived is None:
            return
        part.close()
        with self._changed:
            self._arrived[part.want.label] = arrived
            self._parts = [entry for entry in self._parts if entry[0] is not part]
            self._changed.notify_all()
        self._open_more()

    def _work(self) -> None:
        """One connection's life."""
        while True:
            job = self._claim()
            if job is None:
                return
            part, address, claim = job
            try:
                self._fetch(part, address, claim)
            except ChangedError:
                continue
            except HttpError as error:
                error.label = part.want.label
                raise
            finally:
                part.release(claim)
                with self._changed:
                    self._changed.notify_all()

    def _claim(self) -> tuple[Part, _Address, Claim] | None:
        with self._changed:
            while not self._stopping and (self._parts or self._queue):
                if not self._pausing:
                    # The file with the fewest connections first, so that several are hashed at a time.
                    for part, address in sorted(self._parts, key=lambda entry: entry[0].claims):
                        claim = part.claim()
                        if claim is not None:
                            return part, address, claim
                # A damaged block opens without a word, so look again soon.
                self._changed.wait(0.1)
            return None

    def _fetch(self, part: Part, address: _Address, claim: Claim) -> None:
        """Fetch a range, over as many connections as it takes."""
        attempt, mark = 1, claim.position
        while not self._stopping:
            place = address.get()
            try:
                self._request(part, address, place, claim)
            except HttpError as error:
                error.away = error.away or place.away
                if error.away and error.status in _EXPIRED and address.renew(place):
                    continue
                if self._stopping:
                    return
                if claim.position:
                    part.suspect()
                if claim.end is None:
                    attempt = part.failures = part.failures + 1
                elif claim.position - mark >= _FORGIVEN_AFTER:
                    attempt, mark = 1, claim.position
                self._pause(part, error, attempt)
                attempt += 1
                if claim.end is None:
                    # It begins again at its first byte.
                    raise ChangedError from error
                continue
            if claim.end is None or claim.position >= claim.end:
                return

    def _pause(self, part: Part, error: HttpError, attempt: int) -> None:
        """Wait before the next attempt, all connections when the server asks for it."""
        if error.detail.startswith("truncated") and attempt >= self._retry.attempts:
            raise ModelError(
                part.want.variable,
                f"{part.want.label} from {error.host} is {error.detail}; run again, or check the hub's copy",
            ) from error
        seconds = retry_delay(self._retry, error, attempt)
        asked = error.wait is not None
        with self._changed:
            self._pausing += asked
        try:
            while seconds > 0 and not self._stopping:
                # In short pieces: another file's error ends this one's patience.
                self._client.sleep(min(seconds, 0.5))
                seconds -= 0.5
        finally:
            with self._changed:
                self._pausing -= asked
                self._changed.notify_all()

    def _request(self, part: Part, address: _Address, place: _Place, claim: Claim) -> None:
        headers = dict(place.headers)
        claim.trickles = False
        if claim.end is not None:
            headers["Range"] = f"bytes={claim.position}-{claim.end - 1}"
            if part.etag and not part.want.handed_out:
                headers["If-Range"] = part.etag
        answer = self._client.open(place.url, part.want.auth, headers)
        try:
            start, total = content_range(answer)
            if part.want.size is not None and total is not None and total != part.want.size:
                raise wrong_size(part.want.variable, part.want.label, answer, total, part.want.size)
            tag = answer.headers.get("etag", "")
            strong = tag if tag.startswith('"') else ""
            part.begin(claim, start, total, strong, answer.status == http.client.PARTIAL_CONTENT)
            address.keep(place, answer.url)
            self._copy(answer, part, claim, lambda: address.works(place))
        finally:
            answer.close()

    def _copy(self, answer: Answer, part: Part, claim: Claim, works: Callable[[], None]) -> None:
        most = max(PIECE_MIN, min(PIECE_MAX, (part.size or PIECE_MAX << 10) >> 10))
        piece = PIECE_MIN
        buffer = part.buffer()
        while not self._stopping:
            left = piece if claim.end is None else min(piece, claim.end - claim.position)
            begun = time.monotonic()
            count = self._read(answer, claim, memoryview(buffer)[:left], begun) if left else 0
            if not count:
                break
            if claim.end is None and part.want.size is not None and claim.position + count > part.want.size:
                raise ModelError(
                    part.want.variable,
                    f"{part.want.label} is longer on {answer.host} than the {part.want.size} bytes expected: the "
                    "hub's copy is not the wanted file",
                )
            buffer = part.received(claim, buffer, count)
            works()
            seconds = time.monotonic() - begun
            if seconds < _PIECE_FAST_S:
                piece = min(piece * 2, most)
            elif seconds > _PIECE_SLOW_S:
                piece = max(piece // 2, PIECE_MIN)
        if self._stopping:
            return
        expected = part.size if claim.end is None else claim.end
        whole = expected is not None and claim.position >= expected
        if claim.trickles and not whole:
            slow = f"less than {PIECE_MIN >> 10} KiB came in {_TRICKLE * self._client.timeout:g} s"
            raise HttpError("network", answer.host, slow)
        if expected is not None and not whole:
            raise HttpError("network", answer.host, f"truncated: {claim.position} of {part.size} bytes came")
        if claim.end is None:
            part.ended(claim)

    def _read(self, answer: Answer, claim: Claim, view: memoryview, now: float) -> int:
        self._reading[claim] = now, answer
        try:
            return answer.body.readinto(view)
        except (OSError, ValueError, http.client.HTTPException) as error:
            if claim.trickles:
                # The error is what broke it off.
                return 0
            raise_network(answer.url, error)
        finally:
            del self._reading[claim]
