# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Offer a host's models to the other hosts of a play, for as long as the play needs them.

A file is asked for by its sha256, so there is no path to leave and nothing to list. Whoever asks comes from an address
of the play's hosts and says the token that was made for this run; anybody else is hung up on before the first byte.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import http.server
import ipaddress
import os
import re
import socket
import socketserver
import ssl
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._addresses import parse
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest
    from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store

_CHUNK = 256 << 10
# Seconds without a byte after which a connection is of no use any more.
_SILENCE_S = 60.0
_HANDSHAKE_S = 10.0
_LOOK_S = 0.5
# Connections at a time; what comes beyond is hung up on, and tries again or asks the hub.
_CONNECTIONS = 512
_TRIES = 8
_NOT_OURS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_FILE = re.compile(r"/([0-9a-f]{64})\Z")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


class Offer:
    """What is offered to whom."""

    def __init__(self, files: Mapping[str, Path], token: str, clients: Sequence[str]) -> None:
        """Describe the offer.

        Args:
            files: The files by their sha256.
            token: What a client must say.
            clients: Addresses from which it must come; empty when they are not known.
        """
        self.files = dict(files)
        self.clients = {address for address in map(parse, clients) if address is not None}
        self._token = f"Bearer {token}".encode()
        self._lock = threading.Lock()
        self._open = 0
        self._last = time.monotonic()

    def admits(self, address: str) -> bool:
        """Whether a client of this address may speak at all."""
        return not self.clients or parse(address) in self.clients

    def knows(self, authorization: str) -> bool:
        """Whether that is the token, in a time that tells nothing about it."""
        return hmac.compare_digest(authorization.encode("utf-8", "replace"), self._token)

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Count a request that is being answered."""
        with self._lock:
            self._open += 1
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1
                self._last = time.monotonic()

    def idle(self) -> float:
        """Seconds since the last answer; 0 while one is under way."""
        with self._lock:
            return 0.0 if self._open else time.monotonic() - self._last


class Share:
    """Listening sockets and the threads behind them."""

    def __init__(self, offer: Offer, certificate: str, key: str) -> None:
        """Prepare; nothing listens yet.

        Args:
            offer: What is offered.
            certificate: Its certificate, PEM.
            key: The certificate's private key, PEM. It is never on a disk.
        """
        self.offer = offer
        self._tls = _server_context(certificate, key)
        self._over = threading.Event()
        self._servers: list[_Server] = []

    def listen(self, addresses: Sequence[str], port: int = 0) -> int:
        """Listen at those of the addresses that are this host's, at all of its own when none is (behind NAT).

        Args:
            addresses: Addresses and names by which others reach this host.
            port: The port, 0 for any that is free.

        Returns:
            The port.

        Raises:
            ModelError: The port is taken.
        """
        places = list(dict.fromkeys(place for address in addresses for place in _resolve(address)))
        for left in reversed(range(_TRIES if port == 0 else 1)):
            try:
                return self._listen(places, port)
            except OSError as error:
                self.close()
                # A port that is free at one address may be taken at the next.
                if error.errno == errno.EADDRINUSE and left:
                    continue
                where = ", ".join(addresses) or "this host"
                raise ModelError(
                    "models_share_port", f"cannot listen at port {port} of {where}: {error.strerror}; name a free port"
                ) from error
        raise AssertionError("the last try returns or raises")

    def _listen(self, places: Sequence[tuple[int, str]], port: int) -> int:
        for family, host in places:
            try:
                port = self._add(family, host, port)
            except OSError as error:
                # An address of a router before this host cannot be listened at, which is no problem.
                if error.errno not in _NOT_OURS:
                    raise
        if not self._servers:
            try:
                return self._add(socket.AF_INET6, "::", port)
            except OSError as error:
                if error.errno not in _NOT_OURS:
                    raise
                return self._add(socket.AF_INET, "0.0.0.0", port)  # noqa: S104 - clients are chosen by their address
        return port

    def _add(self, family: int, host: str, port: int) -> int:
        server = _Server(self.offer, self._tls, family, host, port)
        self._servers.append(server)
        return int(server.server_address[1])

    def serve(self, idle: float) -> None:
        """Answer until nobody asked anything for some time.

        Args:
            idle: That time, in seconds.
        """
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(_LOOK_S,), daemon=True).start()
        while self.offer.idle() < idle and not self._over.wait(min(_LOOK_S, idle)):
            pass
        for server in self._servers:
            # Closing alone would leave it listening until its thread looks up.
            server.socket.shutdown(socket.SHUT_RDWR)
            server.shutdown()
        self.close()

    def stop(self) -> None:
        """Let `serve` return."""
        self._over.set()

    def sockets(self) -> list[int]:
        """The file descriptors that listen."""
        return [server.fileno() for server in self._servers]

    def close(self) -> None:
        """Let go of the sockets. A process that was forked meanwhile keeps its own."""
        for server in self._servers:
            server.server_close()
        self._servers = []


def offered(store: Store, versions: Mapping[str, str]) -> tuple[dict[str, Manifest], dict[str, Path]]:
    """Find what the store has of the wanted versions.

    Args:
        store: The model store.
        versions: Key of the version by name of the model.

    Returns:
        The manifests of those that are there, by name, and all of their files by sha256.
    """
    manifests: dict[str, Manifest] = {}
    files: dict[str, Path] = {}
    for name, key in versions.items():
        found = [manifest for manifest in store.versions(name) if manifest.key == key]
        if found:
            manifests[name] = found[0]
            files.update((entry.sha256, store.folder(name, key) / entry.path) for entry in found[0].files)
    return manifests, files


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """One listening socket; each connection has a thread, which also does the TLS handshake."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, offer: Offer, tls: ssl.SSLContext, family: int, host: str, port: int) -> None:
        self.address_family = family
        self.offer = offer
        self._tls = tls
        self._places = threading.BoundedSemaphore(_CONNECTIONS)
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            # Both kinds of clients where it listens at all addresses, and no clash with a socket for IPv4 elsewhere.
            everywhere = self.server_address[0] == "::"
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if everywhere else 1)
        super().server_bind()

    def verify_request(self, _request: Any, client_address: Any) -> bool:
        return self.offer.admits(str(client_address[0])) and self._places.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request.settimeout(_HANDSHAKE_S)
        secure = self._tls.wrap_socket(request, server_side=True)
        secure.settimeout(_SILENCE_S)
        try:
            _Handler(secure, client_address, self)
        finally:
            secure.close()

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """Clients go away; that is no news, and there is nobody to tell."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    server_version, sys_version = "llmops", ""

    def log_message(self, *_words: Any) -> None:
        """Keep no log: who fetched what is in the results of the play."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        offer = self.server.offer
        if not offer.knows(self.headers.get("Authorization", "")):
            # Nothing is told, not even whether a file is there, and by this header the connection is over here too.
            self._head(HTTPStatus.UNAUTHORIZED, {"Connection": "close"})
            return
        with offer.busy():
            if self.path == "/":
                self._head(HTTPStatus.NO_CONTENT, {})
                return
            match = _FILE.match(self.path)
            try:
                self._file(match.group(1), offer.files[match.group(1)]) if match else self._missing()
            except (KeyError, FileNotFoundError, PermissionError):
                self._missing()

    def _missing(self) -> None:
        self._head(HTTPStatus.NOT_FOUND, {"Content-Length": "0"})

    def _file(self, digest: str, path: Path) -> None:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            headers = {"ETag": f'"{digest}"', "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
            asked = _asked_range(self.headers.get("Range", ""), size)
            if asked is None or self.headers.get("If-Range", headers["ETag"]) != headers["ETag"]:
                begin, end, status = 0, size, HTTPStatus.OK
            elif asked[0] >= asked[1]:
                self._head(
                    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                    {"Content-Range": f"bytes */{size}", "Content-Length": "0"},
                )
                return
            else:
                begin, end, status = asked[0], asked[1], HTTPStatus.PARTIAL_CONTENT
                headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
            self._head(status, {**headers, "Content-Length": str(end - begin)})
            if self.command == "HEAD":
                return
            file.seek(begin)
            self._send(file, end - begin)

    def _send(self, file: Any, left: int) -> None:
        buffer = memoryview(bytearray(min(_CHUNK, max(1, left))))
        while left:
            count = file.readinto(buffer[: min(len(buffer), left)])
            if not count:
                # It became shorter under way: hanging up is the only way to say so.
                self.close_connection = True
                return
            self.connection.sendall(buffer[:count])
            left -= count

    def _head(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _asked_range(text: str, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last of a single range; None for no range, or for one not understood."""
    match = _RANGE.match(text)
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1 if last else size, size)


def _server_context(certificate: str, key: str) -> ssl.SSLContext:
    """Load certificate and key; ssl reads files only, so they are in one that lives in memory and has no name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    descriptor = os.memfd_create("llmops", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, f"{certificate}\n{key}\n".encode("ascii"))
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    except (OSError, ssl.SSLError) as error:
        # The cause may quote what was read.
        raise ModelError(
            "models_share", f"certificate and key cannot be used ({type(error).__name__}); let the play make them"
        ) from None
    finally:
        os.close(descriptor)
    return context


def _resolve(name: str) -> list[tuple[int, str]]:
    """Families and addresses of a name; those of loopback reach nobody else."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    places = [(int(family), str(place[0])) for family, _type, _protocol, _canonical, place in found]
    return [(family, host) for family, host in places if not ipaddress.ip_address(host.partition("%")[0]).is_loopback]
