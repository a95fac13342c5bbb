# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import time
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import (
    Level,
    best_level,
    meets,
    rate_of,
    summarise,
)
from tests.unit.plugins.bench_documents import (
    APHRODITE,
    INFINITY,
    LLAMA,
    SGLANG,
    VLLM,
    Engine,
    candidate,
    document,
    measured,
    refuse,
    step,
)

RATES = (
    "requests_per_s", "output_tokens_per_s", "total_tokens_per_s", "items_per_s", "goodput_per_s", "tokens_per_s_user",
)  # fmt: skip


def small(**more: t.Any) -> dict[str, t.Any]:
    """A step of four requests in two seconds, two at once, that can be worked out by hand."""
    return {
        "concurrency": 2,
        "rate": None,
        "repetition": 1,
        "seconds": 2.0,
        "requests": {"sent": 6, "good": 3, "failed": 1, "short": 1, "cut": 1},
        "errors": [{"what": "HTTP 503", "count": 1}],
        "tokens": {"input": 400, "output": 26, "set_input": 100, "off_input": 0, "chunks": 26, "from": "usage"},
        "items": 0,
        "samples": {
            "ttft_ms": [100.0, 200.0, 300.0, 400.0],
            "tpot_ms": [10.0, 20.0, 30.0, None],
            "e2el_ms": [190.0, 290.0, 480.0, 400.0],
            "output_tokens": [10, 8, 7, 1],
            "itl_ms": [10.0, 20.0, 30.0, None],
        },
        "itl": {
            "mean_ms": 18.0,
            "p50_ms": 15.0,
            "p90_ms": 30.0,
            "p99_ms": 40.0,
            "count": 22,
            "histogram": {"edges_ms": [1, 10, 100], "counts": [2, 20]},
        },
        "client": {"cpu_share": 0.2, "late_p99_ms": 1.0, "bottleneck": False, "why": ""},
        "prompts": "d1",
        **more,
    }


def level_of(*steps: dict[str, t.Any], **objective: float) -> Level:
    (summary,) = summarise(document([candidate(VLLM, list(steps))], objective=objective))
    (level,) = summary["levels"]
    return level


def test_the_numbers_are_those_of_vllm() -> None:
    level = level_of(small())
    assert level["ttft_ms"] is not None
    assert {name: level["ttft_ms"][name] for name in ("mean", "p50", "p90", "p99")} == {
        "mean": 250.0, "p50": 250.0, "p90": 370.0, "p99": 397.0,
    }  # fmt: skip
    # The answer of one token has no time between tokens.
    assert level["tpot_ms"] is not None
    assert (level["tpot_ms"]["mean"], level["tpot_ms"]["p50"]) == (20.0, 20.0)
    assert level["e2el_ms"] is not None
    assert level["e2el_ms"]["p50"] == 345.0
    rates = {name: rate_of(level, name) for name in RATES}
    values = {name: rate and rate["value"] for name, rate in rates.items()}
    assert values == {
        "requests_per_s": 2.0,  # good and short ones; what failed or was cut off adds nothing
        "output_tokens_per_s": 13.0,
        "total_tokens_per_s": 213.0,
        "items_per_s": None,
        "goodput_per_s": None,
        "tokens_per_s_user": 50.0,
    }
    assert level["requests"] == {"sent": 6, "good": 3, "failed": 1, "short": 1, "cut": 1}


# Objectives, and which of the four requests meet them.
GOODPUT = [
    ({"ttft_ms": 300}, [1, 1, 1, 0]),
    ({"ttft_ms": 299.9}, [1, 1, 0, 0]),
    ({"tpot_ms": 20}, [1, 1, 0, 1]),  # an answer of one token counts as 0, as vLLM has it
    ({"e2el_ms": 400}, [1, 1, 0, 1]),
    ({"ttft_ms": 250, "tpot_ms": 15}, [1, 0, 0, 0]),
    ({"ttft_ms": 50}, [0, 0, 0, 0]),
]


@pytest.mark.parametrize(("objective", "good"), GOODPUT)
def test_goodput_counts_requests_that_meet_every_objective(objective: dict[str, float], good: list[int]) -> None:
    assert meets(small(), objective) == good
    goodput = level_of(small(), **objective)["goodput_per_s"]
    assert goodput is not None
    assert goodput["value"] == sum(good) / 2.0


def test_repetitions_are_summed_up() -> None:
    second = small(repetition=2, seconds=4.0, prompts="d2", client={"cpu_share": 0.4, "late_p99_ms": 0.5})
    second["errors"] = [{"what": "HTTP 503", "count": 2}, {"what": "timeout", "count": 1}]
    second["itl"] = second["itl"] | {"p50_ms": 45.0, "count": 11}
    level = level_of(small(), second)
    assert level["repetitions"] == 2
    assert level["requests"]["sent"] == 12
    assert level["errors"] == [{"what": "HTTP 503", "count": 3}, {"what": "timeout", "count": 1}]
    assert level["client"] == {"cpu_share": 0.4, "late_p99_ms": 1.0}
    assert level["prompts"] == {"1": "d1", "2": "d2"}
    assert level["requests_per_s"] is not None
    assert level["requests_per_s"]["value"] == pytest.approx(8 / 6, abs=0.001)
    # Weighted by the number of gaps: (15 * 22 + 45 * 11) / 33.
    assert level["itl_ms"] is not None
    assert level["itl_ms"]["p50"] == 25.0
    assert level["itl_ms"]["ci"][0] <= 25.0 <= level["itl_ms"]["ci"][1]


def test_one_refused_repetition_withholds_the_level() -> None:
    steps = [step(VLLM, repetition=number) for number in (1, 2, 3)]
    refuse(steps[1])
    level = level_of(*steps)
    assert level["refused"].startswith("1 of 3 repetitions: CPU share 0.97")
    numbers = [name for name in level if name.endswith(("_ms", "_per_s", "_user"))]
    assert len(numbers) == 10
    assert all(level[name] is None for name in numbers)  # type: ignore[literal-required]
    # What was sent is told all the same.
    assert level["requests"]["sent"] == 120


def test_nothing_answered_is_no_number() -> None:
    level = level_of(small(samples={}, itl={}, requests={"sent": 3, "good": 0, "failed": 3, "short": 0, "cut": 0}))
    assert level["refused"] == ""
    assert level["requests_per_s"] is None
    assert level["requests"]["failed"] == 3


def test_embeddings_are_counted_by_items() -> None:
    steps = [step(INFINITY, batch=8, repetition=number, task="embedding") for number in (1, 2, 3)]
    level = level_of(*steps)
    assert level["batch"] == 8
    assert level["items_per_s"] is not None
    assert level["requests_per_s"] is not None
    assert level["items_per_s"]["value"] == pytest.approx(8 * level["requests_per_s"]["value"], rel=0.01)
    assert level["ttft_ms"] is level["tpot_ms"] is level["itl_ms"] is None
    assert level["output_tokens_per_s"] is None


def test_an_objective_that_the_task_does_not_have_has_no_goodput() -> None:
    level = level_of(step(INFINITY, task="embedding"), ttft_ms=100)
    assert level["goodput_per_s"] is None


def test_every_interval_holds_its_value() -> None:
    (summary,) = summarise(document([measured(LLAMA)], objective={"ttft_ms": 100}))
    found = 0
    for level in summary["levels"]:
        for name, value in level.items():
            if isinstance(value, dict) and "ci" in value:
                found += 1
                assert value["ci"][0] <= value.get("value", value.get("p50")) <= value["ci"][1], name
    assert found == 4 * 9


def test_the_same_document_has_the_same_summary_whatever_else_is_in_it() -> None:
    alone = summarise(document([measured(VLLM)]))
    assert summarise(document([measured(LLAMA), measured(VLLM)]))[1] == alone[0]
    other = document([measured(VLLM)]) | {"seed": 2}
    assert summarise(other) != alone


def test_levels_rise() -> None:
    steps = [step(VLLM, concurrency=16), step(VLLM, concurrency=None, rate=2.0), step(VLLM, concurrency=2)]
    (summary,) = summarise(document([candidate(VLLM, steps)]))
    assert [(level["concurrency"], level["rate"]) for level in summary["levels"]] == [
        (2, None),
        (16, None),
        (None, 2.0),
    ]


def test_the_best_level() -> None:
    (summary,) = summarise(document([measured(LLAMA)]))
    best = best_level(summary["levels"], "output_tokens_per_s")
    assert best is not None
    assert best["concurrency"] == 4
    assert best_level([], "output_tokens_per_s") is None


def test_the_document_is_left_alone() -> None:
    given = document([measured(VLLM, levels=(1,))])
    before = copy.deepcopy(given)
    summarise(given)
    assert given == before


def test_five_engines_are_summed_up_in_seconds() -> None:
    engines = [VLLM, LLAMA, SGLANG, APHRODITE, Engine("other", "other")]
    given = document([measured(engine, levels=(1, 2, 4, 8, 16, 32), requests=60) for engine in engines])
    began = time.process_time()
    summarise(given)
    assert time.process_time() - began < 10
