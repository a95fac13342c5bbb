# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Tell what is worth knowing of a server besides how it fares: what the watchdog did, what was kept, what differs."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._watch_notes import STRIKES, evidence_files, read_notes

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._generations import Generation
    from ansible_collections.llmops.serving.plugins.module_utils._hide import Veil
    from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit

_GIB = 1 << 30


def watchdog_records(name: str, veil: Veil, lines: int) -> list[dict[str, t.Any]]:
    """Read why the watchdog started a server anew, the last time last.

    Args:
        name: The server's name.
        veil: What covers its secrets.
        lines: How many lines of each log are kept.

    Returns:
        Each record as it was written down, and in `file` where it lies.
    """
    found = []
    for path in evidence_files(name):
        record = _read(path, veil)
        if record:
            found.append({**{word: _cut(value, lines) for word, value in record.items()}, "file": str(path)})
    return found


def _read(path: Path, veil: Veil) -> dict[str, t.Any]:
    try:
        # It was covered when it was written, by the keys of that time.
        record = json.loads(veil.cover(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _cut(value: t.Any, lines: int) -> t.Any:
    """Cut lists, also those one level below, to their last lines."""
    if isinstance(value, dict):
        return {word: part[-lines:] if isinstance(part, list) and lines else part for word, part in value.items()}
    return value[-lines:] if isinstance(value, list) and lines else value


def notes(told: t.Mapping[str, t.Any], unit: Unit, current: Generation | None) -> t.Iterator[str]:
    """Tell what is worth knowing although it is not what is wrong.

    Args:
        told: What `examine` found so far.
        unit: The server's unit.
        current: The generation that serves.

    Yields:
        A line each.
    """
    seen = told["evidence"]["unit"]
    if current:
        text = unit.read()
        if text is not None and text != current.unit and not told["change"] and not told["lock"]:
            yield (
                f"{unit.path} is not as generation {current.number} has it: llmops apply --check --diff shows what "
                "differs, and llmops apply mends it"
            )
        if text is not None and seen.get("enabled") != "enabled":
            yield f"it does not come back after a reboot: systemctl enable {unit.name}, or apply the inventory"
    if seen.get("stale"):
        yield f"systemd has an older text of {unit.path.name} in mind than its file's: systemctl daemon-reload"
    if seen.get("restarts"):
        code = seen.get("exit_code")
        ended = f", the last time with exit code {code}" if code is not None else ""
        yield f"systemd has restarted it {_times(seen['restarts'])} since it was started{ended}"
    yield from _of_the_watchdog(told)
    for failed in told["failed_generations"]:
        yield "generation {number} failed and is kept: {check}: {cause}".format(
            **{"check": "", "cause": "", **failed, "number": failed["number"]}
        )
    yield from _of_the_host(told["evidence"])
    yield from told["evidence"]["unread"]


def _of_the_watchdog(told: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    strikes = read_notes(told["name"]).strikes
    if strikes:
        yield "the watchdog has counted {} of {} strikes: {}".format(len(strikes), STRIKES, strikes[-1].get("seen", ""))
    records = told["watchdog"]
    if records:
        last = records[-1]
        yield "the watchdog has started it anew {}, the last time at {}: {}".format(
            _times(len(records)), last.get("at", "?"), last.get("cause") or last.get("seen") or last["file"]
        )


def _of_the_host(evidence: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    if evidence["kernel"]:
        yield "the kernel says: {}".format(evidence["kernel"][-1])
    memory = evidence["memory"]
    if memory.get("total") and memory.get("available", 0) < memory["total"] / 20:
        free, total = memory["available"] / _GIB, memory["total"] / _GIB
        yield f"the host's memory is nearly full: {free:.1f} of {total:.1f} GiB are available"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
