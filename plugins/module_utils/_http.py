# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP client for inference servers: JSON, server-sent events, one deadline per request, errors with a remedy.

It speaks to the server named in the URL and to nobody else: no proxy from the environment, no redirect followed, one
connection per request. Every failure is an `HttpError` that says what was seen and what to do about it; the API key is
never part of one.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: `get_status` says this while a server may still come up.
NOT_READY = "not_ready"
#: Stands where a secret was.
HIDDEN = "********"

_BLOCK = 65536
_LIMIT = 16 * 1024 * 1024
_EXCERPT = 300
_UNAVAILABLE = 503
_FIRST_REDIRECT = 300
_FIRST_ERROR = 400
_FIRST_SERVER_ERROR = 500

# What to do, by kind of failure: those of the transport, of a status, of a content. No "; " within any of them, since
# that divides what was seen from what to do.
_REMEDIES = {
    "refused": "nothing listens there: see whether the server runs (its unit and its log), and whether url names the "
    "address and port it is bound to",
    "reset": "the server closed the connection without a full answer: it is still starting or it died, see its log. "
    "If the port speaks TLS, url must begin with https://",
    "timeout": "see in the server's log whether it works on the request or hangs. A slow server needs a higher timeout",
    "tls": "give the authority that signed the server's certificate as ca_path and the name in that certificate as "
    "the host in url. If the server speaks plain HTTP, url must begin with http://",
    "ca": "ca_path must be a readable PEM file, or a directory of such files prepared by c_rehash",
    "dns": "the host in url does not resolve on this machine: correct it, or use an IP address",
    "unreachable": "no route to the host in url: see its address, the network and the firewall between",
    "not_http": "the port does not speak HTTP: correct the port in url. If it speaks TLS, url must begin with https://",
    "bad_url": "url must look like http://127.0.0.1:8000/v1, without user, password, query or fragment",
    "bad_key": "an API key must be one non-empty line of printable ASCII: correct api_key or the file api_key_file, "
    "or leave both out for a server without a key",
    "redirect": "the probe follows no redirect: give the final address as url",
    "bad_request": "the server refused the request: see its message, and whether this model serves this kind of task",
    "unauthorized": "the server wants another API key: set api_key or api_key_file to the key it was started with",
    "forbidden": "the key may not do this, or a gateway blocks the path: use another key, or allow the path",
    "not_found": "the server has no such route: check the path in url (most engines want /v1 at its end, infinity only "
    "with --url-prefix /v1) and whether the engine serves this kind of task",
    "model_not_found": "the server does not serve a model of that name: set model to one that it lists under /models",
    "too_long": "the input is longer than the server takes: shorten it, or raise the engine's context or batch size",
    "rate_limited": "the server is overloaded or limits requests: try again later, or raise its queue or rate limit",
    "not_supported": "the engine was started without this task: add the flag it names, or probe another server",
    "unavailable": "the server is still loading its model or is overloaded: wait until it is ready, then try again",
    "server_error": "the engine fails on a real request: the cause is in its log, near the time of this probe",
    "status": "the server answers what an inference server does not: check url and what listens there",
    "html": "that is a web page, not an API: url points to a web interface, a proxy or a login page: give the API's "
    "address, for instance http://127.0.0.1:8000/v1",
    "broken_json": "the answer is cut off or not JSON: check that url is the API's address, and the server's log",
    "not_stream": "the server or a proxy before it ignores `stream: true`: switch the proxy's buffering off, or update "
    "the engine",
    "too_big": "an inference server does not answer a probe at this length: check url and what listens there",
    "shape": "the answer is JSON but not of this task: check url, and whether this model serves this kind of task",
}

_STATUS_KINDS = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "not_found",
    413: "too_long",
    429: "rate_limited",
    501: "not_supported",
    _UNAVAILABLE: "unavailable",
}

# The first class that matches names the kind; subclasses stand before their bases.
_EXCEPTION_KINDS: Sequence[tuple[type[BaseException], str]] = (
    (ssl.SSLEOFError, "reset"),
    (ssl.SSLZeroReturnError, "reset"),
    (socket.timeout, "timeout"),
    (TimeoutError, "timeout"),
    (ssl.SSLError, "tls"),
    (ConnectionRefusedError, "refused"),
    (ConnectionError, "reset"),
    (socket.gaierror, "dns"),
    (http.client.IncompleteRead, "reset"),
    (http.client.HTTPException, "not_http"),
    (OSError, "unreachable"),
)


class HttpError(Exception):
    """A request that brought no usable answer.

    Attributes:
        kind: Machine-readable cause, a key of the table of remedies.
        seen: What happened, one line.
        remedy: What to do about it, one line.
        status: HTTP status, if one came.
        body: The answer's JSON or text, if one came.
    """

    def __init__(self, kind: str, seen: str, status: int | None = None, body: Any = None) -> None:
        """Looks the remedy up by kind."""
        self.kind = kind
        self.seen = one_line(seen, 600)
        self.remedy = _REMEDIES[kind]
        self.status = status
        self.body = body
        super().__init__(f"{self.seen}; {self.remedy}")


@dataclass(frozen=True)
class Endpoint:
    """Where a server answers and how to speak to it.

    Attributes:
        base_url: Address of the API, with or without `/v1`, for instance `http://127.0.0.1:8001/v1`.
        api_key: Sent as bearer token; None for a server without a key.
        timeout: Seconds for one whole request, from connecting to the last byte.
        ca_path: PEM file or directory of further trusted authorities.
        validate_certs: False accepts any certificate.
    """

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    ca_path: str | None = None
    validate_certs: bool = True

    def url(self, path: str) -> str:
        """The address of `path` (`/models`) under the base."""
        return self.base_url.rstrip("/") + path

    def hide(self, text: str) -> str:
        """`text` without the key, as it stands or as JSON writes it."""
        if not self.api_key:
            return text
        for form in (self.api_key, json.dumps(self.api_key)[1:-1]):
            text = text.replace(form, HIDDEN)
        return text

    def hide_all(self, value: Any) -> Any:
        """A JSON value without the key in any of its strings."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, list):
            return [self.hide_all(item) for item in value]
        if isinstance(value, dict):
            return {self.hide(str(name)): self.hide_all(item) for name, item in value.items()}
        return value


@dataclass(frozen=True)
class Answer:
    """A complete JSON answer with a good status.

    Attributes:
        body: Parsed JSON.
        url: Where it came from.
        seconds: From connecting to the last byte.
    """

    body: Any
    url: str
    seconds: float


@dataclass(frozen=True)
class Event:
    """One server-sent event: its data, and the seconds since the request began."""

    data: str
    seconds: float


@dataclass(frozen=True)
class Stream:
    """The events that came before the stream ended.

    Attributes:
        events: In order; the last one's data is `[DONE]` if the server ended the stream properly.
        url: Where they came from.
        seconds: From connecting to the end.
        problem: Why the stream broke off; None if it ended by itself.
    """

    events: tuple[Event, ...]
    url: str
    seconds: float
    problem: HttpError | None = None


def one_line(text: str, limit: int = _EXCERPT) -> str:
    """`text` with runs of white space made one space, at most `limit` characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 3] + "..."


def request_json(endpoint: Endpoint, method: str, url: str, payload: Any = None) -> Answer:
    """Sends one request and returns its JSON answer.

    Args:
        endpoint: Key, timeout and trust.
        method: GET or POST.
        url: Full address, as `Endpoint.url` makes it.
        payload: Sent as JSON; None for no body.

    Returns:
        The answer, whose status was 2xx.

    Raises:
        HttpError: There was no answer, or none of use.
    """
    started = time.monotonic()
    with _exchange(endpoint, method, url, payload, "application/json") as response:
        data = b"".join(_blocks(response))
        body = _judge(endpoint, method, url, response, data)
    return Answer(body, url, time.monotonic() - started)


def request_text(endpoint: Endpoint, url: str) -> str:
    """Gets an answer that is text, such as metrics.

    Args:
        endpoint: Key, timeout and trust.
        url: Full address.

    Raises:
        HttpError: There was no answer, or none with a good status.
    """
    with _exchange(endpoint, "GET", url, None, "text/plain, */*") as response:
        data = b"".join(_blocks(response))
        if response.status >= _FIRST_REDIRECT:
            _judge(endpoint, "GET", url, response, data)
    return data.decode("utf-8", "replace")


def request_events(endpoint: Endpoint, url: str, payload: Any) -> Stream:
    """Posts one request and reads server-sent events until `[DONE]`, the end or the deadline.

    Args:
        endpoint: Key, timeout and trust.
        url: Full address.
        payload: Sent as JSON.

    Returns:
        The events, with `problem` set if the stream broke off.

    Raises:
        HttpError: No stream began.
    """
    started = time.monotonic()
    events: list[Event] = []
    problem = None
    try:
        with _exchange(endpoint, "POST", url, payload, "text/event-stream") as response:
            _demand_stream(endpoint, url, response)
            _collect(response, started, events)
    except HttpError as error:
        if not events:
            raise
        problem = error
    return Stream(tuple(events), url, time.monotonic() - started, problem)


def get_status(
    url: str,
    timeout: float = 5.0,
    api_key: str | None = None,
    ca_path: str | None = None,
    validate_certs: bool = True,
) -> int | str:
    """Asks once how a server is, to be called until it answers.

    Args:
        url: Full address, for instance of `/health`.
        timeout: Seconds for the whole request.
        api_key: Sent as bearer token.
        ca_path: PEM file or directory of further trusted authorities.
        validate_certs: False accepts any certificate.

    Returns:
        The HTTP status; or `NOT_READY` for refused, reset, timed out and 503 alike (they all occur while an engine
        loads); or the kind of an `HttpError` that waiting does not heal.
    """
    endpoint = Endpoint(url, api_key, timeout, ca_path, validate_certs)
    try:
        status = request_status(endpoint, "GET", url)
    except HttpError as error:
        return NOT_READY if error.kind in ("refused", "reset", "timeout") else error.kind
    return NOT_READY if status == _UNAVAILABLE else status


def request_status(endpoint: Endpoint, method: str, url: str, payload: Any = None) -> int:
    """Sends one request and returns the status of its answer, of which nothing more is read.

    Args:
        endpoint: Key, timeout and trust.
        method: Of HTTP.
        url: Full address.
        payload: Sent as JSON; None for no body.

    Raises:
        HttpError: No answer came.
    """
    with _exchange(endpoint, method, url, payload, "*/*") as response:
        return int(response.status)


def read_key(path: str) -> str:
    """The API key in a file, without the line's end.

    Args:
        path: File on this machine.

    Raises:
        HttpError: The file cannot be read. (An empty key is refused when it is used.)
    """
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise HttpError("bad_key", f"cannot read api_key_file {path}: {reason}") from None


class _DeadlineReader(io.RawIOBase):
    """Gives each read of a socket the time that is left of the whole request.

    A socket's own timeout starts anew with every byte, so a server that drips would hold the caller for ever.
    """

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, deadline: float) -> None:
        super().__init__()
        self._sock = sock
        self._raw = raw
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_left(self._deadline))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _response_class(deadline: float) -> Any:
    """A maker of responses that obey the deadline, in the place of `http.client.HTTPResponse`."""

    def make(sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(sock, *args, **kwargs)
        response.fp = io.BufferedReader(_DeadlineReader(sock, response.fp.detach(), deadline))
        return response

    return make


def _context(endpoint: Endpoint) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not endpoint.validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif endpoint.ca_path:
        path = endpoint.ca_path
        is_dir = Path(path).is_dir()
        try:
            context.load_verify_locations(cafile=None if is_dir else path, capath=path if is_dir else None)
        except OSError as error:
            raise HttpError("ca", f"cannot load ca_path {path}: {error.strerror or error}") from None
    return context


def _connection(endpoint: Endpoint, url: str, deadline: float) -> tuple[http.client.HTTPConnection, str]:
    """An unopened connection for a URL, and the path to ask for."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    # A password in a URL would end up in messages, so such a URL is not even repeated.
    if not host or parts.username is not None or parts.password is not None:
        raise HttpError("bad_url", "url names no host, or holds a user name or a port that is no number")
    if parts.scheme not in ("http", "https") or parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise HttpError("bad_url", f"url is {url}")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = _context(endpoint)
        connection = http.client.HTTPSConnection(host, port or 443, timeout=_left(deadline), context=context)
    else:
        connection = http.client.HTTPConnection(host, port or 80, timeout=_left(deadline))
    connection.response_class = _response_class(deadline)
    return connection, parts.path or "/"


def _headers(endpoint: Endpoint, accept: str) -> dict[str, str]:
    headers = {
        "Accept": accept,
        "Accept-Encoding": "identity",
        "Connection": "close",
        "User-Agent": "llmops-serving",
    }
    key = endpoint.api_key
    if key is not None:
        # Checked here because http.client repeats a header that it refuses in its message.
        if not key.strip() or not key.isascii() or not key.isprintable():
            seen = "it is empty" if not key.strip() else "it holds a line break or a character that is not ASCII"
            raise HttpError("bad_key", f"the API key cannot be used: {seen}")
        headers["Authorization"] = "Bearer " + key
    return headers


@contextmanager
def _exchange(
    endpoint: Endpoint, method: str, url: str, payload: Any, accept: str
) -> Iterator[http.client.HTTPResponse]:
    """Sends a request, gives the response whose head has come, and turns every exception of the transport."""
    deadline = time.monotonic() + endpoint.timeout
    headers = _headers(endpoint, accept)
    connection, path = _connection(endpoint, url, deadline)
    data = None
    if payload is not None:
        data = json.dumps(payload).encode("utf-8")
        headers["Content-Type"] = "application/json"
    response = None
    try:
        connection.connect()
        connection.sock.settimeout(_left(deadline))
        connection.request(method, path, body=data, headers=headers)
        response = connection.getresponse()
        yield response
    except (OSError, http.client.HTTPException) as error:
        raise _translated(error, endpoint, f"{method} {url}") from None
    finally:
        if response is not None:
            response.close()
        connection.close()


def _translated(error: Exception, endpoint: Endpoint, where: str) -> HttpError:
    kind = next(kind for cls, kind in _EXCEPTION_KINDS if isinstance(error, cls))
    reason = {
        "refused": "connection refused",
        "reset": "connection closed before the answer was complete",
        "timeout": f"no complete answer within {endpoint.timeout:g} s",
        "not_http": "the answer is not HTTP",
    }.get(kind)
    if reason is None:
        reason = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or type(error).__name__
    return HttpError(kind, endpoint.hide(f"{where}: {reason}"))


def _blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body as it comes.

    Raises:
        http.client.IncompleteRead: It ended before its declared length or its last chunk.
        HttpError: It is longer than any sane answer.
    """
    declared = response.headers.get("Content-Length", "")
    # Python before 3.12 does not count in read1(), so the length is watched here.
    expected = int(declared) if declared.isdigit() and not response.chunked else None
    seen = 0
    while expected is None or seen < expected:
        block = response.read1(_BLOCK)
        if not block:
            if expected is not None:
                raise http.client.IncompleteRead(b"", expected - seen)
            return
        seen += len(block)
        if seen > _LIMIT:
            raise HttpError("too_big", f"the answer is longer than {_LIMIT >> 20} MiB", response.status)
        yield block


def _collect(response: http.client.HTTPResponse, started: float, events: list[Event]) -> None:
    """Appends each event to `events` when it is complete; returns after `[DONE]` or at the end."""
    rest = b""
    data: list[str] = []
    for block in _blocks(response):
        now = time.monotonic() - started
        # An event ends at an empty line; \r\n, \n and \r all end a line.
        lines = (rest + block).replace(b"\r\n", b"\n").split(b"\n")
        rest = lines.pop()
        for raw in lines:
            line = raw.rstrip(b"\r").decode("utf-8", "replace")
            if line.startswith("data:"):
                data.append(line[5:].lstrip(" "))
            elif not line and data:
                events.append(Event("\n".join(data), now))
                data = []
                if events[-1].data == "[DONE]":
                    return


def _demand_stream(endpoint: Endpoint, url: str, response: http.client.HTTPResponse) -> None:
    """Raises what a non-stream answer deserves: its own error if it is one, else that no stream came."""
    kind = response.headers.get_content_type()
    if response.status < _FIRST_REDIRECT and kind == "text/event-stream":
        return
    _judge(endpoint, "POST", url, response, b"".join(_blocks(response)))
    raise HttpError("not_stream", f"POST {url}: a stream was asked, {kind} came", response.status)


def _judge(endpoint: Endpoint, method: str, url: str, response: http.client.HTTPResponse, data: bytes) -> Any:
    """The JSON of a good answer.

    Raises:
        HttpError: The status is not 2xx, or the body is a page or no JSON.
    """
    where = f"{method} {url}"
    status = response.status
    text = data.decode("utf-8", "replace")
    try:
        body, is_json = json.loads(text), True
    except (ValueError, RecursionError):
        body, is_json = text, False
    page = _is_page(response, text)
    if status < _FIRST_REDIRECT and is_json and not page:
        return body
    body = endpoint.hide_all(body)
    if status < _FIRST_REDIRECT:
        if page:
            raise HttpError("html", f"{where}: HTTP {status} with an HTML page", status, body)
        what = "a body that is not JSON: " + one_line(body, 80) if text.strip() else "an empty body"
        raise HttpError("broken_json", f"{where}: HTTP {status} with {what}", status, body)
    if status < _FIRST_ERROR:
        target = endpoint.hide(response.headers.get("Location", "nowhere").split("?")[0])
        raise HttpError("redirect", f"{where}: HTTP {status} redirects to {target}", status, body)
    said = "an HTML page" if page else server_message(body)
    seen = f"{where}: HTTP {status} ({said})" if said else f"{where}: HTTP {status}"
    raise HttpError(_status_kind(status, said), seen, status, body)


def _is_page(response: http.client.HTTPResponse, text: str) -> bool:
    if response.headers.get_content_type() == "text/html" and text.strip():
        return True
    return text.lstrip()[:15].lower().startswith(("<!doctype html", "<html"))


def _status_kind(status: int, said: str) -> str:
    """The kind for a status; the server's own words tell a missing model from a missing route."""
    words = said.lower()
    if status in (400, 404) and "model" in words and ("not exist" in words or "not found" in words):
        return "model_not_found"
    if "too large to process" in words or "context length" in words or "context size" in words:
        return "too_long"
    if status in _STATUS_KINDS:
        return _STATUS_KINDS[status]
    return "server_error" if status >= _FIRST_SERVER_ERROR else "bad_request"


def server_message(body: Any) -> str:
    """What the server says in an error body, one line; empty if it says nothing.

    Source: vLLM, Aphrodite, llama.cpp and infinity write `error.message`; SGLang, TEI `message`; TGI, vLLM's
    middleware `error`; FastAPI `detail` as text or as a list of `{"msg", "loc"}`.
    """
    if isinstance(body, dict):
        for name in ("error", "message", "detail", "msg"):
            if body.get(name):
                return server_message(body[name])
        return ""
    if isinstance(body, list):
        return one_line(", ".join(filter(None, (server_message(item) for item in body[:3]))))
    return one_line(body) if isinstance(body, str) else ""
