# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load client of a benchmark: one process, one loop, connections kept open, and a watch on its own lateness."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils import _bench_prompts as prompts_of
from ansible_collections.llmops.serving.plugins.module_utils._bench_metrics import FAILED
from ansible_collections.llmops.serving.plugins.module_utils._bench_prompts import BenchError, Prompts
from ansible_collections.llmops.serving.plugins.module_utils._bench_requests import (
    EMBEDDING,
    RERANK,
    Outcome,
    Target,
    batch_payload,
    chat_payload,
    send,
)
from ansible_collections.llmops.serving.plugins.module_utils._http import HttpError, one_line, request_json
from ansible_collections.llmops.serving.plugins.module_utils._probe import engine_routes

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint

_CHAT_PATH, _EMBEDDING_PATH, _RERANK_PATH = "/chat/completions", "/embeddings", "/rerank"
_ABSENT = (404, 405)
# TEI names the list of documents `texts`, and says so in its refusal.
_REFUSED = (400, 422)
# Below the 5 s after which uvicorn, before most engines, closes a connection that idles.
_KEEP_ALIVE = 4.0
_BEAT = 0.01
_NICE = -10
# After this many failures, and no answer, the server is not one that can be measured.
_HOPELESS = 20
# A server that refuses at once shall not be hammered. Such requests are counted, and their times are none.
_PAUSE = 0.1


def load_aiohttp(libraries: str | None) -> Any:
    """Imports aiohttp.

    Args:
        libraries: Folder that is searched first; None for the interpreter's own packages only.

    Raises:
        BenchError: It is not there.
    """
    if libraries:
        if not Path(libraries).is_dir():
            raise BenchError(f"libraries is {libraries}, which is no folder", "set libraries to where aiohttp lies")
        sys.path.insert(0, libraries)
    try:
        import aiohttp  # noqa: PLC0415  # only this function needs it, and it may not be there
    except ImportError as error:
        version = ".".join(str(part) for part in sys.version_info[:2])
        seen = f"{sys.executable} (Python {version}) cannot import aiohttp: {one_line(str(error), 200)}"
        remedy = "install aiohttp for that Python, or set libraries to a folder that holds it"
        raise BenchError(seen, remedy) from None
    return aiohttp


def raise_priority() -> None:
    """Goes before the engine on a busy machine, where the system lets us: a client that waits measures itself."""
    with suppress(OSError):
        os.nice(_NICE)


@asynccontextmanager
async def open_session(aiohttp: Any, endpoint: Endpoint) -> AsyncIterator[Any]:
    """A session with as many connections as there are requests, kept open between them.

    Raises:
        HttpError: The key or the authority cannot be used.
    """
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "llmops-serving"}
    key = endpoint.api_key
    if key is not None:
        # Checked here, so that no library repeats a header that it refuses.
        if not key.strip() or not key.isascii() or not key.isprintable():
            raise HttpError("bad_key", "the API key cannot be used: it is empty or no line of ASCII")
        headers["Authorization"] = "Bearer " + key
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE, ssl=_trust(endpoint)),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=endpoint.timeout, sock_read=endpoint.timeout),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[_trace(aiohttp)],
        trust_env=False,
    )
    async with session:
        yield session


def _trace(aiohttp: Any) -> Any:
    """Notes on each request whether its connection was used before."""

    async def note(_session: Any, context: Any, _params: Any) -> None:
        if context.trace_request_ctx is not None:
            context.trace_request_ctx["is_reused"] = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(note)
    return trace


def _trust(endpoint: Endpoint) -> ssl.SSLContext | bool:
    if not endpoint.ca_path:
        return True
    path = Path(endpoint.ca_path)
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(**{"capath" if path.is_dir() else "cafile": str(path)})
    except OSError as error:
        raise HttpError("ca", f"cannot load ca_path {path}: {error.strerror or error}") from None
    return context


def find_target(endpoint: Endpoint, model: str, work: Mapping[str, Any]) -> Target:
    """Where the requests of a task go.

    Chat and embeddings have their place under `/v1`; for a reranker the server is asked, once.

    Raises:
        HttpError: The server has no such route.
    """
    if work["task"] != RERANK:
        base = endpoint.base_url.rstrip("/")
        base += "" if base.endswith("/v1") else "/v1"
        return Target(endpoint, model, work, base + (_EMBEDDING_PATH if work["task"] == EMBEDDING else _CHAT_PATH))
    absent: HttpError | None = None
    for url in engine_routes(endpoint, _RERANK_PATH):
        try:
            return _rerank_target(endpoint, model, work, url)
        except HttpError as error:
            if error.status not in _ABSENT or error.kind == "model_not_found":
                raise
            absent = absent or error
    raise absent or ValueError("no routes")


def _rerank_target(endpoint: Endpoint, model: str, work: Mapping[str, Any], url: str) -> Target:
    target = Target(endpoint, model, work, url)
    try:
        request_json(endpoint, "POST", url, batch_payload(target, ["a", "b"], "a"))
    except HttpError as error:
        if error.status not in _REFUSED or "texts" not in error.seen:
            raise
        target = Target(endpoint, model, work, url, "texts")
        request_json(endpoint, "POST", url, batch_payload(target, ["a", "b"], "a"))
    return target


class Requests:
    """The requests of a step in order, each made once."""

    def __init__(self, target: Target, seed: int, step: str, words: Mapping[str, int], overhead: int) -> None:
        """Prepares the prompts.

        Args:
            target: Where they go.
            seed: Of the whole run.
            step: What tells this step from every other of the run.
            words: By word, its tokens; empty for other tasks than chat.
            overhead: Tokens of the template and of what stands before the words.

        Raises:
            BenchError: No prompt of the set length can be made.
        """
        self._target, self._seed, self._step = target, seed, step
        work = target.work
        self._fixed: Sequence[str] = work["prompts"]
        self._prompts = None
        if target.is_chat and not self._fixed:
            room = work["input_tokens"] - overhead
            smallest = min(words.values()) if words else 1
            if room < smallest:
                seen = (
                    f"work.input_tokens is {work['input_tokens']}, but the chat template alone takes {overhead} tokens"
                )
                raise BenchError(seen, f"set work.input_tokens to at least {overhead + smallest}")
            self._prompts = Prompts(seed, step, words, room, work["shared_tokens"])
        self.items = work["batch"] if not target.is_chat else 1
        self._texts: list[list[str]] = []
        self._bodies: list[bytes] = []

    def body(self, index: int) -> bytes:
        """The request of an index as JSON."""
        while len(self._bodies) <= index:
            self._add(len(self._bodies))
        return self._bodies[index]

    def digest(self, count: int) -> str:
        """SHA-256 over the texts of the first `count` requests."""
        return prompts_of.digest(self._texts[:count])

    def _add(self, index: int) -> None:
        target, work = self._target, self._target.work
        if target.is_chat:
            texts = [self._prompts.make(index) if self._prompts else self._fixed[index % len(self._fixed)]]
            payload = chat_payload(target, texts[0])
        else:
            fixed = self._fixed
            texts = (
                [fixed[(index * self.items + place) % len(fixed)] for place in range(self.items)]
                if fixed
                else prompts_of.texts(self._seed, self._step, index, self.items, work["input_tokens"])
            )
            payload = batch_payload(target, texts, prompts_of.QUERY)
        self._texts.append(texts)
        self._bodies.append(json.dumps(payload).encode("utf-8"))


class Load:
    """Sends the requests of a step until there were enough of them and enough time.

    Attributes:
        outcomes: What became of them, in order of sending.
    """

    def __init__(self, session: Any, target: Target, requests: Requests, least: Mapping[str, float]) -> None:
        """Nothing is sent yet.

        Args:
            session: An `aiohttp.ClientSession`.
            target: Where to.
            requests: What.
            least: `requests` and `seconds`, both to be reached, and `max_seconds`, after which nothing more is sent.
        """
        self._session, self._target, self._requests, self._least = session, target, requests, least
        self._sent = 0
        self._failed = 0
        self._answered = 0
        self._start = 0.0
        self.outcomes: list[Outcome] = []

    async def closed(self, concurrency: int) -> None:
        """Keeps `concurrency` requests under way."""
        self._start = time.perf_counter()
        await asyncio.gather(*(self._worker() for _worker in range(concurrency)))

    async def open(self, rate: float, rng: random.Random) -> None:
        """Sends at random times, `rate` requests a second in the mean, whether or not earlier ones are answered."""
        self._start = due = time.perf_counter()
        tasks = []
        while self._is_more():
            tasks.append(asyncio.ensure_future(self._send()))
            due += rng.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await asyncio.gather(*tasks)

    def _is_more(self) -> bool:
        elapsed = time.perf_counter() - self._start
        if self._failed >= _HOPELESS and not self._answered:
            return False
        if self._sent and elapsed >= self._least["max_seconds"]:
            return False
        return self._sent < self._least["requests"] or elapsed < self._least["seconds"]

    async def _worker(self) -> None:
        while self._is_more():
            if (await self._send()).state == FAILED:
                await asyncio.sleep(_PAUSE)

    async def _send(self) -> Outcome:
        index = self._sent
        self._sent += 1
        # The place is kept now, so that the order is that of sending.
        self.outcomes.append(Outcome())
        outcome = await send(self._session, self._target, self._requests.body(index), self._requests.items)
        self.outcomes[index] = outcome
        if outcome.state == FAILED:
            self._failed += 1
        else:
            self._answered += 1
        return outcome


@contextmanager
def heartbeat(loop: asyncio.AbstractEventLoop) -> Iterator[list[float]]:
    """Measures how late the loop hears of things: a signal comes at known times, as bytes of an answer come at unknown.

    A timer of the loop itself would not do: it is rounded up to whole milliseconds.

    Args:
        loop: The running loop, in the main thread.

    Yields:
        The list to which each lateness is added, in seconds.
    """
    late: list[float] = []
    due = time.perf_counter() + _BEAT

    def beat() -> None:
        nonlocal due
        now = time.perf_counter()
        if now < due:
            # Of several signals that came while the loop was held, the first has told it.
            return
        late.append(now - due)
        due += _BEAT * (int((now - due) / _BEAT) + 1)

    loop.add_signal_handler(signal.SIGALRM, beat)
    signal.setitimer(signal.ITIMER_REAL, _BEAT, _BEAT)
    try:
        yield late
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        loop.remove_signal_handler(signal.SIGALRM)


async def open_connections(session: Any, target: Target, count: int) -> None:
    """Opens the connections of a step before it is measured; what the server says is of no interest."""

    async def touch() -> None:
        with suppress(Exception):
            async with session.get(target.endpoint.url("/models"), allow_redirects=False) as response:
                await response.read()

    await asyncio.gather(*(touch() for _connection in range(count)))
