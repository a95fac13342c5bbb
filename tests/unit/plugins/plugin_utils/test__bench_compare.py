# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_compare import Comparison, compare
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import BenchError
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_report import complete
from tests.unit.plugins import bench_documents
from tests.unit.plugins.bench_documents import LLAMA, VLLM, Engine, document, measured, refuse

LEVELS = (1, 4)


def run(*engines: Engine, seed: int = 1, **profile: t.Any) -> dict[str, t.Any]:
    return document([measured(engine, levels=LEVELS, seed=seed) for engine in engines], **profile)


def engine(factor: float) -> Engine:
    """A vLLM whose every time is longer by a factor."""
    return Engine("vllm", "vLLM", ttft=VLLM.ttft * factor, tpot=VLLM.tpot * factor, slots=VLLM.slots)


# How much slower it became, the threshold, and what is said of the throughput at 4 at once.
CASES: list[tuple[float, float, str, bool]] = [
    (1.3, 0.05, "worse", True),
    (1.3, 0.5, "worse", False),
    (0.7, 0.05, "better", False),
    (1.005, 0.05, "no significant difference", False),
    (1.0, 0.0, "no significant difference", False),
]


@pytest.mark.parametrize(("factor", "threshold", "verdict", "regression"), CASES)
def test_a_regression_is_significant_and_beyond_the_threshold(
    factor: float, threshold: float, verdict: str, regression: bool
) -> None:
    comparison = compare(run(VLLM), run(engine(factor), seed=2), threshold)
    (change,) = [one for one in comparison.changes if (one.level, one.metric) == ("4 at once", "output_tokens_per_s")]
    assert (change.verdict, change.regression) == (verdict, regression)
    assert change.ratio == pytest.approx(1 / factor, rel=0.05)
    assert change.before_ci[0] <= change.before <= change.before_ci[1]
    assert bool(comparison.regressions) is regression


def test_more_latency_is_worse() -> None:
    comparison = compare(run(VLLM), run(engine(1.3), seed=2))
    latencies = {one.metric: one.verdict for one in comparison.changes if "p50" in one.metric}
    assert latencies == {"ttft_ms p50": "worse", "tpot_ms p50": "worse", "e2el_ms p50": "worse"}
    assert all(one.verdict == "worse" for one in comparison.changes)


def test_every_measure_of_every_level_is_compared() -> None:
    comparison = compare(run(LLAMA, VLLM), run(LLAMA, VLLM))
    places = [(one.candidate, one.level, one.metric) for one in comparison.changes]
    assert len(places) == len(set(places)) == 2 * 2 * 5
    assert {one.verdict for one in comparison.changes} == {"no significant difference"}
    assert comparison.conditions == comparison.only_before == comparison.only_after == ()


def test_embeddings_are_compared_by_items() -> None:
    given = bench_documents.embedding()
    metrics = {one.metric for one in compare(given, given).changes}
    assert metrics == {"requests_per_s", "items_per_s", "e2el_ms p50"}


def test_what_only_one_has_is_told() -> None:
    before, after = run(LLAMA, VLLM), document([measured(VLLM, levels=(4, 8))])
    comparison = compare(before, after)
    assert comparison.only_before == ("llama_cpp: was not measured after", "vllm, 1 at once: was not measured after")
    assert comparison.only_after == ("vllm, 8 at once: was not measured before",)


def test_a_refused_level_is_told() -> None:
    before, after = run(VLLM), run(VLLM)
    refuse(after["candidates"][0]["steps"][0])
    (line,) = compare(before, after).only_before
    assert line == "vllm, 1 at once: after, the load client was the bottleneck, so there are no numbers"


def _host(given: dict[str, t.Any]) -> None:
    given["host"]["cpu"] = {"model": "other", "cores": 4}
    given["host"]["driver"] = "550.1"


def _candidate(given: dict[str, t.Any]) -> None:
    given["candidates"][0]["image"] = "docker.io/example/vllm:v2@sha256:" + "b" * 64
    given["candidates"][0]["model"]["revision"] = "d" * 40
    given["candidates"][0]["words"] |= {"parallel": 4, "dtype": "bfloat16"}


def _load(given: dict[str, t.Any]) -> None:
    given["seed"] = 7
    given["profile"]["work"]["input_tokens"] = 512
    given["profile"]["from"] = "host"


CONDITIONS = [
    (_host, ["host driver", "host cpu model", "host cpu cores", "host cpu governor"]),
    (_candidate, ["vllm image", "vllm model revision", "vllm parallel", "vllm dtype"]),
    (_load, ["from", "work input_tokens"]),
]


@pytest.mark.parametrize(("change", "titles"), CONDITIONS)
def test_what_was_not_the_same_is_told(change: t.Callable[[dict[str, t.Any]], None], titles: list[str]) -> None:
    before, after = run(VLLM), run(VLLM)
    change(after)
    lines = compare(before, after).conditions
    assert [line.split(":")[0] for line in lines] == titles
    assert all(" before, " in line and line.endswith(" after") and "\n" not in line for line in lines)


# What is wrong, and what is said.
REFUSED: list[tuple[dict[str, t.Any], dict[str, t.Any], str]] = [
    ({}, {"kind": "tune"}, "one is of kind tournament, the other of kind tune: compare"),
    ({}, {"profile": {"name": "rag"}}, "of profile chat, the other of profile rag"),
    ({}, {"profile": {"name": "chat", "work": {"task": "rerank"}}}, "of task chat, the other of task rerank"),
    ({}, {"candidates": []}, "no candidate with a level in common .*vllm 1 at once, vllm 4 at once; nothing measured"),
    ({"candidates": "x"}, {}, "not whole"),
]


@pytest.mark.parametrize(("before", "after", "said"), REFUSED)
def test_what_cannot_be_compared_is_refused(before: dict[str, t.Any], after: dict[str, t.Any], said: str) -> None:
    with pytest.raises(BenchError, match=said) as caught:
        compare(run(VLLM) | before, run(VLLM) | after)
    assert "\n" not in str(caught.value)


def test_a_threshold_below_0_is_refused() -> None:
    with pytest.raises(BenchError, match="below 0"):
        compare(run(VLLM), run(VLLM), -0.1)


def test_completed_documents_are_compared_by_what_they_say() -> None:
    before, after = complete(run(VLLM)), complete(run(engine(1.3), seed=2))
    assert compare(before, after) == compare(run(VLLM), run(engine(1.3), seed=2))
    # Their own numbers count, and not new ones.
    for level in after["summary"][0]["levels"]:
        level["output_tokens_per_s"] = {"value": 1.0, "ci": [1.0, 1.0]}
    assert compare(before, after).changes[0].after == 1.0


def test_it_can_be_written_as_json() -> None:
    comparison = compare(run(VLLM), run(engine(1.3), seed=2))
    assert isinstance(comparison, Comparison)
    written = json.loads(json.dumps(comparison.to_dict()))
    assert written["regressions"] == len(comparison.regressions) > 0
    assert written["changes"][0]["verdict"] == "worse"


def test_what_does_not_answer_any_more_is_a_regression() -> None:
    after = run(VLLM)
    after["candidates"][0] |= {"status": "failed", "reason": "it died", "steps": []}
    (line,) = compare(run(VLLM, LLAMA), document([*after["candidates"], *run(LLAMA)["candidates"]])).lost
    assert line == "vllm: failed after: it died"


def test_a_level_that_answers_nothing_any_more_is_a_regression() -> None:
    after = run(VLLM)
    for step in after["candidates"][0]["steps"]:
        if step["concurrency"] == LEVELS[0]:
            step["samples"], step["requests"] = {}, {"sent": 5, "good": 0, "failed": 5, "short": 0, "cut": 0}
    (line,) = compare(run(VLLM), after).lost
    assert line.endswith("answered nothing after")
