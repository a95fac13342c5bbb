# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""The benchmark of the course's notes, seven long prompts at once, and why its total time misleads."""

from __future__ import annotations

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import labels, names_of, number, task_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import Summary

NAME: t.Final = "course"
_REPETITIONS: t.Final = 3
# Tokens of two engines that differ by less are the same work.
_SAME_WORK: t.Final = 0.02
# A first run that takes so many times the fastest one was cold.
_COLD: t.Final = 1.25


class CourseRow(t.TypedDict):
    """What one engine made of the prompts, by repetition on average."""

    name: str
    seconds: float
    #: of each repetition
    runs: list[float]
    tokens: float
    tokens_per_s: float
    answers: int


class Course(t.TypedDict):
    """The table of the notes, with what they leave out, and why the total time alone misleads here."""

    rows: list[CourseRow]
    why: list[str]


def course(document: Mapping[str, t.Any], summary: Sequence[Summary]) -> Course | None:
    """Give the table of the notes.

    Args:
        document: A document of a benchmark.
        summary: Its summary.

    Returns:
        The table, fastest total first; None for another profile.
    """
    if document["profile"].get("name") != NAME or task_of(document) != "chat":
        return None
    refused = {entry["name"] for entry in summary if any(level["refused"] for level in entry["levels"])}
    rows = [
        row
        for candidate in document["candidates"]
        if candidate["name"] not in refused and (row := _row(candidate)) is not None
    ]
    rows.sort(key=lambda row: row["seconds"])
    return {"rows": rows, "why": list(_why(document, rows))}


def _row(candidate: Mapping[str, t.Any]) -> CourseRow | None:
    steps = [step for step in candidate.get("steps") or [] if (step.get("samples") or {}).get("e2el_ms")]
    if candidate.get("status") != "measured" or not steps:
        return None
    runs = [round(step["seconds"], 3) for step in steps]
    tokens = sum((step.get("tokens") or {}).get("output") or 0 for step in steps)
    return {
        "name": candidate["name"],
        "seconds": round(sum(runs) / len(runs), 3),
        "runs": runs,
        "tokens": round(tokens / len(steps), 1),
        "tokens_per_s": round(tokens / sum(runs), 3),
        "answers": sum(step["requests"]["good"] + step["requests"].get("short", 0) for step in steps),
    }


def _why(document: Mapping[str, t.Any], rows: Sequence[CourseRow]) -> Iterator[str]:
    if not rows:
        return
    names = labels(document)
    profile = document["profile"]
    prompts = (profile.get("work") or {}).get("prompts") or []
    by_tokens = sorted(rows, key=lambda row: row["tokens"])
    least, most = by_tokens[0], by_tokens[-1]
    if most["tokens"] > least["tokens"] * (1 + _SAME_WORK):
        yield (
            f"The engines did different amounts of work: {names[least['name']]} wrote {number(least['tokens'])} tokens "
            f"and {names[most['name']]} {number(most['tokens'])}. One that stops earlier is done earlier, at any speed."
        )
        fastest = max(rows, key=lambda row: row["tokens_per_s"])
        if fastest["name"] != rows[0]["name"]:
            yield (
                f"By tokens/s the order is another: {names[rows[0]['name']]} has the shortest total, "
                f"{names[fastest['name']]} writes fastest."
            )
    if len(set(prompts)) < len(prompts):
        yield (
            f"{len(prompts) - len(set(prompts)) + 1} of the {len(prompts)} prompts are identical: an engine that "
            "caches prefixes reads the first and remembers the others, so its cache is measured and not its speed."
        )
    yield (
        "A total time adds up reading the prompt and writing the answer: an engine that is slow at one and fast at the "
        "other cannot be told from its opposite. TTFT and TPOT tell them apart."
    )
    answers = len(prompts) or max((step["requests"]["sent"] for step in _steps(document)), default=0)
    repetitions = min(len(row["runs"]) for row in rows)
    once = " once" if repetitions == 1 else ""
    yield (
        f"{answers} requests{once} end when the slowest ends: one straggler decides, there are no percentiles, and so "
        "few at once do not fill an engine's batches."
    )
    if not profile.get("warmup"):
        yield "There was no warm-up: the first request also pays for compiling, graph capture and cold caches."
    elif cold := [
        names[row["name"]] for row in rows if len(row["runs"]) > 1 and row["runs"][0] > min(row["runs"]) * _COLD
    ]:
        yield (
            f"The first run of {names_of(cold)} took more than {_COLD:.2f} times the fastest one in spite of the "
            "warm-up."
        )
    if most["tokens"] > least["tokens"] * (1 + _SAME_WORK):
        yield (
            "Temperature 0 does not make the texts of two engines equal: kernels, precision and the model's own "
            "generation settings differ, and with the texts their lengths."
        )
    words = {
        str([(candidate.get("words") or {}).get(word) for word in ("dtype", "quantization", "context_length")])
        for candidate in document["candidates"]
        if candidate["name"] in {row["name"] for row in rows}
    }
    if len(words) > 1:
        yield "The engines run with different dtype, quantization or context_length: the conditions below list them."


def _steps(document: Mapping[str, t.Any]) -> Iterator[Mapping[str, t.Any]]:
    for candidate in document["candidates"]:
        yield from candidate.get("steps") or []
