# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP for the model store: redirects by hand, credentials for one origin only, patience with busy servers."""

from __future__ import annotations

import email.utils
import http.client
import random
import re
import socket
import ssl
import string
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, urljoin, urlsplit

from ansible_collections.llmops.serving.plugins.module_utils._model_connections import Connections, Stream
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, split_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

USER_AGENT = "llmops.serving"
CHUNK = 1 << 20
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_HOPS = 6
_OPEN_HEADERS = ("range", "if-range", "accept", "content-type", "git-protocol")
# TLS connections that broke, as any may.
_BROKEN_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
_TRANSIENT = (408, 429, 500, 502, 503, 504)


class HttpError(Exception):
    """A request that did not give an answer to use.

    Attributes:
        kind: ``status`` (an HTTP error), ``network``, ``tls`` or ``redirect``.
        status: The HTTP status, 0 without one.
        headers: The answer's headers, names in lower case.
        host: ``host`` or ``host:port`` that failed.
        detail: The cause in words.
        away: Whether it failed on another origin than the one first asked.
        label: The file that was asked for, empty when it was none.
        wait: Seconds that the server asks to wait, None when it does not say.
    """

    def __init__(  # noqa: PLR0913 - the facts of one answer
        self,
        kind: str,
        host: str,
        detail: str,
        *,
        status: int = 0,
        headers: Mapping[str, str] | None = None,
        away: bool = False,
    ) -> None:
        super().__init__(f"{host}: {detail}")
        self.kind = kind
        self.host = host
        self.detail = detail
        self.status = status
        self.headers = dict(headers or {})
        self.away = away
        self.label = ""
        self.wait = retry_after(self.headers)

    @property
    def transient(self) -> bool:
        """Whether asking again may help."""
        return self.kind == "network" or self.status in _TRANSIENT


@dataclass(frozen=True)
class Auth:
    """A credential and the only origin that may see it."""

    origin: str
    header: str = field(repr=False)

    def headers_for(self, url: str) -> dict[str, str]:
        """The header for this URL; empty when the URL is on another origin."""
        return {"Authorization": self.header} if self.header and origin(url) == self.origin else {}


NO_AUTH = Auth("", "")


@dataclass(eq=False)
class Answer:
    """An open answer below status 300.

    Attributes:
        status: 200 or 206.
        headers: Headers of the last hop, names in lower case.
        first: Headers of the first hop: a hub says there what it knows about the file before it redirects.
        url: The address of the last hop.
        body: The stream; close it.
    """

    status: int
    headers: dict[str, str]
    first: dict[str, str]
    url: str
    body: Stream

    @property
    def host(self) -> str:
        """``host`` or ``host:port`` of the last hop."""
        return host_of(self.url)

    def close(self) -> None:
        """Let go of the connection."""
        self.body.close()


@dataclass(frozen=True)
class Retry:
    """How often and how long to try.

    Attributes:
        attempts: Requests in all, at least 1.
        base: First pause in seconds; it doubles each time.
        cap: The longest pause in seconds, also when the server asks for more.
    """

    attempts: int = 5
    base: float = 0.5
    cap: float = 120.0


class HttpClient:
    """A small HTTP client on the standard library; proxies come from the environment as usual."""

    def __init__(
        self,
        ca_path: str | None = None,
        timeout: float = 30.0,
        retry: Retry | None = None,
        sleep: Callable[[float], None] = time.sleep,
        ca_data: str | None = None,
    ) -> None:
        """Prepare a client.

        Args:
            ca_path: File with the certificates to trust instead of the system's.
            timeout: Seconds for connecting and for each read.
            retry: Patience with busy servers and broken connections; the default of ``Retry`` when left out.
            sleep: How to pause (tests put a clock here).
            ca_data: Certificates to trust instead, as PEM.
        """
        self.retry = retry or Retry()
        self.timeout = timeout
        self.sleep = sleep
        self._connections = Connections(ca_path, timeout, ca_data)

    def open(
        self,
        url: str,
        auth: Auth = NO_AUTH,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Send one request and follow its redirects, without retries.

        Args:
            url: Where to ask; GET without a body, POST with one.
            auth: Credential, sent to its own origin only.
            headers: Further headers; ``Authorization`` among them goes to the first origin only.
            body: Bytes to post.

        Returns:
            The open answer.

        Raises:
            HttpError: Any status but 2xx, a broken connection, an untrusted certificate, a bad redirect.
        """
        start = url
        first: dict[str, str] | None = None
        for _hop in range(_MAX_HOPS):
            sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
            sent.update(auth.headers_for(url))
            home = origin(url) == origin(start)
            sent.update((headers or {}) if home else for_others(headers or {}))
            status, answer_headers, stream = self._once(url, sent, body, not home)
            first = answer_headers if first is None else first
            if status not in _REDIRECTS:
                return Answer(status, answer_headers, first, url, stream)
            stream.close()
            url = self._next(url, answer_headers)
            if body is not None and status in (301, 302, 303):
                raise HttpError("redirect", host_of(url), f"it redirects a POST with status {status}")
        raise HttpError("redirect", host_of(url), f"more than {_MAX_HOPS - 1} redirects")

    def hang_up(self) -> None:
        """Break all connections that are at work, so that no thread waits for them."""
        self._connections.hang_up()

    def fetch(
        self,
        url: str,
        auth: Auth = NO_AUTH,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit: int = 8 << 20,
    ) -> tuple[Answer, bytes]:
        """Send a request with retries and read its answer's first bytes.

        Args:
            url: Where to ask.
            auth: Credential for its own origin.
            headers: Further headers.
            body: Bytes to post.
            limit: Bytes of the answer to read; the rest is left.

        Returns:
            The closed answer and its first bytes.

        Raises:
            HttpError: After the last attempt, or at once when asking again cannot help.
        """

        def once() -> tuple[Answer, bytes]:
            answer = self.open(url, auth, headers, body)
            try:
                return answer, _read_exactly(answer, limit)
            finally:
                answer.close()

        attempt = 1
        while True:
            try:
                return once()
            except HttpError as error:
                self.sleep(retry_delay(self.retry, error, attempt))
                attempt += 1

    def _once(
        self, url: str, headers: Mapping[str, str], body: bytes | None, away: bool
    ) -> tuple[int, dict[str, str], Stream]:
        try:
            stream = self._connections.send(url, headers, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise_network(url, error)
        if stream.status < http.client.MULTIPLE_CHOICES or stream.status in _REDIRECTS:
            return stream.status, stream.headers, stream
        stream.close()
        raise HttpError(
            "status",
            host_of(url),
            f"HTTP {stream.status}",
            status=stream.status,
            headers=stream.headers,
            away=away,
        )

    @staticmethod
    def _next(url: str, headers: Mapping[str, str]) -> str:
        try:
            # Some write their addresses as they are; http.client has read them as Latin-1.
            target = quote(urljoin(url, headers.get("location", "")), safe=string.punctuation, encoding="latin-1")
        except ValueError:
            target = ""
        parts = split_url(target)
        if parts is None or not headers.get("location"):
            raise HttpError("redirect", host_of(url), "it redirects to no http(s) address")
        if urlsplit(url).scheme == "https" and parts.scheme == "http":
            raise HttpError("redirect", host_of(url), f"it redirects from https to plain http ({host_of(target)})")
        return target


def for_others(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that another origin may see as well: those that say what is wanted, none that may be a secret."""
    return {name: value for name, value in headers.items() if name.lower() in _OPEN_HEADERS}


def content_range(answer: Answer) -> tuple[int, int | None]:
    """The first byte's position and the whole file's size, None when unknown."""
    if answer.status == http.client.PARTIAL_CONTENT:
        match = re.match(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("content-range", ""))
        if match:
            return int(match.group(1)), None if match.group(2) == "*" else int(match.group(2))
        return -1, None
    length = answer.headers.get("content-length", "")
    return 0, int(length) if length.isdigit() else None


def wrong_size(variable: str, label: str, answer: Answer, seen: int, wanted: int) -> ModelError:
    """A host that offers another size than the hub, or the pointer, announced."""
    what = "is truncated" if seen < wanted else "is not the wanted file"
    return ModelError(
        variable,
        f"{label} {what} on {host_of(answer.url)}: it has {seen} bytes there, expected {wanted}; upload it again, or "
        "pin another revision",
    )


def retry_delay(retry: Retry, error: HttpError, attempt: int) -> float:
    """Seconds to wait before the next attempt: as long as the server asks for, else twice as long as the last time.

    Raises:
        HttpError: The error itself, when there is no next attempt.
    """
    if not error.transient or attempt >= retry.attempts:
        raise error
    # Spread, so that hosts which were told the same do not all come back at the same moment.
    spread = random.random()  # noqa: S311 - guards nothing
    if error.wait is not None:
        if error.wait > retry.cap:
            raise error
        return error.wait + spread * min(1.0, error.wait / 10)
    return min(retry.cap, retry.base * float(2 ** (attempt - 1))) * (0.5 + spread / 2)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: ``Retry-After`` (seconds or a date), or an exhausted ``RateLimit``."""
    value = headers.get("retry-after", "").strip()
    if re.match(r"\d+(\.\d+)?\Z", value):
        return float(value)
    if value:
        try:
            when = email.utils.parsedate_to_datetime(value)
        except (TypeError, ValueError):
            return None
        return max(0.0, when.timestamp() - time.time())
    # Hubs send it with all answers: it asks to wait only where nothing remains.
    limit = re.search(r";\s*r=0\s*;\s*t=(\d+)", headers.get("ratelimit", ""))
    return float(limit.group(1)) if limit else None


def origin(url: str) -> str:
    """Scheme, host and port of a URL: what decides who may see a credential."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return "{}://{}:{}".format(parts.scheme, (parts.hostname or "").lower(), port)


def raise_network(url: str, error: Exception) -> NoReturn:
    """Turn an exception of the standard library into an ``HttpError`` that tells what may help."""
    if isinstance(error, ssl.SSLCertVerificationError):
        raise HttpError("tls", host_of(url), error.verify_message or str(error)) from None
    if isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN:
        raise HttpError("name", host_of(url), f"its name does not resolve ({error.strerror})") from None
    if isinstance(error, ssl.SSLError) and not isinstance(error, _BROKEN_TLS):
        raise HttpError("tls", host_of(url), str(error)) from None
    if isinstance(error, socket.timeout):
        raise HttpError("network", host_of(url), "no answer in time") from None
    detail = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    raise HttpError("network", host_of(url), detail) from None


def host_of(url: str) -> str:
    """``host`` or ``host:port`` of a URL, for messages."""
    parts = urlsplit(url)
    host = parts.hostname or url
    return host if parts.port is None else f"{host}:{parts.port}"


def _read_exactly(answer: Answer, limit: int) -> bytes:
    """Up to ``limit`` bytes; a connection that ends before the announced length is an error to retry."""
    _start, total = content_range(answer)
    length = answer.headers.get("content-length", "")
    wanted = min(limit, int(length)) if length.isdigit() else limit
    try:
        data = answer.body.read(wanted)
    except (OSError, http.client.HTTPException) as error:
        raise_network(answer.url, error)
    if length.isdigit() and len(data) < wanted:
        raise HttpError("network", host_of(answer.url), f"truncated: {len(data)} of {total} bytes came")
    return data
