# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Sum up a benchmark: the numbers of each level of the ladder, over its repetitions, with their intervals.

Names and formulas are those of `vllm bench serve` (vLLM 0.32, vllm/benchmarks/serve.py, `calculate_metrics` and
`calculate_metrics_for_embeddings`): rates are by the time from the first request sent to the last answer's end, a
request that failed adds nothing to them, and goodput counts the requests that meet every stated objective.
"""

from __future__ import annotations

import random
import typing as t
from collections import Counter

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import Key, key_of, key_order
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_stats import (
    Interval,
    Repetition,
    mean,
    median_interval,
    percentile,
    rate_interval,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Step = Mapping[str, t.Any]

#: What an objective can be stated for, in milliseconds.
OBJECTIVES: t.Final = ("ttft_ms", "tpot_ms", "e2el_ms")
_SUMS: t.Final = ("sent", "good", "failed", "short", "cut")


class Latency(t.TypedDict):
    """A latency in milliseconds; `ci` is the interval of `p50`."""

    mean: float
    p50: float
    p90: float
    p99: float
    ci: list[float]


class Rate(t.TypedDict):
    """Something a second."""

    value: float
    ci: list[float]


class Level(t.TypedDict):
    """One level of the ladder. Where it was refused, and where no request was answered, all measures are None."""

    concurrency: int | None
    rate: float | None
    batch: int | None
    repetitions: int
    refused: str
    #: seconds of all repetitions together
    seconds: float
    requests: dict[str, int]
    errors: list[dict[str, t.Any]]
    #: input, output, off_input (requests), from ("usage" or "stream")
    tokens: dict[str, t.Any]
    #: the worst of the repetitions: cpu_share, late_p99_ms
    client: dict[str, float]
    #: the digests of the prompts, by repetition
    prompts: dict[str, str]
    ttft_ms: Latency | None
    tpot_ms: Latency | None
    itl_ms: Latency | None
    e2el_ms: Latency | None
    requests_per_s: Rate | None
    output_tokens_per_s: Rate | None
    total_tokens_per_s: Rate | None
    items_per_s: Rate | None
    goodput_per_s: Rate | None
    tokens_per_s_user: Rate | None


class Summary(t.TypedDict):
    """The levels of one candidate."""

    name: str
    levels: list[Level]


def summarise(document: Mapping[str, t.Any]) -> list[Summary]:
    """Sum up each candidate's steps by level.

    Args:
        document: A document of a benchmark.

    Returns:
        One summary for each candidate, in their order; levels from small to large.
    """
    objective = document["profile"].get("objective") or {}
    seed = document["seed"]
    return [
        {"name": candidate["name"], "levels": _levels(candidate, objective, seed)}
        for candidate in document["candidates"]
    ]


def _levels(candidate: Mapping[str, t.Any], objective: Mapping[str, float], seed: int) -> list[Level]:
    by_key: dict[Key, list[Step]] = {}
    for step in candidate.get("steps") or []:
        by_key.setdefault(key_of(step), []).append(step)
    return [_level(key, by_key[key], objective, f"{seed}/{candidate['name']}") for key in sorted(by_key, key=key_order)]


def _level(key: Key, steps: Sequence[Step], objective: Mapping[str, float], seed: str) -> Level:
    level: Level = {
        "concurrency": key.concurrency,
        "rate": key.rate,
        "batch": key.batch,
        "repetitions": len(steps),
        "refused": _refused(steps),
        "seconds": round(sum(step["seconds"] for step in steps), 3),
        "requests": {name: sum(step["requests"].get(name, 0) for step in steps) for name in _SUMS},
        "errors": _errors(steps),
        "tokens": _tokens(steps),
        "client": _client(steps),
        "prompts": {
            str(step.get("repetition", index + 1)): step.get("prompts", "") for index, step in enumerate(steps)
        },
        "ttft_ms": None,
        "tpot_ms": None,
        "itl_ms": None,
        "e2el_ms": None,
        "requests_per_s": None,
        "output_tokens_per_s": None,
        "total_tokens_per_s": None,
        "items_per_s": None,
        "goodput_per_s": None,
        "tokens_per_s_user": None,
    }
    if not level["refused"] and any(_values(step, "e2el_ms") for step in steps):
        _measure(level, steps, objective, f"{seed}/{key.text}")
    return level


def _refused(steps: Sequence[Step]) -> str:
    whys = [step["client"].get("why") or "the load client was the bottleneck" for step in steps if bottleneck(step)]
    return f"{len(whys)} of {len(steps)} repetitions: {whys[0]}" if whys else ""


def bottleneck(step: Step) -> bool:
    """Tell whether the load client could not keep up, so that a step says nothing about the engine."""
    return bool((step.get("client") or {}).get("bottleneck"))


def _errors(steps: Sequence[Step]) -> list[dict[str, t.Any]]:
    counts: Counter[str] = Counter()
    for step in steps:
        for error in step.get("errors") or []:
            counts[error["what"]] += error["count"]
    return [{"what": what, "count": count} for what, count in counts.most_common()]


def _tokens(steps: Sequence[Step]) -> dict[str, t.Any]:
    given = [step.get("tokens") or {} for step in steps]
    sums: dict[str, t.Any] = {
        name: sum(tokens.get(name) or 0 for tokens in given) for name in ("input", "output", "off_input")
    }
    return sums | {"from": "stream" if any(tokens.get("from") == "stream" for tokens in given) else "usage"}


def _client(steps: Sequence[Step]) -> dict[str, float]:
    given = [step.get("client") or {} for step in steps]
    return {name: max((client.get(name) or 0 for client in given), default=0) for name in ("cpu_share", "late_p99_ms")}


def _values(step: Step, name: str) -> list[t.Any]:
    return (step.get("samples") or {}).get(name) or []


def _measure(level: Level, steps: Sequence[Step], objective: Mapping[str, float], seed: str) -> None:
    steps = [step for step in steps if _values(step, "e2el_ms")]

    def chance(what: str) -> random.Random:
        # Each measure has its own source, so that one more measure does not change the others' intervals.
        return random.Random(f"{seed}/{what}")  # noqa: S311  no secret: to be repeated by anyone with the seed

    for name in ("ttft_ms", "e2el_ms"):
        level[name] = _latency([_known(_values(step, name)) for step in steps], chance(name))
    level["tpot_ms"] = _latency([_tpots(step) for step in steps], chance("tpot_ms"))
    level["itl_ms"] = _itl(steps, chance("itl_ms"))
    once = _rate(steps, lambda step: [1.0] * len(_values(step, "e2el_ms")), chance("requests"))
    level["requests_per_s"] = once
    for target, amounts in _AMOUNTS:
        level[target] = _share(steps, amounts, once, chance(target))
    if kinds := [name for name in OBJECTIVES if objective.get(name) is not None]:
        limits = {name: float(objective[name]) for name in kinds}
        level["goodput_per_s"] = _share(steps, lambda step: meets(step, limits), once, chance("goodput"))
    if tpot := level["tpot_ms"]:
        level["tokens_per_s_user"] = _inverse(tpot)


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _tpots(step: Step) -> list[float]:
    # An answer of one token has no time between tokens, and vLLM leaves it out.
    tokens = _values(step, "output_tokens") or [2] * len(_values(step, "tpot_ms"))
    pairs = zip(_values(step, "tpot_ms"), tokens, strict=False)
    return [value for value, count in pairs if value is not None and count > 1]


def _latency(repetitions: Sequence[Sequence[float]], rng: random.Random) -> Latency | None:
    ordered = sorted(value for values in repetitions for value in values)
    if not ordered:
        return None
    interval = median_interval(repetitions, rng)
    return {
        "mean": round(mean(ordered), 3),
        "p50": round(percentile(ordered, 50), 3),
        "p90": round(percentile(ordered, 90), 3),
        "p99": round(percentile(ordered, 99), 3),
        "ci": _pair(interval),
    }


def _itl(steps: Sequence[Step], rng: random.Random) -> Latency | None:
    """Sum up the times between chunks.

    A step has too many to be kept: it gives their percentiles, exact, and the median of each request. The level's
    percentiles are the means of the repetitions', weighted by their counts. The chunks of one request depend on each
    other, so the interval is drawn from the requests' medians and laid around the level's.
    """
    given = [step["itl"] for step in steps if (step.get("itl") or {}).get("count")]
    medians = [_known(_values(step, "itl_ms")) for step in steps]
    if not given or not any(medians):
        return None
    total = sum(itl["count"] for itl in given)
    values = {
        name: sum(itl[f"{name}_ms"] * itl["count"] for itl in given) / total for name in ("mean", "p50", "p90", "p99")
    }
    centre = percentile(sorted(value for each in medians for value in each), 50)
    interval = median_interval(medians, rng)
    scale = values["p50"] / centre if centre else 1.0
    return {
        "mean": round(values["mean"], 3),
        "p50": round(values["p50"], 3),
        "p90": round(values["p90"], 3),
        "p99": round(values["p99"], 3),
        "ci": _pair(Interval(interval.low * scale, interval.high * scale)),
    }


def _rate(steps: Sequence[Step], amounts: Callable[[Step], Sequence[float]], rng: random.Random) -> Rate:
    repetitions = [
        Repetition(
            step["seconds"],
            amounts(step),
            # At a set rate the requests' arrivals decide how long a step takes, and not their latencies.
            _values(step, "e2el_ms") if step.get("concurrency") is not None else (),
        )
        for step in steps
    ]
    seconds = sum(repetition.seconds for repetition in repetitions)
    value = sum(sum(repetition.amounts) for repetition in repetitions) / seconds
    return {"value": round(value, 3), "ci": _pair(rate_interval(repetitions, rng))}


def _share(
    steps: Sequence[Step], amounts: Callable[[Step], Sequence[float]], once: Rate, rng: random.Random
) -> Rate | None:
    """Give a rate, from the requests' where each request brings the same."""
    given = {amount for step in steps for amount in amounts(step)}
    if not given:
        return None
    if len(given) > 1:
        return _rate(steps, amounts, rng)
    each = given.pop()
    return {"value": round(once["value"] * each, 3), "ci": [round(bound * each, 3) for bound in once["ci"]]}


def _output(step: Step) -> list[float]:
    return list(_values(step, "output_tokens"))


def _all_tokens(step: Step) -> list[float]:
    output = _output(step)
    # Inputs are of one set length but for the few that `off_input` counts: each request's share is the mean.
    each = ((step.get("tokens") or {}).get("input") or 0) / len(output) if output else 0
    return [count + each for count in output]


def _items(step: Step) -> list[float]:
    items, answered = step.get("items") or 0, len(_values(step, "e2el_ms"))
    return [items / answered] * answered if items else []


_AMOUNTS: t.Final[
    tuple[
        tuple[t.Literal["output_tokens_per_s", "total_tokens_per_s", "items_per_s"], Callable[[Step], list[float]]],
        ...,
    ]
] = (
    ("output_tokens_per_s", _output),
    ("total_tokens_per_s", _all_tokens),
    ("items_per_s", _items),
)


def meets(step: Step, limits: Mapping[str, float]) -> list[float]:
    """Tell of each answered request whether it met every objective.

    As vLLM does, the time between tokens of an answer of one token is taken as 0.

    Args:
        step: A step.
        limits: By the name of the measure, the most it may be, in milliseconds.

    Returns:
        1.0 or 0.0 for each request; an empty list where a measure of the objective does not exist for the task.
    """
    columns = {name: _values(step, name) for name in limits}
    if not all(columns.values()):
        return []
    rows = zip(*columns.values(), strict=False)
    return [
        float(all((value or 0) <= limit for value, limit in zip(row, limits.values(), strict=True))) for row in rows
    ]


def _inverse(tpot: Latency) -> Rate | None:
    low, high = tpot["ci"]
    if not tpot["p50"] or not low:
        return None
    return {"value": round(1000 / tpot["p50"], 3), "ci": [round(1000 / high, 3), round(1000 / low, 3)]}


def _pair(interval: Interval) -> list[float]:
    return [round(interval.low, 3), round(interval.high, 3)]


def rate_of(level: Level, metric: str) -> Rate | None:
    """Give one of a level's rates, by its name."""
    return t.cast("dict[str, Rate | None]", level)[metric]


def best_level(levels: Sequence[Level], metric: str) -> Level | None:
    """Give the level where a rate is highest; None if it was measured at none."""
    rates = [(rate["value"], level) for level in levels if (rate := rate_of(level, metric))]
    return max(rates, key=lambda pair: pair[0])[1] if rates else None
