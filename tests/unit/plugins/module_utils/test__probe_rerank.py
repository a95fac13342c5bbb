# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rerank probe: for every check an engine that fails it alone, and what real engines said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint
from ansible_collections.llmops.serving.plugins.module_utils._probes import run_probe
from tests.unit.plugins.fake_engine import FakeEngine, Reply, Request, as_json, models, recorded

EVERY_CHECK = ["models", "answer", "permutation", "model", "finite", "sorted", "relevant_first"]
NAN = float("nan")


def results(*pairs: tuple[Any, Any], model: str | None = "tiny") -> dict[str, Any]:
    return {"model": model, "results": [{"index": index, "relevance_score": score} for index, score in pairs]}


def engine(answer: Any, path: str = "/v1/rerank") -> FakeEngine:
    reply = answer if isinstance(answer, Reply) else as_json(answer)
    return FakeEngine({"GET /v1/models": models("tiny"), f"POST {path}": reply})


def probe(server: FakeEngine, options: dict[str, Any] | None = None) -> dict[str, Any]:
    with server:
        return run_probe("rerank", Endpoint(server.url, timeout=5), options)


def failed(result: dict[str, Any]) -> list[str]:
    return [check["name"] for check in result["checks"] if not check["ok"]]


GOOD = results((1, 0.9), (2, 0.1), (0, -3.0))


def test_a_good_server_passes_every_check() -> None:
    server = engine(GOOD)
    result = probe(server)
    assert result["ok"], result["msg"]
    assert [check["name"] for check in result["checks"]] == EVERY_CHECK
    assert result["sample"] == "0.9: Paris is the capital and largest city of France."
    assert result["model"] == "tiny"
    assert server.requests[1].json == {
        "model": "tiny",
        "query": "What is the capital of France?",
        "documents": [
            "Bananas are rich in potassium.",
            "Paris is the capital and largest city of France.",
            "The Pacific is the largest ocean.",
        ],
    }


# One wrong thing at a time: the check that must fail, alone, and the words that must name it.
WRONG = [
    ("answer", engine({"results": []}), {}, "no list `results`"),
    ("answer", engine({"score": 1}), {}, "no list `results`"),
    ("answer", engine([0.9, 0.1, 0.0]), {}, "no list `results`"),
    ("answer", engine("text"), {}, "no list `results`"),
    ("answer", engine({"results": {"index": 0}}), {}, "no list `results`"),
    ("answer", engine(recorded("infinity", "err_rerank_no_query.json")), {}, "Field required"),
    ("answer", engine(recorded("infinity", "err_rerank_wrong_model.json")), {}, "set model to one that it lists"),
    ("answer", engine(as_json({"detail": "Not Found"}, 404)), {}, "whether the engine serves this kind of task"),
    ("answer", engine(as_json({"error": "This server does not support reranking", "code": 501}, 501)), {}, "the flag"),
    ("permutation", engine(results((1, 0.9), (2, 0.1))), {}, "documents [1, 2] of 3"),
    ("permutation", engine(results((1, 0.9), (2, 0.1), (2, 0.0))), {}, "documents [1, 2, 2] of 3"),
    ("permutation", engine(results((1, 0.9), (2, 0.1), (3, 0.0))), {}, "documents [1, 2, 3] of 3"),
    ("permutation", engine(results((1, 0.9), (2, 0.1), (None, 0.0))), {}, "documents [1, 2, None] of 3"),
    ("permutation", engine(results((True, 0.9), (2, 0.1), (0, 0.0))), {}, "documents [True, 2, 0] of 3"),
    ("model", engine(results((1, 0.9), (2, 0.1), (0, 0.0), model="other")), {}, "answered 'other'"),
    ("finite", engine(results((1, NAN), (2, 0.1), (0, 0.0))), {}, "scores [nan, 0.1, 0.0]"),
    ("finite", engine(results((1, 0.9), (2, None), (0, 0.0))), {}, "serve it in another dtype"),
    ("finite", engine([{"index": 1}, {"index": 0}, {"index": 2}]), {}, "scores [None, None, None]"),
    ("sorted", engine(results((1, 0.9), (2, 0.1), (0, 0.5))), {}, "not in the order of its scores"),
    ("relevant_first", engine(results((2, 0.9), (1, 0.1), (0, 0.0))), {}, "document 2 is first, 1 is relevant"),
    ("relevant_first", engine(GOOD), {"relevant": 0}, "document 1 is first, 0 is relevant"),
    ("relevant_first", engine(results((1, 0.5), (2, 0.5), (0, 0.5))), {}, "all scores are 0.5"),
]


@pytest.mark.parametrize(("name", "server", "options", "words"), WRONG)
def test_one_wrong_thing_fails_its_check_alone(
    name: str, server: FakeEngine, options: dict[str, Any], words: str
) -> None:
    result = probe(server, options)
    assert not result["ok"]
    assert failed(result) == [name]
    assert result["msg"].startswith(name + ": ")
    assert words in result["msg"]
    json.loads(json.dumps(result, allow_nan=False))


def tei(request: Request) -> Reply:
    """TEI 1.9: another name of the list, a bare list back."""
    if "texts" not in request.json:
        return as_json({"error": "Failed to deserialize: missing field `texts`", "error_type": "validation"}, 422)
    return as_json([{"index": 1, "score": 0.99}, {"index": 0, "score": 0.01}, {"index": 2, "score": 0.0}])


@pytest.mark.parametrize(
    ("status", "message", "asked"),
    [(422, "missing field `texts`", 2), (400, "texts is required", 2), (422, "missing query", 1), (500, "texts", 1)],
)
def test_the_other_name_of_the_list_is_tried_only_where_the_server_asks_for_it(
    status: int, message: str, asked: int
) -> None:
    server = engine(as_json({"error": message}, status))
    result = probe(server)
    assert failed(result) == ["answer"]
    assert ["texts" in request.json for request in server.requests[1:]] == [False, True][:asked]


def test_two_documents_are_enough() -> None:
    result = probe(engine(results((1, 0.9), (0, 0.1))), {"documents": ["no", "yes"]})
    assert result["ok"], result["msg"]


SGLANG = [{"score": 0.9 - index, "document": "x", "index": [1, 0, 2][index], "meta_info": {}} for index in range(3)]
VLLM = {
    "id": "rerank-1",
    "model": "tiny",
    "results": [
        {"index": index, "document": {"text": "x", "multi_modal": None}, "relevance_score": 1.0 - index / 9}
        for index in (1, 2)
    ]
    + [{"index": 0, "document": {"text": "x"}, "relevance_score": 0.0}],
}

FINE = [
    (engine(results((2, 0.9), (1, 0.1), (0, 0.0))), {"semantic": False}),
    (engine(results((1, 0.5), (2, 0.5), (0, 0.5))), {"semantic": False}),
    (engine(results((1, 0.9), (2, 0.1), (0, 0.0), model=None)), {}),
    (engine(GOOD, "/rerank"), {}),
    (engine(SGLANG), {}),
    (engine(VLLM), {}),
    (FakeEngine({"GET /info": as_json({"model_id": "bge", "model_type": {"reranker": {}}}), "POST /rerank": tei}), {}),
]


@pytest.mark.parametrize(("server", "options"), FINE)
def test_what_is_unusual_but_right_passes(server: FakeEngine, options: dict[str, Any]) -> None:
    result = probe(server, options)
    assert result["ok"], result["msg"]


@pytest.mark.parametrize(
    ("name", "file", "names"),
    [
        ("llama-cpp", "rerank.json", []),
        ("infinity", "rerank.json", ["relevant_first"]),
        ("infinity", "rerank_topn_docs.json", ["permutation"]),
        ("llama-cpp", "rerank_topn_docs.json", ["permutation"]),
    ],
)
def test_recorded_answers(name: str, file: str, names: list[str]) -> None:
    body = json.loads(recorded(name, file).body)
    server = FakeEngine({"GET /v1/models": models(body["model"]), "POST /v1/rerank": as_json(body)})
    documents = ["a cat is an animal", "a car is a machine", "the sky is blue"]
    options = {"query": "what is a cat?", "documents": documents, "relevant": 0}
    assert failed(probe(server, options)) == names


def test_the_guarded_route_is_tried_first() -> None:
    """vLLM answers /rerank without a key: only /v1/rerank shows that the key is right."""
    server = engine(as_json({"error": "Unauthorized"}, 401))
    server.routes["POST /rerank"] = as_json(GOOD)
    with server:
        assert failed(run_probe("rerank", Endpoint(server.root))) == ["answer"]


def test_no_model_that_can_rerank() -> None:
    listed = {"data": [{"id": "minilm", "capabilities": ["embed"]}]}
    result = probe(FakeEngine({"GET /v1/models": as_json(listed)}))
    assert failed(result) == ["models"]
    assert "served: minilm; none is for rerank; start the server with a model that can rerank" in result["msg"]
