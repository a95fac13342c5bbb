# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of a benchmark step, named and defined as `vllm bench serve` does.

Source: `calculate_metrics` in vllm/benchmarks/serve.py and the request functions in
vllm/benchmarks/lib/endpoint_request_func.py of vLLM 0.32.0. TTFT is from the sending of a request to its first piece of
text, ITL the time between two pieces, E2EL from the sending to the last piece, TPOT is (E2EL - TTFT) / (tokens - 1).
One difference: vLLM takes the first event that only names the role for the first piece. Some engines send that before
they have computed anything, and then it is no time to a token, so it is passed over here.
"""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.llmops.serving.plugins.module_utils._bench_requests import Outcome

_BINS_PER_DECADE = 20
_FIRST_DECADE, _LAST_DECADE = -1, 5
#: Bounds of the histogram's bins in ms, 0.1 ms to 100 s, each 12 % above the one before.
EDGES = tuple(
    float(f"{10 ** (_FIRST_DECADE + index / _BINS_PER_DECADE):.4g}")
    for index in range((_LAST_DECADE - _FIRST_DECADE) * _BINS_PER_DECADE + 1)
)
_MEDIAN = 50.0
# So late, in ms, any process wakes on a busy machine, and it is as late at both ends of what it measures. (0.3 ms were
# seen on an idle virtual machine.)
_GRAIN_MS = 1.0

GOOD, SHORT, CUT, FAILED = "good", "short", "cut", "failed"


def percentile(ordered: Sequence[float], rank: float) -> float:
    """The percentile of sorted values, interpolated linearly as numpy does by default.

    Args:
        ordered: At least one value, sorted.
        rank: From 0 to 100.
    """
    place = (len(ordered) - 1) * rank / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    return percentile(sorted(values), _MEDIAN) if values else None


def histogram(values: Sequence[float]) -> list[int]:
    """How many values lie in each bin of `EDGES`; what lies outside counts in the first or the last bin."""
    counts = [0] * (len(EDGES) - 1)
    for value in values:
        place = bisect.bisect_right(EDGES, value) - 1
        counts[min(max(place, 0), len(counts) - 1)] += 1
    return counts


def samples(outcomes: Sequence[Outcome], is_chat: bool) -> dict[str, list[Any]]:
    """One entry for each good or short request, in order of sending, times in ms.

    A time between tokens that a request does not have, since it wrote one token or one piece, is None.
    """
    measured = [outcome for outcome in outcomes if outcome.state in (GOOD, SHORT)]
    found: dict[str, list[Any]] = {
        "ttft_ms": [],
        "tpot_ms": [],
        "e2el_ms": [_ms(outcome.end - outcome.sent) for outcome in measured],
        "output_tokens": [],
        "itl_ms": [],
    }
    if is_chat:
        found["ttft_ms"] = [_ms(outcome.first - outcome.sent) for outcome in measured]
        found["tpot_ms"] = [_tpot(outcome) for outcome in measured]
        found["output_tokens"] = [outcome.written for outcome in measured]
        found["itl_ms"] = [None if not outcome.gaps else _ms(median(outcome.gaps) or 0.0) for outcome in measured]
    return found


def _tpot(outcome: Outcome) -> float | None:
    return _ms((outcome.end - outcome.first) / (outcome.written - 1)) if outcome.written > 1 else None


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def gaps_ms(outcomes: Sequence[Outcome]) -> list[float]:
    """All times between pieces of good and short requests, sorted."""
    return sorted(gap * 1000 for outcome in outcomes if outcome.state in (GOOD, SHORT) for gap in outcome.gaps)


def itl(gaps: Sequence[float]) -> dict[str, Any]:
    """The times between pieces, summed up.

    Args:
        gaps: In ms, sorted.

    Returns:
        Empty if there are none.
    """
    if not gaps:
        return {}
    found: dict[str, Any] = {"mean_ms": round(math.fsum(gaps) / len(gaps), 3)}
    found.update((f"p{rank}_ms", round(percentile(gaps, rank), 3)) for rank in (50, 90, 99))
    found["count"] = len(gaps)
    found["histogram"] = {"edges_ms": list(EDGES), "counts": histogram(gaps)}
    return found


def tokens(outcomes: Sequence[Outcome], set_input: int | None) -> dict[str, Any]:
    """Tokens of good and short requests, as the server counted them, or as pieces came where it did not."""
    measured = [outcome for outcome in outcomes if outcome.state in (GOOD, SHORT)]
    counted = [outcome.prompt for outcome in measured if outcome.prompt is not None]
    return {
        "input": sum(counted),
        "output": sum(outcome.written for outcome in measured),
        "set_input": set_input,
        "off_input": 0 if set_input is None else sum(1 for count in counted if count != set_input),
        "chunks": sum(outcome.chunks for outcome in measured),
        "from": "usage" if len(counted) == len(measured) else "stream",
    }


def client(late: Sequence[float], cpu_share: float, pace: float | None, limits: dict[str, float]) -> dict[str, Any]:
    """How the client itself fared, and whether its numbers can be trusted.

    Args:
        late: How late its loop woke each time, in seconds.
        cpu_share: Share of one core that its process used, 0 to 1.
        pace: What it measured, in ms: the median time between pieces, or of a whole request.
        limits: `cpu_share`, and `lateness` as a share of the pace.
    """
    ordered = sorted(value * 1000 for value in late) or [0.0]
    half = percentile(ordered, _MEDIAN)
    why = ""
    where = "lower the concurrency or the rate, or measure from the other place (--from host or --from controller)"
    if cpu_share > limits["cpu_share"]:
        why = (
            f"the load client used {cpu_share:.0%} of a core, above the limit of {limits['cpu_share']:.0%}, so its "
            f"times are its own and not the engine's; {where}"
        )
    elif pace is not None and half > max(limits["lateness"] * pace, _GRAIN_MS):
        why = (
            f"the load client woke {half:.2f} ms late in the median, above the limit of {limits['lateness']:.0%} of "
            f"the {pace:.2f} ms it measures; {where}"
        )
    return {
        "cpu_share": round(cpu_share, 3),
        "late_p50_ms": round(half, 3),
        "late_p99_ms": round(percentile(ordered, 99.0), 3),
        "late_max_ms": round(ordered[-1], 3),
        "bottleneck": bool(why),
        "why": why,
    }
