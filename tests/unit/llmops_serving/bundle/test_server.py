# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server sends what it should, of which bytes it should, and nobody keeps the others waiting."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from llmops_serving.bundle.server import BundleServer
from llmops_serving.bundle.tls import Tls, ensure_tls
from llmops_serving.bundle.web import Answer, FileBody, Program, Request
from llmops_serving.errors import UsageError
from tests.unit.llmops_serving.bundle.conftest import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = bytes(range(256)) * 4096


class Watcher:
    """Remembers what it saw."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def begin(self, client: str, label: str, size: int) -> object:
        self.seen.append((client, label, size))
        return label

    def sent(self, what: object, count: int) -> None:
        self.seen.append((what, count))

    def end(self, what: object) -> None:
        self.seen.append(what)

    def refused(self, client: str, line: str) -> None:
        self.seen.append((client, line))


class Site:
    """A server with a file, a program and an echo."""

    def __init__(self, folder: Path, *, secure: bool) -> None:
        self.file = folder / "file"
        self.file.write_bytes(CONTENT)
        self.watcher = Watcher()
        self.log = folder / "access.jsonl"
        self.tls: Tls | None = ensure_tls(folder / "tls", ["localhost"]) if secure else None
        self.server = BundleServer(("127.0.0.1", 0), [self.answer], self.tls, self.watcher, self.log)
        self.server.start()

    def answer(self, request: Request) -> Answer | None:
        program = (
            'read line; printf "Status: 201 Made\\r\\nContent-Type: text/x\\r\\nX-Path: $PATH_INFO\\r\\n\\r\\n"; '
            'printf "got $line"; head -c 1000000 /dev/zero'
        )
        match request.path:
            case "/file":
                return Answer(200, {"ETag": '"e"'}, FileBody(self.file, len(CONTENT), "the file"))
            case "/gone":
                return Answer(200, {}, FileBody(self.file.with_name("none"), 5, "gone"))
            case "/shrunk":
                return Answer(200, {}, FileBody(self.file, len(CONTENT) + 5, "shrunk"))
            case "/program":
                return Answer(200, {}, Program(("/bin/sh", "-c", program), {"PATH_INFO": "/x"}, "a program"))
            case "/with space":
                told = {"method": request.method, "query": request.query, "base": request.base}
                return Answer(200, {}, json.dumps(told).encode() + request.body)
        return None

    def connect(self) -> http.client.HTTPConnection:
        if self.tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        context = ssl.create_default_context(cadata=self.tls.ca)
        return http.client.HTTPSConnection("localhost", self.server.port, timeout=10, context=context)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[Any, bytes]:
        connection = self.connect()
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture(scope="module", params=[False, True], ids=["http", "https"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server of each kind."""
    running = Site(tmp_path_factory.mktemp("site"), secure=request.param)
    yield running
    running.server.close()


def test_a_file_and_its_ranges(site: Site) -> None:
    answer, content = site.ask("/file")
    assert (answer.status, content) == (200, CONTENT)
    assert answer.headers["Accept-Ranges"] == "bytes"
    for told, expected in (("bytes=10-19", CONTENT[10:20]), ("bytes=-7", CONTENT[-7:]), ("bytes=5-", CONTENT[5:])):
        answer, content = site.ask("/file", Range=told)
        assert (answer.status, content) == (206, expected)
        assert answer.headers["Content-Range"].endswith(f"/{len(CONTENT)}")
    answer, content = site.ask("/file", Range="bytes=10-19", If_Range='"other"')
    assert (answer.status, content) == (200, CONTENT)
    answer, content = site.ask("/file", Range=f"bytes={len(CONTENT)}-")
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")
    answer, content = site.ask("/file", "HEAD")
    assert (answer.status, content, answer.headers["Content-Length"]) == (200, b"", str(len(CONTENT)))


def test_a_connection_is_used_again(site: Site) -> None:
    connection = site.connect()
    for _time in range(3):
        connection.request("GET", "/file", headers={"Range": "bytes=0-1"})
        assert connection.getresponse().read() == CONTENT[:2]
    kept = connection.sock
    connection.request("GET", "/nothing")
    assert connection.getresponse().read() == b"the bundle has nothing there\n"
    assert connection.sock is kept
    connection.close()


@pytest.mark.parametrize("secure", [False, True])
def test_what_is_seen_and_logged(tmp_path: Path, secure: bool) -> None:
    # One of its own: others' threads still tell of what other tests asked.
    site = Site(tmp_path, secure=secure)
    seen = site.watcher.seen
    site.ask("/file", Range="bytes=0-9")
    eventually(lambda: len(site.lines()) == 1)
    site.ask("/nothing?signature=s3cret")
    eventually(lambda: len(seen) == 4)
    site.server.close()
    assert seen == [
        ("127.0.0.1", "the file", len(CONTENT)),
        ("the file", 10),
        "the file",
        ("127.0.0.1", "404 GET /nothing"),
    ]
    told = [(line["status"], line["path"], line["bytes"]) for line in site.lines()]
    assert told == [(206, "/file", 10), (404, "/nothing", 29)]
    assert "s3cret" not in site.log.read_text()


def test_a_request_comes_as_it_was_sent(site: Site) -> None:
    _answer, content = site.ask("/with%20space?a=%20b", "POST", b"body")
    scheme = "https" if site.tls else "http"
    told = json.dumps({"method": "POST", "query": "a=%20b", "base": f"{scheme}://{_host(site)}"}).encode()
    assert content == told + b"body"


def _host(site: Site) -> str:
    return f"{'localhost' if site.tls else '127.0.0.1'}:{site.server.port}"


def test_a_program_answers_as_it_likes(site: Site) -> None:
    answer, content = site.ask("/program", "POST", b"hello\n")
    assert (answer.status, answer.headers["X-Path"], answer.headers["Content-Type"]) == (201, "/x", "text/x")
    assert content == b"got hello" + bytes(1000000)


def test_a_file_that_went_away_is_told(site: Site) -> None:
    answer, content = site.ask("/gone")
    assert (answer.status, content) == (500, b"gone cannot be read: No such file or directory\n")


def test_a_file_that_became_shorter_breaks_the_connection(site: Site) -> None:
    with pytest.raises(http.client.IncompleteRead):
        site.ask("/shrunk")


@pytest.mark.parametrize(
    ("headers", "status"), [({"Transfer-Encoding": "chunked"}, 411), ({"Content-Length": "99999999999"}, 413)]
)
def test_bodies_that_are_not_read(site: Site, headers: dict[str, str], status: int) -> None:
    connection = site.connect()
    connection.putrequest("POST", "/with%20space")
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == status
    connection.close()


def test_who_says_nothing_keeps_nobody_waiting(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.server.port)):
        assert site.ask("/file", Range="bytes=0-0")[0].status == 206


def test_a_port_that_is_taken(site: Site, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"--listen 127.0.0.1:{site.server.port}: cannot listen there"):
        BundleServer(("127.0.0.1", site.server.port), [], None, Watcher())
    with pytest.raises(UsageError, match="cannot listen there"):
        BundleServer(("192.0.2.99", 0), [], None, Watcher(), tmp_path / "log")


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "crt").write_text("no certificate")
    with pytest.raises(UsageError, match="are no certificate and its key"):
        BundleServer(("127.0.0.1", 0), [], Tls(tmp_path / "crt", tmp_path / "crt", ""), Watcher())
