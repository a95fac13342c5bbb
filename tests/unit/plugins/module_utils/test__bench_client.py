# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load client against a server that knows its own timing."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._bench_client import heartbeat, load_aiohttp
from ansible_collections.llmops.serving.plugins.module_utils._bench_metrics import percentile
from ansible_collections.llmops.serving.plugins.module_utils._bench_prompts import POOL, BenchError
from ansible_collections.llmops.serving.plugins.module_utils._bench_step import run_step
from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint, HttpError
from tests.unit.plugins.fake_stream import KEY, OVERHEAD, SIZES, Served, fake_stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORDS = {word: int(SIZES.get(word, 1)) for word in POOL if word != "people"}
LENGTH = {"ignore_eos": True, "min_tokens": "output_tokens"}

#: The client's errors that are accepted at 64 streams.
ERRORS = {"p50_ms": 0.05, "p99_ms": 0.25, "mean_ms": 0.05}
#: Where others take the processors, client and server are woken late, each by a share of its own; not every time.
TRIES = 10


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with fake_stream() as served:
        yield served


def work(**words: Any) -> dict[str, Any]:
    given = {
        "task": "chat",
        "input_tokens": 40,
        "output_tokens": 6,
        "shared_tokens": 0,
        "batch": 1,
        "prompts": [],
        "length": LENGTH,
    }
    return given | words


def step(server: Served, model: str = "steady", timeout: float = 5.0, key: str = KEY, **words: Any) -> dict[str, Any]:
    options: dict[str, Any] = {
        "model": model,
        "work": work(),
        "libraries": None,
        "seed": 1,
        "words": WORDS,
        "overhead": OVERHEAD,
        "repetition": 1,
        "concurrency": None if "rate" in words else 2,
        "rate": None,
        "requests": 4,
        "seconds": 0.0,
        "max_seconds": 30.0,
        "limits": {"cpu_share": 1.0, "lateness": 9.0},
    }
    return run_step(Endpoint(server.url, key, timeout), options | words)


def test_at_64_streams_it_measures_what_the_server_did(server: Served) -> None:
    wrong: dict[str, float] = {}
    for _ in range(TRIES):
        wrong = {name: value for name, value in _errors_at_64_streams(server).items() if abs(value) > ERRORS[name]}
        if not wrong:
            break
    assert not wrong, f"wrong by such a share each time: {wrong}"


def _errors_at_64_streams(server: Served) -> dict[str, float]:
    """By what share the client's numbers differ from those that the server noted, and they are of all streams."""
    server.seen()
    found = step(server, concurrency=64, requests=64, work=work(output_tokens=80))
    gaps = sorted(gap * 1000 for gap in server.seen()["gaps"])
    assert found["requests"] == {"sent": 64, "good": 64, "failed": 0, "short": 0, "cut": 0}
    assert found["itl"]["count"] == len(gaps) == 64 * 79
    true = {"p50_ms": percentile(gaps, 50), "p99_ms": percentile(gaps, 99), "mean_ms": sum(gaps) / len(gaps)}
    return {name: found["itl"][name] / value - 1 for name, value in true.items()}


def test_a_good_step_says_everything(server: Served) -> None:
    server.seen()
    found = step(server)
    noted = server.seen()
    assert found["requests"] == {"sent": 4, "good": 4, "failed": 0, "short": 0, "cut": 0}
    assert found["errors"] == []
    assert found["tokens"] == {
        "input": 160, "output": 24, "set_input": 40, "off_input": 0, "chunks": 24, "from": "usage",
    }  # fmt: skip
    assert [len(values) for values in found["samples"].values()] == [4] * 5
    assert found["samples"]["output_tokens"] == [6] * 4
    # The first event names the role only, and comes 10 ms before the first piece of text.
    assert min(found["samples"]["ttft_ms"]) >= min(noted["first"]) * 1000
    for ttft, tpot, e2el in zip(*(found["samples"][name] for name in ("ttft_ms", "tpot_ms", "e2el_ms")), strict=True):
        assert tpot == pytest.approx((e2el - ttft) / 5, abs=0.002)
    assert sum(found["itl"]["histogram"]["counts"]) == found["itl"]["count"] == 20
    assert found["seconds"] >= max(found["samples"]["e2el_ms"]) / 1000
    assert (found["concurrency"], found["rate"], found["repetition"]) == (2, None, 1)
    assert not found["client"]["bottleneck"]
    sent = noted["bodies"]
    assert {body["max_tokens"] for body in sent} == {body["min_tokens"] for body in sent} == {6}
    assert all(body["ignore_eos"] and body["temperature"] == 0 for body in sent)
    assert len({body["messages"][0]["content"] for body in sent}) == 4


def test_the_prompts_follow_from_the_seed_and_the_step(server: Served) -> None:
    def hashed(**words: Any) -> str:
        return str(step(server, **{"requests": 2, "work": work(output_tokens=1), **words})["prompts"])

    first = hashed()
    assert hashed() == first
    others = {hashed(seed=2), hashed(repetition=2), hashed(concurrency=1), hashed(rate=500.0)}
    assert len(others - {first}) == 4


# What a server does, and how many of four requests it makes what, with the words of the error.
STREAMS = [
    ("bundles", {"good": 4}, "", {"output": 24, "chunks": 8, "from": "usage"}),
    ("crlf", {"good": 4}, "", {"output": 24, "chunks": 24}),
    ("split", {"good": 4}, "", {"output": 24, "chunks": 24}),
    ("nousage", {"good": 4}, "", {"output": 24, "input": 0, "from": "stream"}),
    ("nodone", {"good": 4}, "", {"output": 24}),
    ("nofinish", {"good": 4}, "", {"output": 24}),
    ("short", {"short": 4}, "", {"output": 12}),
]


@pytest.mark.parametrize(("model", "counts", "error", "tokens"), STREAMS, ids=[row[0] for row in STREAMS])
def test_streams_are_read_as_engines_write_them(
    server: Served, model: str, counts: dict[str, int], error: str, tokens: dict[str, Any]
) -> None:
    found = step(server, model)
    assert {state: count for state, count in found["requests"].items() if count and state != "sent"} == counts
    assert [row["what"] for row in found["errors"]] == ([error] if error else [])
    assert found["tokens"].items() >= tokens.items()
    assert len(found["samples"]["e2el_ms"]) == 4


def test_a_length_that_was_not_to_be_kept_is_not_short(server: Served) -> None:
    found = step(server, "short", work=work(length={}))
    assert found["requests"]["good"] == 4
    assert found["samples"]["output_tokens"] == [3] * 4


# A server that cannot be measured: the one line that says so.
HOPELESS = [
    ("html", "HTTP 200 with an HTML page; that is a web page, not an API"),
    ("html404", "HTTP 404 (an HTML page); the server has no such route"),
    ("missing", "HTTP 404 (Not Found); the server has no such route"),
    ("nomodel", "does not exist.); the server does not serve a model of that name"),
    ("limited", "HTTP 429 (slow down), Retry-After: 7; the server is overloaded or limits requests"),
    ("long", "HTTP 400 (maximum context length is 512 tokens); the input is longer than the server takes"),
    ("dead", "HTTP 500 (EngineCore died); the engine fails on a real request"),
    ("whole", "HTTP 200 with application/json, a stream was asked; the server or a proxy"),
    ("fault", "completions: CUDA out of memory; the engine fails on a real request"),
    ("ended", "the stream ended without finish_reason and without [DONE]; the server closed the connection"),
    ("broken", "connection closed before the answer was complete; the server closed the connection"),
]


@pytest.mark.parametrize(("model", "said"), HOPELESS, ids=[row[0] for row in HOPELESS])
def test_a_server_that_answers_nothing_of_use_ends_the_step(server: Served, model: str, said: str) -> None:
    with pytest.raises(BenchError) as raised:
        step(server, model)
    text = str(raised.value)
    assert (
        text.startswith("none of 4 requests was answered; 4 of them: ".replace("; ", ", ")) or "of 4 requests" in text
    )
    assert said in text
    assert text.count("; ") == 1
    assert "\n" not in text
    assert KEY not in text


def test_a_wrong_key_is_said_and_never_shown(server: Served) -> None:
    with pytest.raises(BenchError, match="HTTP 401 \\(Unauthorized\\); the server wants another API key") as raised:
        step(server, key="sk-wrong")
    assert "sk-wrong" not in str(raised.value)


def test_an_unusable_key_is_refused_before_it_is_sent(server: Served) -> None:
    with pytest.raises(HttpError, match="the API key cannot be used"):
        step(server, key="one\ntwo")


def test_nothing_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dead = Served(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(BenchError, match="connection refused; nothing listens there"):
            step(dead)


def test_silence_is_a_failure(server: Served) -> None:
    with pytest.raises(BenchError, match=r"no byte within 0\.3 s; see in the server's log"):
        step(server, "hang", timeout=0.3, requests=2)


def test_both_requests_and_seconds_are_reached(server: Served) -> None:
    found = step(server, requests=1, seconds=0.5, work=work(output_tokens=2))
    assert found["seconds"] >= 0.5
    assert found["requests"]["sent"] > 10


def test_no_request_is_sent_after_max_seconds(server: Served) -> None:
    found = step(server, requests=1000, max_seconds=0.3, work=work(output_tokens=2))
    assert 2 <= found["requests"]["sent"] < 100
    assert found["requests"]["good"] == found["requests"]["sent"]


def test_a_rate_sends_whether_or_not_it_is_answered(server: Served) -> None:
    found = step(server, rate=200.0, requests=60, work=work(output_tokens=30))
    assert found["requests"]["good"] == 60
    assert (found["concurrency"], found["rate"]) == (None, 200.0)
    # One after the other they would take 60 x 0.3 s; sent at the rate, 0.3 s and 0.3 s for the last.
    assert found["seconds"] < 3


def test_prompts_of_another_length_are_counted(server: Served) -> None:
    found = step(server, words=WORDS | {"water": 2, "table": 2})
    assert found["tokens"]["off_input"] > 0
    assert found["tokens"]["input"] < 160


def test_fixed_prompts_are_sent_as_they_are(server: Served) -> None:
    server.seen()
    prompts = ["one thing", "another thing"]
    found = step(server, words={}, work=work(prompts=prompts, output_tokens=None, length={}))
    sent = server.seen()["bodies"]
    assert sorted(body["messages"][0]["content"] for body in sent) == sorted(prompts * 2)
    assert all("max_tokens" not in body for body in sent)
    assert found["tokens"]["set_input"] is None
    assert found["tokens"]["off_input"] == 0


def test_a_client_that_was_the_bottleneck_gives_no_times(server: Served) -> None:
    found = step(server, limits={"cpu_share": 0.0, "lateness": 9.0})
    assert found["client"]["bottleneck"]
    assert "of a core, above the limit of 0%" in found["client"]["why"]
    assert "--from controller" in found["client"]["why"]
    assert (found["samples"], found["itl"]) == ({}, {})
    assert found["requests"]["good"] == 4


def test_a_loop_that_is_held_is_found_late() -> None:
    async def held() -> list[float]:
        with heartbeat(asyncio.get_running_loop()) as late:
            for _ in range(5):
                await asyncio.sleep(0.001)
                time.sleep(0.05)  # noqa: ASYNC251  # to hold the loop is the point
            await asyncio.sleep(0.02)
        return late

    assert max(asyncio.run(held())) > 0.02


def test_a_loop_that_is_free_is_not_late() -> None:
    async def free() -> list[float]:
        with heartbeat(asyncio.get_running_loop()) as late:
            await asyncio.sleep(0.5)
        return late

    late = asyncio.run(free())
    # Every 10 ms; a busy machine may lose some beats.
    assert 10 <= len(late) <= 50
    assert percentile(sorted(late), 50) < 0.005


def test_embeddings_are_counted_by_text(server: Served) -> None:
    server.seen()
    found = step(server, "any", work=work(task="embedding", batch=3, input_tokens=5, length={}), words={})
    bodies = server.seen()["bodies"]
    assert found["items"] == 12
    assert found["tokens"]["input"] == 84
    assert len(found["samples"]["e2el_ms"]) == 4
    assert found["samples"]["ttft_ms"] == found["samples"]["itl_ms"] == []
    assert found["itl"] == {}
    assert {len(text.split()) for body in bodies for text in body["input"]} == {5}
    assert len({text for body in bodies for text in body["input"]}) == 12


def test_lost_embeddings_are_failures(server: Served) -> None:
    with pytest.raises(BenchError, match="2 results for 3 texts"):
        step(server, "lossy", work=work(task="embedding", batch=3, length={}), words={})


def test_a_reranker_is_found_where_it_is(server: Served) -> None:
    found = step(server, "any", work=work(task="rerank", batch=4, length={}), words={})
    assert found["items"] == 16
    assert found["requests"]["good"] == 4


def test_a_missing_library_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BenchError, match="which is no folder; set libraries to where aiohttp lies"):
        load_aiohttp(str(tmp_path / "none"))
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(BenchError, match=r"cannot import aiohttp.*; install aiohttp for that Python, or set libraries"):
        load_aiohttp(None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            {"work": work(input_tokens=10)},
            "the chat template alone takes 10 tokens; set work.input_tokens to at least 11",
        ),
        ({"work": work(batch=0)}, "work.batch is 0; set it to at least 1"),
        ({"work": work(output_tokens=None)}, "work.length is given without a length; set work.output_tokens"),
        ({"work": work(prompts=[" "])}, "one of work.prompts is empty"),
        ({"words": {}}, "words is empty; set words to what benchmark_prepare returned"),
        ({"concurrency": 0}, "concurrency is 0; set it to more than 0"),
        ({"work": work(input_tokens=11), "requests": 99}, "1 tokens are too few for"),
    ],
)
def test_work_that_cannot_be_done_is_refused(server: Served, words: dict[str, Any], said: str) -> None:
    with pytest.raises(BenchError) as raised:
        step(server, **words)
    assert said in str(raised.value)
