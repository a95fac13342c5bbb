# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP for the model store: redirects by hand, credentials for one origin only, patience with busy servers."""

from __future__ import annotations

import email.utils
import hashlib
import http.client
import random
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, NoReturn
from urllib.parse import urljoin, urlsplit

from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

USER_AGENT = "llmops.serving"
CHUNK = 1 << 20
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_HOPS = 6
# A signed address on another host that has expired answers one of these; asking the hub again gives a new one.
_EXPIRED = (401, 403, 404, 410)
_TRANSIENT = (408, 429, 500, 502, 503, 504)
# Progress that earns a long transfer its retries back, in bytes.
_FORGIVEN_AFTER = 16 << 20


class HttpError(Exception):
    """A request that did not give an answer to use.

    Attributes:
        kind: ``status`` (an HTTP error), ``network``, ``tls`` or ``redirect``.
        status: The HTTP status, 0 without one.
        headers: The answer's headers, names in lower case.
        host: ``host`` or ``host:port`` that failed.
        detail: The cause in words.
        away: Whether it failed on another origin than the one first asked.
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


@dataclass
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
    body: IO[bytes]

    def close(self) -> None:
        """Close the connection."""
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


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Redirects come back as answers: the credential's way is decided here, hop by hop."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


class HttpClient:
    """A small HTTP client on the standard library; proxies come from the environment as usual."""

    def __init__(
        self,
        ca_path: str | None = None,
        timeout: float = 30.0,
        retry: Retry | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare a client.

        Args:
            ca_path: File with the certificates to trust instead of the system's.
            timeout: Seconds for connecting and for each read.
            retry: Patience with busy servers and broken connections; the default of ``Retry`` when left out.
            sleep: How to pause (tests put a clock here).
        """
        self.ca_path = ca_path
        self.timeout = timeout
        self.retry = retry or Retry()
        self.sleep = sleep
        self._opener: urllib.request.OpenerDirector | None = None

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
            sent.update({k: v for k, v in (headers or {}).items() if home or k.lower() != "authorization"})
            status, answer_headers, stream = self._once(url, sent, body, not home)
            first = answer_headers if first is None else first
            if status not in _REDIRECTS:
                return Answer(status, answer_headers, first, url, stream)
            stream.close()
            url = self._next(url, answer_headers)
            if body is not None and status in (301, 302, 303):
                raise HttpError("redirect", _host(url), f"it redirects a POST with status {status}")
        raise HttpError("redirect", _host(url), f"more than {_MAX_HOPS - 1} redirects")

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
                self.pause(error, attempt)
                attempt += 1

    def pause(self, error: HttpError, attempt: int) -> None:
        """Wait before the next attempt, or raise the error when there is none."""
        if not error.transient or attempt >= self.retry.attempts:
            raise error
        if error.wait is not None:
            if error.wait > self.retry.cap:
                raise error
            self.sleep(error.wait)
            return
        seconds = min(self.retry.cap, self.retry.base * 2 ** (attempt - 1))
        self.sleep(seconds * (0.5 + random.random() / 2))  # noqa: S311 - spreads retries, guards nothing

    def _once(
        self, url: str, headers: Mapping[str, str], body: bytes | None, away: bool
    ) -> tuple[int, dict[str, str], IO[bytes]]:
        request = urllib.request.Request(url, data=body, headers=dict(headers))  # noqa: S310 - schemes are checked
        try:
            answer = self._connections().open(request, timeout=self.timeout)
            return answer.status, _lower(answer.headers), answer
        except urllib.error.HTTPError as error:
            if error.code in _REDIRECTS:
                return error.code, _lower(error.headers), error
            found = _lower(error.headers)
            error.close()
            raise HttpError(
                "status", _host(url), f"HTTP {error.code}", status=error.code, headers=found, away=away
            ) from None
        except urllib.error.URLError as error:
            reason = error.reason if isinstance(error.reason, Exception) else error
            raise_network(url, reason)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise_network(url, error)

    def _connections(self) -> urllib.request.OpenerDirector:
        """The opener, made when first needed: a run that asks nobody need not read all certificates."""
        if self._opener is None:
            try:
                context = ssl.create_default_context(cafile=self.ca_path or None)
            except (OSError, ssl.SSLError) as error:
                raise ModelError("ca_path", f"cannot read certificates from '{self.ca_path}': {error}") from error
            self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _NoRedirect())
        return self._opener

    @staticmethod
    def _next(url: str, headers: Mapping[str, str]) -> str:
        target = urljoin(url, headers.get("location", ""))
        parts = urlsplit(target)
        if parts.scheme not in ("http", "https") or not parts.hostname or not headers.get("location"):
            raise HttpError("redirect", _host(url), "it redirects to no http(s) address")
        if urlsplit(url).scheme == "https" and parts.scheme == "http":
            raise HttpError("redirect", _host(url), f"it redirects from https to plain http ({_host(target)})")
        return target


@dataclass(frozen=True)
class Download:
    """A file to fetch.

    Attributes:
        label: How messages call it, such as ``tiny.gguf``.
        variable: The inventory variable to name in messages.
        link: Gives address and headers; asked again when an address expires.
        handed_out: Whether the hub handed the address out (an LFS object's): a refusal there is not the hub's own.
        auth: Credential for its own origin.
        size: Bytes, None when unknown.
        sha256: Expected digest, empty when unknown.
        on_bytes: Told the count of bytes of each piece that arrives (negative when a start over drops some).
    """

    label: str
    variable: str
    link: Callable[[], tuple[str, Mapping[str, str]]]
    handed_out: bool = False
    auth: Auth = NO_AUTH
    size: int | None = None
    sha256: str = ""
    on_bytes: Callable[[int], None] = lambda _count: None


class _Progress:
    """What has arrived of one file: its bytes on disk and the running digest."""

    def __init__(self, file: IO[bytes], on_bytes: Callable[[int], None]) -> None:
        self.file = file
        self.on_bytes = on_bytes
        self.offset = 0
        self.etag = ""
        self.resumed = False
        self.size: int | None = None
        self.digest = hashlib.sha256()

    def restart(self) -> None:
        self.on_bytes(-self.offset)
        self.file.seek(0)
        self.file.truncate()
        self.offset = 0
        self.digest = hashlib.sha256()

    def add(self, piece: bytes) -> None:
        self.file.write(piece)
        self.digest.update(piece)
        self.offset += len(piece)
        self.on_bytes(len(piece))


def download(client: HttpClient, want: Download, target: Path) -> tuple[int, str]:
    """Stream a file to its place, hashing it on the way.

    A broken connection goes on by range where the server's strong ETag proves that the file is the same; else it
    starts over. The target must not exist; what is left of it after an error is the caller's to remove.

    Returns:
        Size in bytes and sha256.

    Raises:
        ModelError: Truncated, too long, or another sha256 than expected.
        HttpError: The server gave no answer to use.
    """
    renewed = False
    attempt, mark = 1, 0
    with target.open("xb") as file:
        state = _Progress(file, want.on_bytes)
        state.size = want.size
        while True:
            try:
                _stream(client, want, state)
                found = state.digest.hexdigest()
                if want.sha256 and found != want.sha256 and state.resumed:
                    # Pieces of two different files: not worth an error before one try in a single piece.
                    state.restart()
                    state.resumed, state.etag = False, ""
                    continue
                break
            except HttpError as error:
                error.away = error.away or want.handed_out
                if error.away and error.status in _EXPIRED and not renewed:
                    renewed = True
                    continue
                if state.offset - mark >= _FORGIVEN_AFTER:
                    attempt, mark = 1, state.offset
                if error.detail.startswith("truncated") and attempt >= client.retry.attempts:
                    raise ModelError(
                        want.variable,
                        f"{want.label} from {error.host} is {error.detail}; run again, or check the hub's copy",
                    ) from error
                client.pause(error, attempt)
                attempt += 1
        if want.sha256 and found != want.sha256:
            raise ModelError(
                want.variable,
                f"{want.label} arrived with sha256 {found}, expected {want.sha256}: the file was changed or "
                "damaged on its way; run again, and if it stays so correct sha256 or the hub's copy",
            )
    return state.offset, found


def _stream(client: HttpClient, want: Download, state: _Progress) -> None:
    url, extra = want.link()
    headers = dict(extra)
    if state.offset and state.etag:
        headers.update({"Range": f"bytes={state.offset}-", "If-Range": state.etag})
    elif state.offset:
        state.restart()
    answer = client.open(url, want.auth, headers)
    try:
        start, total = content_range(answer)
        if answer.status == http.client.PARTIAL_CONTENT and start == state.offset:
            state.resumed = state.resumed or state.offset > 0
        elif state.offset:
            state.restart()
        if state.size is None:
            state.size = total
        elif total is not None and total != state.size:
            raise wrong_size(want.variable, want.label, answer, total, state.size)
        etag = answer.headers.get("etag", "")
        state.etag = etag if etag.startswith('"') and answer.headers.get("accept-ranges") != "none" else ""
        _copy(answer, want, state)
    finally:
        answer.close()
    if state.size is not None and state.offset < state.size:
        raise HttpError("network", _host(answer.url), f"truncated: {state.offset} of {state.size} bytes came")


def _copy(answer: Answer, want: Download, state: _Progress) -> None:
    while True:
        try:
            piece = answer.body.read(CHUNK)
        except http.client.IncompleteRead as error:
            piece = error.partial
        except (OSError, http.client.HTTPException) as error:
            raise_network(answer.url, error)
        if not piece:
            return
        if state.size is not None and state.offset + len(piece) > state.size:
            raise ModelError(
                want.variable,
                f"{want.label} is longer on {_host(answer.url)} than the {state.size} bytes expected: the "
                "hub's copy is not the wanted file",
            )
        state.add(piece)


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
        f"{label} {what} on {_host(answer.url)}: it has {seen} bytes there, expected {wanted}; upload it again, or "
        "pin another revision",
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: ``Retry-After`` (seconds or a date) or ``RateLimit``'s ``t=``."""
    value = headers.get("retry-after", "").strip()
    if re.match(r"\d+(\.\d+)?\Z", value):
        return float(value)
    if value:
        try:
            when = email.utils.parsedate_to_datetime(value)
        except (TypeError, ValueError):
            return None
        return max(0.0, when.timestamp() - time.time())
    limit = re.search(r";\s*t=(\d+)", headers.get("ratelimit", ""))
    return float(limit.group(1)) if limit else None


def origin(url: str) -> str:
    """Scheme, host and port of a URL: what decides who may see a credential."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return "{}://{}:{}".format(parts.scheme, (parts.hostname or "").lower(), port)


def raise_network(url: str, error: Exception) -> NoReturn:
    """Turn an exception of the standard library into an ``HttpError`` that tells what may help."""
    if isinstance(error, ssl.SSLCertVerificationError):
        raise HttpError("tls", _host(url), error.verify_message or str(error)) from None
    if isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN:
        raise HttpError("name", _host(url), f"its name does not resolve ({error.strerror})") from None
    if isinstance(error, ssl.SSLError):
        raise HttpError("tls", _host(url), str(error)) from None
    if isinstance(error, socket.timeout):
        raise HttpError("network", _host(url), "no answer in time") from None
    detail = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    raise HttpError("network", _host(url), detail) from None


def _host(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or url
    return host if parts.port is None else f"{host}:{parts.port}"


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


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
        raise HttpError("network", _host(answer.url), f"truncated: {len(data)} of {total} bytes came")
    return data
