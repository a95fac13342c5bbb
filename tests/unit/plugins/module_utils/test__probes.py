# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of probes: one call that always ends in one shape and never gives the key away."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._probes import (
    PROBES,
    Endpoint,
    argument_spec,
    check_options,
    run_probe,
)
from tests.unit.plugins.fake_engine import ChatParts, FakeEngine, Reply, Request, as_json, models

KEY = "s3cret-key"
SHAPE = {"probe": str, "ok": bool, "checks": list, "latency_ms": float, "sample": str, "model": str, "msg": str}
ROUTES = {
    "chat": "/v1/chat/completions",
    "embedding": "/v1/embeddings",
    "rerank": "/v1/rerank",
    "classify": "/v1/classify",
}
PAGE = Reply(b"<html></html>", kind="text/html")


def assert_shape(result: dict[str, Any]) -> None:
    assert set(result) == {*SHAPE, "raw"}
    assert {name: type(result[name]) for name in SHAPE} == SHAPE
    assert all(set(check) == {"name", "ok", "detail"} for check in result["checks"])
    assert len(json.dumps(result["raw"])) <= 64 * 1024 + 2
    json.dumps(result, allow_nan=False)


def test_the_registry_names_each_task_once() -> None:
    assert list(PROBES) == ["chat", "embedding", "rerank", "classify"]


BROKEN = [
    (as_json({}, 401), "unauthorized", "set api_key or api_key_file"),
    (as_json({}, 403), "", "use another key, or allow the path"),
    (as_json({}, 404), "", "check the path in url"),
    (as_json({}, 429), "", "try again later"),
    (as_json({}, 500), "", "the cause is in its log"),
    (as_json({}, 503), "", "wait until it is ready"),
    (PAGE, "", "that is a web page, not an API"),
    (Reply(b'{"da'), "", "the answer is cut off or not JSON"),
    (Reply(b"null"), "", "is JSON but not of this task"),
    (Reply(b"[]"), "", "is JSON but not of this task"),
    (Reply(b"{}"), "", "is JSON but not of this task"),
    (Reply(b'{"data": {}, "results": {}, "choices": {}}'), "", "is JSON but not of this task"),
    (Reply(b'{"data": [null], "results": [null], "choices": [null]}'), "", "is JSON but not of this task"),
    (Reply(reset="start"), "", "it is still starting or it died"),
    (Reply(b"{}", length=9), "", "connection closed before the answer was complete"),
    (Reply(delay=2), "", "a slow server needs a higher timeout"),
    (Reply(b"{}", 308, headers={"Location": "/other"}), "", "give the final address as url"),
]


@pytest.mark.parametrize("task", list(ROUTES))
@pytest.mark.parametrize(("reply", "_", "remedy"), BROKEN)
def test_whatever_a_server_does_ends_in_one_shape_with_a_remedy(task: str, reply: Reply, _: str, remedy: str) -> None:
    with FakeEngine({"GET /v1/models": models("tiny"), f"POST {ROUTES[task]}": reply}) as engine:
        result = run_probe(task, Endpoint(engine.url, KEY, timeout=0.5))
    assert_shape(result)
    assert not result["ok"]
    assert result["probe"] == task
    assert result["model"] == "tiny"
    assert result["msg"].startswith("answer: POST http://127.0.0.1:")
    assert remedy.lower() in result["msg"].lower()


@pytest.mark.parametrize("task", list(ROUTES))
@pytest.mark.parametrize("url", ["nonsense", "http://no-such-host.invalid/v1", "http://u:hunter2@127.0.0.1/v1"])
def test_a_bad_address_ends_in_the_same_shape(task: str, url: str) -> None:
    result = run_probe(task, Endpoint(url, KEY))
    assert_shape(result)
    assert result["msg"].startswith("models: ")
    assert "hunter2" not in json.dumps(result)


def test_nothing_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
    result = run_probe("chat", Endpoint(url))
    assert result["msg"].startswith(f"models: GET {url}/models: connection refused; nothing listens there: see whether")


@pytest.mark.parametrize("task", list(ROUTES))
@pytest.mark.parametrize("status", [200, 400, 401])
def test_the_key_is_in_no_output_even_if_the_server_repeats_it(task: str, status: int) -> None:
    def echo(request: Request) -> Reply:
        key = request.headers["Authorization"].split()[-1]
        body = {"error": f"bad {key}", "model": key, "choices": [{"message": {"content": key}, "finish_reason": key}]}
        return as_json({**body, "results": [{"index": key}], "data": [{"index": 0, "label": key, key: key}]}, status)

    with FakeEngine({"GET /v1/models": models("tiny"), f"POST {ROUTES[task]}": echo}) as engine:
        result = run_probe(task, Endpoint(engine.url, KEY))
    assert not result["ok"]
    assert result["raw"] is not None
    assert KEY not in json.dumps(result)


def test_a_wrong_key_is_named() -> None:
    def guarded(request: Request) -> Reply:
        right = request.headers.get("Authorization") == "Bearer " + KEY
        return models("tiny") if right else as_json({"error": "Unauthorized"}, 401)

    parts = ChatParts().engine()
    parts.routes["GET /v1/models"] = guarded
    with parts as engine:
        assert run_probe("chat", Endpoint(engine.url, KEY))["ok"]
        for key in (None, "wrong-key"):
            result = run_probe("chat", Endpoint(engine.url, key))
            assert "HTTP 401 (Unauthorized); the server wants another API key: set api_key" in result["msg"]


@pytest.mark.parametrize("key", ["", "two\nlines"])
def test_a_key_that_cannot_be_sent_is_refused(key: str) -> None:
    result = run_probe("chat", Endpoint("http://127.0.0.1:9/v1", key))
    assert_shape(result)
    assert result["msg"].startswith("models: the API key cannot be used: ")


def test_a_server_without_list_of_models_needs_a_name() -> None:
    parts = ChatParts().engine()
    del parts.routes["GET /v1/models"]
    with parts as engine:
        unnamed = run_probe("chat", Endpoint(engine.url))
        named = run_probe("chat", Endpoint(engine.url), {"model": "tiny"})
    assert named["ok"], named["msg"]
    assert unnamed["msg"].startswith("models: GET ")
    assert "the server lists no models; check that url is the API's address" in unnamed["msg"]


OPTIONS: list[tuple[str, Any, str]] = [
    ("chatt", {}, "there is no probe 'chatt': use one of chat, embedding, rerank, classify"),
    ("chat", ["x"], "the options of chat are list: give a mapping"),
    ("chat", {"expects": "x"}, "the chat probe has no option 'expects': use some of expect, json_schema, max_tokens"),
    ("chat", {"max_tokens": "many"}, "the chat probe: argument 'max_tokens' is of type"),
    ("chat", {"max_tokens": 0}, "max_tokens is 0: it must be at least 1"),
    ("chat", {"prompt": " "}, "prompt is empty"),
    ("chat", {"expect": "("}, "expect is '(', no regular expression"),
    ("embedding", {"near": ""}, "near is empty"),
    ("embedding", {"dimension": 0}, "dimension is 0"),
    ("embedding", {"tolerance": 1}, "tolerance is 1"),
    ("embedding", {"tolerance": -0.1}, "tolerance is -0.1"),
    ("embedding", {"encoding_format": "int8"}, "value of encoding_format must be one of"),
    ("rerank", {"documents": ["one"], "relevant": 0}, "documents has 1 entries: give at least 2"),
    ("rerank", {"relevant": 3}, "relevant is 3: it must be an index of documents, 0 to 2"),
    ("rerank", {"relevant": -1}, "relevant is -1"),
    ("rerank", {"query": ""}, "query is empty"),
    ("classify", {"texts": []}, "texts is empty"),
    ("classify", {"expect": ["a"]}, "expect has 1 labels for 2 texts"),
    ("classify", {"expect": ["a", "b"], "labels": ["a"]}, "expect names a label that is not in labels"),
]


@pytest.mark.parametrize(("task", "options", "words"), OPTIONS)
def test_bad_options_are_named_before_anything_is_asked(task: str, options: Any, words: str) -> None:
    problems = check_options(task, options)
    assert len(problems) == 1
    assert words in problems[0]
    with ChatParts().engine() as engine:
        result = run_probe(task, Endpoint(engine.url), options)
        assert not engine.requests
    assert_shape(result)
    assert result["msg"] == "options: " + problems[0]


GOOD_OPTIONS: list[tuple[str, Any]] = [
    ("chat", None),
    ("chat", {}),
    ("chat", {"model": None, "expect": None}),
    ("chat", {"max_tokens": "16", "tool_call": "no"}),
    ("rerank", {"relevant": 99, "semantic": False}),
    ("rerank", {"documents": ["a", "b"], "relevant": 0}),
    ("embedding", {"dimension": 1, "tolerance": 0}),
    ("chat", {"max_tokens": 1}),
    ("classify", {"texts": "one"}),
    ("classify", {"expect": ["a", "b"], "labels": ["a", "b", "c"]}),
]


@pytest.mark.parametrize(("task", "options"), GOOD_OPTIONS)
def test_good_options(task: str, options: Any) -> None:
    assert check_options(task, options) == []


@pytest.mark.parametrize("task", list(PROBES))
def test_argument_spec_hides_the_key_and_has_every_option(task: str) -> None:
    spec = argument_spec(task)
    assert spec["api_key"]["no_log"] is True
    assert {"url", "model", "timeout", "ca_path", "validate_certs", "api_key_file", *PROBES[task].options} <= set(spec)
