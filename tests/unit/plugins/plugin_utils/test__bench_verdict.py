# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_report import complete
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import summarise
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_verdict import Verdict, judge
from tests.unit.plugins import bench_documents
from tests.unit.plugins.bench_documents import (
    APHRODITE,
    LLAMA,
    SGLANG,
    VLLM,
    Engine,
    candidate,
    document,
    fallen,
    measured,
    refuse,
    step,
)


def verdict_of(given: dict[str, t.Any]) -> Verdict:
    return judge(given, summarise(given))


# A document, the winner, who is best, the ranking, what decided, and what the first line says.
OUTCOMES: list[tuple[str, str | None, list[str], list[str], str, str]] = [
    ("clear_winner", "vllm", ["vllm"], ["vllm", "aphrodite", "llama_cpp"], "output tokens/s, each at its best level",
     "vLLM wins with 2.55 times the output tokens/s of Aphrodite."),
    ("tie", None, ["sglang", "vllm"], ["sglang", "vllm", "llama_cpp"], "output tokens/s, each at its best level",
     "No significant difference between SGLang and vLLM in output tokens/s."),
    ("everything", "vllm", ["vllm"], ["vllm", "aphrodite", "llama_cpp"],
     "good requests/s (ttft_ms up to 150, tpot_ms up to 25) at 4 at once",
     "vLLM wins with 81 % more good requests/s than Aphrodite, at 4 at once."),
    ("embedding", "infinity", ["infinity"], ["infinity", "llama_cpp"], "texts/s at 4 at once, batch 32",
     "infinity wins with 77 % more texts/s than llama.cpp, at 4 at once, batch 32."),
    ("tune", None, ["own", "parallel=32"], ["own", "parallel=32", "kv_cache_gib=0.25"],
     "output tokens/s, each at its best level",
     "No significant difference between own and parallel=32 in output tokens/s."),
]  # fmt: skip


@pytest.mark.parametrize(("name", "winner", "best", "ranking", "decided_by", "line"), OUTCOMES)
def test_outcomes(  # noqa: PLR0913, PLR0917  the columns of the table
    name: str, winner: str | None, best: list[str], ranking: list[str], decided_by: str, line: str
) -> None:
    verdict = verdict_of(getattr(bench_documents, name)())
    assert (verdict["winner"], verdict["best"], verdict["ranking"]) == (winner, best, ranking)
    assert verdict["decided_by"] == decided_by
    assert verdict["lines"][0] == line


def test_what_failed_or_answered_garbage_is_a_line_and_never_wins() -> None:
    fast = measured(VLLM) | {"status": "disqualified", "reason": "garbage: it repeats\nitself", "remedy": "try another"}
    failed = fallen(APHRODITE, "failed", "it does no chat.", "leave it out")
    verdict = verdict_of(document([fast, measured(LLAMA), failed]))
    assert verdict["winner"] == "llama_cpp"
    assert verdict["ranking"] == ["llama_cpp"]
    assert verdict["lines"][0].startswith("llama.cpp is the only one that could be measured: it gives 184 (")
    assert "vLLM is disqualified: garbage: it repeats itself; try another." in verdict["lines"]
    assert "Aphrodite failed: it does no chat; leave it out." in verdict["lines"]


def test_nothing_measured_has_no_winner() -> None:
    verdict = verdict_of(document([fallen(VLLM, "failed", "out of memory", "lower it")]))
    assert (verdict["winner"], verdict["ranking"]) == (None, [])
    assert verdict["lines"] == [
        "No candidate could be measured, so there is no winner.",
        "vLLM failed: out of memory; lower it.",
    ]


def test_a_benchmark_of_one_server_has_no_winner() -> None:
    verdict = verdict_of(document([measured(VLLM)], kind="benchmark"))
    assert (verdict["winner"], verdict["best"]) == (None, ["vllm"])
    assert verdict["lines"][0].startswith("vLLM gives 529 (")


def test_a_fast_engine_is_not_judged_by_a_level_where_the_client_was_too_slow() -> None:
    fast = measured(VLLM)
    refuse(next(one for one in fast["steps"] if one["concurrency"] == 8))
    # Only at 8 at once would this one be ahead of the other at 4 at once.
    slower = measured(SGLANG)
    verdict = verdict_of(document([fast, slower]))
    assert verdict["decided_by"] == "output tokens/s at 4 at once"
    assert "8 at once: no numbers of vLLM, so this level decides nothing" in verdict["cautions"]
    assert any(
        line.startswith("vLLM, 8 at once: no numbers, the load client was the bottl") for line in verdict["cautions"]
    )


def test_without_a_common_level_nobody_is_ranked() -> None:
    verdict = verdict_of(document([measured(VLLM, levels=(1,)), measured(LLAMA, levels=(2,))]))
    assert (verdict["winner"], verdict["ranking"]) == (None, [])
    assert any("set benchmark_concurrency" in line for line in verdict["cautions"])


def test_pairs_tell_ratio_and_significance() -> None:
    verdict = verdict_of(bench_documents.tie())
    pairs = {(pair["a"], pair["b"]): pair for pair in verdict["pairs"]}
    assert list(pairs) == [("sglang", "vllm"), ("sglang", "llama_cpp"), ("vllm", "llama_cpp")]
    assert [pair["significant"] for pair in pairs.values()] == [False, True, True]
    assert pairs["vllm", "llama_cpp"]["ratio"] == pytest.approx(529 / 184, rel=0.02)


# Objectives that nobody meets, and what is said.
IMPOSSIBLE = [
    ({"ttft_ms": 10}, "no request of any engine met the objective ttft_ms 10, the best was 3"),
    ({"tpot_ms": 0.5}, "set benchmark_objective.tpot_ms above"),
]


@pytest.mark.parametrize(("objective", "said"), IMPOSSIBLE)
def test_an_impossible_objective_is_told_and_decides_nothing(objective: dict[str, float], said: str) -> None:
    verdict = verdict_of(document([measured(LLAMA), measured(VLLM)], objective=objective))
    assert said in verdict["cautions"][0]
    assert verdict["metric"] == "output_tokens_per_s"
    assert verdict["winner"] == "vllm"


def test_objectives_that_are_met_one_at_a_time_only_are_told() -> None:
    eager, steady = Engine("eager", "eager", ttft=20, tpot=30), Engine("steady", "steady", ttft=500, tpot=5)
    verdict = verdict_of(document([measured(eager), measured(steady)], objective={"ttft_ms": 100, "tpot_ms": 10}))
    assert "no request of any engine met the objectives ttft_ms and tpot_ms together" in verdict["cautions"][0]
    assert verdict["metric"] == "output_tokens_per_s"


def test_an_objective_that_some_meet_is_not_called_impossible() -> None:
    verdict = verdict_of(document([measured(LLAMA), measured(VLLM)], objective={"ttft_ms": 60}))
    assert verdict["metric"] == "goodput_per_s"
    assert not any("objective" in line for line in verdict["cautions"])


def test_an_objective_that_the_task_lacks_is_told() -> None:
    given = bench_documents.embedding()
    given["profile"]["objective"] = {"ttft_ms": 100}
    verdict = verdict_of(given)
    assert "remove benchmark_objective.ttft_ms" in verdict["cautions"][0]
    assert verdict["metric"] == "items_per_s"


def test_a_rate_is_a_level_too() -> None:
    candidates = [
        candidate(engine, [step(engine, concurrency=None, rate=2.0, repetition=number) for number in (1, 2, 3)])
        for engine in (VLLM, LLAMA)
    ]
    verdict = verdict_of(document(candidates))
    # All keep up with two requests a second: nobody is faster.
    assert verdict["winner"] is None
    assert verdict["decided_by"] == "output tokens/s at 2 requests/s"


def test_the_values_stand_in_a_line_of_their_own() -> None:
    dash = "\N{EN DASH}"
    line = verdict_of(bench_documents.everything())["lines"][1]
    values = [f"vLLM 5.84 (5.69{dash}6.01)", f"Aphrodite 3.22 (3.12{dash}3.30)", f"llama.cpp 2.67 (2.39{dash}2.85)"]
    assert line == f"Good requests/s: {'; '.join(values)}."
    line = verdict_of(bench_documents.tune())["lines"][1]
    assert line.startswith("Output tokens/s: own 279 (")
    assert "; parallel=32: 276 (" in line


def test_of_many_the_first_are_named() -> None:
    many = [Engine(f"threads={number}", "llama.cpp", tpot=10 + number / 100) for number in range(8)]
    first, second, *_others = verdict_of(document([measured(one, levels=(1,)) for one in many], kind="tune"))["lines"]
    assert first.count("threads=") == 3
    assert "5 others" in first
    assert second.count("threads=") == 5
    assert second.endswith("; 3 more follow.")


def test_a_level_at_which_one_dies_is_not_taken_from_the_others() -> None:
    fast, slow = measured(VLLM, levels=(1, 8)), measured(LLAMA, levels=(1, 8))
    for one in slow["steps"]:
        if one["concurrency"] == 8:
            one["samples"], one["requests"] = {}, {"sent": 5, "good": 0, "failed": 5, "short": 0, "cut": 0}
    found = complete(document([fast, slow]))
    alone = complete(document([measured(VLLM, levels=(1, 8))]))
    assert found["verdict"]["levels"]["vllm"] == alone["verdict"]["levels"]["vllm"] == "8 at once"
    assert (
        found["recommendation"]["expected"]["level"] == found["verdict"]["levels"][found["recommendation"]["candidate"]]
    )
