# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the probes share: the report, the choice of the model, the bounds of a result."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint, HttpError
from ansible_collections.llmops.serving.plugins.module_utils._probe import (
    Report,
    Served,
    bounded,
    engine_routes,
    first_answer,
    in_order,
    is_number,
    is_permutation,
    listed_models,
    own_routes,
)
from tests.unit.plugins.fake_engine import FakeEngine, Reply, as_json, models, recorded

HERE = Endpoint("http://127.0.0.1:1/v1")


def test_an_empty_report_is_not_ok() -> None:
    assert Report("chat").result(HERE)["ok"] is False


def test_result_has_its_shape_and_the_first_failure_as_message() -> None:
    report = Report("chat")
    report.add("a", True, "fine", "unused remedy")
    report.add("b", False, "seen", "do this")
    report.add("c", False, "bare")
    assert report.result(HERE) == {
        "probe": "chat",
        "ok": False,
        "checks": [
            {"name": "a", "ok": True, "detail": "fine"},
            {"name": "b", "ok": False, "detail": "seen; do this"},
            {"name": "c", "ok": False, "detail": "bare"},
        ],
        "latency_ms": 0.0,
        "sample": "",
        "model": "",
        "raw": None,
        "msg": "b: seen; do this (also failed: c)",
    }


def test_details_and_message_are_one_line_each() -> None:
    report = Report("chat")
    report.add("a", False, "one\ntwo " + "x" * 5000)
    report.sample = "one\ntwo " + "x" * 5000
    result = report.result(HERE)
    assert "\n" not in result["msg"] + result["checks"][0]["detail"] + result["sample"]
    assert len(result["checks"][0]["detail"]) <= 1200
    assert len(result["msg"]) <= 1500
    assert len(result["sample"]) <= 200


def test_the_key_is_hidden_before_texts_are_shortened() -> None:
    """A key that a cut divides would leave its beginning behind."""
    key = "k" * 30
    report = Report("chat")
    report.add("a", False, key)
    report.sample = "x" * 185 + key
    report.model = key
    report.raw = {"text": "x" * 8180 + key, key: [key]}
    assert "kkk" not in json.dumps(report.result(Endpoint("http://127.0.0.1", key)))


BOUNDED: list[tuple[Any, Any]] = [
    ({"a": [1, "b", None, True]}, {"a": [1, "b", None, True]}),
    (list(range(24)), list(range(24))),
    (list(range(25)), [*range(8), "... 17 more"]),
    ([[0.5] * 384], [[0.5] * 8 + ["... 376 more"]]),
    ("x" * 8192, "x" * 8192),
    ("x" * 8193, "x" * 8192 + "... 1 more"),
    (float("nan"), "nan"),
    ([float("-inf")], ["-inf"]),
    (None, None),
]


@pytest.mark.parametrize(("value", "short"), BOUNDED)
def test_bounded(value: Any, short: Any) -> None:
    assert bounded(value) == short


def test_bounded_gives_up_structure_before_size() -> None:
    short = bounded({str(number): "x" * 8000 for number in range(20)})
    assert isinstance(short, str)
    assert len(short) == 64 * 1024


NUMBERS = [
    (1, True),
    (0.5, True),
    (float("nan"), False),
    (float("inf"), False),
    (None, False),
    ("1", False),
    (True, False),
]


@pytest.mark.parametrize(("value", "verdict"), NUMBERS)
def test_is_number(value: Any, verdict: bool) -> None:
    assert is_number(value) is verdict


PERMUTATIONS = [
    ([1, 0], 2, True),
    ([0], 2, False),
    ([0, 0], 2, False),
    ([1, 2], 2, False),
    ([0, True], 2, False),
    ([0, None], 2, False),
    ([], 0, True),
]


@pytest.mark.parametrize(("indices", "count", "verdict"), PERMUTATIONS)
def test_is_permutation(indices: list[Any], count: int, verdict: bool) -> None:
    assert is_permutation(indices, count) is verdict


def test_in_order() -> None:
    assert in_order([{"index": 1}, {"index": 0}]) == [{"index": 0}, {"index": 1}]
    assert in_order([{"index": 1}, {"index": 1}]) is None
    assert in_order([[1], [2]]) == [[1], [2]]


def test_routes() -> None:
    assert own_routes(HERE, "/x") == ["http://127.0.0.1:1/v1/x"]
    assert own_routes(Endpoint("http://h/a/"), "/x") == ["http://h/a/x", "http://h/a/v1/x"]
    both = ["http://127.0.0.1:1/v1/x", "http://127.0.0.1:1/x", "http://127.0.0.1:1/v1/y", "http://127.0.0.1:1/y"]
    assert engine_routes(HERE, "/x", "/y") == both
    assert engine_routes(Endpoint("http://127.0.0.1:1"), "/x", "/y") == both


MODELS = [
    ("/v1/models", models("a", "b"), [Served("a", ("a",)), Served("b", ("b",))]),
    ("/v1/models", as_json({"data": []}), []),
    ("/v1/models", as_json({"data": [{"name": "x"}, "y", {"id": 1}]}), []),
    ("/v1/models", as_json([{"id": "bare"}]), [Served("bare", ("bare",))]),
    ("/v1/models", as_json({"data": [{"id": "a", "aliases": ["b", 1]}]}), [Served("a", ("a", "b"))]),
    ("/v1/models", recorded("llama-cpp", "ready_v1_models.json"), [Served("tiny", ("tiny", "tiny"))]),
    ("/info", as_json({"model_id": "bge"}), [Served("bge", ("bge",))]),
    ("/info", as_json({"model_id": 1}), None),
    ("/info", as_json({}), None),
    ("/nothing", as_json({}), None),
]


@pytest.mark.parametrize(("path", "reply", "served"), MODELS)
def test_listed_models(path: str, reply: Reply, served: list[Served] | None) -> None:
    with FakeEngine({f"GET {path}": reply}) as engine:
        assert listed_models(Endpoint(engine.url)) == served


def test_listed_models_of_infinity_say_what_they_can() -> None:
    with FakeEngine({"GET /models": recorded("infinity", "ready_models.json")}) as engine:
        served = listed_models(Endpoint(engine.root))
    assert served is not None
    assert [(model.name, model.capabilities) for model in served] == [
        ("minilm", ("embed",)),
        ("rr", ("rerank",)),
        ("cls", ("classify",)),
    ]


@pytest.mark.parametrize("status", [401, 500, 503])
def test_a_list_that_is_refused_is_an_error_at_once(status: int) -> None:
    with FakeEngine({"GET /models": as_json({}, status), "GET /v1/models": models("a")}) as engine:
        with pytest.raises(HttpError) as caught:
            listed_models(Endpoint(engine.root))
        assert caught.value.status == status
        assert len(engine.requests) == 1


def test_first_answer_passes_missing_routes_and_names_the_first() -> None:
    with FakeEngine({"POST /b": as_json({}, 405), "POST /c": as_json(1)}) as engine:
        urls = [engine.root + path for path in ("/a", "/b", "/c")]
        assert first_answer(Endpoint(engine.root), "POST", urls, {}).body == 1
        with pytest.raises(HttpError, match="/a: HTTP 404"):
            first_answer(Endpoint(engine.root), "POST", urls[:2], {})


def test_first_answer_takes_a_missing_model_for_no_missing_route() -> None:
    with FakeEngine({"POST /a": recorded("vllm", "err_wrong_model.json"), "POST /b": as_json(1)}) as engine:
        with pytest.raises(HttpError) as caught:
            first_answer(Endpoint(engine.root), "POST", [engine.root + "/a", engine.root + "/b"], {})
        assert caught.value.kind == "model_not_found"
