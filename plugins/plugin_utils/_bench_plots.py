# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Choose what of a benchmark is drawn, and from which numbers."""

from __future__ import annotations

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_charts import (
    Bar,
    Point,
    Series,
    Span,
    bars,
    cumulative,
    curves,
    figure,
    histogram,
    ladder,
    spans,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import (
    Key,
    key_of,
    key_order,
    labels,
    number,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_html import Html, element
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import bottleneck, rate_of
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_table import load_seconds, peak_memory, size_text
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_verdict import unit_of

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import Level

    Document = Mapping[str, t.Any]

_LATENCIES: t.Final = (("ttft_ms", "Time to the first token"), ("tpot_ms", "Time of each further token"))
_WHOLE: t.Final = ("e2el_ms", "Time of a whole request")


class _Axis(t.NamedTuple):
    """A ladder that can be drawn in one chart: what is fixed, and what rises."""

    where: str
    x_label: str
    keys: dict[Key, float]


def plots(document: Document) -> Iterator[Html]:
    """Draw all charts that the document has numbers for.

    Args:
        document: A document with its summary and verdict.

    Returns:
        At most two sections.
    """
    drawn = [*_loads(document), *_distributions(document)]
    if drawn:
        yield element("section", element("h2", "Under load"), element("div", *drawn, class_="charts"))
    costs = list(_costs(document))
    if costs:
        yield element("section", element("h2", "What they cost"), element("div", *costs, class_="charts"))


def _series(document: Document, of: Callable[[str], Series]) -> list[Series]:
    made = [of(candidate["name"]) for candidate in document["candidates"]]
    return [one for one in made if one.points or one.spans]


def _places(document: Document) -> dict[str, int]:
    return {candidate["name"]: place for place, candidate in enumerate(document["candidates"])}


def _level_map(document: Document) -> dict[str, dict[Key, Level]]:
    return {entry["name"]: {key_of(level): level for level in entry["levels"]} for entry in document["summary"]}


def _axes(document: Document) -> list[_Axis]:
    """Find the ladders: by batch where there are batches, else by requests at once, and by rate."""
    keys = sorted({key for levels in _level_map(document).values() for key in levels}, key=key_order)
    found: dict[tuple[str, str], dict[Key, float]] = {}
    for key in keys:
        if key.batch is not None:
            where, x_label, x = key._replace(batch=None).text, "batch", float(key.batch)
        elif key.concurrency is not None:
            where, x_label, x = "", "requests at once", float(key.concurrency)
        else:
            where, x_label, x = "at a set rate", "requests/s sent", float(key.rate or 0)
        if x > 0:
            found.setdefault((where, x_label), {})[key] = x
    return [_Axis(where, x_label, of) for (where, x_label), of in found.items()]


def _loads(document: Document) -> Iterator[Html]:
    metric = document["verdict"]["metric"]
    for axis in _axes(document):
        where = f", {axis.where}" if axis.where else ""
        if metric == "goodput_per_s":
            plain = "output_tokens_per_s" if _has(document, "output_tokens_per_s") else "items_per_s"
            yield from _rates(document, axis, metric, f"Requests that met the objective{where}")
            yield from _rates(document, axis, plain, f"Throughput{where}")
        else:
            yield from _rates(document, axis, metric, f"Throughput{where}")
        chat = _has(document, "ttft_ms")
        for name, title in _LATENCIES if chat else (_WHOLE,):
            yield from _latencies(document, axis, name, f"{title}{where}")


def _has(document: Document, name: str) -> bool:
    return any(level.get(name) for entry in document["summary"] for level in entry["levels"])


def _rates(document: Document, axis: _Axis, metric: str, title: str) -> Iterator[Html]:
    levels, names, places = _level_map(document), labels(document), _places(document)

    def series(name: str) -> Series:
        points = [
            Point(x, rate["value"], *rate["ci"])
            for key, x in axis.keys.items()
            if key in levels[name] and (rate := rate_of(levels[name][key], metric))
        ]
        return Series(names[name], places[name], points=points)

    if given := _series(document, series):
        unit = unit_of(metric, document)
        about = f"{unit}; the whiskers are 95 % intervals"
        yield figure(title, about, ladder(f"{title}: {unit} by {axis.x_label}", given, axis.x_label, unit), given)


def _latencies(document: Document, axis: _Axis, metric: str, title: str) -> Iterator[Html]:
    levels, names, places = _level_map(document), labels(document), _places(document)

    def series(name: str) -> Series:
        found = [(x, t.cast("t.Any", levels[name][key])[metric]) for key, x in axis.keys.items() if key in levels[name]]
        return Series(
            names[name],
            places[name],
            spans=[Span(x, latency["p50"], latency["p90"], latency["p99"]) for x, latency in found if latency],
        )

    if given := _series(document, series):
        about = "ms, less is better; the marker is the p50, the tick the p90, the line ends at the p99"
        yield figure(title, about, spans(f"{title}: ms by {axis.x_label}", given, axis.x_label, "ms"), given)


def highest_common(document: Document) -> Key | None:
    """Give the highest level that all measured candidates have numbers at."""
    measured = [{key for key, level in levels.items() if level["e2el_ms"]} for levels in _level_map(document).values()]
    measured = [keys for keys in measured if keys]
    common = set.intersection(*measured) if measured else set()
    closed = [key for key in common if key.concurrency is not None] or list(common)
    return max(closed, key=key_order, default=None)


def _distributions(document: Document) -> Iterator[Html]:
    key = highest_common(document)
    if key is None:
        return
    names, places = labels(document), _places(document)
    steps = {
        candidate["name"]: [
            step for step in candidate.get("steps") or [] if key_of(step) == key and not bottleneck(step)
        ]
        for candidate in document["candidates"]
    }

    def spread(metric: str) -> Callable[[str], Series]:
        return lambda name: Series(names[name], places[name], points=cumulative(_samples(steps[name], metric)))

    metric, what = ("ttft_ms", "First tokens") if _has(document, "ttft_ms") else ("e2el_ms", "Answers")
    if given := _series(document, spread(metric)):
        title = f"{what} that had come by then, {key.text}"
        picture = curves(f"{title}: % of the requests by ms", given, "ms", "% of requests", share=True)
        yield figure(title, "% of the requests; further left is better", picture, given)
    if given := _series(document, lambda name: Series(names[name], places[name], points=_gaps(steps[name]))):
        title = f"Times between tokens, {key.text}"
        picture = curves(f"{title}: % of the gaps by ms", given, "ms", "% of gaps", share=False)
        yield figure(title, "% of the gaps; narrow and left is better, a second hump is a stall", picture, given)


def _samples(steps: Sequence[Mapping[str, t.Any]], metric: str) -> list[float]:
    return [value for step in steps for value in (step.get("samples") or {}).get(metric) or [] if value is not None]


def _gaps(steps: Sequence[Mapping[str, t.Any]]) -> list[Point]:
    found = [step["itl"]["histogram"] for step in steps if ((step.get("itl") or {}).get("histogram"))]
    if not found:
        return []
    counts = [sum(column) for column in zip(*(each["counts"] for each in found), strict=True)]
    return histogram(found[0]["edges_ms"], counts)


def _costs(document: Document) -> Iterator[Html]:
    names, places = labels(document), _places(document)
    loads = [(candidate["name"], load_seconds(candidate)) for candidate in document["candidates"]]
    given = [
        Bar(names[name], places[name], sum(seconds) / len(seconds), f"{number(sum(seconds) / len(seconds))} s")
        for name, seconds in loads
        if seconds
    ]
    if given:
        yield figure("Loading", "s from the start until it answers, less is better", bars("Time to load", given))
    peaks = {candidate["name"]: peak_memory(candidate) for candidate in document["candidates"]}
    for kind, about in (("GPU", "of the GPUs"), ("container", "of the container")):
        sizes = [
            Bar(names[name], places[name], float(of[kind]), size_text(of[kind]))
            for name, of in peaks.items()
            if kind in of
        ]
        if sizes:
            yield figure(f"Memory {about}", "peak while measured, less is better", bars(f"Memory {about}", sizes))
