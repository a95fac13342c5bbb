# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""The numbers of a benchmark as rows of a table, for the terminal and for the page alike."""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, field

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import interval, key_of, labels, number
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import rate_of
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_verdict import deciding_metric, unit_of

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import Latency, Level, Rate

# A search measures what it passes once, which is enough to find the way and not to win.
_MARKED: t.Final = {"failed": "failed", "disqualified": "disqualified", "tried": "tried once"}
_MIB: t.Final = 2**20
_GIB: t.Final = 2**30


@dataclass(frozen=True)
class Row:
    """One candidate at one level; a candidate without numbers has one row with `marks` only. Texts, for people."""

    candidate: str
    label: str
    status: str
    level: str = ""
    #: of the measure that decides, with its interval, as in "110 (105 to 116)"
    throughput: str = ""
    unit: str = ""
    ttft: str = ""
    tpot: str = ""
    e2el: str = ""
    load: str = ""
    memory: str = ""
    #: what was refused, failed, short, cut off or of another length, and whether it won
    marks: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, t.Any]:
        """Give the row as plain values."""
        return asdict(self)


def rows(document: Mapping[str, t.Any]) -> list[Row]:
    """Lay out a completed document.

    Args:
        document: A document with its summary and verdict.

    Returns:
        Rows in the order of the ranking, then those that are not ranked; of each candidate a row for each level.
        Latencies are milliseconds, "p50 / p99" but for `e2el`, which is the p50.
    """
    ranking = document["verdict"]["ranking"]
    candidates = sorted(
        document["candidates"],
        key=lambda candidate: ranking.index(candidate["name"]) if candidate["name"] in ranking else len(ranking),
    )
    levels = {entry["name"]: entry["levels"] for entry in document["summary"]}
    result = []
    for candidate in candidates:
        result += _rows(candidate, levels[candidate["name"]], document)
    return result


def _rows(candidate: Mapping[str, t.Any], levels: Sequence[Level], document: Mapping[str, t.Any]) -> list[Row]:
    verdict = document["verdict"]
    metric = verdict["metric"]
    about = {
        "candidate": candidate["name"],
        "label": labels(document)[candidate["name"]],
        "status": candidate.get("status") or "",
        "load": load_text(candidate),
        "memory": memory_text(candidate),
    }
    own = []
    if verdict["winner"] == candidate["name"]:
        own.append("winner")
    elif len(verdict["best"]) > 1 and candidate["name"] in verdict["best"]:
        own.append("among the best")
    if about["status"] in _MARKED:
        own.append(_MARKED[about["status"]])
    if not levels:
        return [Row(**about, marks=own)]
    return [
        Row(
            **about,
            level=key_of(level).text,
            throughput=rate_text(rate_of(level, metric)),
            unit=unit_of(metric, document),
            ttft=latency_text(level["ttft_ms"]),
            tpot=latency_text(level["tpot_ms"]),
            e2el=number(level["e2el_ms"]["p50"]) if level["e2el_ms"] else "",
            marks=[*(own if index == 0 else []), *level_marks(level)],
        )
        for index, level in enumerate(levels)
    ]


def level_marks(level: Level) -> list[str]:
    """List what a reader must see beside a level's numbers."""
    requests = level["requests"]
    said = [f"{requests[name]} {text}" for name, text in _COUNTED if requests.get(name)]
    if level["tokens"]["off_input"]:
        said.append(f"{level['tokens']['off_input']} of another input length")
    return [*(["client was the bottleneck"] if level["refused"] else []), *said]


_COUNTED: t.Final = (("failed", "failed"), ("short", "short"), ("cut", "cut off"))


def rate_text(rate: Rate | None) -> str:
    """Write a rate with its interval; nothing where there is none."""
    return f"{number(rate['value'])} ({interval(*rate['ci'])})" if rate else ""


def latency_text(latency: Latency | None) -> str:
    """Write the p50 and p99 of a latency; nothing where there is none."""
    return f"{number(latency['p50'])} / {number(latency['p99'])}" if latency else ""


def load_seconds(candidate: Mapping[str, t.Any]) -> list[float]:
    """Give how long each start took until the engine was ready, in seconds."""
    return [(load.get("start") or 0.0) + (load.get("wait") or 0.0) for load in candidate.get("loads") or []]


def load_text(candidate: Mapping[str, t.Any]) -> str:
    """Write how long an engine took to be ready, in seconds, on average over its starts."""
    seconds = load_seconds(candidate)
    return number(sum(seconds) / len(seconds)) if seconds else ""


def peak_memory(candidate: Mapping[str, t.Any]) -> dict[str, int]:
    """Give the peaks of memory that were seen, in bytes, by "GPU", "container" or "host"."""
    memory = candidate.get("memory") or {}
    named = (("GPU", "gpu_peak"), ("container", "container_peak"), ("host", "host_peak"))
    return {title: memory[name] for title, name in named if memory.get(name)}


def memory_text(candidate: Mapping[str, t.Any]) -> str:
    """Write the peaks of memory that tell most: the GPU's and the container's, else the host's."""
    peaks = peak_memory(candidate)
    told = {title: size for title, size in peaks.items() if title != "host"} or peaks
    if len(told) == 1:
        return size_text(next(iter(told.values())))
    return ", ".join(f"{size_text(size)} {title}" for title, size in told.items())


def size_text(size: float) -> str:
    """Write a number of bytes."""
    return f"{number(size / _GIB)} GiB" if size >= _GIB else f"{number(size / _MIB)} MiB"


def deciding(document: Mapping[str, t.Any]) -> str:
    """Give the measure that decided a document, from its verdict where it has one."""
    verdict = document.get("verdict") or {}
    return str(verdict.get("metric") or deciding_metric(document))
