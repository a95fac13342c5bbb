# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching by ranges, resuming and verifying: against real sockets that misbehave on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_download import Download
from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient, HttpError, Retry
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.module_utils._model_transfer import Transfer
from tests.unit.plugins.fake_hub import FakeHub, Fault, fake_hub, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REV = "0" * 40
DATA = bytes(range(256)) * 8192


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub(tmp_path) as running:
        running.add_file("a/b", REV, "big", DATA)
        yield running


def url(hub: FakeHub, name: str) -> str:
    return f"{hub.url}/a/b/resolve/{REV}/{name}"


def fetch(want: Download, target: Path) -> tuple[int, str]:
    client = HttpClient(timeout=5, sleep=lambda _seconds: None)
    journal = target.with_name(target.name + ".journal")
    (arrived,) = Transfer(client, [(want, target, journal)], retry=Retry(attempts=4, base=0.01)).run()
    return arrived.size, arrived.sha256


def get(hub: FakeHub, target: Path, name: str = "big", digest: str = sha256(DATA)) -> tuple[int, str]:
    return fetch(Download(name, "variable", lambda: (url(hub, name), {}), size=len(DATA), sha256=digest), target)


def test_download(hub: FakeHub, tmp_path: Path) -> None:
    assert get(hub, tmp_path / "x") == (len(DATA), sha256(DATA))
    assert (tmp_path / "x").read_bytes() == DATA


def test_cut_connection_goes_on_by_range(hub: FakeHub, tmp_path: Path) -> None:
    counts: list[int] = []
    hub.faults.append(Fault("cdn GET", cut=1_500_000, times=1))
    want = Download(
        "big", "v", lambda: (url(hub, "big"), {}), size=len(DATA), sha256=sha256(DATA), on_bytes=counts.append
    )
    assert fetch(want, tmp_path / "x") == (len(DATA), sha256(DATA))
    second = hub.requests("cdn GET")[1].headers
    assert second["range"].startswith("bytes=")
    assert second["range"] != "bytes=0-"
    assert second["if-range"].startswith('"')
    assert sum(counts) == len(DATA)


def test_cut_connection_starts_over_without_an_etag(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults.append(Fault("cdn GET", cut=1_500_000, headers={"ETag": "W/weak"}, times=1))
    assert get(hub, tmp_path / "x")[1] == sha256(DATA)
    assert "range" not in hub.requests("cdn GET")[1].headers
    assert (tmp_path / "x").stat().st_size == len(DATA)


def test_file_that_changes_between_two_pieces_starts_over(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults.append(Fault("cdn GET", cut=1_500_000, body=DATA[::-1], headers={"ETag": '"other"'}, times=1))
    assert get(hub, tmp_path / "x")[1] == sha256(DATA)
    assert hub.requests("cdn GET")[1].headers["if-range"] == '"other"'


def test_pieces_of_two_files_with_one_etag_come_again_whole(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults.append(Fault("cdn GET", cut=1_500_000, body=DATA[::-1], times=1))
    assert get(hub, tmp_path / "x")[1] == sha256(DATA)
    assert len(hub.requests("cdn GET")) == 3


def test_always_cut(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults.append(Fault("cdn GET", cut=1000, headers={"Accept-Ranges": "none"}))
    with pytest.raises((HttpError, ModelError), match=r"truncated|reset|1000"):
        get(hub, tmp_path / "x")


def test_flipped_bit(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults.append(Fault("cdn GET", flip=True))
    with pytest.raises(ModelError, match="variable: big arrived with sha256"):
        get(hub, tmp_path / "x")
    assert len(hub.requests("cdn GET")) == 1


@pytest.mark.parametrize(
    ("size", "message"), [(len(DATA) + 1, "big is truncated on 127"), (10, "big is not the wanted file on 127")]
)
def test_other_size_is_told_before_the_body(hub: FakeHub, tmp_path: Path, size: int, message: str) -> None:
    want = Download("big", "v", lambda: (url(hub, "big"), {}), size=size)
    with pytest.raises(ModelError, match=message):
        fetch(want, tmp_path / "x")
    assert (tmp_path / "x").stat().st_size == 0


def test_expired_address_is_asked_for_again(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults.append(Fault("cdn GET", 403, times=1))
    assert get(hub, tmp_path / "x")[1] == sha256(DATA)
    assert len(hub.requests("hub GET")) == 2


def test_expired_for_good(hub: FakeHub, tmp_path: Path) -> None:
    hub.faults.append(Fault("cdn GET", 403))
    with pytest.raises(HttpError) as error:
        get(hub, tmp_path / "x")
    assert (error.value.status, error.value.away, len(hub.requests("cdn GET"))) == (403, True, 2)
