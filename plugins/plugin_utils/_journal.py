# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Keep what is measured in a file of the controller, line by line, until a report is made of it.

What was measured survives a run that is killed, and does not travel through Ansible's variables again and again.
"""

from __future__ import annotations

import json
import os
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

JOURNAL: t.Final = "journal.jsonl"
# A report of five engines is a tenth of it.
ROOM: t.Final = 32 << 20
_MIB: t.Final = 1 << 20
# Words of a note that take the place of what the candidate says, and those that are added to its lists.
_SET: t.Final = ("status", "reason", "remedy", "image", "argv", "tools")
_ADDED: t.Final = ("loads", "steps")


class JournalError(Exception):
    """The report's directory cannot be written; the message says which variable to set."""


def begin(place: Path, header: Mapping[str, t.Any]) -> None:
    """Make the directory of a report, and begin its journal.

    Args:
        place: The directory, new or empty.
        header: The report's document without what will be measured; its `candidates` are known already.

    Raises:
        JournalError: There is no room, no right to write, or something else there.
    """
    try:
        place.mkdir(parents=True, exist_ok=True)
        space = os.statvfs(place)
        free = space.f_bavail * space.f_frsize
        if free < ROOM:
            msg = (
                f"benchmark_output: {place} has {free / _MIB:.0f} MiB free, and a report may take {ROOM // _MIB}: free "
                "some, or name another directory"
            )
            raise JournalError(msg)
        if any(place.iterdir()):
            msg = f"benchmark_output: {place} is not empty: name another directory"
            raise JournalError(msg)
        _write(place, "w", {"header": header})
    except OSError as exc:
        msg = f"benchmark_output: {place} cannot be written: {exc.strerror or exc}: name another directory"
        raise JournalError(msg) from exc


def note(place: Path, candidate: str, words: Mapping[str, t.Any]) -> None:
    """Add what is known of a candidate.

    Args:
        place: The report's directory.
        candidate: Its name.
        words: Any of `candidate` (its description, for one that the header does not know), `status`, `reason`,
            `remedy`, `image`, `argv`, `tools`, `memory`, `power_w`, `gpus`, `answers`, `loads` (a list) and `steps`
            (a list).

    Raises:
        JournalError: The journal cannot be written.
    """
    try:
        _write(place, "a", {"name": candidate, "words": words})
    except OSError as exc:
        msg = f"benchmark_output: {place} cannot be written: {exc.strerror or exc}: free some space there"
        raise JournalError(msg) from exc


def _write(place: Path, mode: str, line: Mapping[str, t.Any]) -> None:
    with (place / JOURNAL).open(mode, encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
        file.flush()


def read(place: Path) -> dict[str, t.Any]:
    """Make the document of a report out of its journal.

    Args:
        place: The report's directory.

    Returns:
        The document, without summary, verdict and recommendation. A last line that was cut off is left out.

    Raises:
        JournalError: There is no journal.
    """
    try:
        lines = (place / JOURNAL).read_text(encoding="utf-8").splitlines()
    except OSError as exc:
        msg = f"{place / JOURNAL} cannot be read: {exc.strerror or exc}"
        raise JournalError(msg) from exc
    entries = [json.loads(line) for line in lines if line.endswith("}")]
    document: dict[str, t.Any] = entries[0]["header"]
    candidates = {candidate["name"]: candidate for candidate in document["candidates"]}
    for entry in entries[1:]:
        words = entry["words"]
        known = candidates.setdefault(entry["name"], dict(words.get("candidate") or {"name": entry["name"]}))
        _merge(known, words)
        document.setdefault("tools", {}).update(words.get("tools") or {})
        for number, gpu in enumerate(words.get("gpus") or []):
            if number < len(document["host"].get("gpus") or []):
                document["host"]["gpus"][number].update(gpu)
    document["candidates"] = [_whole(candidate) for candidate in candidates.values()]
    return document


def _merge(known: dict[str, t.Any], words: Mapping[str, t.Any]) -> None:
    known.update({word: words[word] for word in _SET if word in words})
    known.pop("tools", None)
    for word in _ADDED:
        known[word] = known.get(word, []) + list(words.get(word) or [])
    if answers := words.get("answers"):
        known["answers"] = answers
    for kind, value in (words.get("memory") or {}).items():
        memory = known.setdefault("memory", {})
        memory[kind] = max((size for size in (memory.get(kind), value) if size is not None), default=None)
    if power := words.get("power_w"):
        _add_power(known, power, words.get("samples") or 1)


def _add_power(known: dict[str, t.Any], power: Mapping[str, float], samples: int) -> None:
    """Add the mean of some looks to that of the looks before."""
    before, looks = known.get("power_w") or {"mean": 0.0, "max": 0.0}, known.get("looks", 0)
    mean = (before["mean"] * looks + power["mean"] * samples) / (looks + samples)
    known["power_w"] = {"mean": round(mean, 1), "max": max(before["max"], power["max"])}
    known["looks"] = looks + samples


def tell_together(document: dict[str, t.Any]) -> None:
    """Take away what was seen of the whole host while others were loaded as well."""
    document["profile"]["together"] = True
    for candidate in document["candidates"]:
        candidate["memory"] |= {"host_peak": None, "gpu_peak": None}
        candidate["power_w"] = None


def disqualified(answers: list[dict[str, t.Any]]) -> dict[str, str]:
    """Give `status`, `reason` and `remedy` of a candidate that writes garbage: speed is nothing then."""
    bad = [answer for answer in answers if not answer["ok"]]
    if not bad:
        return {}
    reason = f"{len(bad)} of {len(answers)} answers make no sense: {bad[0]['why'] or bad[0]['text'][:80]!r}"
    return {"status": "disqualified", "reason": reason, "remedy": "serve other weights, or another image of the engine"}


def _whole(candidate: dict[str, t.Any]) -> dict[str, t.Any]:
    """Give a candidate with every word that the document's format has."""
    memory = {"container_peak": None, "host_peak": None, "gpu_peak": None} | candidate.get("memory", {})
    filled = {"status": "measured", "reason": "", "remedy": "", "image": "", "argv": [], "loads": [], "power_w": None,
              "answers": [], "steps": [], "words": {}, "changed": {}, "model": {}, "memory": memory}  # fmt: skip
    kept = {
        word: value for word, value in candidate.items() if word not in {"server", "length", "url", "memory", "looks"}
    }
    return filled | kept
