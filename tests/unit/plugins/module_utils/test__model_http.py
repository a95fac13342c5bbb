# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redirects, credentials, retries, ranges: against real sockets that misbehave on request."""

from __future__ import annotations

import email.utils
import http.client
import socket
import ssl
import time
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_http import (
    Auth,
    HttpClient,
    HttpError,
    Retry,
    origin,
    raise_network,
    retry_after,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from tests.unit.plugins.fake_hub import FakeHub, Fault, fake_hub, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

REV = "0" * 40
DATA = bytes(range(256)) * 8192


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub(tmp_path) as running:
        running.add_file("a/b", REV, "big", DATA)
        running.add_file("a/b", REV, "small", b"small", lfs=False)
        yield running


class Clock:
    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


def client(clock: Clock | None = None) -> HttpClient:
    return HttpClient(timeout=5, retry=Retry(attempts=4, base=0.01, cap=60), sleep=clock or Clock())


def url(hub: FakeHub, name: str) -> str:
    return f"{hub.url}/a/b/resolve/{REV}/{name}"


def test_token_stays_with_its_origin(hub: FakeHub) -> None:
    auth = Auth(origin(hub.url), "Bearer geheim")
    _answer, data = client().fetch(url(hub, "big"), auth)
    assert data == DATA
    assert [request.headers.get("authorization") for request in hub.requests("hub GET")] == ["Bearer geheim"]
    assert [request.headers.get("authorization") for request in hub.requests("cdn GET")] == [None]
    assert "geheim" not in repr(auth)


def test_given_authorization_header_stays_with_its_origin_too(hub: FakeHub) -> None:
    client().fetch(url(hub, "big"), headers={"authorization": "Basic x", "X-Key": "geheim", "Range": "bytes=0-9"})
    assert hub.requests("hub GET")[0].headers["x-key"] == "geheim"
    seen = hub.requests("cdn GET")[0].headers
    assert "authorization" not in seen
    # Any header may be a secret but those that only say what is wanted.
    assert "x-key" not in seen
    assert seen["range"] == "bytes=0-9"


def test_first_hop_is_kept(hub: FakeHub) -> None:
    answer, _data = client().fetch(url(hub, "big"), limit=10)
    assert answer.first["x-linked-etag"] == f'"{sha256(DATA)}"'
    assert "x-linked-etag" not in answer.headers


@pytest.mark.parametrize("status", [429, 503, 500, 502, 504, 408])
def test_busy_servers_are_asked_again(hub: FakeHub, status: int) -> None:
    clock = Clock()
    hub.faults.append(Fault("hub GET", status, {"Retry-After": "7"}, times=2))
    _answer, data = client(clock).fetch(url(hub, "small"))
    assert data == b"small"
    assert len(clock.slept) == 2
    assert all(7 <= slept <= 7.7 for slept in clock.slept)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_refusals_are_final(hub: FakeHub, status: int) -> None:
    clock = Clock()
    hub.faults.append(Fault("hub GET", status))
    with pytest.raises(HttpError) as error:
        client(clock).fetch(url(hub, "small"))
    assert (error.value.status, clock.slept, len(hub.seen)) == (status, [], 1)


def test_patience_ends(hub: FakeHub) -> None:
    clock = Clock()
    hub.faults.append(Fault("hub GET", 503))
    with pytest.raises(HttpError, match="503"):
        client(clock).fetch(url(hub, "small"))
    assert len(hub.seen) == 4
    assert len(clock.slept) == 3
    assert clock.slept[2] > clock.slept[0]


def test_a_wait_beyond_the_cap_is_told_at_once(hub: FakeHub) -> None:
    clock = Clock()
    hub.faults.append(Fault("hub GET", 429, {"Retry-After": "3600"}))
    with pytest.raises(HttpError) as error:
        client(clock).fetch(url(hub, "small"))
    assert (error.value.wait, clock.slept) == (3600.0, [])


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"ratelimit": '"api";r=0;t=55'}, 55.0),
        ({"ratelimit": '"api";r=2998;t=287'}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}, 0.0),
    ],
)
def test_retry_after(headers: Mapping[str, str], expected: float | None) -> None:
    assert retry_after(headers) == expected


def test_retry_after_date() -> None:
    later = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert retry_after({"retry-after": later}) == pytest.approx(30, abs=3)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("", "no http"),
        ("file:///etc/passwd", "no http"),
        ("http://h:99999/", "no http"),
        ("http://[::1", "no http"),
        ("/a/b/resolve/loop", "more than"),
    ],
)
def test_bad_redirects(hub: FakeHub, location: str, message: str) -> None:
    hub.faults.append(Fault("hub GET", 302, {"Location": location}))
    with pytest.raises(HttpError, match=message):
        client().fetch(url(hub, "small"))


def test_redirect_to_an_address_with_a_space_and_an_umlaut(hub: FakeHub) -> None:
    hub.files["/a/b/resolve/1/a ü"] = (b"there", False)
    hub.faults.append(Fault("resolve", 302, {"Location": "/a/b/resolve/1/a ü".encode().decode("latin-1")}, times=1))
    _answer, data = client().fetch(url(hub, "small"))
    assert data == b"there"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "network"),
        (ssl.SSLError(1, "wrong version number"), "tls"),
        (ConnectionResetError(104, "reset"), "network"),
        (socket.gaierror(socket.EAI_NONAME, "no name"), "name"),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), "network"),
        (TimeoutError(), "network"),
        (http.client.IncompleteRead(b""), "network"),
    ],
)
def test_what_may_help(error: Exception, kind: str) -> None:
    with pytest.raises(HttpError) as raised:
        raise_network("https://u:p@hub:1/x?secret", error)
    assert raised.value.kind == kind
    assert str(raised.value).startswith("hub:1: ")


def test_no_redirect_from_https_to_http() -> None:
    with pytest.raises(HttpError, match="from https to plain http"):
        HttpClient._next("https://hub/x", {"location": "http://cdn/x"})


def test_nobody_listens(hub: FakeHub) -> None:
    clock = Clock()
    hub.close()
    with pytest.raises(HttpError) as error:
        client(clock).fetch(url(hub, "small"))
    assert error.value.kind == "network"
    assert len(clock.slept) == 3


def test_unknown_name_is_final() -> None:
    clock = Clock()
    with pytest.raises(HttpError) as error:
        client(clock).fetch("http://no-such-host.invalid/x")
    assert error.value.host == "no-such-host.invalid"


def test_bad_ca_path(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="ca_path: cannot read"):
        HttpClient(str(tmp_path / "none.pem")).fetch("https://127.0.0.1:9/")
