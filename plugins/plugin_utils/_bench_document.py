# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""The document of a benchmark: what it must hold, and how a level of its ladder is called."""

from __future__ import annotations

import json
import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT: t.Final = "llmops-benchmark"
VERSION: t.Final = 1
KINDS: t.Final = ("benchmark", "tournament", "tune")
# What the code that follows reads without asking, and of which type it is.
_PARTS: t.Final[Mapping[str, type]] = {
    "began": str,
    "seed": int,
    "tools": dict,
    "host": dict,
    "inventory": dict,
    "profile": dict,
    "candidates": list,
}

# Four digits are read at a glance.
_GROUPED: t.Final = 10_000
_NAMED: t.Final = 3


# Not within texts, where a line break is written as one.
_NUMBERS: t.Final = re.compile(r"\[\n\s+((?:(?:[-+.\deE]+|null),\s+)*(?:[-+.\deE]+|null))\s+\]")


class BenchError(Exception):
    """A document of a benchmark cannot be used; the message names cause and remedy in one line."""


class Key(t.NamedTuple):
    """What tells one level of the ladder from another."""

    concurrency: int | None
    rate: float | None
    batch: int | None

    @property
    def text(self) -> str:
        """Name the level for people, such as "4 at once" or "2 requests/s, batch 8"."""
        load = f"{self.concurrency} at once" if self.concurrency is not None else f"{number(self.rate or 0)} requests/s"
        return f"{load}, batch {self.batch}" if self.batch is not None else load


def key_of(step: Mapping[str, t.Any]) -> Key:
    """Name the level of a step or of a level of the summary."""
    return Key(step.get("concurrency"), step.get("rate"), step.get("batch"))


def key_order(key: Key) -> tuple[int, float, float]:
    """Order levels: by batch, those at once before those at a rate, small before large."""
    return (key.batch or 0, 0 if key.concurrency is not None else 1, key.concurrency or key.rate or 0)


def task_of(document: Mapping[str, t.Any]) -> str:
    """Give the task of the benchmark: chat, embedding or rerank."""
    return str((document["profile"].get("work") or {}).get("task") or "chat")


def label(candidate: Mapping[str, t.Any], document: Mapping[str, t.Any]) -> str:
    """Name a candidate for people: its engine's title where that tells it from the others, else its own name.

    Args:
        candidate: One of the document's candidates.
        document: The document.

    Returns:
        The name, one line.
    """
    name, title = candidate["name"], candidate.get("title")
    if title and sum(other.get("title") == title for other in document["candidates"]) == 1:
        return one_line(title if name == candidate.get("engine") else f"{name} ({title})")
    # Names of several words would be taken for several candidates.
    return one_line(name.replace(", ", " + "))


def labels(document: Mapping[str, t.Any]) -> dict[str, str]:
    """Name all candidates for people, by their own names."""
    return {candidate["name"]: label(candidate, document) for candidate in document["candidates"]}


def one_line(text: t.Any) -> str:
    """Make one line of whatever text."""
    return " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())


def number(value: float) -> str:
    """Write a number with three digits that count, and with no exponent."""
    if value == 0:
        return "0"
    size = abs(value)
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3  # noqa: PLR2004  the digits to keep
    text = f"{value:,.{decimals}f}" if size >= _GROUPED else f"{value:.{decimals}f}"
    text = text.replace(",", "\N{NARROW NO-BREAK SPACE}")
    return text.rstrip("0").rstrip(".") if "." in text and float(value).is_integer() else text


def interval(low: float, high: float) -> str:
    """Write an interval."""
    return f"{number(low)}\N{EN DASH}{number(high)}"


def names_of(words: t.Iterable[str]) -> str:
    """Write names as people do: a, b and c; of many the first three, and how many others there are."""
    *first, end = list(words)
    if len(first) > _NAMED:
        first, end = first[:_NAMED], f"{len(first) + 1 - _NAMED} others"
    return f"{', '.join(first)} and {end}" if first else end


def read(text: str) -> dict[str, t.Any]:
    """Read a document of a benchmark.

    Args:
        text: The JSON that `llmops benchmark --json` wrote.

    Returns:
        The document.

    Raises:
        BenchError: It is none, or one of a newer version, or parts of it are missing.
    """
    try:
        document = json.loads(text)
    except ValueError as exc:
        raise BenchError(f"this is no JSON ({exc}): give a file that llmops benchmark wrote, report.json") from exc
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BenchError(
            f"this is no document of a benchmark, its format is not {FORMAT!r}: "
            "give a file that llmops benchmark wrote, report.json"
        )
    version = document.get("version")
    if not isinstance(version, int) or version < 1:
        raise BenchError(f"the document's version is {version!r}, which is none: make the benchmark again")
    if version > VERSION:
        made_by = one_line((document.get("tools") or {}).get("llmops.serving") or "a newer version")
        raise BenchError(
            f"the document has version {version}, this collection reads up to {VERSION}: "
            f"update llmops.serving to {made_by}"
        )
    check(document)
    return document


def written(document: Mapping[str, t.Any]) -> str:
    """Write a document as JSON for people and programs: indented, with every list of numbers in one line."""
    text = json.dumps(document, ensure_ascii=False, indent=1)
    return _NUMBERS.sub(lambda match: "[" + " ".join(match[1].split()) + "]", text) + "\n"


def check(document: Mapping[str, t.Any]) -> None:
    """Refuse a document that is not whole.

    Args:
        document: Any mapping.

    Raises:
        BenchError: A part is missing or of another type; the message names it.
    """
    if document.get("kind") not in KINDS:
        raise BenchError(f"the document's kind is {document.get('kind')!r}: it must be one of {', '.join(KINDS)}")
    for part, kind in _PARTS.items():
        if not isinstance(document.get(part), kind):
            raise BenchError(f"the document is not whole, {part!r} is missing or no {kind.__name__}: make it again")
    for index, candidate in enumerate(document["candidates"]):
        whole = isinstance(candidate, dict) and isinstance(candidate.get("name"), str)
        if not whole or not isinstance(candidate.get("steps", []), list):
            raise BenchError(f"the document is not whole, candidates[{index}] has no name or no steps: make it again")
