# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Turn the results of tasks into what the journal of a report keeps."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# How the module says how many requests a step without an answer sent.
_NONE_OF: t.Final = re.compile(r"none of (\d+) requests? was answered")
_PHASES: t.Final = ("start", "wait", "gate")


def host_words(name: str, facts: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give `host` of a report.

    Args:
        name: The host's name in the inventory.
        facts: From the module `host_info`.
    """
    gpus = [{"name": gpu["name"], "memory": gpu["memory_total"]} for gpu in facts["gpus"] if gpu["uuid"]]
    return {
        "name": name,
        "os": facts["distribution"]["name"],
        "kernel": facts["kernel"],
        "docker": facts["docker"]["version"] or "",
        "cpu": dict(facts["cpu"], cores=facts["cores"]),
        "memory": facts["memory"]["total"],
        "gpus": gpus,
        "driver": next((gpu["driver_version"] for gpu in facts["gpus"] if gpu.get("driver_version")), ""),
    }


def served_words(result: Mapping[str, t.Any], name: str) -> dict[str, t.Any]:
    """Read what became of a server: its image, and how long it took to load.

    Args:
        result: The registered result of the role `engine`'s task, or an entry of `server_info`.
        name: The server.
    """
    entries = [entry for entry in result.get("results", [result]) if entry.get("name") == name]
    words: dict[str, t.Any] = {}
    for entry in entries:
        seconds = entry.get("seconds") or {}
        words["image"] = entry.get("image") or ""
        if entry.get("action") in {"created", "updated", "restarted"}:
            words["loads"] = [{phase: round(seconds.get(phase, 0.0), 3) for phase in _PHASES}]
    return words


def failure_words(result: Mapping[str, t.Any]) -> dict[str, str]:
    """Read why a candidate could not serve.

    Args:
        result: What a failed task returned; of a loop, the item that failed counts.

    Returns:
        `status`, and `reason` and `remedy` in one line each.
    """
    failed = [entry for entry in result.get("results") or [] if entry.get("failed")]
    entry = failed[0] if failed else result
    listed = entry.get("problems") or entry.get("msg")
    if entry.get("cause"):
        reason, remedy = f"{entry.get('failed_check') or 'start'}: {entry['cause']}", str(entry.get("remedy") or "")
        # That nothing is left of an attempt is told after every one.
        remedy = remedy.partition(" (nothing served under this name")[0]
    elif isinstance(listed, list):
        reason, remedy = "; ".join(map(str, listed)), ""
    else:
        reason, _separator, remedy = str(listed or "failed without a message").rpartition("; ")
        reason, remedy = (reason, remedy) if reason else (remedy, "")
    return {"status": "failed", "reason": " ".join(reason.split()), "remedy": " ".join(remedy.split())}


def step_words(results: Sequence[Mapping[str, t.Any]], start: int) -> dict[str, t.Any]:
    """Read the steps of a candidate.

    Args:
        results: The registered results of the loop over `benchmark_step`, with the loop's item under `benchmark_step`.
        start: Which start of the engine they belong to.

    Returns:
        `steps`; and where none of them had an answer, the candidate's `status`, `reason` and `remedy`.
    """
    steps = [_step(result, start) for result in results if not result.get("skipped")]
    words: dict[str, t.Any] = {"steps": steps}
    broken = [result for result in results if result.get("failed")]
    if broken and len(broken) == len(steps):
        words |= failure_words(broken[0])
    return words


def _step(result: Mapping[str, t.Any], start: int) -> dict[str, t.Any]:
    asked = result["benchmark_step"]
    measured = result.get("step") or _unmeasured(result)
    place = {word: asked[word] for word in ("concurrency", "rate", "batch", "repetition")}
    return {**measured, **place, "start": start}


def _unmeasured(result: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give a step that had no answer at all: its reason stands in the place of numbers."""
    why = failure_words(result)
    said = f"{why['reason']}; {why['remedy']}" if why["remedy"] else why["reason"]
    told = _NONE_OF.search(said)
    sent = int(told[1]) if told else 1
    return {
        "began": 0,
        "seconds": 0.0,
        "requests": {"sent": sent, "good": 0, "failed": sent, "short": 0, "cut": 0},
        "errors": [{"what": said, "count": sent}],
        "tokens": {"input": 0, "output": 0, "set_input": None, "off_input": 0, "chunks": 0, "from": "usage"},
        "items": 0,
        "samples": {},
        "itl": None,
        "client": {"cpu_share": 0.0, "late_p50_ms": 0.0, "late_p99_ms": 0.0, "late_max_ms": 0.0}
        | {"bottleneck": False, "why": ""},
        "prompts": "",
    }
