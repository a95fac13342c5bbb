# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching by ranges, resuming and verifying: against real sockets that misbehave on request."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_part, _model_pieces, _model_transfer
from ansible_collections.llmops.serving.plugins.module_utils._model_download import Download
from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient, HttpError, Retry
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.module_utils._model_transfer import Transfer, _Address
from tests.unit.plugins.fake_hub import FakeHub, Fault, fake_hub, sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._model_download import Arrived
    from ansible_collections.llmops.serving.plugins.module_utils._model_part import Claim

REV = "0" * 40
DATA = bytes(range(256)) * 8192
PATIENCE_S = 20


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub(tmp_path) as running:
        running.add_file("a/b", REV, "big", DATA)
        yield running


@pytest.fixture
def many_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small file have many ranges."""
    for module in (_model_part, _model_pieces, _model_transfer):
        monkeypatch.setattr(module, "PIECE_MAX", 64 << 10)


def url(hub: FakeHub, name: str) -> str:
    return f"{hub.url}/a/b/resolve/{REV}/{name}"


def big(hub: FakeHub, digest: str = sha256(DATA), on_bytes: Callable[[int], None] = lambda _count: None) -> Download:
    return Download("big", "variable", lambda: (url(hub, "big"), {}), size=len(DATA), sha256=digest, on_bytes=on_bytes)


def files(hub: FakeHub, names: str, size: int = 1000, variable: str = "v") -> list[Download]:
    """Offer files of one size and different content, and want them."""
    wants = []
    for name in names.split():
        data = (name.encode() * size)[:size]
        hub.add_file("a/b", REV, name, data)
        wants.append(Download(name, variable, _link(url(hub, name)), size=size, sha256=sha256(data)))
    return wants


def _link(address: str) -> Callable[[], tuple[str, Mapping[str, str]]]:
    return lambda: (address, {})


def cdn(want: Download) -> str:
    """What requests of a file have in them at the host where it lies."""
    return f"cdn GET /signed/{want.sha256}"


def run(
    folder: Path,
    *wants: Download,
    connections: int = 16,
    sleep: Callable[[float], None] = lambda _seconds: None,
) -> list[Arrived]:
    client = HttpClient(timeout=PATIENCE_S, sleep=sleep)
    jobs = [(want, folder / want.label, folder / (want.label + ".journal")) for want in wants]
    return Transfer(client, jobs, connections, Retry(attempts=4, base=0.01)).run()


def ranges(hub: FakeHub, match: str = "cdn GET") -> list[str]:
    return [request.headers.get("range", "") for request in hub.requests(match)]


def test_download(hub: FakeHub, tmp_path: Path) -> None:
    (arrived,) = run(tmp_path, big(hub))
    assert (arrived.size, arrived.sha256) == (len(DATA), sha256(DATA))
    assert (tmp_path / "big").read_bytes() == DATA


class TestBrokenAnswers:
    def test_cut_connection_goes_on_by_range(self, hub: FakeHub, tmp_path: Path) -> None:
        counts: list[int] = []
        hub.faults.append(Fault("cdn GET", cut=500_000, times=1))
        run(tmp_path, big(hub, on_bytes=counts.append), connections=1)
        assert (tmp_path / "big").read_bytes() == DATA
        first, second, *_more = hub.requests("cdn GET")
        start = int(re.findall(r"bytes=(\d+)-", second.headers["range"])[0])
        assert 0 < start <= 500_000
        assert "if-range" not in first.headers
        assert second.headers["if-range"].startswith('"')
        assert sum(counts) == len(DATA)

    def test_bytes_that_only_trickle_in_are_told(
        self, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_model_transfer, "_TRICKLE", 0.3 / PATIENCE_S)
        hold = threading.Event()
        hub.faults.append(Fault("cdn GET", hold=hold))
        try:
            with pytest.raises(HttpError, match=r"less than 64 KiB came in 0\.3 s"):
                run(tmp_path, big(hub), connections=1)
        finally:
            hold.set()

    def test_a_range_that_was_whole_before_it_was_given_up_is_whole(
        self, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def read(transfer: Transfer, answer: Any, claim: Claim, view: memoryview, now: float) -> int:
            count = original(transfer, answer, claim, view, now)
            claim.trickles = True
            return count

        original = Transfer._read
        monkeypatch.setattr(Transfer, "_read", read)
        run(tmp_path, big(hub))
        assert (tmp_path / "big").read_bytes() == DATA

    def test_cut_connection_goes_on_without_an_etag_where_the_digest_is_known(
        self, hub: FakeHub, tmp_path: Path
    ) -> None:
        hub.faults.append(Fault("cdn GET", cut=500_000, headers={"ETag": "W/weak"}, times=1))
        hub.faults.append(Fault("cdn GET", headers={"ETag": "W/weak"}))
        run(tmp_path, big(hub), connections=1)
        assert (tmp_path / "big").read_bytes() == DATA
        assert not ranges(hub)[1].startswith("bytes=0-")
        assert "if-range" not in hub.requests("cdn GET")[1].headers

    def test_cut_connection_starts_over_without_an_etag_and_a_digest(self, hub: FakeHub, tmp_path: Path) -> None:
        hub.faults.append(Fault("cdn GET", headers={"ETag": "W/weak"}, times=1))
        hub.faults.append(Fault("cdn GET", cut=500_000, headers={"ETag": "W/weak"}, times=1))
        (arrived,) = run(tmp_path, big(hub, ""))
        assert (arrived.sha256, ranges(hub)[1:]) == (sha256(DATA), ["", ""])
        assert (tmp_path / "big").read_bytes() == DATA

    def test_source_without_ranges(self, hub: FakeHub, tmp_path: Path) -> None:
        hub.ranges = False
        hub.faults.append(Fault("cdn GET", cut=500_000, times=2))
        counts: list[int] = []
        run(tmp_path, big(hub, on_bytes=counts.append))
        assert (tmp_path / "big").read_bytes() == DATA
        assert len(hub.requests("cdn GET")) == 3
        assert sum(counts) == len(DATA)

    def test_file_that_changes_between_two_pieces_starts_over(self, hub: FakeHub, tmp_path: Path) -> None:
        hub.faults.append(Fault("cdn GET", cut=500_000, body=DATA[::-1], headers={"ETag": '"other"'}, times=1))
        run(tmp_path, big(hub), connections=1)
        assert (tmp_path / "big").read_bytes() == DATA
        assert hub.requests("cdn GET")[1].headers["if-range"] == '"other"'

    def test_pieces_of_two_files_with_one_etag_come_again_whole(self, hub: FakeHub, tmp_path: Path) -> None:
        hub.faults.append(Fault("cdn GET", cut=500_000, body=DATA[::-1], times=1))
        run(tmp_path, big(hub), connections=1)
        assert (tmp_path / "big").read_bytes() == DATA
        assert [asked.split("-")[0] for asked in ranges(hub)].count("bytes=0") == 2

    @pytest.mark.parametrize("with_ranges", [True, False])
    def test_always_cut(self, hub: FakeHub, tmp_path: Path, with_ranges: bool) -> None:
        hub.ranges = with_ranges
        hub.faults.append(Fault("cdn GET", cut=1000))
        with pytest.raises(ModelError, match=r"variable: big from 127\.0\.0\.1:\d+ is truncated: \d+ of 2097152"):
            run(tmp_path, big(hub))
        assert len(hub.requests("cdn GET")) == 4

    def test_wrong_content_is_thrown_away(self, hub: FakeHub, tmp_path: Path) -> None:
        hub.faults.append(Fault("cdn GET", flip=True))
        with pytest.raises(ModelError, match="variable: big arrived with sha256"):
            run(tmp_path, big(hub))
        assert (tmp_path / "big").stat().st_size == 0
        hub.faults.clear()
        hub.seen.clear()
        run(tmp_path, big(hub))
        assert (tmp_path / "big").read_bytes() == DATA
        assert sum(asked.startswith("bytes=0-") for asked in ranges(hub)) == 1

    @pytest.mark.parametrize(
        ("size", "message"), [(len(DATA) + 1, "big is truncated on 127"), (10, "big is not the wanted file on 127")]
    )
    def test_other_size_is_told_before_the_body(self, hub: FakeHub, tmp_path: Path, size: int, message: str) -> None:
        want = Download("big", "v", lambda: (url(hub, "big"), {}), size=size)
        with pytest.raises(ModelError, match=message):
            run(tmp_path, want)
        assert (tmp_path / "big").stat().st_size == 0

    def test_size_that_nobody_told(self, hub: FakeHub, tmp_path: Path) -> None:
        (arrived,) = run(tmp_path, Download("big", "v", lambda: (url(hub, "big"), {})))
        assert (arrived.size, arrived.sha256) == (len(DATA), sha256(DATA))


class TestAddresses:
    @pytest.mark.usefixtures("many_ranges")
    def test_asked_for_once_whatever_the_connections(self, hub: FakeHub, tmp_path: Path) -> None:
        hub.faults.append(Fault("cdn GET", slow=0.01))
        run(tmp_path, big(hub))
        assert len(hub.requests("cdn GET")) == len(DATA) // (64 << 10)
        # The first answer leads to where all others go straight; others may have asked before it came.
        assert len(hub.requests("hub GET")) == 1

    def test_expired_one_is_asked_for_again(self, hub: FakeHub, tmp_path: Path) -> None:
        hub.faults.append(Fault("cdn GET", 403, times=1))
        run(tmp_path, big(hub))
        assert (tmp_path / "big").read_bytes() == DATA
        assert len(hub.requests("hub GET")) == 2

    def test_each_may_expire_as_long_as_bytes_come(self, hub: FakeHub, tmp_path: Path) -> None:
        for _time in range(3):
            hub.faults += [Fault("cdn GET", cut=200_000, times=1), Fault("cdn GET", 403, times=1)]
        run(tmp_path, big(hub), connections=1)
        assert (tmp_path / "big").read_bytes() == DATA
        assert len(hub.requests("hub GET")) == 4

    def test_expired_for_good(self, hub: FakeHub, tmp_path: Path) -> None:
        hub.faults.append(Fault("cdn GET", 403))
        with pytest.raises(HttpError) as error:
            run(tmp_path, big(hub))
        assert (error.value.status, error.value.away, len(hub.requests("cdn GET"))) == (403, True, 2)

    def test_the_hub_s_own_refusal_is_final(self, hub: FakeHub, tmp_path: Path) -> None:
        hub.faults.append(Fault("hub GET", 403))
        with pytest.raises(HttpError) as error:
            run(tmp_path, big(hub))
        assert (error.value.away, len(hub.seen)) == (False, 1)

    def test_bytes_of_an_old_one_say_nothing_about_the_newest(self) -> None:
        asked: list[int] = []

        def link() -> tuple[str, Mapping[str, str]]:
            asked.append(1)
            return f"https://cdn/{len(asked)}", {}

        address = _Address(Download("x", "v", link))
        old = address.get()
        assert address.renew(old)
        new = address.get()
        # Several were refused at the same address: it is asked for once.
        assert address.renew(old)
        assert address.get() is new
        address.works(old)
        assert not address.renew(new)
        address.works(address.get())
        assert address.renew(address.get())
        assert len(asked) == 3

    def test_kept_address_has_no_secret_of_the_first_host(self) -> None:
        address = _Address(Download("x", "v", lambda: ("https://hub/x", {"Authorization": "b", "X-Key": "k"})))
        asked = address.get()
        address.keep(asked, "https://hub/other")
        assert address.get() is asked
        address.keep(asked, "https://cdn/x")
        kept = address.get()
        assert (kept.url, dict(kept.headers), kept.away) == ("https://cdn/x", {}, True)


class TestSeveral:
    NAMES = "a b c d e f g h i"

    def test_all_arrive_in_order(self, hub: FakeHub, tmp_path: Path) -> None:
        wants = files(hub, self.NAMES)
        found = run(tmp_path, *wants)
        assert [arrived.sha256 for arrived in found] == [want.sha256 for want in wants]
        assert all(sha256((tmp_path / want.label).read_bytes()) == want.sha256 for want in wants)

    def test_none(self, tmp_path: Path) -> None:
        assert run(tmp_path) == []

    def test_empty_file_among_them(self, hub: FakeHub, tmp_path: Path) -> None:
        run(tmp_path, *files(hub, "a"), *files(hub, "empty", 0), *files(hub, "b"))
        assert (tmp_path / "empty").read_bytes() == b""

    def test_a_connection_is_used_for_many(self, hub: FakeHub, tmp_path: Path) -> None:
        run(tmp_path, *files(hub, " ".join(f"f{number}" for number in range(40))), connections=2)
        # Two workers with a connection to each of two hosts.
        assert len(hub.peers) <= 4

    @pytest.mark.usefixtures("many_ranges")
    def test_slow_connections_become_more(self, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # The server is in this process, so its work would count as this one's.
        monkeypatch.setattr(_model_transfer, "_BUSY", 1000.0)
        (want,) = files(hub, "slow", 8 << 20)
        hub.faults.append(Fault(cdn(want), slow=0.03))
        run(tmp_path, want, connections=12)
        assert 4 < len(hub.peers) <= 13
        assert sha256((tmp_path / "slow").read_bytes()) == want.sha256

    def test_a_slow_disk_is_no_slow_connection(
        self, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_model_transfer, "_BUSY", 1000.0)
        looks: list[float] = []

        def sync(_file: int) -> None:
            # As long as it takes to look several times at how fast the bytes come.
            looks.append(time.monotonic())
            time.sleep(_model_transfer._LOOK_S * (_model_transfer._SLOW_LOOKS + 4))

        monkeypatch.setattr("os.fdatasync", sync)
        (want,) = files(hub, "big", 4 << 20)
        transfer = Transfer(HttpClient(timeout=PATIENCE_S), [(want, tmp_path / "big", tmp_path / "journal")])
        transfer.run()
        assert len(looks) == 1
        assert transfer._workers == 1

    @pytest.mark.usefixtures("many_ranges")
    def test_never_more_than_allowed(self, hub: FakeHub, tmp_path: Path) -> None:
        (want,) = files(hub, "slow", 3 << 20)
        hub.faults.append(Fault(cdn(want), slow=0.02))
        run(tmp_path, want, connections=1)
        assert len(hub.peers) == 2

    def test_failure_of_one_ends_the_others(self, hub: FakeHub, tmp_path: Path) -> None:
        bad, held = files(hub, "bad held", 200_000, "serving_models['m']")
        hold = threading.Event()
        hub.faults += [Fault(cdn(bad), 404, times=1000), Fault(cdn(held), hold=hold)]
        failed: list[BaseException] = []

        def work() -> None:
            try:
                run(tmp_path, bad, held, *files(hub, self.NAMES))
            except HttpError as error:
                failed.append(error)

        worker = threading.Thread(target=work)
        worker.start()
        worker.join(PATIENCE_S)
        hold.set()
        # The other would have waited for a byte that does not come.
        assert not worker.is_alive()
        assert [(error.label, error.status) for error in failed if isinstance(error, HttpError)] == [("bad", 404)]

    def test_wrong_one_is_named(self, hub: FakeHub, tmp_path: Path) -> None:
        good, bad = files(hub, "good bad", 200_000, "serving_models['m']")
        hub.faults.append(Fault(cdn(bad), flip=True))
        with pytest.raises(ModelError, match=r"serving_models\['m'\]: bad arrived with sha256"):
            run(tmp_path, good, bad)

    def test_wish_to_wait_holds_for_all(self, hub: FakeHub, tmp_path: Path) -> None:
        wants = files(hub, " ".join(f"f{number}" for number in range(60)))
        hub.faults.append(Fault("cdn GET", 429, {"Retry-After": "2"}, times=1))
        meanwhile: list[int] = []

        def sleep(_seconds: float) -> None:
            before = len(hub.seen)
            time.sleep(0.1)
            meanwhile.append(len(hub.seen) - before)

        run(tmp_path, *wants, connections=2, sleep=sleep)
        # The other connection ends what it had begun, which is a question to the hub and one to its host at most.
        assert len(meanwhile) >= 4
        assert sum(meanwhile) <= 2

    def test_no_thread_stays_behind(self, hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        started: list[threading.Thread] = []
        start = Transfer._start

        def watched(self: Transfer, *arguments: Any) -> None:
            start(self, *arguments)
            started.append(self._threads[-1])

        monkeypatch.setattr(Transfer, "_start", watched)
        hub.faults.append(Fault("cdn GET", 404))
        with pytest.raises(HttpError):
            run(tmp_path, *files(hub, self.NAMES))
        assert len(started) > 1
        assert not any(thread.is_alive() for thread in started)


class TestNextRun:
    @pytest.mark.parametrize("connections", [1, 16])
    @pytest.mark.usefixtures("many_ranges")
    def test_goes_on_after_a_failure(self, hub: FakeHub, tmp_path: Path, connections: int) -> None:
        (other,) = files(hub, "other", 300_000)
        hub.faults += [Fault(cdn(big(hub)), cut=60_000, times=1), Fault(cdn(big(hub)), 404)]
        with pytest.raises(HttpError):
            run(tmp_path, big(hub), other, connections=connections)
        hub.faults.clear()
        counts: list[int] = []
        run(tmp_path, big(hub, on_bytes=counts.append), other, connections=connections)
        assert (tmp_path / "big").read_bytes() == DATA
        assert 0 < sum(counts) < len(DATA)

    @pytest.mark.usefixtures("many_ranges")
    def test_goes_on_after_any_exception(self, hub: FakeHub, tmp_path: Path) -> None:
        came = 0

        def full(count: int) -> None:
            nonlocal came
            came += count
            if came > 1_000_000:
                raise OSError(28, "No space left on device")

        with pytest.raises(OSError, match="No space left"):
            run(tmp_path, big(hub, on_bytes=full))
        counts: list[int] = []
        run(tmp_path, big(hub, on_bytes=counts.append))
        assert (tmp_path / "big").read_bytes() == DATA
        assert sum(counts) <= len(DATA) - 1_000_000

    @pytest.mark.usefixtures("many_ranges")
    def test_other_content_under_the_same_name(self, hub: FakeHub, tmp_path: Path) -> None:
        hub.faults += [Fault("cdn GET", cut=60_000, times=1), Fault("cdn GET", 404, times=20)]
        with pytest.raises(HttpError):
            run(tmp_path, big(hub, ""))
        assert (tmp_path / "big").stat().st_size == len(DATA)
        hub.faults.clear()
        changed = DATA[::-1]
        hub.add_file("a/b", REV, "big", changed)
        (arrived,) = run(tmp_path, big(hub, ""))
        assert (arrived.sha256, (tmp_path / "big").read_bytes()) == (sha256(changed), changed)
