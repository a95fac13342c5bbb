# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedding probe: for every check an engine that fails it alone, and what real engines said."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint
from ansible_collections.llmops.serving.plugins.module_utils._probe_embedding import cosine
from ansible_collections.llmops.serving.plugins.module_utils._probes import run_probe
from tests.unit.plugins.fake_engine import FakeEngine, Reply, Request, as_json, models, recorded

Vectors = list[Any]
TEXT, NEAR, FAR = [0.9, 0.1, 0.0, 0.1], [0.8, 0.2, 0.1, 0.1], [0.0, 0.1, 0.9, -0.4]
EVERY_CHECK = [
    "models", "answer", "count", "equal_dimension", "dimension", "model", "finite", "not_constant",
    "batch_equals_single", "semantic",
]  # fmt: skip


def body(vectors: Vectors, model: str | None = "tiny") -> dict[str, Any]:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return {"object": "list", "data": data, "model": model}


def engine(batch: Any, single: Any = None) -> FakeEngine:
    """An engine that answers a list with one body and a text with another."""

    def embed(request: Request) -> Reply:
        answer = batch if isinstance(request.json["input"], list) else (body([TEXT]) if single is None else single)
        return answer if isinstance(answer, Reply) else as_json(answer)

    return FakeEngine({"GET /v1/models": models("tiny"), "POST /v1/embeddings": embed})


def probe(server: FakeEngine, options: dict[str, Any] | None = None) -> dict[str, Any]:
    with server:
        return run_probe("embedding", Endpoint(server.url, timeout=5), options)


def failed(result: dict[str, Any]) -> list[str]:
    return [check["name"] for check in result["checks"] if not check["ok"]]


GOOD = body([TEXT, NEAR, FAR])


def test_a_good_server_passes_every_check() -> None:
    result = probe(engine(GOOD), {"dimension": 4})
    assert result["ok"], result["msg"]
    assert [check["name"] for check in result["checks"]] == EVERY_CHECK
    assert result["sample"] == "4 dimensions: 0.9000, 0.1000, 0.0000, 0.1000"
    assert result["raw"] == GOOD


def packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


NAN, INF = float("nan"), float("inf")
UNTRAINED = {"semantic": False}
# One wrong thing at a time: the check that must fail, alone, and the words that must name it.
WRONG = [
    ("answer", engine({"data": []}), {}, "no list `data`"),
    ("answer", engine({"object": "list"}), {}, "no list `data`"),
    ("answer", engine("text"), {}, "no list `data`"),
    ("answer", engine({"data": [{"index": 0, "embedding": None}]}), {}, "no vector in each entry"),
    ("answer", engine({"data": [{"index": 0, "embedding": "%%%"}]}), {}, "no vector in each entry"),
    ("answer", engine({"data": [{"index": 0, "embedding": packed(TEXT)[:-3]}]}), {}, "no vector in each entry"),
    ("answer", engine(recorded("llama-cpp", "err_embeddings_not_supported.json")), {}, "add the flag it names"),
    ("answer", engine(recorded("sglang", "err_embeddings_not_supported.json")), {}, "--is-embedding"),
    ("answer", engine(recorded("llama-cpp", "err_embeddings_too_long.json")), {}, "raise the engine's context"),
    ("count", engine(body([TEXT, NEAR])), {}, "2 vectors, indexed from 0, for 3 texts"),
    ("count", engine({**GOOD, "data": [GOOD["data"][0]] * 3}), {}, "0 vectors, indexed from 0"),
    ("count", engine(body([TEXT, NEAR, FAR, FAR])), {}, "4 vectors"),
    ("equal_dimension", engine(body([TEXT, NEAR, FAR[:3]])), {}, "dimensions [4, 4, 3]"),
    ("equal_dimension", engine(body([[], [], []])), {}, "dimensions [0, 0, 0]"),
    ("dimension", engine(GOOD), {"dimension": 384}, "4, expected 384; correct dimension"),
    ("model", engine(body([TEXT, NEAR, FAR], "other")), {}, "asked 'tiny', answered 'other'"),
    ("finite", engine(body([TEXT, [NAN, *NEAR[1:]], FAR])), {}, "1 elements are NaN"),
    ("finite", engine(body([TEXT, NEAR, [INF, -INF, *FAR[2:]]])), {}, "2 elements are NaN"),
    ("finite", engine(body([[None] * 4, NEAR, FAR])), {}, "4 elements are NaN"),
    ("not_constant", engine(body([[0.5] * 4, NEAR, FAR])), {}, "all elements of vector 0 are 0.5"),
    ("not_constant", engine(body([TEXT, NEAR, [0.0] * 4])), {}, "all elements of vector 2 are 0"),
    ("not_constant", engine(body([TEXT, TEXT, TEXT])), {}, "different texts have the same vector"),
    ("batch_equals_single", engine(GOOD, body([FAR])), {}, "cosine -0.0"),
    ("batch_equals_single", engine(GOOD, body([TEXT[:3]])), {}, "or one of another dimension"),
    ("batch_equals_single", engine(GOOD, body([TEXT, TEXT])), {}, "the text alone gives 2 vectors"),
    ("batch_equals_single", engine(GOOD, body([[NAN, *TEXT[1:]]])), {}, "the text alone gives"),
    ("batch_equals_single", engine(GOOD, as_json({"error": "no"}, 500)), {}, "HTTP 500 (no)"),
    ("batch_equals_single", engine(GOOD, body([NEAR])), {"tolerance": 0.001}, "between alone and in a batch"),
    ("semantic", engine(body([TEXT, NEAR, NEAR])), {}, "the vectors carry no meaning"),
    ("semantic", engine(body([TEXT, FAR, NEAR])), {}, "set semantic to false for an untrained one"),
]  # fmt: skip


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


def native(vectors: Vectors) -> Vectors:
    return [{"index": index, "embedding": [vector]} for index, vector in enumerate(vectors)]


FINE = [
    (engine(body([TEXT, FAR, NEAR])), UNTRAINED),
    (engine({**GOOD, "data": GOOD["data"][::-1]}), {}),
    (engine(body([packed(TEXT), packed(NEAR), packed(FAR)]), body([packed(TEXT)])), {"encoding_format": "base64"}),
    (engine(body([TEXT, NEAR, FAR], None)), {}),
    (engine(body([TEXT, TEXT, FAR])), {}),
    (engine(body([[1.0], [0.9], [-1.0]]), body([[1.0]])), {}),
    (engine(body([[1.0, 0.9], [0.9, 0.8], [-1.0, 1.0]]), body([[1.0, 0.9]])), {}),
    (engine([TEXT, NEAR, FAR], [TEXT]), {}),
    (engine(native([TEXT, NEAR, FAR]), native([TEXT])), {}),
    (engine(GOOD, body([[x * 1.001 for x in TEXT]])), {}),
    (engine(GOOD, body([NEAR])), {"tolerance": 0.1}),
]


@pytest.mark.parametrize(("server", "options"), FINE)
def test_what_is_unusual_but_right_passes(server: FakeEngine, options: dict[str, Any]) -> None:
    result = probe(server, options)
    assert result["ok"], result["msg"]


def test_requests_say_what_they_must() -> None:
    texts = {"text": "long enough", "near": "short", "far": "also long"}
    server = engine(GOOD, body([NEAR]))
    assert probe(server, {**texts, "encoding_format": "float"})["ok"]
    bodies = [request.json for request in server.requests[1:]]
    assert bodies == [
        {"model": "tiny", "input": list(texts.values()), "encoding_format": "float"},
        {"model": "tiny", "input": "short", "encoding_format": "float"},
    ]
    server = engine(GOOD)
    assert probe(server)["ok"]
    assert "encoding_format" not in server.requests[1].json


def recorded_json(name: str, file: str) -> Any:
    return json.loads(recorded(name, file).body)


@pytest.mark.parametrize(("name", "model"), [("infinity", "minilm"), ("llama-cpp", "tiny")])
def test_recorded_batches_equal_recorded_singles_in_base64(name: str, model: str) -> None:
    """Real vectors: the same text in a batch, as floats, and alone, as base64."""
    batch = recorded_json(name, "embeddings_batch.json")
    first, second = (entry["embedding"] for entry in batch["data"])
    batch["data"].append({"index": 2, "embedding": [x - y for x, y in zip(first, second, strict=True)]})

    def embed(request: Request) -> Reply:
        return as_json(batch) if len(request.json["input"]) == 3 else recorded(name, "embeddings_base64.json")

    server = FakeEngine({"GET /v1/models": models(model), "POST /v1/embeddings": embed})
    options = {"text": "hello", "near": "world, hello", "far": "world, world", "tolerance": 1e-4, "semantic": False}
    result = probe(server, options)
    assert result["ok"], result["msg"]
    assert cosine(first, second) < 0.999


def test_recorded_answer_for_another_model_is_noticed() -> None:
    """llama.cpp takes any name and answers with it, so only its list of models tells."""
    server = engine(recorded("llama-cpp", "err_embeddings_wrong_model.json"))
    assert failed(probe(server, {"model": "no-such-model"})) == ["models"]


def test_cosine() -> None:
    assert cosine([1, 0], [2, 0]) == pytest.approx(1)
    assert cosine([1, 0], [0, 3]) == pytest.approx(0)
    assert cosine([1, 1], [-1, -1]) == pytest.approx(-1)
    assert cosine([0, 0], [1, 1]) == 0


def test_one_of_several_models_is_chosen_by_what_it_can() -> None:
    def embed(request: Request) -> Reply:
        single = isinstance(request.json["input"], str)
        return as_json(body([TEXT] if single else [TEXT, NEAR, FAR], request.json["model"]))

    server = FakeEngine({"GET /models": recorded("infinity", "ready_models.json"), "POST /embeddings": embed})
    with server:
        result = run_probe("embedding", Endpoint(server.root))
    assert result["ok"], result["msg"]
    assert result["model"] == "minilm"
