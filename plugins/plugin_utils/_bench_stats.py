# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Statistics of a benchmark: percentiles as vLLM takes them, and intervals by a two-level bootstrap."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    import random
    from collections.abc import Sequence

RESAMPLES: t.Final = 1000
#: The middle 95 % of the resamples.
TAILS: t.Final = (2.5, 97.5)
# More draws than this from one repetition are not made: see `rate_interval`.
_MOST_DRAWS: t.Final = 256


class Interval(t.NamedTuple):
    """A 95 % interval of confidence."""

    low: float
    high: float

    def overlaps(self, other: Interval) -> bool:
        """Tell whether two intervals share a value: then the difference is not significant."""
        return self.low <= other.high and other.low <= self.high


def mean(values: Sequence[float]) -> float:
    """Give the arithmetic mean of at least one value."""
    return sum(values) / len(values)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Give a percentile by linear interpolation between the two nearest ranks.

    vLLM takes its percentiles and medians with `np.percentile(values, p)` and `np.median` (vLLM 0.32,
    vllm/benchmarks/serve.py, `calculate_metrics`), whose default method is "linear": the rank is `(n - 1) * p / 100`
    (NumPy 2, `numpy.percentile`, method 7 of Hyndman and Fan).

    Args:
        ordered: At least one value, smallest first.
        share: The percentile, 0 to 100.

    Returns:
        The value at that rank, in the unit of the values.
    """
    rank = (len(ordered) - 1) * share / 100
    below = int(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)


@dataclass(frozen=True)
class Repetition:
    """What one repetition of a step contributes to a rate; the lists are aligned, an entry for each request.

    Attributes:
        seconds: From the first request sent to the last answer's end.
        amounts: What each request brought: tokens, items, or 1 for a request.
        weights: How long each request took, in any unit; empty where the time does not depend on the requests, because
            they came at a set rate.
    """

    seconds: float
    amounts: Sequence[float]
    weights: Sequence[float] = field(default=())


def rate_interval(repetitions: Sequence[Repetition], rng: random.Random, resamples: int = RESAMPLES) -> Interval:
    """Give the interval of a rate, the sum of the amounts by the sum of the seconds.

    Repetitions are drawn with replacement, and from each of them requests with replacement. A resample's time is the
    repetition's, longer or shorter as its requests took longer or shorter: with a set number of requests at once, twice
    the latency is twice the time.

    From a repetition of more than 256 requests 256 are drawn, and what they deviate from the mean by is made smaller by
    the root of the ratio: the bootstrap "m out of n" (Bickel, Götze and van Zwet 1997, "Resampling fewer than n
    observations"), whose work does not grow with the length of a step.

    Args:
        repetitions: At least one, each with at least one request.
        rng: Where chance comes from: the same seed gives the same interval.
        resamples: How many.

    Returns:
        The interval, in amounts a second.
    """
    draws = [_draws(repetition, rng, resamples) for repetition in repetitions]
    results = []
    for index in range(resamples):
        # A repetition that is drawn twice gives the same resample twice only if it is drawn twice in a row: a shifted
        # place in its list is another, independent resample.
        amount = seconds = 0.0
        for place, chosen in enumerate(rng.choices(draws, k=len(draws))):
            one = chosen[(index + place * (resamples // len(draws))) % resamples]
            amount += one[0]
            seconds += one[1]
        results.append(amount / seconds if seconds else 0.0)
    return _middle(results)


def _draws(repetition: Repetition, rng: random.Random, resamples: int) -> list[tuple[float, float]]:
    """Draw requests with replacement, many times: the amount and the seconds of each resample."""
    count = len(repetition.amounts)
    drawn = min(count, _MOST_DRAWS)
    scale = count / drawn
    shrink = (drawn / count) ** 0.5
    whole = sum(repetition.amounts)
    weight = sum(repetition.weights)
    same = len(set(repetition.amounts)) == 1
    amount_of = repetition.amounts.__getitem__
    weight_of = repetition.weights.__getitem__
    results = []
    everything = range(count)
    for _resample in range(resamples):
        chosen = rng.choices(everything, k=drawn)
        amount = whole if same else whole + shrink * (scale * sum(map(amount_of, chosen)) - whole)
        seconds = repetition.seconds
        if weight:
            seconds *= 1 + shrink * (scale * sum(map(weight_of, chosen)) / weight - 1)
        results.append((amount, seconds))
    return results


def median_interval(repetitions: Sequence[Sequence[float]], rng: random.Random, resamples: int = RESAMPLES) -> Interval:
    """Give the interval of the median of all values, by the same two levels of drawing.

    The values that a resample would hold need not be drawn to know its median: of N values drawn with replacement from
    N sorted ones, the k-th smallest is the value at the share U of the list, U being Beta(k, N - k + 1) distributed, as
    the k-th smallest of N uniform numbers is (David and Nagaraja, "Order Statistics", 3rd edition, section 2.1).

    Args:
        repetitions: The values of each repetition, at least one in all.
        rng: Where chance comes from.
        resamples: How many.

    Returns:
        The interval, in the unit of the values.
    """
    given = [sorted(values) for values in repetitions if values]
    merged: dict[tuple[int, ...], list[float]] = {}
    results = []
    for _resample in range(resamples):
        chosen = tuple(sorted(rng.choices(range(len(given)), k=len(given))))
        values = merged.get(chosen)
        if values is None:
            values = merged[chosen] = sorted(itertools.chain.from_iterable(given[index] for index in chosen))
        middle = (len(values) + 1) / 2
        results.append(values[min(int(rng.betavariate(middle, middle) * len(values)), len(values) - 1)])
    return _middle(results)


def _middle(results: list[float]) -> Interval:
    results.sort()
    low, high = (percentile(results, share) for share in TAILS)
    return Interval(low, high)
