# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams as engines write them, and what of a request is a token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._bench_metrics import GOOD
from ansible_collections.llmops.serving.plugins.module_utils._bench_requests import (
    EventParser,
    Target,
    _ChatReader,
    batch_payload,
    carries_text,
    chat_payload,
)
from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint
from tests.unit.plugins.fake_engine import recorded

# Bytes as they may come, and the events in them.
STREAMS = [
    (b"data: 1\n\ndata: 2\n\n", [b"1", b"2"]),
    (b"data: 1\r\n\r\ndata: 2\r\n\r\n", [b"1", b"2"]),
    (b"data:1\n\ndata:2\n\n", [b"1", b"2"]),
    (b": ping\n\ndata: 1\n\n:\n\nevent: x\nid: 7\ndata: 2\n\n", [b"1", b"2"]),
    (b"data: 1\ndata: 2\n", [b"1", b"2"]),
    (b"data: 1\n\ndata: 2", [b"1", b"2"]),
    (b'data: {"a": "b\\n\\ndata: c"}\n\n', [b'{"a": "b\\n\\ndata: c"}']),
    (b"data:\n\ndata: \n\n", []),
    (b"", []),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(("data", "events"), STREAMS)
def test_events_are_the_same_however_the_bytes_come(data: bytes, events: list[bytes], size: int) -> None:
    parser = EventParser()
    found = [event for start in range(0, len(data), size) for event in parser.feed(data[start : start + size])]
    assert found + parser.end() == events


def test_an_event_is_there_as_soon_as_its_line_is() -> None:
    parser = EventParser()
    assert parser.feed(b"data: 1") == []
    assert parser.feed(b"\n") == [b"1"]
    assert parser.feed(b"\ndata: 2\r\n") == [b"2"]


# What an event adds, whether it is the answer's first, and whether that is a token.
DELTAS = [
    ({"role": "assistant", "content": ""}, True, False),
    ({"role": "assistant", "content": None}, True, False),
    ({"role": "assistant"}, True, False),
    ({"role": "assistant", "content": "Hi"}, True, True),  # TGI names the role in each
    ({"role": "assistant", "content": "Hi"}, False, True),
    ({"content": "Hi"}, False, True),
    ({"content": ""}, False, True),  # vLLM, Aphrodite: a special token, or a part of a character
    ({"reasoning_content": "Hm", "content": None}, False, True),  # SGLang, llama.cpp
    ({"reasoning": "Hm"}, False, True),  # vLLM, Aphrodite
    ({"reasoning_content": None}, False, False),  # SGLang's last
    ({}, False, False),  # llama.cpp's last
]


@pytest.mark.parametrize(("delta", "is_first", "expected"), DELTAS)
def test_what_is_a_token(delta: dict[str, Any], is_first: bool, expected: bool) -> None:
    assert carries_text(delta, is_first) == expected


WORK: dict[str, Any] = {
    "task": "chat", "input_tokens": 40, "output_tokens": 4, "shared_tokens": 0, "batch": 1, "prompts": [],
    "length": {"ignore_eos": True, "min_tokens": "output_tokens"},
}  # fmt: skip


def target(**words: Any) -> Target:
    return Target(Endpoint("http://127.0.0.1:1/v1"), "tiny", WORK | words, "http://127.0.0.1:1/v1/x", "texts")


# Recorded streams: their tokens of prompt and answer, and the pieces of text.
@pytest.mark.parametrize(
    ("engine", "prompt", "pieces"), [("vllm", 18, 4), ("aphrodite", 23, 4), ("llama-cpp", 18, 4), ("sglang", 23, 1)]
)
def test_recorded_streams_of_engines(engine: str, prompt: int, pieces: int) -> None:
    reader, parser = _ChatReader(), EventParser()
    for place, data in enumerate(parser.feed(recorded(engine, "chat_stream_usage.txt").body)):
        reader.take(data, float(place))
    reader.judge(target())
    outcome = reader.outcome
    assert (outcome.state, outcome.error, outcome.finish) == (GOOD, None, "length")
    assert (outcome.prompt, outcome.written, outcome.chunks) == (prompt, 4, pieces)
    # The first event is the role's, and its time is no one's.
    assert outcome.first == 1.0
    assert len(outcome.gaps) == pieces - 1
    assert outcome.end >= outcome.first + sum(outcome.gaps)


def test_the_length_is_asked_for_as_the_engine_calls_it() -> None:
    found = chat_payload(target(), "Hi")
    assert (found["max_tokens"], found["min_tokens"], found["ignore_eos"]) == (4, 4, True)
    assert (found["stream"], found["stream_options"]) == (True, {"include_usage": True})
    assert "max_tokens" not in chat_payload(target(output_tokens=None, length={}), "Hi")
    json.dumps(found)


def test_documents_are_called_as_the_server_calls_them() -> None:
    assert batch_payload(target(task="rerank"), ["a"], "q") == {"model": "tiny", "query": "q", "texts": ["a"]}
    assert batch_payload(target(task="embedding"), ["a"], "q") == {"model": "tiny", "input": ["a"]}
