# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of a step: percentiles, the histogram, and when the client may not be believed."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._bench_metrics import (
    CUT,
    EDGES,
    FAILED,
    GOOD,
    SHORT,
    client,
    gaps_ms,
    histogram,
    itl,
    percentile,
    samples,
    tokens,
)
from ansible_collections.llmops.serving.plugins.module_utils._bench_requests import Outcome

LIMITS = {"cpu_share": 0.9, "lateness": 0.05}


def outcome(
    state: str = GOOD, written: int = 3, prompt: int | None = 40, gaps: tuple[float, ...] = (0.01, 0.03)
) -> Outcome:
    return Outcome(
        sent=1.0,
        first=1.2,
        end=1.2 + sum(gaps),
        gaps=list(gaps),
        chunks=len(gaps) + 1,
        prompt=prompt,
        written=written,
        state=state,
    )


# As numpy.percentile says.
@pytest.mark.parametrize(
    ("values", "rank", "expected"),
    [([1, 2, 3, 4], 50, 2.5), ([1, 2, 3, 4], 90, 3.7), ([5], 99, 5), ([1, 2], 0, 1), ([1, 2], 100, 2)],
)
def test_percentiles(values: list[float], rank: float, expected: float) -> None:
    assert percentile(values, rank) == pytest.approx(expected)


def test_the_edges_go_from_a_tenth_of_a_millisecond_to_100_seconds() -> None:
    assert (EDGES[0], EDGES[-1], len(EDGES)) == (0.1, 100_000.0, 121)
    ratios = [EDGES[place + 1] / EDGES[place] for place in range(120)]
    assert min(ratios) == pytest.approx(max(ratios), rel=0.01)


@pytest.mark.parametrize(
    ("value", "place"), [(0.0, 0), (0.1, 0), (0.112, 0), (0.113, 1), (1.0, 20), (99_999.0, 119), (1e9, 119)]
)
def test_each_value_has_one_bin(value: float, place: int) -> None:
    counts = histogram([value])
    assert len(counts) == 120
    assert [index for index, count in enumerate(counts) if count] == [place]


def test_samples_are_of_good_and_short_requests_in_order() -> None:
    found = samples([outcome(), outcome(FAILED), outcome(CUT), outcome(SHORT, written=2, gaps=(0.05,))], True)
    assert found == {
        "ttft_ms": [200.0, 200.0],
        "tpot_ms": [20.0, 50.0],
        "e2el_ms": [240.0, 250.0],
        "output_tokens": [3, 2],
        "itl_ms": [20.0, 50.0],
    }


def test_an_answer_of_one_token_has_no_time_between_tokens() -> None:
    found = samples([outcome(written=1, gaps=())], True)
    assert (found["tpot_ms"], found["itl_ms"]) == ([None], [None])


def test_whole_answers_have_one_time_only() -> None:
    assert samples([outcome()], False) == {
        "ttft_ms": [], "tpot_ms": [], "e2el_ms": [240.0], "output_tokens": [], "itl_ms": [],
    }  # fmt: skip


def test_gaps_are_summed_up() -> None:
    found = itl(gaps_ms([outcome(), outcome(CUT), outcome(gaps=(0.02, 0.04))]))
    assert {name: value for name, value in found.items() if name != "histogram"} == {
        "mean_ms": 25.0, "p50_ms": 25.0, "p90_ms": 37.0, "p99_ms": 39.7, "count": 4,
    }  # fmt: skip
    assert sum(found["histogram"]["counts"]) == 4
    assert itl([]) == {}


@pytest.mark.parametrize(
    ("outcomes", "set_input", "expected"),
    [
        ([outcome(), outcome(prompt=41)], 40, {"input": 81, "output": 6, "off_input": 1, "chunks": 6, "from": "usage"}),
        ([outcome(), outcome(prompt=None)], 40, {"input": 40, "off_input": 0, "from": "stream"}),
        ([outcome(), outcome(CUT)], 40, {"input": 40, "output": 3, "from": "usage"}),
        ([outcome()], None, {"set_input": None, "off_input": 0}),
    ],
)
def test_tokens_are_counted(outcomes: list[Outcome], set_input: int | None, expected: dict[str, Any]) -> None:
    assert tokens(outcomes, set_input).items() >= expected.items()


# Lateness in seconds, share of a core, what is measured in ms, and the words of the refusal.
CLIENTS = [
    ([0.0003] * 9, 0.2, 5.0, ""),
    ([0.0003] * 9, 0.91, 5.0, "used 91% of a core, above the limit of 90%"),
    ([0.002] * 9, 0.2, 10.0, "woke 2.00 ms late in the median, above the limit of 5% of the 10.00 ms it measures"),
    ([0.002] * 9, 0.2, 100.0, ""),
    # Half of the beats are in time.
    ([0.0001] * 5 + [0.5] * 4, 0.2, 10.0, ""),
    # Up to a millisecond is the machine's own.
    ([0.0009] * 9, 0.2, 0.4, ""),
    ([0.5] * 9, 0.2, None, ""),
    ([], 0.2, 5.0, ""),
]


@pytest.mark.parametrize(("late", "share", "pace", "why"), CLIENTS)
def test_a_client_says_when_it_may_not_be_believed(
    late: list[float], share: float, pace: float | None, why: str
) -> None:
    found = client(late, share, pace, LIMITS)
    assert found["bottleneck"] == bool(why)
    assert why in found["why"]
    assert bool(found["why"]) == bool(why)
    assert found["cpu_share"] == share
    assert found["late_p50_ms"] <= found["late_p99_ms"] <= found["late_max_ms"]
