# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Judge a benchmark: who won by what, what is no significant difference, and what the numbers do not say."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_cautions import cautions, impossible
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_course import Course, course
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import (
    Key,
    interval,
    key_of,
    key_order,
    labels,
    names_of,
    number,
    one_line,
    task_of,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_stats import Interval
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import rate_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import Level, Rate, Summary

#: By measure, how people call it.
UNITS: t.Final[Mapping[str, str]] = {
    "output_tokens_per_s": "output tokens/s",
    "items_per_s": "items/s",
    "requests_per_s": "requests/s",
    "goodput_per_s": "good requests/s",
}
_ITEMS: t.Final[Mapping[str, str]] = {"embedding": "texts/s", "rerank": "documents/s"}

_TWICE: t.Final = 2.0
_TENTH: t.Final = 1.1
# Values in a line; the table has all of them.
_TOLD: t.Final = 5


class Pair(t.TypedDict):
    """Two candidates compared by the measure that decides; `ratio` is a's by b's."""

    a: str
    b: str
    metric: str
    ratio: float | None
    significant: bool


class Verdict(t.TypedDict):
    """What a benchmark came to."""

    decided_by: str
    #: the measure in the summary
    metric: str
    winner: str | None
    #: those whose intervals overlap the first's, the first among them
    best: list[str]
    ranking: list[str]
    #: by name the level that decided
    levels: dict[str, str]
    lines: list[str]
    pairs: list[Pair]
    cautions: list[str]
    course: Course | None


class Standing(t.NamedTuple):
    """A candidate's best level, and the rate there that decides."""

    name: str
    key: Key
    rate: Rate

    @property
    def interval(self) -> Interval:
        """The interval of the rate."""
        return Interval(*self.rate["ci"])


def judge(document: Mapping[str, t.Any], summary: Sequence[Summary]) -> Verdict:
    """Judge the candidates of a benchmark.

    Chat is decided by output tokens a second, or by goodput where an objective is stated; embedding and rerank by
    texts or documents a second. Each candidate stands where it is best on the ladder, among the levels that no
    candidate was refused at: one that was too fast for the load client at 8 at once is not compared there with others.

    Args:
        document: A document of a benchmark.
        summary: Its summary.

    Returns:
        The verdict.
    """
    names = labels(document)
    unreached = impossible(document, summary)
    metric = deciding_metric(document, unreached=bool(unreached))
    standings, unfair = _standings(document, summary, metric)
    unit = unit_of(metric, document)
    best = [standing for standing in standings if standing.interval.overlaps(standings[0].interval)]
    winner = best[0].name if len(best) == 1 and document["kind"] != "benchmark" else None
    return {
        "decided_by": _decided_by(unit, standings, document["profile"].get("objective") or {}),
        "metric": metric,
        "winner": winner,
        "best": [standing.name for standing in best],
        "ranking": [standing.name for standing in standings],
        "levels": {standing.name: standing.key.text for standing in standings},
        "lines": [
            *_outcome(standings, best, winner, unit, names),
            *_fallen(document, {standing.name for standing in standings}, names),
        ],
        "pairs": _pairs(standings, metric),
        "cautions": [*unreached, *unfair, *cautions(document, summary)],
        "course": course(document, summary),
    }


def deciding_metric(document: Mapping[str, t.Any], *, unreached: bool = False) -> str:
    """Name the measure that decides; an objective that nobody can meet decides nothing."""
    if document["profile"].get("objective") and not unreached:
        return "goodput_per_s"
    return "output_tokens_per_s" if task_of(document) == "chat" else "items_per_s"


def unit_of(metric: str, document: Mapping[str, t.Any]) -> str:
    """Name what a rate counts."""
    return _ITEMS.get(task_of(document), UNITS[metric]) if metric == "items_per_s" else UNITS[metric]


def _standings(
    document: Mapping[str, t.Any], summary: Sequence[Summary], metric: str
) -> tuple[list[Standing], list[str]]:
    """Give the candidates that can win, best first, and what was left out to be fair."""
    names = labels(document)
    sound = {candidate["name"] for candidate in document["candidates"] if candidate.get("status") == "measured"}
    levels = {entry["name"]: {key_of(level): level for level in entry["levels"]} for entry in summary}
    rated = {name: _rates(of, metric) for name, of in levels.items() if name in sound}
    # One that answers nothing at a level is worth nothing there, and takes the level away from nobody.
    measured = {name: {**_nothing(levels[name]), **rates} for name, rates in rated.items() if rates}
    if not measured:
        return [], []
    common = set.intersection(*(set(rates) for rates in measured.values()))
    if not common:
        line = (
            "no level of the ladder has numbers of every candidate, so none is ranked: set benchmark_concurrency lower"
        )
        return [], [line]
    left_out = sorted(set.union(*(set(rates) for rates in measured.values())) - common, key=key_order)
    unfair = [
        f"{key.text}: no numbers of {names_of(sorted(names[name] for name in measured if key not in measured[name]))}, "
        "so this level decides nothing"
        for key in left_out
    ]
    standings = [
        Standing(name, *max(((key, rates[key]) for key in common), key=lambda pair: (pair[1]["value"], pair[0].text)))
        for name, rates in measured.items()
    ]
    return sorted(standings, key=lambda standing: -standing.rate["value"]), unfair


def _nothing(levels: Mapping[Key, Level]) -> dict[Key, Rate]:
    """Give the levels at which a candidate was asked and answered nothing."""
    return {key: {"value": 0.0, "ci": [0.0, 0.0]} for key, level in levels.items()
            if not level["refused"] and level["requests"]["sent"] and not level["requests"]["good"]
            and not level["requests"]["short"]}  # fmt: skip


def _rates(levels: Mapping[Key, Level], metric: str) -> dict[Key, Rate]:
    return {key: rate for key, level in levels.items() if (rate := rate_of(level, metric)) is not None}


def _decided_by(unit: str, standings: Sequence[Standing], objective: Mapping[str, float]) -> str:
    if unit == UNITS["goodput_per_s"]:
        unit += f" ({', '.join(f'{name} up to {number(limit)}' for name, limit in objective.items())})"
    if not standings:
        return unit
    keys = {standing.key for standing in standings}
    return f"{unit} at {standings[0].key.text}" if len(keys) == 1 else f"{unit}, each at its best level"


def _outcome(
    standings: Sequence[Standing],
    best: Sequence[Standing],
    winner: str | None,
    unit: str,
    names: Mapping[str, str],
) -> Iterator[str]:
    if not standings:
        yield "No candidate could be measured, so there is no winner."
        return
    several = len({standing.key for standing in standings}) > 1

    def said(standing: Standing) -> str:
        # A name that ends in a number of its own is set apart from the number that follows.
        name = names[standing.name] + (":" if "=" in names[standing.name] else "")
        return f"{name} {_value(standing.rate)}{f' at {standing.key.text}' if several else ''}"

    first = standings[0]
    where = "" if several else f", at {first.key.text}"
    if len(standings) == 1:
        only = f"{names[first.name]} is the only one that could be measured: it" if winner else names[first.name]
        yield f"{only} gives {_value(first.rate)} {unit} at {first.key.text}."
        return
    if winner:
        more = _more(first.rate["value"], standings[1].rate["value"], unit)
        yield f"{names[winner]} wins with {more} {names[standings[1].name]}{where}."
    else:
        yield f"No significant difference between {names_of(names[each.name] for each in best)} in {unit}{where}."
    values = [said(standing) for standing in standings[:_TOLD]]
    if len(standings) > _TOLD:
        values.append(f"{len(standings) - _TOLD} more follow")
    yield f"{unit[:1].upper()}{unit[1:]}: {'; '.join(values)}."


def _value(rate: Rate) -> str:
    return f"{number(rate['value'])} ({interval(*rate['ci'])})"


def _more(more: float, less: float, unit: str) -> str:
    if not less:
        return f"{number(more)} {unit}, and none from"
    ratio = more / less
    if ratio >= _TWICE:
        return f"{number(ratio)} times the {unit} of"
    return f"{(ratio - 1) * 100:.{0 if ratio >= _TENTH else 1}f} % more {unit} than"


def _fallen(document: Mapping[str, t.Any], ranked: set[str], names: Mapping[str, str]) -> Iterator[str]:
    for candidate in document["candidates"]:
        name, status = candidate["name"], candidate.get("status")
        if status in {"failed", "disqualified"}:
            said = {"failed": "failed", "disqualified": "is disqualified"}[status]
            reason = one_line(candidate.get("reason") or "no reason was given").rstrip(".")
            remedy = one_line(candidate.get("remedy") or "").rstrip(".")
            yield f"{names[name]} {said}: {reason}{f'; {remedy}' if remedy else ''}."
        elif name not in ranked and status != "tried":
            yield f"{names[name]} is not ranked: it has no numbers at a level that all others have."


def _pairs(standings: Sequence[Standing], metric: str) -> list[Pair]:
    return [
        {
            "a": one.name,
            "b": other.name,
            "metric": metric,
            "ratio": round(one.rate["value"] / other.rate["value"], 4) if other.rate["value"] else None,
            "significant": not one.interval.overlaps(other.interval),
        }
        for one, other in itertools.combinations(standings, 2)
    ]
