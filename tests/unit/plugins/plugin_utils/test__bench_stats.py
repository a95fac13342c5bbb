# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
import statistics
import time

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_stats import (
    Interval,
    Repetition,
    mean,
    median_interval,
    percentile,
    rate_interval,
)

# What `numpy.percentile(values, share)` of NumPy 2 gives for them.
PERCENTILES = [
    ([7.0], 50, 7.0),
    ([7.0], 99, 7.0),
    ([1.0, 2.0], 50, 1.5),
    ([1.0, 2.0, 3.0, 4.0], 25, 1.75),
    ([1.0, 2.0, 3.0, 4.0], 50, 2.5),
    ([1.0, 2.0, 3.0, 4.0], 90, 3.7),
    ([1.0, 2.0, 3.0, 4.0], 99, 3.97),
    ([10.0, 20.0, 40.0, 80.0, 160.0], 0, 10.0),
    ([10.0, 20.0, 40.0, 80.0, 160.0], 100, 160.0),
    ([10.0, 20.0, 40.0, 80.0, 160.0], 60, 56.0),
]


def chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  to be repeated


@pytest.mark.parametrize(("values", "share", "expected"), PERCENTILES)
def test_percentiles_are_those_of_numpy(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == pytest.approx(expected)


def test_mean() -> None:
    assert mean([1, 2, 6]) == 3


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (Interval(1, 2), Interval(2, 3), True),
        (Interval(1, 2), Interval(2.1, 3), False),
        (Interval(5, 6), Interval(1, 4), False),
        (Interval(1, 9), Interval(4, 5), True),
    ],
)
def test_overlap(one: Interval, other: Interval, overlap: bool) -> None:
    assert one.overlaps(other) is other.overlaps(one) is overlap


def _latencies(rng: random.Random, repetitions: int, count: int, between: float) -> list[list[float]]:
    """Draw log-normal latencies around 100 ms, with a factor of each repetition's own."""
    return [
        [100 * factor * rng.lognormvariate(0, 0.2) for _ in range(count)]
        for factor in [rng.lognormvariate(0, between) for _ in range(repetitions)]
    ]


def _as_rates(latencies: list[list[float]]) -> list[Repetition]:
    """Four at once, each answer 128 tokens."""
    return [Repetition(sum(values) / 4000, [128] * len(values), values) for values in latencies]


def test_the_same_seed_gives_the_same_interval() -> None:
    latencies = _latencies(chance(3), 3, 40, 0.02)
    rates = [rate_interval(_as_rates(latencies), chance(seed)) for seed in (1, 1, 2)]
    medians = [median_interval(latencies, chance(seed)) for seed in (1, 1, 2)]
    assert rates[0] == rates[1] != rates[2]
    assert medians[0] == medians[1] != medians[2]


def test_a_constant_has_an_interval_without_width() -> None:
    assert rate_interval([Repetition(2.0, [10, 10], [5.0, 5.0])] * 3, chance(1)) == (10, 10)
    assert median_interval([[4.0, 4.0], [4.0]], chance(1)) == (4, 4)


def test_at_a_set_rate_the_time_does_not_follow_the_latencies() -> None:
    closed = rate_interval([Repetition(2.0, [10] * 4, [1.0, 2.0, 3.0, 9.0])], chance(1))
    opened = rate_interval([Repetition(2.0, [10] * 4)], chance(1))
    assert opened == (20, 20)
    assert closed.low < 20 < closed.high


def _naive(latencies: list[list[float]], rng: random.Random, resamples: int) -> tuple[Interval, Interval]:
    """The two-level bootstrap word for word: of the rate, and of the median."""
    rates, medians = [], []
    for _ in range(resamples):
        drawn = [(values, rng.choices(values, k=len(values))) for values in rng.choices(latencies, k=len(latencies))]
        seconds = sum(sum(values) / 4000 * sum(taken) / sum(values) for values, taken in drawn)
        rates.append(sum(128 * len(taken) for _values, taken in drawn) / seconds)
        medians.append(statistics.median([value for _values, taken in drawn for value in taken]))
    rates.sort()
    medians.sort()
    return (
        Interval(percentile(rates, 2.5), percentile(rates, 97.5)),
        Interval(percentile(medians, 2.5), percentile(medians, 97.5)),
    )


# Number of requests in a repetition; of 600 not all are drawn.
@pytest.mark.parametrize("count", [30, 600])
def test_the_short_ways_give_what_the_bootstrap_gives(count: int) -> None:
    latencies = _latencies(chance(5), 3, count, 0.02)
    rate, median = _naive(latencies, chance(1), 1500)
    quick_rate = rate_interval(_as_rates(latencies), chance(2), 4000)
    quick_median = median_interval(latencies, chance(2), 4000)
    assert quick_rate == pytest.approx(rate, abs=0.15 * (rate.high - rate.low))
    assert quick_median == pytest.approx(median, abs=0.15 * (median.high - median.low))


# Repetitions, requests in each, what repetitions differ by, and the share of intervals that hold the true value. Where
# repetitions hardly differ the intervals are a little too wide; three that differ a lot tell too little of how much.
COVERAGE = [(3, 60, 0.0, 0.94, 1.0), (3, 60, 0.02, 0.9, 1.0), (5, 60, 0.05, 0.87, 1.0), (3, 60, 0.05, 0.82, 1.0)]


@pytest.mark.parametrize(("repetitions", "count", "between", "least", "most"), COVERAGE)
def test_about_95_in_100_intervals_hold_the_true_value(
    repetitions: int, count: int, between: float, least: float, most: float
) -> None:
    rng = chance(11)
    true_median = 100.0
    # The mean of a log-normal is exp(s²/2) above its median, within repetitions and between them.
    true_rate = 128 * 4000 / (100 * 2.718281828 ** (0.2**2 / 2 + between**2 / 2))
    trials = 150
    held = [0, 0]
    for _ in range(trials):
        latencies = _latencies(rng, repetitions, count, between)
        rate = rate_interval(_as_rates(latencies), rng, 300)
        median = median_interval(latencies, rng, 300)
        held[0] += rate.low <= true_rate <= rate.high
        held[1] += median.low <= true_median <= median.high
    assert all(least <= count_ / trials <= most for count_ in held), held


def test_intervals_have_the_width_they_should() -> None:
    """An interval that always holds the value would be no use: within 20 % of 2 * 1.96 standard errors."""
    rng = chance(4)
    latencies = _latencies(rng, 1, 200, 0.0)
    found = rate_interval(_as_rates(latencies), rng)
    error = statistics.stdev(latencies[0]) / 200**0.5 / statistics.mean(latencies[0])
    middle = 128 * 4000 / statistics.mean(latencies[0])
    assert found.high - found.low == pytest.approx(2 * 1.96 * error * middle, rel=0.2)


def test_a_whole_level_is_quick() -> None:
    """A tournament of five engines has thirty levels, and ten seconds for all of them."""
    latencies = _latencies(chance(5), 3, 60, 0.02)
    began = time.process_time()
    for _ in range(3):
        rate_interval(_as_rates(latencies), chance(1))
    for _ in range(4):
        median_interval(latencies, chance(1))
    assert time.process_time() - began < 1.0
