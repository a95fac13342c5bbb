# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server of a host that offers models: what it gives, to whom, and when it ends."""

from __future__ import annotations

import errno
import http.client
import json
import socket
import ssl
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_share
from ansible_collections.llmops.serving.plugins.module_utils._addresses import own_addresses
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest, StoredFile
from ansible_collections.llmops.serving.plugins.module_utils._model_share import Offer, Share, offered
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store
from ansible_collections.llmops.serving.plugins.plugin_utils._certificate import certificate_for
from tests.unit.plugins.fake_hub import sha256
from tests.unit.plugins.fake_peer import LOOPBACK, TOKEN, FakePeer, fake_peer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = bytes(range(256)) * 4096  # more than one chunk
FILE = sha256(DATA)
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    found = tmp_path / "model.gguf"
    found.write_bytes(DATA)
    return found


@pytest.fixture
def peer(place: Path) -> Iterator[FakePeer]:
    with fake_peer({FILE: place, "b" * 64: place.with_name("gone")}) as running:
        yield running


def connection(peer: FakePeer) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cadata=peer.pair.certificate)
    # What Python 3.13 asks for by default.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return http.client.HTTPSConnection(LOOPBACK, peer.port, timeout=10, context=context)


def ask(peer: FakePeer, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    open_one = connection(peer)
    try:
        open_one.request(method, path, headers={**BEARER, **headers})
        answer = open_one.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        open_one.close()


def test_a_file_by_its_digest(peer: FakePeer) -> None:
    status, headers, body = ask(peer, f"/{FILE}")
    assert (status, body == DATA) == (200, True)
    assert (headers["etag"], headers["accept-ranges"]) == (f'"{FILE}"', "bytes")


def test_a_head_has_no_body(peer: FakePeer) -> None:
    status, headers, body = ask(peer, f"/{FILE}", "HEAD")
    assert (status, headers["content-length"], body) == (200, str(len(DATA)), b"")


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-99", 10, 100),
        ("bytes=300000-700000", 300_000, 700_001),
        ("bytes=1000-", 1000, len(DATA)),
        ("bytes=-5", len(DATA) - 5, len(DATA)),
        (f"bytes=1-{len(DATA) + 9}", 1, len(DATA)),
        (f"bytes=-{len(DATA) + 9}", 0, len(DATA)),
    ],
)
def test_a_range(peer: FakePeer, asked: str, begin: int, end: int) -> None:
    status, headers, body = ask(peer, f"/{FILE}", Range=asked)
    assert (status, headers["content-range"]) == (206, f"bytes {begin}-{end - 1}/{len(DATA)}")
    assert body == DATA[begin:end]


@pytest.mark.parametrize("asked", ["bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b"])
def test_what_is_no_range_is_answered_whole(peer: FakePeer, asked: str) -> None:
    status, _headers, body = ask(peer, f"/{FILE}", Range=asked)
    assert (status, len(body)) == (200, len(DATA))


def test_a_range_behind_the_end(peer: FakePeer) -> None:
    status, headers, _body = ask(peer, f"/{FILE}", Range=f"bytes={len(DATA)}-")
    assert (status, headers["content-range"]) == (416, f"bytes */{len(DATA)}")


@pytest.mark.parametrize(("tag", "status"), [(f'"{FILE}"', 206), ('"another"', 200)])
def test_if_range(peer: FakePeer, tag: str, status: int) -> None:
    assert ask(peer, f"/{FILE}", Range="bytes=0-3", **{"If-Range": tag})[0] == status


@pytest.mark.parametrize(
    "path",
    ["/" + "0" * 64, "/model.gguf", f"/{FILE}/", f"/../{FILE}", f"/x/{FILE}", "/%2e%2e/etc/passwd", "/etc/passwd",
     "//etc/passwd", "/" + "b" * 64],
)  # fmt: skip
def test_there_is_nothing_else(peer: FakePeer, path: str) -> None:
    assert ask(peer, path)[::2] == (404, b"")


def test_nothing_is_listed(peer: FakePeer) -> None:
    assert ask(peer, "/")[::2] == (204, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(peer: FakePeer, method: str) -> None:
    assert ask(peer, f"/{FILE}", method)[0] == 501


def test_several_answers_over_one_connection(peer: FakePeer) -> None:
    one = connection(peer)
    for begin in (0, 500, 1000):
        one.request("GET", f"/{FILE}", headers={**BEARER, "Range": f"bytes={begin}-{begin + 9}"})
        assert one.getresponse().read() == DATA[begin : begin + 10]
    one.close()


@pytest.mark.parametrize(
    "said", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer é"]
)
@pytest.mark.parametrize("path", ["/", f"/{FILE}", "/" + "0" * 64])
def test_without_the_token_nothing_is_told(peer: FakePeer, path: str, said: str) -> None:
    status, headers, body = ask(peer, path, Authorization=said)
    assert (status, body) == (401, b"")
    assert not {"etag", "content-range", "accept-ranges"} & headers.keys()


def test_who_does_not_know_the_token_is_hung_up_on(peer: FakePeer) -> None:
    with connection_of(peer) as secure:
        secure.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        said = b"".join(iter(lambda: secure.recv(4096), b""))
    assert said.count(b"HTTP/1.1 401") == 1


def connection_of(peer: FakePeer) -> ssl.SSLSocket:
    one = connection(peer)
    one.connect()
    assert isinstance(one.sock, ssl.SSLSocket)
    return one.sock


def test_a_connection_that_has_ended_makes_room(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_model_share, "_CONNECTIONS", 1)
    with fake_peer({FILE: place}) as running:
        for _time in range(3):
            assert ask(running, "/")[0] == 204
            (server,) = running.share._servers
            assert server._places.acquire(timeout=10)
            server._places.release()


@pytest.mark.parametrize(
    ("clients", "admitted"),
    [([], True), ([LOOPBACK], True), (["::ffff:127.0.0.1"], True), (["10.0.0.1", LOOPBACK], True),
     (["10.0.0.1"], False)],
)  # fmt: skip
def test_a_stranger_is_hung_up_on_before_a_word(place: Path, clients: list[str], admitted: bool) -> None:
    with fake_peer({FILE: place}, clients) as running:
        if admitted:
            assert ask(running, "/")[0] == 204
            return
        with pytest.raises(OSError, match=r"EOF|reset|closed|aborted"):
            ask(running, "/")


def test_plain_http_gets_no_answer(peer: FakePeer) -> None:
    with socket.create_connection((LOOPBACK, peer.port), timeout=10) as plain:
        plain.sendall(f"GET /{FILE} HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        try:
            said = plain.recv(1024)
        except ConnectionResetError:
            said = b""
        assert b"HTTP" not in said


def test_a_certificate_of_another_run_is_not_trusted(peer: FakePeer) -> None:
    peer.pair = certificate_for([LOOPBACK])
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(peer, "/")


def test_it_ends_by_itself_when_nobody_asks(place: Path) -> None:
    with fake_peer({FILE: place}, idle=0.2) as running:
        assert running.ended()
        with pytest.raises(OSError, match="refused"):
            ask(running, "/")


def test_strangers_do_not_keep_it_alive(peer: FakePeer, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(_model_share.time, "monotonic", lambda: now[0])
    assert ask(peer, "/")[0] == 204
    settled(peer)
    now[0] += 100
    assert ask(peer, "/", Authorization="Bearer wrong")[0] == 401
    assert peer.offer.idle() == 100
    assert ask(peer, "/")[0] == 204
    settled(peer)
    assert peer.offer.idle() == 0


def settled(peer: FakePeer) -> None:
    """Wait until the server has done with what the client has got already."""
    for _attempt in range(1000):
        if not peer.offer._open:
            return
        threading.Event().wait(0.01)
    pytest.fail("an answer does not end")


def test_it_is_not_idle_while_it_sends() -> None:
    offer = Offer({}, TOKEN, [])
    with offer.busy():
        assert offer.idle() == 0


def test_a_file_that_becomes_shorter_ends_the_connection(peer: FakePeer, place: Path) -> None:
    with place.open("r+b") as file:
        file.truncate(64 << 20)  # more than the sockets hold
    one = connection(peer)
    one.request("GET", f"/{FILE}", headers=BEARER)
    answer = one.getresponse()
    answer.read(10)
    place.write_bytes(b"")
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    one.close()


# -- where it listens


@pytest.fixture
def share() -> Iterator[Share]:
    found = Share(Offer({}, TOKEN, []), *certificate_for([LOOPBACK]))
    yield found
    found.close()


def listening(share: Share) -> list[Any]:
    places = []
    for descriptor in share.sockets():
        with socket.socket(fileno=socket.dup(descriptor)) as copy:
            places.append(copy.getsockname()[:2])
    return places


def test_it_listens_at_its_own_addresses_only(share: Share) -> None:
    own = own_addresses()
    port = share.listen([*own, "localhost", LOOPBACK])
    assert sorted(listening(share)) == sorted((address, port) for address in own)


@pytest.mark.parametrize("addresses", [[], ["203.0.113.7"], ["no-such-host.invalid"]])
def test_behind_a_router_it_listens_everywhere(share: Share, addresses: list[str]) -> None:
    port = share.listen(addresses)
    assert listening(share) in ([("::", port)], [("0.0.0.0", port)])  # noqa: S104


def test_a_port_that_is_wanted(share: Share) -> None:
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    assert share.listen([], port) == port


def test_a_port_that_is_taken_is_named(share: Share) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            ModelError, match=rf"models_share_port: cannot listen at port {port} of .*; name a free port"
        ):
            share.listen(own_addresses(), port)
    assert share.sockets() == []


@pytest.mark.parametrize(("failures", "port", "good"), [(1, 0, True), (7, 0, True), (8, 0, False), (1, 4711, False)])
def test_a_port_that_is_free_at_one_address_only(
    share: Share, monkeypatch: pytest.MonkeyPatch, failures: int, port: int, good: bool
) -> None:
    left = [failures]
    add = share._add

    def taken(family: int, host: str, wanted: int) -> int:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return add(family, host, wanted)

    monkeypatch.setattr(share, "_add", taken)
    if good:
        assert share.listen([], port)
        return
    with pytest.raises(ModelError, match="models_share_port"):
        share.listen([], port)


def test_a_key_that_is_none_is_not_quoted() -> None:
    with pytest.raises(ModelError, match="models_share: certificate and key cannot be used") as error:
        Share(Offer({}, TOKEN, []), certificate_for([LOOPBACK]).certificate, "hunter2")
    assert "hunter2" not in str(error.value)


# -- what it offers


def test_offered_are_the_named_versions_alone(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for name, key in (("one", "a" * 12), ("one", "b" * 12), ("two", "c" * 12)):
        entry = StoredFile("sub/x.gguf", 3, sha256(key.encode()), 1)
        manifest = Manifest(name, key, "url", "", "", "", False, (entry,), (), "", "")
        store.manifest_path(name, key).parent.mkdir(exist_ok=True)
        store.manifest_path(name, key).write_text(json.dumps(asdict(manifest)), encoding="utf-8")
    manifests, files = offered(store, {"one": "b" * 12, "two": "d" * 12, "three": "e" * 12})
    assert {name: manifest.key for name, manifest in manifests.items()} == {"one": "b" * 12}
    assert files == {sha256(b"b" * 12): tmp_path / "one" / ("b" * 12) / "sub/x.gguf"}
