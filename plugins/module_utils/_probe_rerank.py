# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rerank probe: does every document come back once, with a finite score, the relevant one first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._http import Answer, HttpError, one_line
from ansible_collections.llmops.serving.plugins.module_utils._probe import (
    Context,
    Probe,
    engine_routes,
    is_number,
    is_permutation,
    shape_error,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATH = "/rerank"
_TWO = 2
# TEI names the list of documents `texts`, and says so in its refusal.
_REFUSED = (400, 422)


@dataclass(frozen=True)
class _Rank:
    """One place of the ranking: the document's index and its score, as the server sent them."""

    index: Any
    score: Any


def run(context: Context) -> None:
    """Ranks the documents once and judges the ranking."""
    report, options = context.report, context.options
    documents = options["documents"]
    report.stage = "answer"
    answer = _ask(context)
    report.latency = answer.seconds
    report.raw = answer.body
    ranks = _ranks(answer)
    report.add("answer", True, f"POST {answer.url} in {answer.seconds * 1000:.0f} ms")
    indices = [rank.index for rank in ranks]
    report.demand(
        "permutation",
        is_permutation(indices, len(documents)),
        f"documents {indices} of {len(documents)}",
        "the engine loses or repeats documents: update it, and see whether a limit of its batch or of top_n is set",
    )
    best = ranks[0]
    report.sample = f"{best.score}: {one_line(documents[best.index], 120)}"
    context.check_model(answer.body, required=False)
    scores = [rank.score for rank in ranks]
    report.demand(
        "finite",
        all(is_number(score) for score in scores),
        f"scores {scores}",
        "the model overflows: serve it in another dtype (float32 or bfloat16 instead of float16)",
    )
    report.add(
        "sorted",
        scores == sorted(scores, reverse=True),
        f"scores {scores}",
        "the ranking is not in the order of its scores: update the engine",
    )
    if options["semantic"]:
        relevant = options["relevant"]
        clear = max(scores) > min(scores)
        report.add(
            "relevant_first",
            best.index == relevant and clear,
            f"document {best.index} is first, {relevant} is relevant" if clear else f"all scores are {best.score}",
            "the model does not tell relevant from irrelevant: check its weights, its prompt template and that it is a "
            "reranker, or set semantic to false for an untrained one",
        )


def _ask(context: Context) -> Answer:
    routes = engine_routes(context.endpoint, _PATH)
    query, documents = context.options["query"], context.options["documents"]
    try:
        return context.post(routes, {"query": query, "documents": documents})
    except HttpError as error:
        if error.status not in _REFUSED or "texts" not in error.seen:
            raise
    return context.post(routes, {"query": query, "texts": documents})


def _ranks(answer: Answer) -> list[_Rank]:
    """The ranking in the order it came.

    Source: infinity, vLLM, Aphrodite and llama.cpp send `{"results": [{"index", "relevance_score"}]}`, SGLang and TEI a
    bare list with `score`.

    Raises:
        HttpError: It is neither.
    """
    body = answer.body
    entries = body.get("results", body.get("data")) if isinstance(body, dict) else body
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise shape_error(answer, "list `results`")
    return [_Rank(entry.get("index"), entry.get("relevance_score", entry.get("score"))) for entry in entries]


def check(options: Mapping[str, Any]) -> list[str]:
    """Problems of the options beyond their types."""
    problems = []
    count = len(options["documents"])
    if count < _TWO:
        problems.append(f"documents has {count} entries: give at least 2")
    if options["semantic"] and not 0 <= options["relevant"] < count:
        problems.append(
            "relevant is {}: it must be an index of documents, 0 to {}".format(options["relevant"], count - 1)
        )
    if not options["query"].strip():
        problems.append("query is empty: give a question")
    return problems


PROBE = Probe(
    name="rerank",
    capability="rerank",
    options={
        "query": {"type": "str", "default": "What is the capital of France?"},
        "documents": {
            "type": "list",
            "elements": "str",
            "default": [
                "Bananas are rich in potassium.",
                "Paris is the capital and largest city of France.",
                "The Pacific is the largest ocean.",
            ],
        },
        "relevant": {"type": "int", "default": 1},
        "semantic": {"type": "bool", "default": True},
    },
    check=check,
    run=run,
)
