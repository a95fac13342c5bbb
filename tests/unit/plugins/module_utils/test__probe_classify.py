# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The classify probe: for every check an engine that fails it alone, and what real engines said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint
from ansible_collections.llmops.serving.plugins.module_utils._probes import run_probe
from tests.unit.plugins.fake_engine import FakeEngine, Reply, Request, as_json, models, recorded

EVERY_CHECK = ["models", "answer", "count", "model", "range", "sum", "label", "labels", "expect"]
LABELS = ["negative", "neutral", "positive"]
NAN = float("nan")


def row(*scores: Any, labels: list[Any] = LABELS) -> list[dict[str, Any]]:
    return [{"label": label, "score": score} for label, score in zip(labels, scores, strict=False)]


def listed(*rows: Any, model: str | None = "tiny") -> dict[str, Any]:
    return {"object": "classify", "data": list(rows), "model": model}


def probs(*entries: tuple[Any, list[Any]]) -> dict[str, Any]:
    """The form of vLLM and SGLang."""
    data = [{"index": i, "label": e[0], "probs": e[1], "num_classes": len(e[1])} for i, e in enumerate(entries)]
    return {"id": "classify-1", "object": "list", "model": "tiny", "data": data}


def engine(answer: Any, path: str = "/v1/classify") -> FakeEngine:
    reply = answer if isinstance(answer, Reply) else as_json(answer)
    return FakeEngine({"GET /v1/models": models("tiny"), f"POST {path}": reply})


def probe(server: FakeEngine, options: dict[str, Any] | None = None) -> dict[str, Any]:
    with server:
        return run_probe("classify", Endpoint(server.url, timeout=5), options)


def failed(result: dict[str, Any]) -> list[str]:
    return [check["name"] for check in result["checks"] if not check["ok"]]


UP, DOWN = row(0.1, 0.2, 0.7), row(0.9, 0.05, 0.05)
GOOD = listed(UP, DOWN)


def test_a_good_server_passes_every_check() -> None:
    server = engine(GOOD)
    result = probe(server, {"labels": LABELS, "expect": ["positive", "negative"]})
    assert result["ok"], result["msg"]
    assert [check["name"] for check in result["checks"]] == EVERY_CHECK
    assert result["sample"] == "positive 0.700, negative 0.900"
    body = {"model": "tiny", "input": ["I love this, it is wonderful!", "This is terrible, I hate it."]}
    assert server.requests[1].json == body


# One wrong thing at a time: the check that must fail, alone, and the words that must name it.
WRONG = [
    ("answer", engine({"data": []}), {}, "no list `data` of labels"),
    ("answer", engine({"label": "x"}), {}, "no list `data` of labels"),
    ("answer", engine("x"), {}, "no list `data` of labels"),
    ("answer", engine(listed("positive", "negative")), {}, "no label and probabilities in each entry"),
    ("answer", engine(listed(["positive"], ["negative"])), {}, "no label and probabilities in each entry"),
    ("answer", engine(listed({"label": "a"}, {"label": "b"})), {}, "no label and probabilities in each entry"),
    ("answer", engine({"data": [{"label": "a"}]}), {"texts": ["one"]}, "no label and probabilities in each entry"),
    ("answer", engine({"data": ["score"]}), {"texts": ["one"]}, "no label and probabilities in each entry"),
    ("answer", engine(UP), {}, "no label and probabilities in each entry"),
    ("answer", engine(listed([], [])), {}, "no label and probabilities in each entry"),
    ("answer", engine(recorded("infinity", "err_classify_wrong_model.json")), {}, "set model to one that it lists"),
    ("answer", engine(as_json({"detail": "x"}, 404)), {}, "/v1/classify: HTTP 404"),
    ("answer", engine(as_json({"error": "broken"}, 500)), {}, "the engine fails on a real request"),
    ("count", engine(listed(UP)), {}, "1 verdicts, indexed from 0, for 2 texts"),
    ("count", engine(listed(UP, DOWN, DOWN)), {}, "3 verdicts"),
    ("count", engine({"data": [{"index": 0, "label": "a", "probs": [1.0]}] * 2}), {}, "0 verdicts"),
    ("model", engine(listed(UP, DOWN, model="other")), {}, "answered 'other'"),
    ("range", engine(listed(UP, row(-0.1, 0.2, 0.9))), {}, "[-0.1, 0.2, 0.9]"),
    ("range", engine(listed(UP, row(1.5, -0.5, 0.0))), {}, "raw scores"),
    ("range", engine(listed(UP, row(1.1, 0.2, 0.3))), {"multi_label": True}, "[1.1, 0.2, 0.3]"),
    ("range", engine(listed(UP, row(NAN, 0.5, 0.5))), {}, "nan"),
    ("range", engine(listed(UP, row(None, 0.5, 0.5))), {}, "None"),
    ("range", engine(probs(("a", [0.1, 0.9]), ("b", []))), {}, "[]"),
    ("range", engine(probs(("a", [0.1, 0.9]), ("b", ["1", 0]))), {}, "'1'"),
    ("sum", engine(listed(UP, row(0.9, 0.9, 0.1))), {}, "sums [1.0, 1.9]; the probabilities of all labels"),
    ("sum", engine(probs(("a", [0.3, 0.2]), ("b", [0.1, 0.9]))), {}, "sums [0.5, 1.0]"),
    ("label", engine(listed(UP, row(0.9, 0.1, labels=[None, "b"]))), {}, "text 1 has no label"),
    ("label", engine(listed(UP, row(0.9, 0.1, labels=[" ", "b"]))), {}, "text 1 has no label"),
    ("label", engine(probs((None, [0.1, 0.9]), ("b", [0.9, 0.1]))), {}, "text 0 has no label; the model's id2label"),
    ("label", engine(listed(UP, row(0.5, 0.3, 0.2, labels=["a", "b", "a"]))), {}, "a label is listed twice"),
    ("label", engine(listed(UP, row(0.5, 0.5))), {}, "different numbers of classes"),
    ("label", engine(listed(UP, row(0.5, 0.3, 0.2, labels=["a", "b", "c"]))), {}, "different sets of labels"),
    ("label", engine(probs(("a", [0.1, 0.9]), ("b", [0.2, 0.8]))), {}, "do not belong to the most probable"),
    ("label", engine(probs(("a", [0.1, 0.9]), ("a", [0.8, 0.2]))), {}, "do not belong to the most probable"),
    ("labels", engine(GOOD), {"labels": ["positive", "negative"]}, "['neutral'] not among"),
    ("labels", engine(probs(("a", [0.1, 0.9]), ("x", [0.9, 0.1]))), {"labels": ["a", "b"]}, "['x'] not among"),
    ("expect", engine(GOOD), {"expect": ["positive", "positive"]}, "expected ['positive', 'positive']"),
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


def predict(request: Request) -> Reply:
    """TEI 1.9: a list of lists is a batch, a flat list one pair."""
    if request.json.get("inputs") != [["I love this, it is wonderful!"], ["This is terrible, I hate it."]]:
        return as_json({"error": "validation", "error_type": "validation"}, 422)
    return as_json([UP, DOWN])


TEI = FakeEngine({"GET /info": as_json({"model_id": "sst2"})})
TEI.routes["POST /predict"] = predict
BACKWARD = probs(("a", [0.1, 0.9]), ("b", [0.9, 0.1]))

FINE = [
    (engine(GOOD, "/classify"), {}),
    (engine(listed(UP, DOWN, model=None)), {}),
    (engine(listed(UP, row(0.9, 0.9, 0.1))), {"multi_label": True}),
    (engine(listed(UP[::-1], DOWN)), {"expect": ["positive", "negative"]}),
    (engine(listed([{"label": "a", "score": 0.8}], [{"label": "b", "score": 0.7}])), {"labels": ["a", "b", "c"]}),
    (engine(listed(UP)), {"texts": ["one"]}),
    (engine(probs(("a", [1.0]), ("b", [1.0]))), {}),
    (engine(UP), {"texts": ["one"], "expect": ["positive"]}),
    (engine(listed(UP, row(1.0, 0.0, 0.0))), {}),
    (engine(listed(UP, row(1.0000001, 0.0, 0.0))), {}),
    (engine(listed(row(0.5, 0.49, 0.0), UP)), {}),
    (engine(BACKWARD), {"labels": ["a", "b"], "expect": ["a", "b"]}),
    (engine({**BACKWARD, "data": BACKWARD["data"][::-1]}), {"expect": ["a", "b"]}),
    (engine(probs(("a", [0.1, 0.9]), ("a", [0.2, 0.8]))), {}),
    (TEI, {"labels": LABELS, "expect": ["positive", "negative"]}),
]


@pytest.mark.parametrize(("server", "options"), FINE)
def test_what_is_unusual_but_right_passes(server: FakeEngine, options: dict[str, Any]) -> None:
    result = probe(server, options)
    assert result["ok"], result["msg"]


def test_recorded_answer_of_infinity() -> None:
    server = FakeEngine({"GET /models": recorded("infinity", "ready_models.json")})
    server.routes["POST /classify"] = recorded("infinity", "classify.json")
    with server:
        result = run_probe("classify", Endpoint(server.root), {"labels": LABELS})
        wrong = run_probe("classify", Endpoint(server.root), {"expect": ["positive", "negative"]})
    assert result["ok"], result["msg"]
    assert result["model"] == "cls"
    assert failed(wrong) == ["expect"]
