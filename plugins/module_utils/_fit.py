# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Say whether the servers of a host fit into the memory that is free now, each with a sum that can be checked by hand.

A refusal must be true: what is not known counts for the server, and the engine's own start and the gate judge the
rest. So is a remedy: it is tried in the same sum before it is told.
"""

from __future__ import annotations

import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._fit_judge import (
    NOT_HERE,
    Outcome,
    judge,
    known_shapes,
)
from ansible_collections.llmops.serving.plugins.module_utils._fit_memory import GIB
from ansible_collections.llmops.serving.plugins.module_utils._fit_places import Places
from ansible_collections.llmops.serving.plugins.module_utils._fit_remedy import remedy_for

if t.TYPE_CHECKING:
    from ansible_collections.llmops.serving.plugins.module_utils._shape import Shape


def server_fits(
    demands: t.Sequence[dict[str, t.Any]],
    shapes: t.Mapping[str, Shape | None],
    host: t.Mapping[str, t.Any],
) -> list[dict[str, t.Any]]:
    """Judge the servers of a host, all together, in their order.

    Args:
        demands: What each server asks (`demand` of plugin_utils/_demands.py).
        shapes: By model its shape, None where its headers could not be read.
        host: The facts of `host_facts`; `gpus`, `memory` and `held` of them.

    Returns:
        For each server: server, engine, verdict (``fits``, ``fits with`` for one that makes itself smaller, ``does
        not fit``, ``unknown``), where, sum (the parts: what, bytes, how), need and have (bytes, on each GPU of a model
        that is split, else together), requests (of full length at once, None if there is no such number), line, remedy
        and problem (one line each, "" where there is none).
    """
    places = Places.of(host, [demand["server"] for demand in demands])
    fits = []
    for number, demand in enumerate(demands):
        models = known_shapes(demand, shapes)
        outcome = judge(demand, models, places)
        remedy = remedy_for(demands, number, shapes, host) if outcome.verdict in ("does not fit", "fits with") else None
        fits.append(_told(demand, outcome, remedy, host["memory"]["total"]))
        # What cannot start takes nothing from those after it: they are not to blame.
        if outcome.verdict != "does not fit":
            places.take(demand["server"], outcome.takes)
    return fits


def _told(
    demand: t.Mapping[str, t.Any], outcome: Outcome, remedy: tuple[str, str] | None, ram: int
) -> dict[str, t.Any]:
    word, words = remedy or (outcome.word, "")
    problem = ""
    if outcome.verdict == "does not fit":
        words = words or NOT_HERE
        said = outcome.cause or outcome.line
        problem = f"serving_servers[{demand['server']!r}].{word}: {said}: {words}"
    return {
        "server": demand["server"],
        "engine": demand["engine"],
        "verdict": outcome.verdict,
        "where": outcome.where,
        "sum": [{"what": part.what, "bytes": part.bytes, "how": part.how} for part in outcome.parts],
        "need": outcome.need,
        "have": outcome.have,
        "requests": outcome.requests,
        "line": outcome.line + _shm_words(demand, ram),
        "remedy": words,
        "problem": problem,
    }


def _shm_words(demand: t.Mapping[str, t.Any], ram: int) -> str:
    """Remark shared memory that is larger than RAM. It is a limit, so the container starts all the same."""
    size, unit = str(demand.get("shm") or "0g")[:-1], str(demand.get("shm") or "0g")[-1]
    if unit != "g" or not size.isdigit() or int(size) * GIB <= ram:
        return ""
    return f"; its /dev/shm may grow to {size} GiB, more than the {ram / GIB:.1f} GiB of RAM"
