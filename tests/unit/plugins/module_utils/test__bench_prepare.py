# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark learns before it measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._bench_prepare import prepare
from ansible_collections.llmops.serving.plugins.module_utils._bench_prompts import POOL, BenchError
from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint, HttpError
from tests.unit.plugins.fake_stream import KEY, OVERHEAD, SIZES, Served, fake_stream

if TYPE_CHECKING:
    from collections.abc import Iterator

WORK: dict[str, Any] = {
    "task": "chat", "input_tokens": 40, "output_tokens": 4, "shared_tokens": 0, "batch": 1, "prompts": [],
    "length": {"ignore_eos": True},
}  # fmt: skip
FRANCE = {"prompt": "What is the capital of France?", "expect": "Paris"}


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with fake_stream() as served:
        yield served


def prepared(server: Served, model: str = "steady", key: str = KEY, **words: Any) -> dict[str, Any]:
    questions = words.pop("questions", [])
    options = {
        "model": model,
        "work": WORK | words,
        "libraries": None,
        "seed": 1,
        "warmup": words.pop("warmup", 3),
        "questions": questions,
    }
    return prepare(Endpoint(server.url, key, 5.0), options)


def test_it_learns_the_template_and_the_words(server: Served) -> None:
    server.seen()
    found = prepared(server, questions=[FRANCE])
    # What takes one and a half tokens is of no use.
    assert found["words"] == {word: int(SIZES.get(word, 1)) for word in POOL if word != "people"}
    assert found["overhead"] == OVERHEAD
    assert found["warmup"] == {"requests": 3, "failed": 0}
    assert found["answers"] == [
        {
            "prompt": "What is the capital of France?",
            "text": "The capital of France is Paris.",
            "ok": True,
            "why": "",
            "tokens": 8,
        }
    ]
    assert set(found["versions"]) == {"python", "aiohttp"}
    streamed = [body for body in server.seen()["bodies"] if body.get("stream")]
    assert len(streamed) == 3
    assert {body["max_tokens"] for body in streamed} == {4}


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ({"prompt": "garbage"}, "no letter or digit"),
        ({"prompt": "What is the capital of France?", "expect": "Rome"}, "'Rome' is not in the answer"),
    ],
)
def test_a_bad_answer_is_judged_and_does_not_end_it(server: Served, question: dict[str, str], why: str) -> None:
    (answer,) = prepared(server, questions=[question])["answers"]
    assert not answer["ok"]
    assert why in answer["why"]


def test_fixed_prompts_need_no_words(server: Served) -> None:
    server.seen()
    found = prepared(server, prompts=["one", "two"], warmup=2)
    assert (found["words"], found["overhead"]) == ({}, 0)
    assert [body["messages"][0]["content"] for body in server.seen()["bodies"]] == ["one", "two"]


def test_without_warm_up_nothing_is_streamed(server: Served) -> None:
    server.seen()
    assert prepared(server, warmup=0)["warmup"] == {"requests": 0, "failed": 0}
    assert not [body for body in server.seen()["bodies"] if body.get("stream")]


HOPELESS = [
    ("unknown", "does not serve model 'unknown', but: steady, bundles"),
    ("html", "HTTP 200 with an HTML page; that is a web page, not an API"),
    ("missing", "HTTP 404 (Not Found); the server has no such route"),
    ("limited", "HTTP 429 (slow down), Retry-After: 7; the server is overloaded"),
    ("dead", "HTTP 500 (EngineCore died); the engine fails on a real request"),
    ("broken", "connection closed before the answer was complete; the server closed"),
    ("steady-uncounted", "the answer does not say usage.prompt_tokens, so no prompt of a set length can be made"),
]


@pytest.mark.parametrize(("model", "said"), HOPELESS, ids=[row[0] for row in HOPELESS])
def test_a_server_that_cannot_be_measured_ends_it(server: Served, model: str, said: str) -> None:
    with pytest.raises((BenchError, HttpError)) as raised:
        prepared(server, model)
    text = str(raised.value)
    assert said in text
    assert text.count("; ") == 1
    assert KEY not in text


def test_a_wrong_key_is_said(server: Served) -> None:
    with pytest.raises(HttpError, match="HTTP 401 \\(Unauthorized\\); the server wants another API key"):
        prepared(server, key="sk-wrong")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"input_tokens": OVERHEAD}, "the chat template alone takes 10 tokens; set work.input_tokens to at least 11"),
        ({"questions": [{"prompt": "x", "expect": "("}]}, "expect of the question 'x' is no regular expression"),
        ({"shared_tokens": -1}, "work.shared_tokens is -1; set it to at least 0"),
    ],
)
def test_work_that_cannot_be_done_is_refused(server: Served, words: dict[str, Any], said: str) -> None:
    with pytest.raises(BenchError) as raised:
        prepared(server, **words)
    assert said in str(raised.value)


def test_connections_that_the_server_left_without_a_word_fail_nothing(server: Served) -> None:
    found = prepared(server, "leaves", questions=[FRANCE, FRANCE])
    assert found["warmup"] == {"requests": 3, "failed": 0}
    assert [answer["ok"] for answer in found["answers"]] == [True, True]
