# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One front of the proxy: takes a request, asks nginx, and gives the answer as a rule wants it."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.store.faults import FRONTS, BrokenError, Exchange, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.store.proxy import Proxy

_PIECE = 64 << 10
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
#: What a connection may hold between the proxy and the client: bytes that count as sent and never arrive.
_SEND_BUFFER = 64 << 10
_ANSWER_S = 60.0


def listen(proxy: Proxy, name: str) -> ThreadingHTTPServer:
    """Open a front on a free port of 127.0.0.1."""

    class Handler(_Handler):
        through = proxy
        front = name

    server = _Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), name=f"front {name}", daemon=True).start()
    return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_arguments: Any) -> None:
        """A client that hangs up early is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    through: Proxy
    front: str

    def setup(self) -> None:
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = self.through.tls.wrap_socket(self.request, server_side=True)
        self.upstream: http.client.HTTPSConnection | None = None
        super().setup()

    def finish(self) -> None:
        if self.upstream is not None:
            self.upstream.close()
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_arguments: Any) -> None:
        """Keep pytest's output clean: the log is in the proxy."""

    def do_GET(self) -> None:
        try:
            self._serve()
        except (BrokenError, OSError, http.client.HTTPException):
            self._break()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def _break(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        proxy = self.through
        body = self._read_body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        exchange = Exchange(self.front, self.command, self.path, headers, time.monotonic())
        rule = proxy.rule_for(exchange)
        if proxy.is_down(self.front) or (rule is not None and rule.drop):
            raise BrokenError
        if rule is not None and rule.redirect:
            self._answer(exchange, 302, {"Location": proxy.url(rule.redirect) + self.path}, b"")
        elif rule is not None and rule.status:
            self._answer(exchange, rule.status, _apply({}, rule), rule.body)
        elif proxy.is_expired(exchange):
            denied = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
            self._answer(exchange, 403, {"Content-Type": "application/xml"}, denied)
        else:
            self._pass_on(exchange, rule or Rule(self.front), body)

    def _read_body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _pass_on(self, exchange: Exchange, rule: Rule, body: bytes) -> None:
        dropped = {"host", "connection", "transfer-encoding", "content-length", "expect"}
        if not rule.ranges:
            dropped |= {"range", "if-range"}
        if not rule.if_range:
            dropped |= {"if-range"}
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        connection = self._connect()
        connection.request(self.command, self.path, body or None, {**headers, "Host": FRONTS[self.front][1]})
        answer = connection.getresponse()
        found = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
        if not rule.ranges:
            found = {name: value for name, value in found.items() if name.lower() != "accept-ranges"}
        if "Location" in found:
            found["Location"] = self.through.signed(found["Location"])
        found = _apply(found, rule)
        if answer.length is None or self.path.endswith("/objects/batch") or self.command == "HEAD":
            data = answer.read()
            if self.path.endswith("/objects/batch") and answer.status == http.client.OK:
                data = self._sign_batch(data)
            length = answer.getheader("content-length") if self.command == "HEAD" else None
            self._answer(exchange, answer.status, found, data, length)
            return
        self._start(exchange, answer.status, found, str(answer.length + rule.claim))
        exchange.open = True
        try:
            self._stream(exchange, rule, answer)
        finally:
            exchange.open = False
        if rule.claim:
            raise BrokenError

    def _sign_batch(self, data: bytes) -> bytes:
        answer = json.loads(data)
        for entry in answer.get("objects", []):
            if action := entry.get("actions", {}).get("download"):
                action["href"] = self.through.signed(action["href"])
        return json.dumps(answer).encode()

    def _connect(self) -> http.client.HTTPSConnection:
        if self.upstream is None:
            plain = socket.create_connection(("127.0.0.1", self.through.port), timeout=_ANSWER_S)
            name = FRONTS[self.front][1]
            self.upstream = http.client.HTTPSConnection(name, context=self.through.upstream)
            self.upstream.sock = self.through.upstream.wrap_socket(plain, server_hostname=name)
        elif self.upstream.sock is None:
            self.upstream = None
            return self._connect()
        return self.upstream

    def _start(self, exchange: Exchange, status: int, headers: Mapping[str, str], length: str) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", length)
        exchange.status, exchange.answered = status, time.monotonic()
        self.end_headers()

    def _answer(
        self, exchange: Exchange, status: int, headers: Mapping[str, str], body: bytes, length: str | None = None
    ) -> None:
        self._start(exchange, status, headers, length or str(len(body)))
        if self.command != "HEAD":
            self._send(exchange, body)

    def _stream(self, exchange: Exchange, rule: Rule, answer: http.client.HTTPResponse) -> None:
        begin = re.match(r"bytes (\d+)-", answer.getheader("content-range") or "")
        position = int(begin.group(1)) if begin else 0
        left, breaks = rule.cut, not (rule.stall or rule.trickle)
        if left == 0 and breaks:
            raise BrokenError
        while piece := answer.read(_PIECE if left is None else min(_PIECE, left)):
            if rule.flip is not None and position <= rule.flip < position + len(piece):
                changed = bytearray(piece)
                changed[rule.flip - position] ^= 0xFF
                piece, rule.flip = bytes(changed), None
            position += len(piece)
            self._send(exchange, piece)
            if left is not None:
                left -= len(piece)
                if left == 0 and breaks:
                    raise BrokenError
                if left == 0:
                    time.sleep(rule.stall)
                    left = 1 if rule.trickle else None
                if rule.trickle and left:
                    time.sleep(rule.trickle)

    def _send(self, exchange: Exchange, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            count = self.through.may_pass(self.front, len(view))
            self.wfile.write(view[:count])
            exchange.sent += count
            view = view[count:]


def _apply(headers: Mapping[str, str], rule: Rule) -> dict[str, str]:
    changed = {name: value for name, value in headers.items() if name.lower() not in map(str.lower, rule.headers)}
    for name, value in rule.headers.items():
        if value is not None:
            changed[name] = value() if callable(value) else value
    return changed
