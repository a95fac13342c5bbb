# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inference server in a process of its own that streams at a known pace, well or badly, and notes its own timing.

What it does with a request is told by the model that is asked for; see `ANSWERS`. It knows when it wrote each piece, so
a client can be held against what the server did on this machine, however busy that is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
import urllib.request
import weakref
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

KEY = "sk-fake-stream"
OVERHEAD = 10
#: Words that do not take one token; 1.5 makes a word whose number is no multiple.
SIZES = {"garden": 2.0, "village": 3.0, "people": 1.5}
PACE = 0.01
_PAGE = "<!doctype html><html><body>Please log in</body></html>"


def tokens_of(text: str) -> int:
    """Tokens of a prompt, as this server counts them."""
    return OVERHEAD + int(sum(SIZES.get(word, 1.0) for word in text.split()[1:]))


@dataclass
class Served:
    """A running server."""

    root: str

    @property
    def url(self) -> str:
        """Its address with `/v1`."""
        return self.root + "/v1"

    def seen(self) -> Any:
        """What it noted since the last call: `gaps` in seconds, `first` waits in seconds, `bodies` of requests."""
        with urllib.request.urlopen(self.root + "/seen") as answer:  # noqa: S310  # our own address
            return json.load(answer)


@contextlib.contextmanager
def fake_stream() -> Iterator[Served]:
    """Runs the server until the block ends."""
    with subprocess.Popen([sys.executable, str(Path(__file__))], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # this file
        assert process.stdout is not None
        try:
            yield Served("http://127.0.0.1:" + process.stdout.readline().strip())
        finally:
            process.terminate()


class Notes:
    """What the server saw and did."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.gaps: list[float] = []
        self.first: list[float] = []
        self.bodies: list[Any] = []

    def take(self) -> dict[str, Any]:
        """Gives everything and forgets it."""
        found = {"gaps": self.gaps, "first": self.first, "bodies": self.bodies}
        self.__init__()  # type: ignore[misc]  # begins anew
        return found


NOTES = Notes()
#: Connections whose next request finds them closed.
LEFT: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()


@dataclass
class Stream:
    """One streamed answer: how many tokens, in which pieces, and how it ends."""

    tokens: int = 0
    short: bool = False
    bundle: int = 1
    usage: bool = True
    finish: bool = True
    done: bool = True
    cut: bool = False
    #: Whether the next request on the connection finds it closed, which nobody said.
    leaves: bool = False
    crlf: bool = False
    split: bool = False
    error: str = ""

    async def __call__(self, request: web.Request, body: Any) -> web.StreamResponse:
        """Writes it."""
        began = time.perf_counter()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if self.cut:
            # A length that is not reached: the connection breaks off within the answer.
            response.content_length = 1_000_000
        await response.prepare(request)
        count = 3 if self.short else body.get("max_tokens", 8)
        await self._write(response, _event({"role": "assistant", "content": ""}))
        last = due = None
        for token in range(0, count, self.bundle):
            due = time.perf_counter() + PACE if due is None else due + PACE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            now = time.perf_counter()
            if last is None:
                NOTES.first.append(now - began)
            else:
                NOTES.gaps.append(now - last)
            last = now
            text = " w" * min(self.bundle, count - token)
            await self._write(response, _event({"content": text}))
        if self.error:
            await self._write(response, {"error": {"message": self.error}})
        if self.finish:
            await self._write(response, _event({}, "stop" if self.short else "length"))
        if self.usage:
            prompt = tokens_of(body["messages"][0]["content"])
            usage = {"prompt_tokens": prompt, "completion_tokens": count, "total_tokens": prompt + count}
            await self._write(response, {"choices": [], "usage": usage, "timings": {"predicted_ms": 1.0}})
        if self.done:
            await response.write(b"data: [DONE]\n\n")
        if self.cut and request.transport is not None:
            request.transport.close()
        return response

    async def _write(self, response: web.StreamResponse, event: Any) -> None:
        data = json.dumps(event).encode()
        if self.crlf:
            await response.write(b": ping\r\n\r\ndata:" + data + b"\r\n\r\n")
        elif self.split:
            for part in (b"da", b"ta: " + data[:9], data[9:] + b"\n", b"\n"):
                await response.write(part)
                await asyncio.sleep(0)
        else:
            await response.write(b"data: " + data + b"\n\n")


def _event(delta: Any, reason: str | None = None) -> Any:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def plain(status: int, text: str, kind: str = "application/json", **headers: str) -> Any:
    """An answer that is the same for every request."""

    async def answer(_: web.Request, __: Any) -> web.Response:
        return web.Response(status=status, text=text, content_type=kind, headers=headers)

    return answer


async def hang(_: web.Request, __: Any) -> web.Response:
    """Says nothing for a long time."""
    await asyncio.sleep(60)
    return web.Response()


_LIMITED = json.dumps({"error": {"message": "slow down"}})
Answer = Callable[[web.Request, Any], Awaitable[web.StreamResponse]]
#: By name of the model, what a request for it brings.
ANSWERS: dict[str, Answer] = {
    "steady": Stream(),
    "bundles": Stream(bundle=4),
    "leaves": Stream(leaves=True),
    "short": Stream(short=True),
    "nousage": Stream(usage=False),
    "crlf": Stream(crlf=True),
    "split": Stream(split=True),
    "nodone": Stream(done=False),
    "nofinish": Stream(finish=False),
    "ended": Stream(done=False, finish=False, usage=False),
    "broken": Stream(done=False, finish=False, usage=False, cut=True),
    "fault": Stream(error="CUDA out of memory"),
    "html": plain(200, _PAGE, "text/html"),
    "html404": plain(404, _PAGE, "text/html"),
    "missing": plain(404, '{"detail": "Not Found"}'),
    "nomodel": plain(404, '{"error": {"message": "The model `nomodel` does not exist."}}'),
    "limited": plain(429, _LIMITED, **{"Retry-After": "7"}),
    "long": plain(400, '{"error": {"message": "maximum context length is 512 tokens"}}'),
    "dead": plain(500, '{"error": "EngineCore died"}'),
    "whole": plain(200, '{"choices": []}'),
    "hang": hang,
}


async def chat(request: web.Request) -> web.StreamResponse:
    """Answers a chat request; one without `stream` as a well-behaved server, but for refusals."""
    if request.headers.get("Authorization") != "Bearer " + KEY:
        return web.json_response({"error": "Unauthorized"}, status=401)
    body = await request.json()
    NOTES.bodies.append(body)
    answer = ANSWERS[body["model"].partition("-")[0]]
    if request.transport in LEFT:
        request.transport.abort()
        return web.Response()
    if request.transport is not None and isinstance(answer, Stream) and answer.leaves:
        LEFT.add(request.transport)
    if body.get("stream") or not isinstance(answer, Stream):
        return await answer(request, body)
    prompt = tokens_of(body["messages"][0]["content"])
    garbage = "!!!!!!!!!!!!" if "garbage" in body["messages"][0]["content"] else "The capital of France is Paris."
    usage = {"prompt_tokens": prompt, "completion_tokens": 8, "total_tokens": prompt + 8}
    message = {"role": "assistant", "content": garbage}
    given = {} if body["model"] == "steady-uncounted" else {"usage": usage}
    return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}], **given})


async def models(_: web.Request) -> web.Response:
    """Lists every model, and some more names of the well-behaved one."""
    names = [*ANSWERS, "steady-uncounted"]
    return web.json_response({"data": [{"id": name} for name in names]})


async def embeddings(request: web.Request) -> web.Response:
    """Gives a vector for each text; one too few if the model is `lossy`."""
    body = await request.json()
    NOTES.bodies.append(body)
    texts = body["input"][1:] if body["model"] == "lossy" else body["input"]
    data = [{"object": "embedding", "index": place, "embedding": [0.5] * 16} for place in range(len(texts))]
    return web.json_response({"data": data, "usage": {"prompt_tokens": 7 * len(texts)}})


async def rerank(request: web.Request) -> web.Response:
    """Ranks as TEI does, which calls the documents texts."""
    body = await request.json()
    NOTES.bodies.append(body)
    if "texts" not in body:
        return web.json_response({"error": "missing field `texts`"}, status=422)
    return web.json_response([{"index": place, "score": 0.5} for place in range(len(body["texts"]))])


async def seen(_: web.Request) -> web.Response:
    """Gives the notes."""
    return web.json_response(NOTES.take())


async def serve() -> None:
    """Serves for ever, having said the port."""
    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_post("/v1/embeddings", embeddings)
    app.router.add_post("/rerank", rerank)
    app.router.add_get("/seen", seen)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
