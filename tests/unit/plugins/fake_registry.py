# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry of container images for tests, in this process: manifests, tokens, redirects and refusals."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._registry_client import (
    OCI_INDEX,
    OCI_MANIFEST,
)
from ansible_collections.llmops.serving.plugins.module_utils._registry_names import digest_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

DIGEST = "sha256:" + "a" * 64
TOKEN = "anonymous-token"  # noqa: S105  made up

# Status, headers and body.
Answer = tuple[int, dict[str, str], bytes]


def manifest(*sizes: int, kind: str = OCI_MANIFEST) -> bytes:
    """Write an image manifest with layers of these sizes."""
    return json.dumps({"mediaType": kind, "config": {"size": 7}, "layers": [{"size": size} for size in sizes]}).encode()


def index(**digests: str) -> bytes:
    """Write an index with one manifest per architecture."""
    entries: list[dict[str, Any]] = [
        {"digest": digest, "platform": {"os": "linux", "architecture": architecture}}
        for architecture, digest in digests.items()
    ]
    entries.append({"digest": DIGEST, "platform": {"os": "unknown", "architecture": "unknown"}})
    return json.dumps({"mediaType": OCI_INDEX, "manifests": entries}).encode()


@dataclass
class Registry:
    """What the stand-in for a registry holds, and what it was asked."""

    port: int = 0
    contents: dict[str, bytes] = field(default_factory=dict)
    guarded: bool = False
    grants: bool = True
    scope_in_challenge: bool = True
    reply: tuple[int, str, bytes] | None = None
    redirect: str = ""
    basic: str = ""
    life: int | None = None
    elsewhere: str = ""
    refuses: set[str] = field(default_factory=set)
    failing: int = 0
    types: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def add(self, name: str, reference: str, body: bytes) -> str:
        """Hold a manifest under a tag or another digest than its own, and under its own."""
        digest = digest_of(body)
        self.contents[f"/v2/{name}/manifests/{reference}"] = body
        self.contents[f"/v2/{name}/manifests/{digest}"] = body
        return digest

    def answer(self, path: str, headers: dict[str, str]) -> Answer:
        """Answer as the distribution specification says."""
        self.asked.append((path, headers))
        url = urllib.parse.urlsplit(path)
        if self.reply:
            return self.reply[0], {"Content-Type": self.reply[1]}, self.reply[2]
        return self._let_in(url, headers) or self._find(path, url.path)

    def _let_in(self, url: urllib.parse.SplitResult, headers: dict[str, str]) -> Answer | None:
        if url.path == "/token":
            token: dict[str, Any] = {"token": TOKEN} | ({} if self.life is None else {"expires_in": self.life})
            return (200, {}, json.dumps(token).encode()) if self.grants else (403, {}, b"{}")
        if self.basic and headers.get("authorization") != self.basic:
            return 401, {"WWW-Authenticate": 'Basic realm="stand-in"'}, b"{}"
        if self.guarded and headers.get("authorization") != f"Bearer {TOKEN}":
            challenge = f'Bearer realm="http://127.0.0.1:{self.port}/token",service="stand-in"'
            if self.scope_in_challenge:
                challenge += ',scope="repository:org/app:pull"'
            return 401, {"WWW-Authenticate": challenge}, b'{"errors":[{"code":"UNAUTHORIZED"}]}'
        return None

    def _find(self, path: str, wanted: str) -> Answer:
        if self.redirect:
            return 307, {"Location": self.redirect + path}, b""
        if wanted in self.contents:
            return 200, {"Content-Type": OCI_MANIFEST}, self.contents[wanted]
        known = any(path.startswith(wanted.rpartition("/")[0] + "/") for path in self.contents)
        code = "MANIFEST_UNKNOWN" if known else "NAME_UNKNOWN"
        return 404, {}, json.dumps({"errors": [{"code": code, "message": "not here"}]}).encode()

    def receive(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Take blobs and manifests, whole ones only; a blob goes where an answer to a first request says."""
        refused = self.answer(path, headers)
        if refused[0] in {401, 403, 503}:
            return refused
        url = urllib.parse.urlsplit(path)
        name = url.path.removeprefix("/v2/").partition("/blobs/")[0]
        if method == "POST":
            return 202, {"Location": f"{self.elsewhere}/v2/{name}/blobs/uploads/1?state=begun"}, b""
        if "/blobs/uploads/" in url.path:
            return self._take_blob(name, urllib.parse.parse_qs(url.query)["digest"][0], body)
        name, _kind, reference = url.path.removeprefix("/v2/").partition("/manifests/")
        if digest_of(body) in self.refuses:
            return 400, {}, b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}'
        self.add(name, reference, body)
        self.types[digest_of(body)] = headers["content-type"]
        return 201, {}, b""

    def _take_blob(self, name: str, wanted: str, body: bytes) -> Answer:
        if self.failing:
            self.failing -= 1
            return 500, {}, b"{}"
        if wanted != digest_of(body):
            return 400, {}, b'{"errors":[{"code":"DIGEST_INVALID","message":"not what it should be"}]}'
        self.contents[f"/v2/{name}/blobs/{wanted}"] = body
        return 201, {}, b""


def _handler(registry: Registry) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer a GET."""
            self._answer(registry.answer(self.path, self._lower()))

        def do_HEAD(self) -> None:
            """Answer a HEAD: as a GET, without the body."""
            self._answer(registry.answer(self.path, self._lower()), head=True)

        def do_POST(self) -> None:
            """Take something."""
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._answer(registry.receive(self.command, self.path, self._lower(), body))

        def do_PUT(self) -> None:
            """Take something, as a POST does."""
            self.do_POST()

        def _lower(self) -> dict[str, str]:
            return {name.lower(): value for name, value in self.headers.items()}

        def _answer(self, answer: Answer, *, head: bool = False) -> None:
            status, told, body = answer
            self.send_response(status)
            for name, value in (told | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"" if head else body)

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    return Handler


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about clients that break off a handshake."""


def serve(registry: Registry, tls: ssl.SSLContext | None = None) -> Iterator[Registry]:
    """Run the stand-in on a free port of the loopback interface."""
    server = _Server(("127.0.0.1", 0), _handler(registry))
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    registry.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield registry
    server.shutdown()
    server.server_close()
    thread.join()
