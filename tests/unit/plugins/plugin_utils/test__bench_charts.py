# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_charts import (
    HEIGHT,
    WIDTH,
    Bar,
    Point,
    Scale,
    Series,
    Span,
    bars,
    cumulative,
    curves,
    histogram,
    ladder,
    legend,
    linear_ticks,
    log_ticks,
    spans,
)

TICKS = [
    (0, 10, [0, 5, 10]),
    (0, 100, [0, 50, 100]),
    (0, 8, [0, 2, 4, 6, 8]),
    (0, 0.3, [0, 0.1, 0.2, 0.3]),
    (37, 152, [50, 100, 150]),
    (5, 5, [5]),
]


@pytest.mark.parametrize(("low", "high", "ticks"), TICKS)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert linear_ticks(low, high) == ticks


LOG_TICKS = [(1, 1000, [1, 10, 100, 1000]), (20, 600, [30, 100, 300]), (50, 400, [50, 100, 200])]


@pytest.mark.parametrize(("low", "high", "ticks"), LOG_TICKS)
def test_logarithmic_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert log_ticks(low, high) == ticks


def test_scales() -> None:
    assert [Scale(0, 10, 100, 0)(value) for value in (0, 5, 10, 99)] == [100, 50, 0, 0]
    assert [round(Scale(1, 100, 0, 100, logarithmic=True)(value)) for value in (1, 10, 100, 0)] == [0, 50, 100, 0]
    # A ladder of one level stands in the middle.
    assert Scale(7, 7, 0, 100, logarithmic=True)(7) == 50


def test_the_cumulative_distribution_ends_at_all_and_is_short() -> None:
    assert cumulative([3.0, 1.0]) == [Point(1.0, 50.0), Point(3.0, 100.0)]
    many = cumulative([float(value) for value in range(5000)])
    assert len(many) <= 80
    assert (many[0].x, many[-1]) == (0.0, Point(4999.0, 100.0))


def test_a_histogram_is_shares_at_the_middles_of_bins() -> None:
    found = histogram([1, 4, 16, 64, 256, 1024], [0, 0, 3, 1, 0])
    assert [(point.x, point.y) for point in found] == [(8, 0), (32, 75), (128, 25), (512, 0)]
    assert histogram([1, 2], [0]) == []


def series(index: int, scale: float = 1.0) -> Series:
    xs = (1.0, 2.0, 4.0, 8.0)
    return Series(
        f"<engine {index}>",
        index,
        points=[Point(x, 10 * x * scale, 9 * x * scale, 11 * x * scale) for x in xs],
        spans=[Span(x, x * scale, 2 * x * scale, 3 * x * scale) for x in xs],
    )


MANY = [series(index, 1 + index / 3) for index in range(8)]
DRAWN = [
    ladder("t", MANY, "at once", "tokens/s"),
    ladder("t", [Series("one", 0, points=[Point(7, 0.0)])], "at once", "tokens/s"),
    spans("t", MANY, "at once", "ms"),
    spans("t", [Series("one", 0, spans=[Span(1, 0.01, 5, 900)])], "at once", "ms"),
    curves("t", MANY, "ms", "%", share=True),
    curves("t", [Series("one", 0, points=[Point(5, 100)])], "ms", "%", share=True),
    curves("t", [Series("one", 0, points=[Point(0, 50), Point(0, 100)])], "ms", "%", share=False),
    bars("t", [Bar("a", 0, 0.0, "0 s"), Bar("b", 7, 3e9, "3 GiB")]),
]


@pytest.mark.parametrize("drawn", DRAWN)
def test_drawings_are_whole_and_within_their_frame(drawn: str) -> None:
    root = ET.fromstring(drawn)  # noqa: S314  our own
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.findtext("title") == "t"
    height = float((root.get("viewBox") or "").split()[3])
    assert 0 < height <= HEIGHT
    for part in root.iter():
        for name, limit in (("x", WIDTH), ("x1", WIDTH), ("x2", WIDTH), ("cx", WIDTH), ("y", height), ("cy", height)):
            if (value := part.get(name)) is not None:
                assert 0 <= float(value) <= limit, ET.tostring(part)
        assert "nan" not in ET.tostring(part, encoding="unicode").lower()


def test_candidates_differ_by_colour_marker_and_dash() -> None:
    # Without names and colours, which come again after six.
    looks = {re.sub(r"&lt;.*?&gt;|s\d", "", legend([one])) for one in MANY}
    assert len(looks) == len(MANY)
    assert [re.findall(r"curve (s\d)", legend([one]))[0] for one in MANY[:7]] == [
        "s0",
        "s1",
        "s2",
        "s3",
        "s4",
        "s5",
        "s0",
    ]


def test_names_in_a_legend_are_texts() -> None:
    assert "&lt;engine 0&gt;" in legend(MANY)
