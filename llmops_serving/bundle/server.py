# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP server of a bundle: hub and registry on one address, with TLS, a thread for each connection."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, cast

from llmops_serving.bundle.web import Answer, FileBody, Program, Request, span_of
from llmops_serving.errors import UsageError

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import IO

    from llmops_serving.bundle.tls import Tls

# What a request may bring: git tells what it has, git LFS what it wants.
_BODY_MAX = 16 << 20
_CHUNK = 256 << 10
# A client that says nothing, or takes nothing, for so long is gone.
_SILENCE_S = 120
# The specification wants a line of its own length before each piece.
_CRLF = b"\r\n"


class Watcher(Protocol):
    """Somebody who sees what is sent. Called from several threads."""

    def begin(self, client: str, label: str, size: int) -> object:
        """Notice that something begins to go to a client; what is returned is given back."""

    def sent(self, what: object, count: int) -> None:
        """Notice bytes that went."""

    def end(self, what: object) -> None:
        """Notice that it ended."""

    def refused(self, client: str, line: str) -> None:
        """Notice a request without an answer to use."""


class BundleServer:
    """Serves until it is closed.

    Args:
        listen: Address and port; port 0 takes a free one.
        answers: Who answers; the first that has an answer gives it.
        tls: What the server shows, None for plain HTTP.
        watcher: Sees what is sent.
        access_log: A file for a line of JSON for each request, None for none.
    """

    def __init__(
        self,
        listen: tuple[str, int],
        answers: Sequence[Callable[[Request], Answer | None]],
        tls: Tls | None,
        watcher: Watcher,
        access_log: Path | None = None,
    ) -> None:
        """Listen; requests are answered from `start` on."""
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            try:
                context.load_cert_chain(tls.certificate, tls.key)
            except (OSError, ssl.SSLError) as error:
                msg = f"{tls.certificate} and {tls.key} are no certificate and its key ({error})"
                raise UsageError(msg) from error
        self._log: IO[str] | None = access_log.open("a", encoding="utf-8") if access_log else None
        handler = type("Handler", (_Handler,), {"answers": staticmethod(answers_of(answers)), "watcher": watcher})
        handler.log = _Logger(self._log)  # type: ignore[attr-defined]  # a class of its own for each server
        handler.scheme = "https" if context else "http"  # type: ignore[attr-defined]
        try:
            self._server = _Server(listen, handler)
        except OSError as error:
            self._close_log()
            msg = (
                f"--listen {listen[0]}:{listen[1]}: cannot listen there ({error.strerror or error}); name an address "
                "of this machine and a port that is free"
            )
            raise UsageError(msg) from error
        if context:
            # Each connection shakes hands in its own thread, so nobody waits for one that says nothing.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)

    @property
    def port(self) -> int:
        """The port."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Answer requests from now on."""
        self._thread.start()

    def close(self) -> None:
        """Take no more requests."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._close_log()

    def _close_log(self) -> None:
        if self._log:
            self._log.close()


def answers_of(answers: Sequence[Callable[[Request], Answer | None]]) -> Callable[[Request], Answer]:
    """Ask several who may have an answer; nobody's is a 404."""

    def answer(request: Request) -> Answer:
        for one in answers:
            found = one(request)
            if found is not None:
                return found
        return Answer(HTTPStatus.NOT_FOUND, {"Content-Type": "text/plain"}, b"the bundle has nothing there\n")

    return answer


class _Logger:
    """Writes a line for each request."""

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file
        self._lock = threading.Lock()

    def __call__(self, **facts: Any) -> None:
        if self._file is None:
            return
        told = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **facts}
        with self._lock, contextlib.suppress(ValueError, OSError):
            self._file.write(json.dumps(told) + "\n")
            self._file.flush()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # A host opens up to sixteen connections at once, and a site has several hosts.
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about clients that go away."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "llmops-bundle"
    sys_version = ""
    timeout = _SILENCE_S

    answers: Callable[[Request], Answer]
    watcher: Watcher
    log: Callable[..., None]
    scheme: str

    def setup(self) -> None:
        """Begin with a connection."""
        super().setup()
        with contextlib.suppress(OSError):
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def finish(self) -> None:
        """End a connection."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
        """Say nothing: what is of interest is told elsewhere."""

    def do_GET(self) -> None:
        """Answer a GET."""
        self._reply()

    def do_HEAD(self) -> None:
        """Answer a HEAD."""
        self._reply()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._reply()

    do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815  the library's names

    def _reply(self) -> None:
        begun = time.monotonic()
        client = str(self.client_address[0])
        body = self._body()
        if body is None:
            return
        path, _mark, query = self.path.partition("?")
        host = self.headers.get("Host", "")
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(
            method=self.command,
            path=urllib.parse.unquote(path),
            query=query,
            headers=headers,
            body=body,
            base=f"{self.scheme}://{host}",
            client=client,
        )
        status, sent = 0, 0
        try:
            status, sent = self._send(request, self.answers(request))
        except (BrokenPipeError, ConnectionError, TimeoutError, ssl.SSLError):
            # The client has gone, perhaps because it had enough.
            self.close_connection = True
        finally:
            # A query may hold a signature; none of ours does, and no other is of interest.
            self.log(
                client=client,
                method=self.command,
                path=request.path,
                status=status,
                bytes=sent,
                range=headers.get("range", ""),
                agent=headers.get("user-agent", ""),
                seconds=round(time.monotonic() - begun, 3),
            )
        if status >= HTTPStatus.BAD_REQUEST:
            self.watcher.refused(client, f"{status} {self.command} {request.path}")

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length") or "0"
        if self.headers.get("Transfer-Encoding"):
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
            self.close_connection = True
            return None
        if not length.isdigit() or int(length) > _BODY_MAX:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            self.close_connection = True
            return None
        return self.rfile.read(int(length))

    def _send(self, request: Request, answer: Answer) -> tuple[int, int]:
        """Send an answer; tell its status and how many bytes of body went."""
        if isinstance(answer.body, Program):
            return self._send_program(request, answer.body)
        if isinstance(answer.body, FileBody):
            return self._send_file(request, answer, answer.body)
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        return answer.status, len(answer.body)

    def _send_file(self, request: Request, answer: Answer, body: FileBody) -> tuple[int, int]:
        headers = {**answer.headers, "Accept-Ranges": "bytes"}
        status = answer.status
        start, end = 0, body.size
        try:
            if span := span_of(request, body.size, headers.get("ETag", "")):
                start, end = span
                status = HTTPStatus.PARTIAL_CONTENT
                headers["Content-Range"] = f"bytes {start}-{end - 1}/{body.size}"
        except ValueError as error:
            told = {"Content-Range": str(error), "Content-Type": "text/plain"}
            return self._send(request, Answer(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, told))
        try:
            opened = body.path.open("rb", buffering=0)
        except OSError as error:
            why = f"{body.label} cannot be read: {error.strerror}\n".encode()
            return self._send(request, Answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"Content-Type": "text/plain"}, why))
        with opened as file:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(end - start)}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return status, 0
            file.seek(start)
            with self._watched(body.label, body.size) as count:
                return status, self._copy(file, end - start, count)

    def _copy(self, file: io.RawIOBase, left: int, count: Callable[[int], None]) -> int:
        buffer = bytearray(min(_CHUNK, max(left, 1)))
        view = memoryview(buffer)
        sent = 0
        while sent < left:
            read = file.readinto(view[: min(len(buffer), left - sent)])
            if not read:
                # Shorter than it was when it was checked: better a broken connection than a wrong length.
                self.close_connection = True
                break
            self.wfile.write(view[:read])
            sent += read
            count(read)
        return sent

    def _send_program(self, request: Request, program: Program) -> tuple[int, int]:
        """Let a program answer, as the common gateway interface has it, piece by piece."""
        with subprocess.Popen(  # noqa: S603  git by its full path, no shell
            program.command,
            env=dict(program.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            if process.stdin is None or process.stdout is None:
                raise AssertionError("the program was started with pipes")
            feeder = threading.Thread(target=_feed, args=(process.stdin, request.body), daemon=True)
            feeder.start()
            try:
                status, headers = _cgi_head(process.stdout)
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                with self._watched(program.label, 0) as count:
                    sent = 0
                    stream = cast("io.BufferedReader", process.stdout)
                    while piece := stream.read1(_CHUNK):
                        self.wfile.write(b"%x" % len(piece) + _CRLF + piece + _CRLF)
                        sent += len(piece)
                        count(len(piece))
                self.wfile.write(b"0" + _CRLF + _CRLF)
            finally:
                process.kill()
                feeder.join()
        return status, sent

    @contextlib.contextmanager
    def _watched(self, label: str, size: int) -> Iterator[Callable[[int], None]]:
        what = self.watcher.begin(str(self.client_address[0]), label, size)
        try:
            yield lambda count: self.watcher.sent(what, count)
        finally:
            self.watcher.end(what)


def _feed(stream: IO[bytes], body: bytes) -> None:
    """Give a program its input while it already answers."""
    with contextlib.suppress(OSError):
        stream.write(body)
    with contextlib.suppress(OSError):
        stream.close()


def _cgi_head(stream: IO[bytes]) -> tuple[int, list[tuple[str, str]]]:
    """Read the head of a program's answer."""
    status, headers = int(HTTPStatus.OK), []
    while line := stream.readline().strip():
        name, _colon, value = line.decode("latin-1").partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers.append((name, value.strip()))
    return status, headers
