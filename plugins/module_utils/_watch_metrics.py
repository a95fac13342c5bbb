# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Read out of an engine's metrics whether it works on requests, and whether it gets on with them."""

from __future__ import annotations

import math
import re
import typing as t

# Text format 0.0.4 of Prometheus, and OpenMetrics: name, labels, value; a time may follow.
_LINE = re.compile(r"^(?P<name>[A-Za-z_:][\w:]*)(?:\{(?P<labels>.*)\})? +(?P<value>\S+)")
_SERIES = re.compile(r"^(?P<name>[^{]+)(?:\{(?P<labels>.*)\})?$")


class Reading(t.NamedTuple):
    """What one look saw.

    Attributes:
        requests: How many requests the engine works on or keeps waiting; None where it does not say.
        progress: By series a number that changes as it gets on.
    """

    requests: float | None
    progress: dict[str, float]


def read_metrics(text: str, words: t.Mapping[str, t.Sequence[str]]) -> Reading:
    """Pick out of an engine's metrics what its definition names.

    Args:
        text: The metrics.
        words: `running`, `waiting` and `progress` of the definition's `watchdog`: names of series, each perhaps with
            labels that must be among a line's (`name{label="value"}`). All lines that fit are added up.

    Returns:
        What was found. A series that is not there is left out.
    """
    rows = [match for match in map(_LINE.match, text.splitlines()) if match]
    counted = [_sum(rows, series) for word in ("running", "waiting") for series in words.get(word, ())]
    known = [value for value in counted if value is not None]
    progress = {series: _sum(rows, series) for series in words.get("progress", ())}
    return Reading(
        sum(known) if known else None, {name: value for name, value in progress.items() if value is not None}
    )


def _sum(rows: t.Iterable[t.Match[str]], series: str) -> float | None:
    wanted = _SERIES.match(series)
    if wanted is None:
        return None
    labels = set(filter(None, (wanted.group("labels") or "").split(",")))
    values = [
        _number(row.group("value"))
        for row in rows
        if row.group("name") == wanted.group("name") and labels <= set((row.group("labels") or "").split(","))
    ]
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(finite) if finite else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
