# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/1.1 connections that are kept and used again, through the proxies of the environment where there are any.

urllib closes each connection after one answer, which costs a range of a large file a handshake and a slow start.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
import threading
import time
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Servers close idle connections after some time; one that is likely closed is not worth a try.
_IDLE_S = 10.0
# The rest of an answer that is read to keep its connection, in bytes; more is cheaper to hang up on.
_DRAIN_MAX = 64 << 10


class Stream:
    """An answer's head and its open body."""

    def __init__(self, pool: Connections, key: str, connection: http.client.HTTPConnection) -> None:
        """Read the head of the answer to the request that was sent."""
        self._pool = pool
        self._key = key
        self._connection: http.client.HTTPConnection | None = connection
        self._response = connection.getresponse()
        self.status = self._response.status
        self.headers = {name.lower(): value for name, value in self._response.headers.items()}

    def read(self, count: int) -> bytes:
        """Read at most that many bytes; fewer only at the body's end."""
        return self._response.read(count)

    def readinto(self, view: memoryview) -> int:
        """Fill a buffer; fewer bytes only at the body's end."""
        return self._response.readinto(view)

    def break_off(self) -> None:
        """Let the thread that reads it get an error, or a body that is too short."""
        if self._connection is not None:
            self._pool.break_off(self._connection)

    def close(self) -> None:
        """Give the connection back for the next request when the body is read (nearly) to its end, else hang up."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._pool.finished(connection)
        left = self._response.length
        with contextlib.suppress(OSError, http.client.HTTPException):
            if not self._response.isclosed() and left is not None and left <= _DRAIN_MAX:
                self._response.read()
        if self._response.isclosed() and not self._response.will_close:
            self._pool.keep(self._key, connection)
            return
        self._response.close()
        connection.close()


class Connections:
    """A pool of connections; its methods may be called by several threads at a time."""

    def __init__(self, ca_path: str | None, timeout: float, ca_data: str | None = None) -> None:
        """Prepare; nothing is read or opened before it is needed.

        Args:
            ca_path: File with the certificates to trust instead of the system's.
            timeout: Seconds without an answer or a byte after which a connection counts as broken.
            ca_data: Certificates to trust instead, as PEM.
        """
        self._ca_path = ca_path
        self._ca_data = ca_data
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: dict[str, list[tuple[float, http.client.HTTPConnection]]] = {}
        # At work, with their sockets: a connection forgets its own where the server closes after an answer.
        self._busy: dict[http.client.HTTPConnection, socket.socket] = {}
        self._context: ssl.SSLContext | None = None

    def send(self, url: str, headers: Mapping[str, str], body: bytes | None) -> Stream:
        """Send a request: GET without a body, POST with one.

        Raises:
            OSError: No connection, or it broke.
            http.client.HTTPException: No HTTP answer.
            ValueError: The address cannot be used.
        """
        parts = urlsplit(url)
        key = f"{parts.scheme}://{parts.netloc}"
        target, more = _target(url)
        while True:
            kept = self._take(key)
            connection = self._dial(url) if kept is None else kept
            try:
                connection.request("GET" if body is None else "POST", target, body, {**headers, **more})
                with self._lock:
                    self._busy[connection] = connection.sock
                return Stream(self, key, connection)
            except (ConnectionError, ssl.SSLError, http.client.CannotSendRequest):
                self.finished(connection)
                connection.close()
                # The server may have closed it while it was idle, which says nothing about a new one.
                if kept is None:
                    raise
            except BaseException:
                self.finished(connection)
                connection.close()
                raise

    def finished(self, connection: http.client.HTTPConnection) -> None:
        """Take note that a connection's answer was read."""
        with self._lock:
            self._busy.pop(connection, None)

    def hang_up(self) -> None:
        """Break all connections that are at work: threads that wait for an answer, or read one, get an error."""
        with self._lock:
            connections = list(self._busy)
        for connection in connections:
            self.break_off(connection)

    def break_off(self, connection: http.client.HTTPConnection) -> None:
        """Break a connection, if it is at work."""
        with self._lock:
            found = self._busy.get(connection)
        if found is not None:
            with contextlib.suppress(OSError):
                # Not TLS's own shutdown: after that a reader would get what is still to be deciphered.
                socket.socket.shutdown(found, socket.SHUT_RDWR)

    def keep(self, key: str, connection: http.client.HTTPConnection) -> None:
        """Take a connection back."""
        with self._lock:
            self._idle.setdefault(key, []).append((time.monotonic(), connection))

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for entries in idle.values():
            for _since, connection in entries:
                connection.close()

    def _take(self, key: str) -> http.client.HTTPConnection | None:
        with self._lock:
            entries = self._idle.get(key, [])
            while entries:
                since, connection = entries.pop()
                if time.monotonic() - since < _IDLE_S:
                    return connection
                connection.close()
        return None

    def _dial(self, url: str) -> http.client.HTTPConnection:
        parts, via = urlsplit(url), _proxy(url)
        secure = parts.scheme == "https"
        if via is None:
            return self._connection(parts.hostname or "", parts.port, secure)
        connection = self._connection(via.hostname or "", via.port or http.client.HTTP_PORT, secure)
        if secure:
            connection.set_tunnel(parts.hostname or "", parts.port or 443, _login(via))
        return connection

    def _connection(self, host: str, port: int | None, secure: bool) -> http.client.HTTPConnection:
        # Without a port the library would look for one in the host, and find the end of an IPv6 address.
        if secure:
            port = port or http.client.HTTPS_PORT
            return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._tls())
        return http.client.HTTPConnection(host, port or http.client.HTTP_PORT, timeout=self._timeout)

    def _tls(self) -> ssl.SSLContext:
        """Made when first needed: a run that asks nobody need not read all certificates."""
        with self._lock:
            if self._context is None:
                try:
                    self._context = ssl.create_default_context(cafile=self._ca_path or None, cadata=self._ca_data)
                except (OSError, ssl.SSLError) as error:
                    raise ModelError("ca_path", f"cannot read certificates from '{self._ca_path}': {error}") from error
            return self._context


def _proxy(url: str) -> SplitResult | None:
    """The proxy of the environment for an address."""
    parts = urlsplit(url)
    # no_proxy may name a host, or a host with its port.
    if any(map(urllib.request.proxy_bypass, (parts.hostname or "", parts.netloc.rpartition("@")[2]))):
        return None
    found = urllib.request.getproxies().get(parts.scheme)
    return None if not found else urlsplit(found if "://" in found else "http://" + found)


def _login(via: SplitResult) -> dict[str, str]:
    if not via.username:
        return {}
    login = "{}:{}".format(unquote(via.username), unquote(via.password or ""))
    return {"Proxy-Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


def _target(url: str) -> tuple[str, dict[str, str]]:
    """What to ask a connection for, and the headers that a proxy wants."""
    parts, via = urlsplit(url), _proxy(url)
    if via is not None and parts.scheme == "http":
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl(), _login(via)
    return (parts.path or "/") + ("?" + parts.query if parts.query else ""), {}
