# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The classify probe: one label of the model's set for each text, with probabilities that are probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._http import Answer, HttpError
from ansible_collections.llmops.serving.plugins.module_utils._probe import (
    Context,
    Probe,
    engine_routes,
    first_answer,
    in_order,
    is_number,
    shape_error,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PATH = "/classify"
_TEI_PATH = "/predict"
# Probabilities computed in half precision and printed with few digits miss 1 by less than this.
_SUM_TOLERANCE = 0.02


@dataclass(frozen=True)
class Verdict:
    """What the server says about one text.

    Attributes:
        label: The chosen label; None if the answer names none.
        names: Label of each probability; empty if the answer does not name them.
        scores: Probability of each class, as sent.
    """

    label: str | None
    names: tuple[Any, ...]
    scores: tuple[Any, ...]


def run(context: Context) -> None:
    """Classifies the texts once and judges labels and probabilities."""
    report, options = context.report, context.options
    texts = options["texts"]
    report.stage = "answer"
    answer = _ask(context)
    report.latency = answer.seconds
    report.raw = answer.body
    verdicts = _verdicts(answer, len(texts))
    report.add("answer", True, f"POST {answer.url} in {answer.seconds * 1000:.0f} ms")
    report.demand(
        "count",
        verdicts is not None and len(verdicts) == len(texts),
        f"{0 if verdicts is None else len(verdicts)} verdicts, indexed from 0, for {len(texts)} texts",
        "the engine or a proxy loses or mixes inputs of a batch: update it",
    )
    verdicts = verdicts or []
    report.sample = ", ".join(f"{verdict.label} {_top(verdict)}" for verdict in verdicts)
    context.check_model(answer.body, required=False)
    _check_probabilities(context, verdicts)
    _check_labels(context, verdicts)
    if options["expect"]:
        seen = [verdict.label for verdict in verdicts]
        remedy = "correct expect, or serve the model that tells these texts apart"
        report.add("expect", seen == options["expect"], f"{seen}, expected {options['expect']}", remedy)


def _check_probabilities(context: Context, verdicts: Sequence[Verdict]) -> None:
    report = context.report
    scores = [list(verdict.scores) for verdict in verdicts]
    report.demand(
        "range",
        all(row and all(is_number(score) and 0 <= score <= 1 + 1e-6 for score in row) for row in scores),
        f"probabilities {_rounded(scores)}",
        "these are raw scores or the model overflows: let the engine apply softmax (infinity: raw_scores false), or "
        "serve the model in float32",
    )
    if context.options["multi_label"]:
        return
    # A server that sends the best label only says nothing about the rest.
    sums = [math.fsum(row) for row in scores if len(row) > 1]
    report.add(
        "sum",
        all(abs(total - 1) <= _SUM_TOLERANCE for total in sums),
        f"sums {_rounded([sums])[0]}",
        "the probabilities of all labels must add up to 1: set multi_label to true for a model whose labels are "
        "independent of each other",
    )


def _check_labels(context: Context, verdicts: Sequence[Verdict]) -> None:
    """The label is named, is the most probable one, and the set is the same for every text and as wished."""
    report = context.report
    unnamed = [number for number, verdict in enumerate(verdicts) if not verdict.label]
    problem = f"text {unnamed[0]} has no label" if unnamed else _set_problem(verdicts) or _naming_problem(verdicts)
    labels = [verdict.label for verdict in verdicts]
    remedy = "the model's id2label is missing or wrong: correct it in its config.json"
    report.add("label", not problem, problem or f"labels {labels}", remedy)
    allowed = context.options["labels"]
    if allowed:
        strange = sorted({str(name) for verdict in verdicts for name in (verdict.label, *verdict.names)} - set(allowed))
        detail = f"{strange} not among {allowed}" if strange else f"{labels} among {allowed}"
        report.add("labels", not strange, detail, "correct labels, or serve the model that has them")


def _set_problem(verdicts: Sequence[Verdict]) -> str:
    """Labels listed twice, or not the same for every text; the number of classes for servers that list no labels."""
    full = [verdict for verdict in verdicts if len(verdict.scores) > 1]
    for verdict in full:
        names = [str(name) for name in verdict.names]
        if len(set(names)) != len(names):
            return f"a label is listed twice: {names}"
    if len({len(verdict.scores) for verdict in full}) > 1:
        return "the texts have different numbers of classes"
    if len({frozenset(map(str, verdict.names)) for verdict in full}) > 1:
        return "the texts have different sets of labels"
    return ""


def _naming_problem(verdicts: Sequence[Verdict]) -> str:
    """Where only the chosen label is named: a class called two names, or two classes called one name."""
    pairs = {
        (verdict.scores.index(max(verdict.scores)), verdict.label)
        for verdict in verdicts
        if not verdict.names and len(verdict.scores) > 1
    }
    for place in (0, 1):
        values = [pair[place] for pair in pairs]
        if len(set(values)) < len(values):
            return f"labels do not belong to the most probable classes: {sorted(pairs, key=str)}"
    return ""


def _ask(context: Context) -> Answer:
    texts = context.options["texts"]
    try:
        # A list even for one text: infinity refuses a bare one.
        return context.post(engine_routes(context.endpoint, _PATH), {"input": texts})
    except HttpError as error:
        if error.kind != "not_found":
            raise
        missing = error
    try:
        # In TEI a flat list is one pair of texts, a list of lists is a batch.
        routes = engine_routes(context.endpoint, _TEI_PATH)
        return first_answer(context.endpoint, "POST", routes, {"inputs": [[text] for text in texts]})
    except HttpError as error:
        raise (missing if error.kind == "not_found" else error) from None


def _verdicts(answer: Answer, count: int) -> list[Verdict] | None:
    """One verdict for each text in their order; None if the indices are wrong.

    Source: infinity sends `{"data": [[{"label", "score"}]]}`, vLLM, Aphrodite and SGLang
    `{"data": [{"index", "label", "probs"}]}`, TEI a bare list of lists of `{"label", "score"}`.

    Raises:
        HttpError: It is none of these.
    """
    body = answer.body
    entries = body.get("data") if isinstance(body, dict) else body
    if not isinstance(entries, list) or not entries:
        raise shape_error(answer, "list `data` of labels")
    if count == 1 and all(isinstance(entry, dict) and "score" in entry for entry in entries):
        entries = [entries]
    ordered = in_order(entries)
    if ordered is None:
        return None
    verdicts = [_verdict(entry) for entry in ordered]
    if any(verdict is None for verdict in verdicts):
        raise shape_error(answer, "label and probabilities in each entry of `data`")
    return [verdict for verdict in verdicts if verdict is not None]


def _verdict(entry: Any) -> Verdict | None:
    if isinstance(entry, dict) and isinstance(entry.get("probs"), list):
        return Verdict(_name(entry.get("label")), (), tuple(entry["probs"]))
    if isinstance(entry, list) and entry and all(isinstance(item, dict) for item in entry):
        names = tuple(item.get("label") for item in entry)
        scores = tuple(item.get("score") for item in entry)
        numbers = [score if is_number(score) else -math.inf for score in scores]
        return Verdict(_name(names[numbers.index(max(numbers))]), names, scores)
    return None


def _name(label: Any) -> str | None:
    return label if isinstance(label, str) and label.strip() else None


def _top(verdict: Verdict) -> str:
    numbers = [score for score in verdict.scores if is_number(score)]
    return f"{max(numbers):.3f}" if numbers else "?"


def _rounded(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [[round(score, 4) if is_number(score) else score for score in row] for row in rows]


def check(options: Mapping[str, Any]) -> list[str]:
    """Problems of the options beyond their types."""
    problems = []
    if not options["texts"]:
        problems.append("texts is empty: give at least one text")
    if options["expect"] and len(options["expect"]) != len(options["texts"]):
        problems.append("expect has {} labels for {} texts".format(len(options["expect"]), len(options["texts"])))
    if options["expect"] and options["labels"] and not set(options["expect"]) <= set(options["labels"]):
        problems.append("expect names a label that is not in labels")
    return problems


PROBE = Probe(
    name="classify",
    capability="classify",
    options={
        "texts": {
            "type": "list",
            "elements": "str",
            "default": ["I love this, it is wonderful!", "This is terrible, I hate it."],
        },
        "labels": {"type": "list", "elements": "str"},
        "expect": {"type": "list", "elements": "str"},
        "multi_label": {"type": "bool", "default": False},
    },
    check=check,
    run=run,
)
