# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model hub for tests: real sockets, real git over http, LFS batch API, and faults on request."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

GIT_ENV = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.org",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.org",
    "PATH": os.environ["PATH"],
}


def sha256(data: bytes) -> str:
    """Hexadecimal sha256."""
    return hashlib.sha256(data).hexdigest()


def safetensors(size: int = 64) -> bytes:
    """A whole safetensors file with one tensor of ``size`` bytes."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(range(256)) * (size // 256) + bytes(size % 256)


def gguf(elements: int = 64) -> bytes:
    """A whole GGUF v3 file with three metadata values and one F32 tensor."""

    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 3)
    head += text(b"general.architecture") + struct.pack("<I", 8) + text(b"qwen2")
    head += text(b"general.alignment") + struct.pack("<II", 4, 64)
    head += text(b"tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text(b"a") + text(b"bc")
    head += text(b"w") + struct.pack("<IQIQ", 1, elements, 0, 0)
    head += bytes(-len(head) % 64)
    return head + bytes(4 * elements)


def pointer(data: bytes) -> bytes:
    """The git-LFS pointer of an object."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256(data)}\nsize {len(data)}\n".encode()


@dataclass
class Fault:
    """What goes wrong with requests whose ``SERVER METHOD PATH`` contains ``match``, ``times`` times.

    What its fields do not say themselves: ``slow`` are seconds before each 64 KiB of a body, and ``hold`` is awaited
    before its last byte.
    """

    match: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut: int | None = None
    flip: bool = False
    slow: float = 0.0
    hold: threading.Event | None = None
    times: int = 1_000_000


@dataclass(frozen=True)
class Seen:
    """A request that came: which server, method, path with query, headers in lower case."""

    server: str
    method: str
    path: str
    headers: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.server} {self.method} {self.path}"


class FakeHub:
    """A hub on one port, its CDN on another (so another origin)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.objects: dict[str, bytes] = {}
        self.files: dict[str, tuple[bytes, bool]] = {}
        self.answers: dict[str, Any] = {}
        self.seen: list[Seen] = []
        self.faults: list[Fault] = []
        self.peers: list[tuple[str, int]] = []
        self.ranges = True
        self.token = ""
        self.error_codes = False
        self.lfs_header: dict[str, str] = {}
        self._servers: list[ThreadingHTTPServer] = []
        self.url = self._start("hub")
        self.cdn = self._start("cdn")

    def _start(self, name: str) -> str:
        hub = self

        class Handler(_Handler):
            server_name = name
            fake = hub

        server = _Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self._servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    def close(self) -> None:
        """Stop both servers."""
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def add_file(self, repo: str, revision: str, path: str, data: bytes, lfs: bool = True) -> None:
        """Offer a file at its ``resolve`` address."""
        self.files[f"/{repo}/resolve/{revision}/{path}"] = (data, lfs)
        self.objects[sha256(data)] = data

    def add_repo(
        self,
        repo: str,
        files: Mapping[str, bytes],
        lfs: tuple[str, ...] = (),
        submodule: str = "",
        links: Mapping[str, str] | None = None,
    ) -> str:
        """Offer a repository; files named in ``lfs`` as LFS objects. Returns the commit."""
        work = self.root / "work" / repo
        work.mkdir(parents=True)
        for path, data in files.items():
            place = work / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(pointer(data) if path in lfs else data)
            if path in lfs:
                self.objects[sha256(data)] = data
        for path, target in (links or {}).items():
            (work / path).symlink_to(target)
        _git(work, "init", "--quiet")
        _git(work, "add", "--all", "--force")
        if submodule:
            _git(work, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},{submodule}")
        _git(work, "commit", "--quiet", "--message=one")
        bare = self.root / "git" / (repo + ".git")
        bare.parent.mkdir(parents=True, exist_ok=True)
        _git(work, "clone", "--quiet", "--bare", str(work), str(bare))
        shutil.rmtree(work)
        return _git(bare, "rev-parse", "HEAD").strip()

    def requests(self, match: str = "") -> list[Seen]:
        """The requests whose ``SERVER METHOD PATH`` contains ``match``."""
        return [seen for seen in self.seen if match in str(seen)]


@contextlib.contextmanager
def fake_hub(root: Path) -> Iterator[FakeHub]:
    """A running hub."""
    hub = FakeHub(root)
    try:
        yield hub
    finally:
        hub.close()


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(  # noqa: S603 - fixed arguments of the tests
        ["git", "-C", str(folder), "-c", "safe.directory=*", *arguments],  # noqa: S607 - git from PATH, in tests
        check=True,
        capture_output=True,
        text=True,
        env=GIT_ENV,
    ).stdout


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_arguments: Any) -> None:
        """A client that hangs up early is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeHub
    server_name: str

    def setup(self) -> None:
        super().setup()
        self.fake.peers.append(self.client_address)

    def log_message(self, *_arguments: Any) -> None:
        """Keep pytest's output clean."""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("content-length", 0))))

    def _answer(self, body: bytes) -> None:
        hub = self.fake
        seen = Seen(self.server_name, self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
        hub.seen.append(seen)
        self.fault = next((fault for fault in hub.faults if fault.match in str(seen) and fault.times > 0), None)
        if self.fault:
            self.fault.times -= 1
            if self.fault.status:
                self._send(self.fault.status, self.fault.body or b"", self.fault.headers)
                return
        path = unquote(urlsplit(self.path).path)
        if self.server_name == "cdn":
            data = hub.objects.get(path.rsplit("/", 1)[-1])
            self._file(data) if data is not None else self._send(404, b"")
        elif hub.token and hub.token not in self.headers.get("authorization", ""):
            self._send(401, b"", {"WWW-Authenticate": 'Basic realm="hub"'})
        elif path.endswith("/info/lfs/objects/batch"):
            self._batch(json.loads(body))
        elif "/info/refs" in path or path.endswith("/git-upload-pack"):
            self._git(path, body)
        elif path in hub.files:
            self._resolve(*hub.files[path], path.split("/")[4])
        elif path in hub.answers:
            self._send(200, json.dumps(hub.answers[path]).encode())
        else:
            known = any(path.split("/resolve")[0] == file.split("/resolve")[0] for file in hub.files)
            code = "EntryNotFound" if known else "RepoNotFound"
            self._send(404, b"", {"X-Error-Code": code} if hub.error_codes else {})

    def _resolve(self, data: bytes, lfs: bool, revision: str) -> None:
        if not lfs:
            self._file(data, {"X-Repo-Commit": revision})
            return
        self._send(
            302,
            b"",
            {
                "Location": f"{self.fake.cdn}/signed/{sha256(data)}?signature=abc",
                "X-Linked-Etag": f'"{sha256(data)}"',
                "X-Linked-Size": str(len(data)),
                "X-Repo-Commit": revision,
            },
        )

    def _file(self, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        fault = self.fault
        sent = {
            "ETag": f'"{sha256(data)[:16]}"',
            "Accept-Ranges": "bytes" if self.fake.ranges else "none",
            **(headers or {}),
            **(fault.headers if fault else {}),
        }
        if fault and fault.body is not None:
            data = fault.body
        if fault and fault.flip:
            data = data[:-1] + bytes([data[-1] ^ 1])
        spec = self.headers.get("range", "")
        if (
            not self.fake.ranges
            or not spec.startswith("bytes=")
            or self.headers.get("if-range", sent["ETag"]) != sent["ETag"]
        ):
            self._send(200, data, sent)
            return
        first, _, last = spec[6:].partition("-")
        start, end = int(first), min(int(last or len(data) - 1), len(data) - 1)
        if start >= len(data):
            self._send(416, b"")
            return
        self._send(206, data[start : end + 1], {**sent, "Content-Range": f"bytes {start}-{end}/{len(data)}"})

    def _batch(self, question: dict[str, Any]) -> None:
        answers: list[dict[str, Any]] = []
        for wanted in question["objects"]:
            if wanted["oid"] in self.fake.objects:
                href = f"{self.fake.cdn}/lfs/{wanted['oid']}"
                answers.append({**wanted, "actions": {"download": {"href": href, "header": self.fake.lfs_header}}})
            else:
                answers.append({**wanted, "error": {"code": 404, "message": "Object does not exist"}})
        self._send(
            200,
            json.dumps({"transfer": "basic", "objects": answers}).encode(),
            {"Content-Type": "application/vnd.git-lfs+json"},
        )

    def _git(self, path: str, body: bytes) -> None:
        repo, _, rest = path.lstrip("/").partition("/info/refs" if "/info/refs" in path else "/git-upload-pack")
        assert rest == ""
        repo = repo if repo.endswith(".git") else repo + ".git"
        service = "/info/refs" if "/info/refs" in path else "/git-upload-pack"
        found = subprocess.run(
            ["git", "http-backend"],  # noqa: S607 - git from PATH, in tests
            input=body,
            capture_output=True,
            check=False,
            env={
                **GIT_ENV,
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "GIT_PROJECT_ROOT": str(self.fake.root / "git"),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": f"/{repo}{service}",
                "QUERY_STRING": urlsplit(self.path).query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("content-type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
                "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
            },
        )
        head, _, data = found.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self._send(int(headers.pop("Status", "200").split()[0]), data, headers)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.fault and self.fault.cut is not None and len(body) > self.fault.cut:
            self.wfile.write(body[: self.fault.cut])
            self.wfile.flush()
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        if self.fault and self.fault.slow:
            for start in range(0, len(body), 64 << 10):
                time.sleep(self.fault.slow)
                self.wfile.write(body[start : start + (64 << 10)])
            return
        if self.fault and self.fault.hold and body:
            self.wfile.write(body[:-1])
            self.fault.hold.wait()
            body = body[-1:]
        self.wfile.write(body)
