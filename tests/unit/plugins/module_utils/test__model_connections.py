# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that are used again: against a server that does what a list says, connection by connection."""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_connections
from ansible_collections.llmops.serving.plugins.module_utils._model_connections import Connections
from ansible_collections.llmops.serving.plugins.plugin_utils._certificate import certificate_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PATIENCE_S = 20
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"


class Played:
    """A server: for each connection the answers that it gives, one for each request, before it closes.

    A connection whose answers end with None stays open.
    """

    def __init__(self, *plays: Sequence[bytes | None], context: ssl.SSLContext | None = None) -> None:
        self.requests: list[list[bytes]] = []
        self._plays = list(plays)
        self._context = context
        self._end = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = ("https://" if context else "http://") + self.place
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self._socket.accept()
                answers = self._plays.pop(0) if self._plays else []
                seen: list[bytes] = []
                self.requests.append(seen)
                threading.Thread(target=self._serve, args=(connection, answers, seen), daemon=True).start()

    def _serve(self, plain: socket.socket, answers: Sequence[bytes | None], seen: list[bytes]) -> None:
        with contextlib.suppress(OSError), plain:
            connection = self._context.wrap_socket(plain, server_side=True) if self._context else plain
            with connection, connection.makefile("rb") as file:
                for answer in answers:
                    if answer is None:
                        self._end.wait()
                        return
                    lines: list[bytes] = []
                    # A client that hangs up ends the head too, with nothing.
                    while (line := file.readline()) not in {b"\r\n", b""}:
                        lines.append(line)
                    if not lines:
                        return
                    seen.append(b"".join(lines))
                    connection.sendall(answer)

    def close(self) -> None:
        self._end.set()
        # Closing alone leaves the thread in accept(), and its descriptor's number to another test's socket.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@contextlib.contextmanager
def played(*plays: Sequence[bytes | None], context: ssl.SSLContext | None = None) -> Iterator[Played]:
    server = Played(*plays, context=context)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def connections() -> Iterator[Connections]:
    made = Connections(None, PATIENCE_S)
    yield made
    made.close()


def get(connections: Connections, url: str, body: bytes | None = None) -> tuple[int, bytes]:
    stream = connections.send(url, {"X-One": "1"}, body)
    try:
        return stream.status, stream.read(1000)
    finally:
        stream.close()


def test_one_connection_for_all(connections: Connections) -> None:
    with played([OK, OK, OK]) as server:
        for _time in range(3):
            assert get(connections, server.url + "/path?query=1#fragment") == (200, b"body")
        ((first, *_more),) = server.requests
    assert first.startswith(b"GET /path?query=1 HTTP/1.1\r\n")
    assert f"Host: {server.place}\r\n".encode() in first
    assert b"X-One: 1\r\n" in first


def test_a_body_is_posted(connections: Connections) -> None:
    with played([OK]) as server:
        get(connections, server.url, b"question")
    assert server.requests[0][0].startswith(b"POST / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "reused"),
    [
        # What is left of a small body, such as a redirect's, is read.
        (b"HTTP/1.1 302 Found\r\nContent-Length: 3000\r\n\r\n" + bytes(3000), True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        # To hang up is cheaper than to read on.
        (b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + bytes(300000), False),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody", False),
    ],
)
def test_which_connections_are_used_again(connections: Connections, answer: bytes, reused: bool) -> None:
    with played([answer, OK], [OK]) as server:
        connections.send(server.url, {}, None).close()
        assert get(connections, server.url) == (200, b"body")
        assert len(server.requests) == (1 if reused else 2)


def test_two_at_a_time_are_two(connections: Connections) -> None:
    with played([OK, OK], [OK]) as server:
        first, second = connections.send(server.url, {}, None), connections.send(server.url, {}, None)
        second.close()
        first.close()
        get(connections, server.url)
        assert len(server.requests) == 2


def test_idle_ones_are_not_trusted_for_long(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_model_connections, "_IDLE_S", 0.0)
    with played([OK, OK], [OK]) as server:
        get(connections, server.url)
        get(connections, server.url)
        assert len(server.requests) == 2


@pytest.mark.parametrize("body", [None, b"question"])
def test_one_that_was_closed_meanwhile_is_replaced(connections: Connections, body: bytes | None) -> None:
    with played([OK], [OK]) as server:
        get(connections, server.url)
        assert get(connections, server.url, body) == (200, b"body")
        assert [len(seen) for seen in server.requests] == [1, 1]


def test_several_that_were_closed_meanwhile(connections: Connections) -> None:
    with played([OK], [OK], [OK], [OK]) as server:
        streams = [connections.send(server.url, {}, None) for _number in range(3)]
        for stream in streams:
            stream.close()
        assert get(connections, server.url) == (200, b"body")


def test_a_new_one_that_fails_is_not_tried_again(connections: Connections) -> None:
    with played([]) as server:
        with pytest.raises(ConnectionError):
            get(connections, server.url)
        assert len(server.requests) == 1


def test_no_http(connections: Connections) -> None:
    with played([b"220 mail.example.org ESMTP\r\n"]) as server, pytest.raises(http.client.HTTPException):
        get(connections, server.url)


def test_silence() -> None:
    with played([None]) as server, pytest.raises(socket.timeout):
        get(Connections(None, 0.2), server.url)


@pytest.mark.parametrize("url", ["http://h/a b", "http://h/\r\nX: 1", "http://h/ü"])
def test_address_of_no_use(connections: Connections, url: str) -> None:
    with pytest.raises((ValueError, http.client.HTTPException, OSError)):
        get(connections, url)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://[2001:db8::1]/x", "2001:db8::1", 80),
        ("https://[2001:db8::1]/x", "2001:db8::1", 443),
        ("https://[2001:db8::1]:8443/x", "2001:db8::1", 8443),
        ("https://hub/x", "hub", 443),
        ("http://hub:3000/x", "hub", 3000),
    ],
)
def test_where_it_goes(connections: Connections, url: str, host: str, port: int) -> None:
    found = connections._dial(url)
    assert (found.host, found.port) == (host, port)


def tls(folder: Path) -> tuple[ssl.SSLContext, str]:
    pair = certificate_for(["127.0.0.1"])
    (folder / "both.pem").write_text(pair.certificate + pair.key, encoding="ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(folder / "both.pem"))
    return context, pair.certificate


class TestTls:
    def test_used_again(self, tmp_path: Path) -> None:
        context, certificate = tls(tmp_path)
        connections = Connections(None, PATIENCE_S, certificate)
        with played([OK, OK], context=context) as server:
            for _time in range(2):
                assert get(connections, server.url) == (200, b"body")
            assert len(server.requests) == 1

    def test_closed_meanwhile(self, tmp_path: Path) -> None:
        context, certificate = tls(tmp_path)
        connections = Connections(None, PATIENCE_S, certificate)
        with played([OK], [OK], context=context) as server:
            for _time in range(2):
                assert get(connections, server.url) == (200, b"body")

    def test_not_trusted(self, connections: Connections, tmp_path: Path) -> None:
        context, _certificate = tls(tmp_path)
        with played([OK], context=context) as server, pytest.raises(ssl.SSLCertVerificationError):
            get(connections, server.url)


class TestHangingUp:
    HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n"
    BODY = b"a" * 100_000

    @pytest.mark.parametrize("secure", [False, True])
    @pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
    def test_wakes_a_reader(self, tmp_path: Path, secure: bool, more: bytes) -> None:
        context, certificate = tls(tmp_path) if secure else (None, None)
        connections = Connections(None, PATIENCE_S * 2, certificate)
        with played([self.HEAD + more + b"\r\n" + self.BODY, None], context=context) as server:
            stream = connections.send(server.url, {}, None)
            came = bytearray()

            def read() -> None:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    while piece := stream.read(20_000):
                        came.extend(piece)

            reader = threading.Thread(target=read)
            reader.start()
            waited = threading.Event()
            while len(came) < len(self.BODY):
                waited.wait(0.01)
            connections.hang_up()
            reader.join(PATIENCE_S)
            assert not reader.is_alive()
            assert bytes(came) == self.BODY
            stream.close()

    def test_wakes_who_waits_for_an_answer(self, connections: Connections) -> None:
        errors: list[Exception] = []

        def ask(url: str) -> None:
            try:
                connections.send(url, {}, None)
            except (OSError, http.client.HTTPException) as error:
                errors.append(error)

        with played([None]) as server:
            asking = threading.Thread(target=ask, args=(server.url,))
            asking.start()
            waited = threading.Event()
            while asking.is_alive() and not connections._busy:
                waited.wait(0.01)
            connections.hang_up()
            asking.join(PATIENCE_S / 2)
            assert not asking.is_alive()
            assert len(errors) == 1

    def test_what_is_read_after_it_is_deciphered_or_nothing(self, tmp_path: Path) -> None:
        context, certificate = tls(tmp_path)
        connections = Connections(None, PATIENCE_S, certificate)
        with played([self.HEAD + b"\r\n" + self.BODY, None], context=context) as server:
            stream = connections.send(server.url, {}, None)
            assert stream.read(1000) == b"a" * 1000
            connections.hang_up()
            with contextlib.suppress(OSError, http.client.HTTPException):
                while piece := stream.read(5000):
                    assert set(piece) == {ord("a")}

    def test_of_a_closed_one(self, connections: Connections) -> None:
        with played([OK, OK]) as server:
            stream = connections.send(server.url, {}, None)
            stream.read(10)
            stream.close()
            stream.close()
            # It may be somebody else's connection by now.
            connections.hang_up()
            get(connections, server.url)
            assert len(server.requests) == 1


class TestProxies:
    LOGIN = b"Proxy-Authorization: Basic " + base64.b64encode(b"me:p@ss") + b"\r\n"

    def test_plain(self, connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
        with played([OK, OK]) as proxy:
            monkeypatch.setenv("http_proxy", f"http://me:p%40ss@{proxy.place}")
            for _time in range(2):
                assert get(connections, "http://hub.invalid:81/x?y=1#z") == (200, b"body")
            ((first, second),) = proxy.requests
        assert first.startswith(b"GET http://hub.invalid:81/x?y=1 HTTP/1.1\r\nHost: hub.invalid:81\r\n")
        assert self.LOGIN in first
        assert self.LOGIN in second

    def test_tls_goes_through_a_tunnel(self, connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
        with played([b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"]) as proxy:
            monkeypatch.setenv("https_proxy", f"http://me:p%40ss@{proxy.place}")
            with pytest.raises(OSError, match="Tunnel connection failed: 407"):
                connections.send("https://hub.invalid/secret", {"Authorization": "Bearer geheim"}, None)
            ((asked,),) = proxy.requests
        assert asked.startswith(b"CONNECT hub.invalid:443 HTTP/1.")
        assert self.LOGIN in asked
        assert b"secret" not in asked
        assert b"geheim" not in asked

    def test_without_a_login_and_a_scheme(self, connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
        with played([OK]) as proxy:
            monkeypatch.setenv("http_proxy", proxy.place)
            get(connections, "http://hub.invalid/")
            assert b"Proxy-Authorization" not in proxy.requests[0][0]

    @pytest.mark.parametrize("form", ["127.0.0.1", "place", "*", "elsewhere,127.0.0.1"])
    def test_no_proxy(self, connections: Connections, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
        with played([OK]) as server, played([OK]) as proxy:
            monkeypatch.setenv("http_proxy", f"http://{proxy.place}")
            monkeypatch.setenv("no_proxy", server.place if form == "place" else form)
            get(connections, server.url)
            assert (len(server.requests), len(proxy.requests)) == (1, 0)
