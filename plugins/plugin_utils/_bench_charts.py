# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Draw the charts of a benchmark as SVG that follows the page's colours and needs no script."""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass, field

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import number
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_html import Html, element

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# In the units of the drawing, which are pixels on a column of a desktop and a little less than that on a phone.
WIDTH: t.Final = 380
HEIGHT: t.Final = 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 26, 36
_BAR: t.Final = 24
#: Colours of the style sheet; more series than these differ by marker and dash.
COLOURS: t.Final = 6
_DASHES: t.Final = ("", "6 3", "2 3", "9 3 2 3", "12 4", "4 2 1 2 1 2")
_MARKERS: t.Final = ("circle", "square", "triangle", "diamond", "cross", "ring", "down")
# In half sizes around the middle.
_CROSS: t.Final = (
    (-1, -0.35), (-0.35, -0.35), (-0.35, -1), (0.35, -1), (0.35, -0.35), (1, -0.35),
    (1, 0.35), (0.35, 0.35), (0.35, 1), (-0.35, 1), (-0.35, 0.35), (-1, 0.35),
)  # fmt: skip
_CORNERS: t.Final[Mapping[str, Sequence[tuple[float, float]]]] = {
    "triangle": ((0, -1.2), (1.1, 0.8), (-1.1, 0.8)),
    "down": ((0, 1.2), (1.1, -0.8), (-1.1, -0.8)),
    "diamond": ((0, -1.3), (1.2, 0), (0, 1.3), (-1.2, 0)),
    "cross": _CROSS,
}
_TICKS: t.Final = 4
# Beyond this ratio of the largest to the smallest value an axis is logarithmic.
_WIDE: t.Final = 12.0
_CURVE_POINTS: t.Final = 80


class Point(t.NamedTuple):
    """A value with its interval."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


class Span(t.NamedTuple):
    """The percentiles of a latency at one place of the axis."""

    x: float
    p50: float
    p90: float
    p99: float


@dataclass(frozen=True)
class Series:
    """One candidate in a chart; `index` is its place among all candidates, and chooses colour, marker and dash."""

    label: str
    index: int
    points: Sequence[Point] = field(default=())
    spans: Sequence[Span] = field(default=())


@dataclass(frozen=True)
class Scale:
    """Maps values to pixels."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Give the place of a value."""
        if self.logarithmic:
            low, high, value = (math.log10(max(part, 1e-9)) for part in (self.low, self.high, value))
        else:
            low, high = self.low, self.high
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + (self.end - self.start) * min(max(share, 0.0), 1.0)

    def ticks(self) -> list[float]:
        """Give round values on the axis."""
        return log_ticks(self.low, self.high) if self.logarithmic else linear_ticks(self.low, self.high)


def linear_ticks(low: float, high: float, count: int = _TICKS) -> list[float]:
    """Give some multiples of 1, 2 or 5 times a power of ten within a range."""
    if high <= low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    size = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / size - 1e-9)
    last = math.floor(high / size + 1e-9)
    return [round(step * size, 10) for step in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Give powers of ten within a range, and twice and five times them where there are few."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        ticks = [factor * 10.0**exponent for exponent in exponents for factor in factors]
        ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if len(ticks) >= _TICKS - 1:
            break
    return ticks


def _round_up(value: float) -> float:
    """Give the end of an axis from 0: the next tick at or above a value."""
    if value <= 0:
        return 1.0
    step = linear_ticks(0, value)[1]
    return math.ceil(value / step - 1e-9) * step


# -- parts ---------------------------------------------------------------------------------------------------------


def _text(x: float, y: float, text: str, anchor: str = "middle") -> Html:
    return element("text", text, x=x, y=y, text_anchor=anchor)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def colour(index: int) -> str:
    """Name the class of the style sheet with a series' colour."""
    return f"s{index % COLOURS}"


def marker(index: int, x: float, y: float, size: float = 3.5) -> Html:
    """Draw a series' marker; its shape tells series apart without colours."""
    shape = _MARKERS[index % len(_MARKERS)]
    name = f"mark {colour(index)}"
    if shape in {"circle", "ring"}:
        return element("circle", cx=x, cy=y, r=size, class_=f"{name} hollow" if shape == "ring" else name)
    if shape == "square":
        return element("rect", x=x - size * 0.9, y=y - size * 0.9, width=size * 1.8, height=size * 1.8, class_=name)
    corners = _CORNERS[shape]
    grown = 1.25 if shape == "cross" else 1.0
    points = " ".join(f"{x + a * size * grown:.1f},{y + b * size * grown:.1f}" for a, b in corners)
    return element("polygon", points=points, class_=name)


def legend(series: Sequence[Series]) -> Html:
    """Draw what belongs to which candidate, as lines of text that wrap."""
    return element(
        "ul",
        *(
            element(
                "li",
                element(
                    "svg",
                    element(
                        "path", d="M1 6H27", class_=f"curve {colour(one.index)}", stroke_dasharray=_dash(one.index)
                    ),
                    marker(one.index, 14, 6),
                    viewBox="0 0 28 12",
                    width=28,
                    height=12,
                    aria_hidden="true",
                ),
                one.label,
            )
            for one in series
        ),
        class_="legend",
    )


def _dash(index: int) -> str | None:
    return _DASHES[index % len(_DASHES)] or None


def figure(title: str, about: str, picture: Html, series: Sequence[Series] = ()) -> Html:
    """Put a chart under its title, with a legend where it has several candidates."""
    parts = [element("figcaption", element("strong", title), element("span", about)), picture]
    if len(series) > 1:
        parts.append(legend(series))
    return element("figure", *parts)


def _svg(label: str, *children: Html, height: float = HEIGHT) -> Html:
    return element(
        "svg",
        element("title", label),
        *children,
        viewBox=f"0 0 {WIDTH} {height:g}",
        role="img",
        aria_label=label,
        class_="chart",
    )


def _frame(x_ticks: Sequence[tuple[float, str]], y: Scale, x_label: str, y_label: str) -> Iterator[Html]:
    for tick in y.ticks():
        place = y(tick)
        yield _line(_LEFT, place, WIDTH - _RIGHT, place, "grid")
        yield _text(_LEFT - 6, place + 3.5, number(tick), "end")
    yield _line(_LEFT, HEIGHT - _BOTTOM, WIDTH - _RIGHT, HEIGHT - _BOTTOM, "axis")
    for place, label in x_ticks:
        yield _line(place, HEIGHT - _BOTTOM, place, HEIGHT - _BOTTOM + 4, "axis")
        yield _text(place, HEIGHT - _BOTTOM + 16, label)
    yield _text(WIDTH - _RIGHT, HEIGHT - 4, x_label, "end")
    yield _text(4, 10, y_label, "start")


def _value_scale(values: Sequence[float]) -> Scale:
    """Make an upright axis: from 0, or logarithmic where the values are far apart."""
    positive = [value for value in values if value > 0]
    top, bottom = max(positive, default=1.0), min(positive, default=1.0)
    if top / bottom > _WIDE:
        return Scale(bottom / 1.15, top * 1.15, HEIGHT - _BOTTOM, _TOP, logarithmic=True)
    return Scale(0, _round_up(top), HEIGHT - _BOTTOM, _TOP)


def _thinned(ticks: list[tuple[float, str]], room: float) -> list[tuple[float, str]]:
    """Leave out labels that would touch the one before."""
    kept: list[tuple[float, str]] = []
    for place, label in ticks:
        if not kept or place - kept[-1][0] >= room + 3 * max(len(label), len(kept[-1][1])):
            kept.append((place, label))
    return kept


# -- charts --------------------------------------------------------------------------------------------------------


def ladder(title: str, series: Sequence[Series], x_label: str, y_label: str) -> Html:
    """Draw values against the load, with a whisker for each interval.

    Args:
        title: For people who cannot see it.
        series: The candidates, with `points`; x above 0.
        x_label: What the load is.
        y_label: The unit of the values.

    Returns:
        An SVG. The load's axis is logarithmic: its levels double.
    """
    xs = sorted({point.x for one in series for point in one.points})
    x = Scale(xs[0], xs[-1], _LEFT + 14, WIDTH - _RIGHT - 12, logarithmic=True)
    tops = [point.high if point.high is not None else point.y for one in series for point in one.points]
    y = Scale(0, _round_up(max(tops)), HEIGHT - _BOTTOM, _TOP)
    ticks = _thinned([(x(value), number(value)) for value in xs], 10)
    parts = list(_frame(ticks, y, x_label, y_label))
    for order, one in enumerate(series):
        # Side by side by a hair, so that equal whiskers do not hide each other; apart where there is but one level.
        shift = (order - (len(series) - 1) / 2) * (1.2 if len(xs) > 1 else min(28.0, 240 / len(series)))
        places = [(x(point.x) + shift, point) for point in one.points]
        parts.append(_curve([(place, y(point.y)) for place, point in places], one.index))
        for place, point in places:
            if point.low is not None and point.high is not None:
                parts.append(_whisker(place, y(point.low), y(point.high), one.index))
            parts.append(marker(one.index, place, y(point.y)))
    return _svg(title, *parts)


def _whisker(x: float, low: float, high: float, index: int) -> Html:
    path = f"M{x:.1f} {low:.1f}V{high:.1f}M{x - 3:.1f} {low:.1f}h6M{x - 3:.1f} {high:.1f}h6"
    return element("path", d=path, class_=f"whisker {colour(index)}")


def _curve(places: Sequence[tuple[float, float]], index: int) -> Html:
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    return element("path", d=path, class_=f"curve {colour(index)}", stroke_dasharray=_dash(index))


def spans(title: str, series: Sequence[Series], x_label: str, y_label: str) -> Html:
    """Draw percentiles against the load: the marker is the p50, the tick the p90, the end of the line the p99.

    Args:
        title: For people who cannot see it.
        series: The candidates, with `spans`.
        x_label: What the load is.
        y_label: The unit of the values.

    Returns:
        An SVG; the candidates of one level stand side by side.
    """
    xs = sorted({span.x for one in series for span in one.spans})
    band = (WIDTH - _LEFT - _RIGHT) / len(xs)
    centre = {value: _LEFT + band * (place + 0.5) for place, value in enumerate(xs)}
    y = _value_scale([value for one in series for span in one.spans for value in span[1:]])
    parts = list(_frame([(centre[value], number(value)) for value in xs], y, x_label, y_label))
    parts += [
        _line(_LEFT + band * place, _TOP, _LEFT + band * place, HEIGHT - _BOTTOM, "band") for place in range(1, len(xs))
    ]
    gap = min(band / (len(series) + 0.6), 16.0)
    for order, one in enumerate(series):
        for span in one.spans:
            place = centre[span.x] + (order - (len(series) - 1) / 2) * gap
            ends = y(span.p50), y(span.p90), y(span.p99)
            path = f"M{place:.1f} {ends[0]:.1f}V{ends[2]:.1f}m-3 0h6M{place - 2:.1f} {ends[1]:.1f}h4"
            parts.append(element("path", d=path, class_=f"whisker {colour(one.index)}"))
            parts.append(marker(one.index, place, ends[0], min(3.2, gap / 2.6)))
    return _svg(title, *parts)


def curves(title: str, series: Sequence[Series], x_label: str, y_label: str, *, share: bool) -> Html:
    """Draw distributions over a logarithmic or linear axis of milliseconds.

    Args:
        title: For people who cannot see it.
        series: The candidates, with `points`.
        x_label: The unit of x.
        y_label: The unit of y.
        share: Whether y is a share of all that ends at 100.

    Returns:
        An SVG.
    """
    points = [point for one in series for point in one.points]
    low, high = min(point.x for point in points), max(point.x for point in points)
    wide = low > 0 and high / low > _WIDE / 4
    if not wide:
        low, high = max(0.0, low - (high - low) * 0.05), high + (high - low) * 0.05 or high + 1
    x = Scale(low, high, _LEFT, WIDTH - _RIGHT, logarithmic=wide)
    y = Scale(0, 100 if share else _round_up(max(point.y for point in points)), HEIGHT - _BOTTOM, _TOP)
    ticks = _thinned([(x(tick), number(tick)) for tick in x.ticks()], 14)
    parts = list(_frame(ticks, y, x_label, y_label))
    for one in series:
        places = [(x(point.x), y(point.y)) for point in one.points]
        parts.append(_curve(places, one.index))
        # One marker in the middle of the rise tells the curve without colours.
        middle = (
            min(places, key=lambda place: abs(place[1] - y(50))) if share else min(places, key=lambda place: place[1])
        )
        parts.append(marker(one.index, *middle))
    return _svg(title, *parts)


def cumulative(values: Sequence[float]) -> list[Point]:
    """Give the cumulative distribution of values, in %, by at most 80 points."""
    ordered = sorted(values)
    count = len(ordered)
    if count <= _CURVE_POINTS:
        ranks: list[int] = list(range(count))
    else:
        ranks = sorted({round(place * (count - 1) / (_CURVE_POINTS - 1)) for place in range(_CURVE_POINTS)})
    return [Point(ordered[rank], 100 * (rank + 1) / count) for rank in ranks]


def histogram(edges: Sequence[float], counts: Sequence[int]) -> list[Point]:
    """Give the share of each bin of a histogram, in %, at its geometric middle, without the empty bins at both ends."""
    total = sum(counts)
    filled = [place for place, count in enumerate(counts) if count]
    if not filled:
        return []
    first, last = max(filled[0] - 1, 0), min(filled[-1] + 1, len(counts) - 1)
    return [
        Point(math.sqrt(max(edges[place], 1e-6) * edges[place + 1]), 100 * counts[place] / total)
        for place in range(first, last + 1)
    ]


class Bar(t.NamedTuple):
    """A bar with its name, the place that gives its colour, and its value as a text."""

    label: str
    place: int
    value: float
    text: str


def bars(title: str, given: Sequence[Bar]) -> Html:
    """Draw lying bars, each with its name above and its value at its end.

    Args:
        title: For people who cannot see it.
        given: The bars, at least one.

    Returns:
        An SVG.
    """
    top = max(one.value for one in given) or 1.0
    room = WIDTH - 8 - 8 * max(len(one.text) for one in given)
    parts = []
    for row, one in enumerate(given):
        y = row * (_BAR + 14)
        width = max(room * one.value / top, 1.5)
        parts += [
            _text(0, y + 12, one.label, "start"),
            element("rect", x=0, y=y + 18, width=width, height=_BAR - 12, rx=2, class_=f"bar {colour(one.place)}"),
            _text(width + 6, y + 28, one.text, "start"),
        ]
    return _svg(title, *parts, height=len(given) * (_BAR + 14))
