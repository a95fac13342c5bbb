# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Compare two benchmarks: what became better, what worse, and whether they can be compared at all."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import (
    BenchError,
    Key,
    key_of,
    key_order,
    one_line,
    task_of,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_report import complete
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_stats import Interval

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Document = Mapping[str, t.Any]

THRESHOLD: t.Final = 0.05
_SAME: t.Final = "no significant difference"
# A measure, whether more of it is better, and where its value lies.
_METRICS: t.Final = (
    ("output_tokens_per_s", True, "value"),
    ("requests_per_s", True, "value"),
    ("items_per_s", True, "value"),
    ("ttft_ms", False, "p50"),
    ("tpot_ms", False, "p50"),
    ("e2el_ms", False, "p50"),
)


@dataclass(frozen=True)
class Change:
    """One measure of one candidate at one level, before and after.

    Attributes:
        candidate: Its name.
        level: Such as "4 at once".
        metric: A rate a second, or the p50 of a latency in milliseconds.
        before: The value.
        after: The value.
        before_ci: Its interval.
        after_ci: Its interval.
        ratio: After by before; None where before is 0.
        verdict: "better", "worse" or "no significant difference".
        regression: Worse by more than the threshold, and significantly.
    """

    candidate: str
    level: str
    metric: str
    before: float
    after: float
    before_ci: tuple[float, float]
    after_ci: tuple[float, float]
    ratio: float | None
    verdict: str
    regression: bool


@dataclass(frozen=True)
class Comparison:
    """What two benchmarks say side by side.

    Attributes:
        threshold: By how much a measure may be worse, as a share.
        changes: In the order of the candidates and levels of the one before.
        only_before: What the second does not have, one line each.
        only_after: What the first does not have.
        lost: What answered before and does not any more, one line each: regressions that have no number.
        conditions: What was not the same, one line each: then a change may be of that and not of the engines.
    """

    threshold: float
    changes: tuple[Change, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    conditions: tuple[str, ...]
    lost: tuple[str, ...] = ()

    @property
    def regressions(self) -> tuple[Change, ...]:
        """Those changes that are regressions."""
        return tuple(change for change in self.changes if change.regression)

    def to_dict(self) -> dict[str, t.Any]:
        """Give the comparison as plain values, with `regressions`, their number."""
        return asdict(self) | {"regressions": len(self.regressions) + len(self.lost)}


def compare(before: Document, after: Document, threshold: float = THRESHOLD) -> Comparison:
    """Compare two documents.

    Args:
        before: The first, as `_bench_document.read` gives it.
        after: The second.
        threshold: By how much a measure may be worse, as a share above 0.

    Returns:
        The comparison.

    Raises:
        BenchError: They are of different kinds, profiles or tasks, have nothing in common, or one is not whole.
    """
    if threshold < 0:
        raise BenchError(f"the threshold {threshold} is below 0: give a share such as {THRESHOLD}")
    _comparable(before, after)
    levels = [_levels(document) for document in (before, after)]
    first, second = levels
    common = [place for place in first if place in second]
    if not common:
        raise BenchError(
            f"the two benchmarks have no candidate with a level in common ({_said(first)}; {_said(second)}): "
            "compare runs of the same engines and ladder"
        )
    changes = [
        change
        for place in common
        for name, more_is_better, part in _METRICS
        if (
            change := _change(
                place, (name, part), (first[place], second[place]), threshold, more_is_better=more_is_better
            )
        )
    ]
    return Comparison(
        threshold=threshold,
        changes=tuple(changes),
        only_before=tuple(_only(first, second, "after")),
        only_after=tuple(_only(second, first, "before")),
        conditions=tuple(_conditions(before, after)),
        lost=tuple(_lost(before, after, first, second)),
    )


_Place = tuple[str, Key]


def _comparable(before: Document, after: Document) -> None:
    for what, values in (
        ("kind", (before["kind"], after["kind"])),
        ("profile", (before["profile"].get("name"), after["profile"].get("name"))),
        ("task", (task_of(before), task_of(after))),
    ):
        if values[0] != values[1]:
            raise BenchError(
                f"one is of {what} {values[0]}, the other of {what} {values[1]}: compare two benchmarks of one {what}"
            )


def _levels(document: Document) -> dict[_Place, Mapping[str, t.Any]]:
    summary = document.get("summary")
    if not isinstance(summary, list):
        summary = complete(document)["summary"]
    return {(entry["name"], key_of(level)): level for entry in summary for level in entry["levels"]}


def _said(levels: Mapping[_Place, t.Any]) -> str:
    return ", ".join(f"{one_line(name)} {key.text}" for name, key in levels) or "nothing measured"


def _change(
    place: _Place,
    metric: tuple[str, str],
    levels: tuple[Mapping[str, t.Any], Mapping[str, t.Any]],
    threshold: float,
    *,
    more_is_better: bool,
) -> Change | None:
    name, part = metric
    measures = [level.get(name) for level in levels]
    if not all(measures):
        return None
    old, new = ((measure or {})[part] for measure in measures)
    intervals = [Interval(*(measure or {})["ci"]) for measure in measures]
    apart = not intervals[0].overlaps(intervals[1])
    worse = apart and (new < old) == more_is_better and new != old
    ratio = new / old if old else None
    beyond = ratio is None or abs(ratio - 1) > threshold
    return Change(
        candidate=place[0],
        level=place[1].text,
        metric=name if part == "value" else f"{name} p50",
        before=old,
        after=new,
        before_ci=intervals[0],
        after_ci=intervals[1],
        ratio=None if ratio is None else round(ratio, 4),
        verdict=_SAME if not apart else "worse" if worse else "better",
        regression=worse and beyond,
    )


def _only(here: Mapping[_Place, t.Any], there: Mapping[_Place, t.Any], when: str) -> Iterator[str]:
    names = {name for name, _key in there}
    for name in dict.fromkeys(name for name, _key in here):
        if name not in names:
            yield f"{one_line(name)}: was not measured {when}"
    for name, key in sorted(here.keys() - there.keys(), key=lambda place: (place[0], key_order(place[1]))):
        if name in names:
            yield f"{one_line(name)}, {key.text}: was not measured {when}"
    for (name, key), level in here.items():
        if (name, key) in there and there[name, key].get("refused") and not level.get("refused"):
            yield f"{one_line(name)}, {key.text}: {when}, the load client was the bottleneck, so there are no numbers"


def _lost(
    before: Document, after: Document, first: Mapping[_Place, t.Any], second: Mapping[_Place, t.Any]
) -> Iterator[str]:
    was = {one["name"] for one in before["candidates"] if one.get("status") == "measured"}
    fallen = {one["name"]: one for one in after["candidates"] if one.get("status") in {"failed", "disqualified"}}
    for name in sorted(was & fallen.keys()):
        yield f"{one_line(name)}: {fallen[name]['status']} after: {one_line(fallen[name].get('reason') or '')}"
    for (name, key), level in first.items():
        other = second.get((name, key))
        if name in was - fallen.keys() and other and level["e2el_ms"] and not (other["e2el_ms"] or other["refused"]):
            yield f"{one_line(name)}, {key.text}: answered nothing after"


def _conditions(before: Document, after: Document) -> Iterator[str]:
    for title, one, other in _facts(before, after):
        if one != other:
            yield f"{title}: {_fact(one)} before, {_fact(other)} after"


def _facts(before: Document, after: Document) -> Iterator[tuple[str, t.Any, t.Any]]:
    for part in ("name", "memory", "gpus", "driver", "kernel", "docker"):
        yield f"host {part}", before["host"].get(part), after["host"].get(part)
    for part in ("model", "cores", "governor"):
        # The clock of the moment is another each time, and so is the seed.
        old, new = ((one["host"].get("cpu") or {}).get(part) for one in (before, after))
        yield f"host cpu {part}", old, new
    first, second = before["profile"], after["profile"]
    for part in ("from", "requests", "seconds", "repetitions", "warmup", "objective"):
        yield part, first.get(part), second.get(part)
    yield from _each("work", first.get("work") or {}, second.get("work") or {})
    others = {candidate["name"]: candidate for candidate in after["candidates"]}
    for one in before["candidates"]:
        if other := others.get(one["name"]):
            where = one_line(one["name"])
            for part in ("status", "image"):
                yield f"{where} {part}", one.get(part), other.get(part)
            yield from _each(f"{where} model", one.get("model") or {}, other.get("model") or {})
            yield from _each(where, one.get("words") or {}, other.get("words") or {})


def _each(where: str, first: Mapping[str, t.Any], second: Mapping[str, t.Any]) -> Iterator[tuple[str, t.Any, t.Any]]:
    for part in dict.fromkeys([*first, *second]):
        yield f"{where} {part}", first.get(part), second.get(part)


_LONG: t.Final = 100


def _fact(value: t.Any) -> str:
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, dict):
        value = ", ".join(f"{key} {item}" for key, item in value.items())
    text = one_line(value)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
