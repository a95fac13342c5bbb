# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real HTTP server on loopback that plays an inference server, well or badly, for the tests of the probes."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import ssl

ANSWERS = Path(__file__).parents[2] / "fixtures" / "answers"

Json = Any


@dataclass(frozen=True)
class Reply:
    """What the server does with one request.

    Attributes:
        body: Bytes of the answer.
        status: HTTP status.
        kind: Content type.
        headers: Further headers.
        delay: Seconds before the head.
        drip: Seconds between the bytes of the body.
        length: Content-Length to claim; None for the true one.
        chunks: For a chunked answer: pieces of the body; without the last chunk if `cut`.
        cut: Ends a chunked answer without its end.
        reset: Resets the connection: "start" before any answer, "end" after the body.
    """

    body: bytes = b""
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0
    length: int | None = None
    chunks: tuple[bytes, ...] | None = None
    cut: bool = False
    reset: str = ""


def as_json(value: Json, status: int = 200) -> Reply:
    """A JSON answer."""
    return Reply(json.dumps(value).encode(), status)


def as_events(events: list[Json], done: bool = True, cut: bool = False) -> Reply:
    """A stream of events, each in a chunk of its own."""
    chunks = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
    if done:
        chunks.append(b"data: [DONE]\n\n")
    return Reply(kind="text/event-stream; charset=utf-8", chunks=tuple(chunks), cut=cut)


def recorded(engine: str, name: str) -> Reply:
    """A recorded answer: its first line is the status, the rest the body."""
    status, _, body = (ANSWERS / engine / name).read_bytes().partition(b"\n")
    return Reply(body, int(status), "text/event-stream" if name.endswith(".txt") else "application/json")


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    json: Json


Route = Reply | Callable[[Request], Reply]


class FakeEngine:
    """A server with a table of routes; anything else is FastAPI's 404.

    Attributes:
        routes: `"POST /v1/chat/completions"` to a reply or to a function that makes one.
        requests: What was asked, in order.
    """

    def __init__(self, routes: Mapping[str, Route] | None = None) -> None:
        """Keeps the routes; `with` opens a port and serves."""
        self.routes: dict[str, Route] = dict(routes or {})
        self.requests: list[Request] = []

    @property
    def root(self) -> str:
        """Its address without a path."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """Its address with `/v1`."""
        return self.root + "/v1"

    def wrap(self, context: ssl.SSLContext) -> None:
        """Speaks TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"engine": self}))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Does what the route's reply says."""

    protocol_version = "HTTP/1.1"
    engine: FakeEngine

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _answer(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, self.path, dict(self.headers), json.loads(data) if data else None)
        self.engine.requests.append(request)
        route = self.engine.routes.get(f"{self.command} {self.path}", as_json({"detail": "Not Found"}, 404))
        reply = route if isinstance(route, Reply) else route(request)
        time.sleep(reply.delay)
        try:
            if reply.reset != "start":
                self._send_head(reply)
                self._send_body(reply)
            if reply.reset:
                # Linger 0 makes close() send RST instead of FIN.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
        except OSError:
            self.close_connection = True
        if reply.cut or reply.reset or reply.length is not None:
            self.close_connection = True

    def _send_head(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.chunks is not None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
        self.end_headers()

    def _send_body(self, reply: Reply) -> None:
        pieces = [reply.body]
        if reply.chunks is not None:
            pieces = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in reply.chunks]
            if not reply.cut:
                pieces.append(b"0\r\n\r\n")
        elif reply.drip:
            pieces = [bytes([byte]) for byte in reply.body]
        for piece in pieces:
            self.wfile.write(piece)
            self.wfile.flush()
            time.sleep(reply.drip)


def models(*names: str) -> Reply:
    """A list of models as vLLM gives it."""
    return as_json({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})


def completion(
    text: str | None = "The capital of France is Paris.",
    *,
    model: str = "tiny",
    reason: str | None = "stop",
    prompt: int = 20,
    usage: Json = "right",
    **message: Json,
) -> Json:
    """A chat completion; `message` adds fields to the message."""
    count = {"prompt_tokens": prompt, "completion_tokens": 8, "total_tokens": prompt + 8}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": reason}
        ],
        "usage": count if usage == "right" else usage,
    }


def chunks(*pieces: str, reason: str | None = "stop", name: str = "content") -> list[Json]:
    """The events of a streamed completion: role, pieces, end, usage."""
    deltas: list[Json] = [{"role": "assistant", "content": None}, *({name: piece} for piece in pieces)]
    events: list[Json] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}], "model": "tiny"} for delta in deltas
    ]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "model": "tiny"})
    events.append({"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28}})
    return events


TOOL_CALL = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}


@dataclass
class ChatParts:
    """The answers of a chat server, one for each kind of request of the probe; replace what shall be wrong."""

    models: Reply = field(default_factory=lambda: models("tiny"))
    plain: Reply = field(default_factory=lambda: as_json(completion()))
    system: Reply = field(default_factory=lambda: as_json(completion("The", prompt=31, reason="length")))
    stream: Reply = field(default_factory=lambda: as_events(chunks("The capital of", " France is", " Paris.")))
    sampled: Reply = field(default_factory=lambda: as_json(completion("Paris, of", reason="length")))
    tool: Reply = field(default_factory=lambda: as_json(completion(None, reason="tool_calls", tool_calls=[TOOL_CALL])))
    structured: Reply = field(default_factory=lambda: as_json(completion('{"capital": "Paris"}')))

    def engine(self) -> FakeEngine:
        """A server that gives these answers."""

        def chat(request: Request) -> Reply:
            if request.json.get("stream"):
                return self.stream
            if request.json.get("tools"):
                return self.tool
            if request.json.get("response_format"):
                return self.structured
            if "temperature" not in request.json:
                return self.sampled
            return self.system if request.json["messages"][0]["role"] == "system" else self.plain

        return FakeEngine({"GET /v1/models": self.models, "POST /v1/chat/completions": chat})
