# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The requests of a benchmark: what is sent, and what came back when.

A stream is read as its bytes arrive; every event gets the time at which the bytes that completed it came.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._bench_metrics import CUT, FAILED, GOOD, SHORT
from ansible_collections.llmops.serving.plugins.module_utils._http import HttpError, one_line, server_message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint

CHAT, EMBEDDING, RERANK = "chat", "embedding", "rerank"
#: In the fields that fix an answer's length this stands for the number of tokens.
LENGTH_WORD = "output_tokens"

_DONE = b"[DONE]"
_OK = 200
_FIRST_REDIRECT = 300
_FIRST_ERROR = 400
_FIRST_SERVER_ERROR = 500
_BODY_LIMIT = 64 * 1024
_KINDS = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "not_found",
    413: "too_long",
    429: "rate_limited",
    501: "not_supported",
    503: "unavailable",
}
_TOO_LONG = ("too large to process", "context length", "context size", "exceed")
# By name of an exception's class, or of one of its bases, the kind of failure and what to say. aiohttp is not imported
# here, since this file must be readable without it.
_EXCEPTIONS = {
    "ConnectionRefusedError": ("refused", "connection refused"),
    "ClientConnectorCertificateError": ("tls", "the certificate is not trusted"),
    "ClientSSLError": ("tls", "no TLS connection"),
    "ClientConnectorDNSError": ("dns", "the name does not resolve"),
    "gaierror": ("dns", "the name does not resolve"),
    "TimeoutError": ("timeout", "no byte within {timeout:g} s"),
    "ClientConnectorError": ("unreachable", "no connection"),
    "ServerDisconnectedError": ("reset", "connection closed before the answer was complete"),
    "ClientPayloadError": ("reset", "connection closed before the answer was complete"),
    "ConnectionError": ("reset", "connection closed before the answer was complete"),
    # aiohttp's name for what the system said of an open connection.
    "ClientOSError": ("reset", "connection closed before the answer was complete"),
    "InvalidURL": ("bad_url", "no address of an API"),
    "ClientResponseError": ("not_http", "the answer is not HTTP"),
    "OSError": ("unreachable", "no connection"),
}
# Vectors are long, and reading their numbers would hold the loop and falsify the times of the other requests.
_ENTRY = re.compile(rb'"index"\s*:')
_PROMPT_TOKENS = re.compile(rb'"prompt_tokens"\s*:\s*(\d+)')


@dataclass
class Outcome:
    """One request and what became of it; times in seconds of `time.perf_counter`.

    Attributes:
        sent: When it was sent.
        first: When its first piece of text came.
        end: When the last piece came, or for a whole answer its last byte.
        closed: When the exchange was over.
        gaps: Times between pieces.
        chunks: Number of pieces.
        prompt: Tokens of the prompt in the server's count; None if it did not say.
        written: Tokens of the answer, in the server's count or else the number of pieces.
        finish: Why the answer ended, in the server's words.
        state: `good`, `short`, `cut` or `failed`.
        error: Why it failed or was cut.
        is_answered: Whether the head of an answer came.
        is_reused: Whether its connection had served others before.
    """

    sent: float = 0.0
    first: float = 0.0
    end: float = 0.0
    closed: float = 0.0
    gaps: list[float] = field(default_factory=list)
    chunks: int = 0
    prompt: int | None = None
    written: int = 0
    finish: Any = None
    state: str = FAILED
    error: HttpError | None = None
    is_answered: bool = False
    is_reused: bool = False


@dataclass(frozen=True)
class Target:
    """Where requests go.

    Attributes:
        endpoint: Base address, key, timeout, trust.
        model: Name to ask for.
        work: The task and its lengths.
        url: Address of the route.
        documents: What the server calls the list of a reranker's documents.
    """

    endpoint: Endpoint
    model: str
    work: Mapping[str, Any]
    url: str
    documents: str = "documents"

    @property
    def is_chat(self) -> bool:
        """Whether answers are streamed text."""
        return bool(self.work["task"] == CHAT)

    @property
    def expected(self) -> int | None:
        """Tokens that every answer must have; None if its length is not fixed."""
        tokens: int | None = self.work["output_tokens"]
        return tokens if self.work["length"] else None


class EventParser:
    """Takes a stream of server-sent events apart.

    The engines write the data of an event in one line, so a line is an event, whether or not an empty one follows.
    """

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._rest = b""

    def feed(self, block: bytes) -> list[bytes]:
        """The data of the events that this block completes."""
        lines = (self._rest + block if self._rest else block).split(b"\n")
        self._rest = lines.pop()
        return [data for data in map(_data, lines) if data]

    def end(self) -> list[bytes]:
        """The data of a last line without an end."""
        data = _data(self._rest)
        self._rest = b""
        return [data] if data else []


def _data(line: bytes) -> bytes:
    return line[5:].strip() if line.startswith(b"data:") else b""


def chat_payload(target: Target, prompt: str) -> dict[str, Any]:
    """The body of a request for a streamed answer to one prompt."""
    work = target.work
    payload: dict[str, Any] = {
        "model": target.model,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if work["output_tokens"] is not None:
        payload["max_tokens"] = work["output_tokens"]
    for name, value in work["length"].items():
        payload[name] = work["output_tokens"] if value == LENGTH_WORD else value
    return payload


def batch_payload(target: Target, batch: Sequence[str], query: str) -> dict[str, Any]:
    """The body of a request for embeddings of some texts, or for a ranking of them."""
    if target.work["task"] == EMBEDDING:
        return {"model": target.model, "input": list(batch)}
    return {"model": target.model, "query": query, target.documents: list(batch)}


async def send(session: Any, target: Target, body: bytes, items: int) -> Outcome:
    """Sends one request of the task and reads its answer.

    Args:
        session: An `aiohttp.ClientSession`.
        target: Where to.
        body: The request as JSON.
        items: Texts or documents in it.

    Returns:
        What became of it; never an exception of the transport.
    """
    while True:
        if target.is_chat:
            outcome = await _send_chat(session, target, body)
        else:
            outcome = await _send_batch(session, target, body, items)
        if outcome.is_answered or not _was_left(outcome.error, outcome.is_reused):
            return outcome


def _was_left(error: HttpError | None, is_reused: bool) -> bool:
    """Whether a request met a connection that the server had left before.

    llama.cpp closes one after a stream without a word of it (seen with server-b11243), and only the next request on it
    tells. That one never reached the server, so it is sent anew, and its time begins anew. On a connection of its own a
    request that has no answer has failed.
    """
    return is_reused and error is not None and error.kind == "reset"


async def _send_chat(session: Any, target: Target, body: bytes) -> Outcome:
    reader = _ChatReader()
    outcome = reader.outcome
    notes: dict[str, bool] = {}
    try:
        outcome.sent = time.perf_counter()
        async with session.post(target.url, data=body, allow_redirects=False, trace_request_ctx=notes) as response:
            outcome.is_answered = True
            if response.status != _OK or response.content_type != "text/event-stream":
                raise await _refusal(target, response)
            parser = EventParser()
            async for block in response.content.iter_any():
                now = time.perf_counter()
                for data in parser.feed(block):
                    reader.take(data, now)
            for data in parser.end():
                reader.take(data, now)
    except HttpError as error:
        outcome.error = error
    except Exception as error:  # aiohttp's classes are not known here; `translated` raises strange ones
        outcome.error = translated(error, target)
    outcome.closed = time.perf_counter()
    outcome.is_reused = "is_reused" in notes
    reader.judge(target)
    return outcome


class _ChatReader:
    """Reads the events of one streamed answer."""

    def __init__(self) -> None:
        self.outcome = Outcome()
        self._is_first = True
        self._is_done = False
        self._fault = ""
        self._written: int | None = None

    def take(self, data: bytes, now: float) -> None:
        """Takes the data of one event that came at `now`."""
        if data == _DONE:
            self._is_done = True
            return
        try:
            event = json.loads(data)
            choices = event.get("choices")
        except (ValueError, AttributeError):
            self._fault = self._fault or "an event that is no JSON object: {}".format(
                one_line(data.decode("utf-8", "replace"), 80)
            )
            return
        if choices:
            self._take_choice(choices[0], now)
        elif choices is None and not event.get("usage"):
            self._fault = self._fault or server_message(event) or "an event without choices"
        usage = event.get("usage")
        if usage:
            self.outcome.prompt = _count(usage.get("prompt_tokens"))
            self._written = _count(usage.get("completion_tokens"))

    def _take_choice(self, choice: Mapping[str, Any], now: float) -> None:
        outcome = self.outcome
        delta = choice.get("delta") or {}
        if carries_text(delta, self._is_first):
            if outcome.chunks:
                outcome.gaps.append(now - outcome.end)
            else:
                outcome.first = now
            outcome.chunks += 1
            outcome.end = now
        self._is_first = False
        if choice.get("finish_reason"):
            outcome.finish = choice["finish_reason"]
            # The end may come later than the last piece, where the last tokens make no whole character.
            outcome.end = now

    def judge(self, target: Target) -> None:
        """Says what became of the request."""
        outcome = self.outcome
        outcome.written = outcome.chunks if self._written is None else self._written
        where = f"POST {target.url}"
        is_ended = self._is_done or bool(outcome.finish)
        if self._fault:
            outcome.error = HttpError("server_error", target.endpoint.hide(f"{where}: {self._fault}"))
        elif outcome.error is not None:
            # What broke off after it had begun is cut; that nothing came for too long is a failure of the server.
            if outcome.chunks and outcome.error.kind == "reset":
                outcome.state = CUT
        elif not is_ended:
            outcome.state = CUT if outcome.chunks else FAILED
            outcome.error = HttpError("reset", f"{where}: the stream ended without finish_reason and without [DONE]")
        elif not outcome.chunks:
            outcome.error = HttpError("shape", f"{where}: the stream held no text")
        else:
            expected = target.expected
            outcome.state = SHORT if expected is not None and outcome.written < expected else GOOD


def carries_text(delta: Mapping[str, Any], is_first: bool) -> bool:
    """Whether a delta brings a token.

    An empty text does so too: the token was a special one, or the first bytes of a character (vLLM, Aphrodite). But the
    first event of an answer with an empty text only names the role, and one without any text only the end (llama.cpp,
    SGLang).

    Args:
        delta: What the event adds to the answer.
        is_first: Whether it is the answer's first event.
    """
    content = delta.get("content")
    if content or delta.get("reasoning_content") or delta.get("reasoning"):
        return True
    return content is not None and not is_first


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


async def _send_batch(session: Any, target: Target, body: bytes, items: int) -> Outcome:
    outcome = Outcome()
    notes: dict[str, bool] = {}
    try:
        outcome.sent = time.perf_counter()
        async with session.post(target.url, data=body, allow_redirects=False, trace_request_ctx=notes) as response:
            outcome.is_answered = True
            if response.status != _OK:
                raise await _refusal(target, response)
            data = await response.read()
        outcome.end = time.perf_counter()
        entries = len(_ENTRY.findall(data))
        if entries != items:
            kind = "html" if _is_page(response.content_type, data[:200].decode("utf-8", "replace")) else "shape"
            raise HttpError(kind, f"POST {target.url}: {entries} results for {items} texts")
        found = _PROMPT_TOKENS.search(data)
        outcome.prompt = int(found.group(1)) if found else None
        outcome.state = GOOD
    except HttpError as error:
        outcome.error = error
    except Exception as error:  # as above
        outcome.error = translated(error, target)
    outcome.closed = time.perf_counter()
    outcome.is_reused = "is_reused" in notes
    return outcome


async def ask(session: Any, target: Target, prompt: str, max_tokens: int) -> Any:
    """Asks a question whose answer comes whole.

    Args:
        session: An `aiohttp.ClientSession`.
        target: Where to.
        prompt: What the user says.
        max_tokens: Most tokens of the answer.

    Returns:
        The parsed answer.

    Raises:
        HttpError: There was none of use.
    """
    payload = {
        "model": target.model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": max_tokens,
        "temperature": 0,
    }
    body = json.dumps(payload).encode("utf-8")
    while True:
        notes: dict[str, bool] = {}
        is_answered = False
        try:
            async with session.post(target.url, data=body, allow_redirects=False, trace_request_ctx=notes) as response:
                is_answered = True
                if response.status != _OK or response.content_type != "application/json":
                    raise await _refusal(target, response)
                data = await response.read()
            break
        except HttpError:
            raise
        except Exception as error:  # as above
            failure = translated(error, target)
            if is_answered or not _was_left(failure, "is_reused" in notes):
                raise failure from None
    try:
        return json.loads(data)
    except ValueError:
        raise HttpError("broken_json", f"POST {target.url}: a body that is not JSON") from None


def translated(error: Exception, target: Target) -> HttpError:
    """An exception of the transport as a failure with a remedy; any other is a fault of this code and raised again."""
    # aiohttp wraps what the operating system said.
    for one in (getattr(error, "os_error", None), error):
        for cls in type(one).__mro__:
            known = _EXCEPTIONS.get(cls.__name__)
            if known and not (one is not error and known[0] == "unreachable"):
                kind, said = known
                said = said.format(timeout=target.endpoint.timeout)
                return HttpError(kind, target.endpoint.hide(f"POST {target.url}: {said}"))
    raise error


async def _refusal(target: Target, response: Any) -> HttpError:
    """What an answer that is not the one asked for says."""
    where, status = f"POST {target.url}", response.status
    text = (await response.content.read(_BODY_LIMIT)).decode("utf-8", "replace")
    hide = target.endpoint.hide
    if status < _FIRST_REDIRECT:
        return _strange(where, response.content_type, hide(text))
    if status < _FIRST_ERROR:
        return HttpError("redirect", hide(f"{where}: HTTP {status} redirects elsewhere"), status)
    try:
        said = server_message(json.loads(text))
    except (ValueError, RecursionError):
        said = "an HTML page" if _is_page(response.content_type, text) else server_message(text)
    seen = f"{where}: HTTP {status}" + (f" ({said})" if said else "")
    wait = response.headers.get("Retry-After")
    if wait:
        seen += f", Retry-After: {one_line(wait, 40)}"
    return HttpError(_kind(status, said), hide(seen), status)


def _strange(where: str, content_type: str, text: str) -> HttpError:
    """A good status with something else than what was asked for."""
    if _is_page(content_type, text):
        return HttpError("html", f"{where}: HTTP 200 with an HTML page", _OK)
    try:
        said = server_message(json.loads(text))
    except (ValueError, RecursionError):
        said = one_line(text, 80)
    if said:
        return HttpError("server_error", f"{where}: HTTP 200 with {said}", _OK)
    return HttpError("not_stream", f"{where}: HTTP 200 with {content_type}, a stream was asked", _OK)


def _is_page(content_type: str, text: str) -> bool:
    start = text.lstrip()[:15].lower()
    return (content_type == "text/html" and bool(start)) or start.startswith(("<!doctype html", "<html"))


def _kind(status: int, said: str) -> str:
    words = said.lower()
    if status in (400, 404) and "model" in words and ("not exist" in words or "not found" in words):
        return "model_not_found"
    if status < _FIRST_SERVER_ERROR and any(word in words for word in _TOO_LONG) and "rate" not in words:
        return "too_long"
    if status in _KINDS:
        return _KINDS[status]
    return "server_error" if status >= _FIRST_SERVER_ERROR else "bad_request"
