# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Say what the numbers of a benchmark do not say: everything a reader must know before believing them."""

from __future__ import annotations

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import (
    Key,
    key_of,
    key_order,
    labels,
    names_of,
    number,
    one_line,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import OBJECTIVES

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import Level, Summary

    Document = Mapping[str, t.Any]

FEW_CORES: t.Final = 4
REPETITIONS: t.Final = 3
REQUESTS: t.Final = 30
# What makes two servers do different work for the same requests; tensor parallelism and the like is their own affair.
_COMMON_WORDS: t.Final = ("context_length", "parallel", "dtype")
_ONE_MS: t.Final = 1.0


# A piece may hold several tokens, but a token is never several pieces.
_MORE_PIECES: t.Final = 1.05


def cautions(document: Document, summary: Sequence[Summary]) -> list[str]:
    """List what weakens the numbers of a benchmark.

    Args:
        document: A document of a benchmark.
        summary: Its summary.

    Returns:
        Lines, each with what was seen and, where something can be done, which variable to set.
    """
    return [line for rule in _RULES for line in rule(document, summary)]


def impossible(document: Document, summary: Sequence[Summary]) -> list[str]:
    """Tell which objectives no request of any engine met.

    Args:
        document: A document of a benchmark.
        summary: Its summary.

    Returns:
        One line for each such objective, with the best value seen and what to set; nothing if some request met all.
    """
    objective = {
        name: float(limit)
        for name, limit in (document["profile"].get("objective") or {}).items()
        if name in OBJECTIVES and limit is not None
    }
    goodputs = [level["goodput_per_s"] for entry in summary for level in entry["levels"]]
    if not objective or any(goodput and goodput["value"] for goodput in goodputs):
        return []
    seen = {name: _best(document, name) for name in objective}
    if _best(document, "e2el_ms") is None:
        return []
    lines = [
        f"no request of any engine met the objective {name} {number(limit)}, the best was {number(best)} ms: "
        f"set benchmark_objective.{name} above {_above(best)}"
        for name, limit in objective.items()
        if (best := seen[name]) is not None and best > limit
    ]
    lines += [
        f"the objective {name} cannot be met, because no answer has that measure: remove benchmark_objective.{name}"
        for name in objective
        if seen[name] is None
    ]
    if not lines:
        lines.append(
            f"no request of any engine met the objectives {names_of(objective)} together: "
            "set one of them in benchmark_objective higher"
        )
    return lines


def _best(document: Document, name: str) -> float | None:
    values = [
        value
        for candidate in document["candidates"]
        for step in candidate.get("steps") or []
        for value in (step.get("samples") or {}).get(name) or []
        if value is not None
    ]
    return min(values, default=None)


def _above(best: float) -> str:
    return str(int(best) + 1) if best >= _ONE_MS else number(best)


def _host(document: Document, _summary: Sequence[Summary]) -> Iterator[str]:
    cores = (document["host"].get("cpu") or {}).get("cores")
    shared = document["profile"].get("from") == "host"
    count = f"{cores} core{'' if cores == 1 else 's'}" if cores else "cores"
    if shared:
        yield (
            f"the load client shares the host's {count}, so engines that compute on the CPU are measured slower than "
            "they are: run it with --from controller to compare"
        )
    if cores and cores < FEW_CORES:
        yield f"the host has only {count}: expect other ratios between the engines on a larger one"


def _prompts(document: Document, _summary: Sequence[Summary]) -> Iterator[str]:
    names = labels(document)
    seen: dict[tuple[Key, int, int], dict[str, list[str]]] = {}
    for candidate in document["candidates"]:
        for step in candidate.get("steps") or []:
            # Steps last a time at least, so a fast engine is sent more prompts, and only equal numbers compare.
            place = (key_of(step), step.get("repetition") or 0, step["requests"]["sent"])
            if digest := step.get("prompts"):
                seen.setdefault(place, {}).setdefault(digest, []).append(names[candidate["name"]])
    differing = sorted({place[0] for place, digests in seen.items() if len(digests) > 1}, key=key_order)
    if differing:
        yield (
            f"the engines were not sent the same prompts at {names_of(key.text for key in differing)}: "
            "run all of them with one seed and one benchmark_profile"
        )


def _lengths(document: Document, summary: Sequence[Summary]) -> Iterator[str]:
    for where, level in _levels(document, summary):
        if short := level["requests"]["short"]:
            yield (
                f"{where}: {short} of {level['requests']['sent']} answers ended before their set length, so the "
                "engines did not do the same work: compare tokens/s and not requests/s"
            )
        if off := level["tokens"]["off_input"]:
            yield f"{where}: {off} prompts were not of the set length, as the engine counts tokens"


def _counted(document: Document, summary: Sequence[Summary]) -> Iterator[str]:
    if document["profile"].get("work", {}).get("task", "chat") != "chat":
        return
    names = labels(document)
    streams = [
        names[entry["name"]]
        for entry in summary
        if any(level["tokens"]["from"] == "stream" for level in entry["levels"])
    ]
    if streams:
        yield (
            f"the tokens of {names_of(streams)} are counted by the chunks of the stream, because the engine does not "
            "tell its usage: a chunk can hold several"
        )


def _few(document: Document, summary: Sequence[Summary]) -> Iterator[str]:
    levels = [level for _where, level in _levels(document, summary)]
    if fewest := min((level["repetitions"] for level in levels), default=0):
        if fewest < REPETITIONS:
            plural = "" if fewest == 1 else "s"
            yield (
                f"only {fewest} repetition{plural}, so the intervals do not show what changes from one start to the "
                f"next: set benchmark_repetitions to {REPETITIONS} or more"
            )
        requests = min(
            step["requests"]["sent"] for candidate in document["candidates"] for step in candidate.get("steps") or []
        )
        if requests < REQUESTS:
            # Each start of a course profile is the prompts of the notes once, and no variable makes them more.
            fixed = (document["profile"].get("work") or {}).get("prompts")
            remedy = "" if fixed else f": set benchmark_requests to {REQUESTS} or more"
            yield f"only {requests} request{'' if requests == 1 else 's'} in a step, too few for a p99{remedy}"


def _words(document: Document, _summary: Sequence[Summary]) -> Iterator[str]:
    sound = [candidate for candidate in document["candidates"] if candidate.get("status") == "measured"]
    # A tuning run changes words on purpose, and says which.
    chosen = {word for candidate in sound for word in candidate.get("changed") or {}}
    names = labels(document)
    for word in _COMMON_WORDS:
        values = {names[candidate["name"]]: (candidate.get("words") or {}).get(word) for candidate in sound}
        if word not in chosen and len({str(value) for value in values.values()}) > 1:
            said = ", ".join(f"{name} {'unset' if value is None else value}" for name, value in values.items())
            yield f"the candidates do not have the same {word} ({said}): set it alike to compare engines"


def _weights(document: Document, _summary: Sequence[Summary]) -> Iterator[str]:
    names = labels(document)
    formats: dict[str, list[str]] = {}
    for candidate in document["candidates"]:
        if candidate.get("status") == "measured" and (kind := (candidate.get("model") or {}).get("format")):
            formats.setdefault(kind, []).append(names[candidate["name"]])
    if len(formats) > 1:
        said = "; ".join(f"{kind}: {names_of(of)}" for kind, of in formats.items())
        yield f"the candidates read the weights from files of different formats ({said}), whose precision can differ"


def _obstacles(document: Document, _summary: Sequence[Summary]) -> Iterator[str]:
    names = labels(document)
    for candidate in document["candidates"]:
        if obstacle := one_line(candidate.get("obstacle") or ""):
            yield f"{names[candidate['name']]} cannot take the server's place as it is: {obstacle}"
        for word, why in (candidate.get("without") or {}).items():
            yield f"{names[candidate['name']]} goes without {word} of the server: {one_line(why)}"


def _beside(document: Document, _summary: Sequence[Summary]) -> Iterator[str]:
    beside = document["inventory"].get("beside") or []
    if beside and document["kind"] != "benchmark":
        said = names_of(map(one_line, beside))
        yield f"{said} of this host did not run meanwhile: `llmops plan` with the recommendation says whether all fit"


def _streamed(document: Document, summary: Sequence[Summary]) -> Iterator[str]:
    del summary
    names = labels(document)
    for candidate in document["candidates"]:
        tokens = [step["tokens"] for step in candidate["steps"] if step["tokens"].get("from") == "usage"]
        written, pieces = (sum(one.get(word) or 0 for one in tokens) for word in ("output", "chunks"))
        if pieces > written * _MORE_PIECES:
            name = names[candidate["name"]]
            yield f"{name} says {written} tokens and streamed {pieces} pieces: its count is doubtful"


def _unanswered(document: Document, summary: Sequence[Summary]) -> Iterator[str]:
    for where, level in _levels(document, summary):
        counts = {"failed": level["requests"]["failed"], "were cut off": level["requests"]["cut"]}
        if lost := [f"{count} {what}" for what, count in counts.items() if count]:
            yield f"{where}: of {level['requests']['sent']} requests {names_of(lost)}, and count for nothing"


def _refused(document: Document, summary: Sequence[Summary]) -> Iterator[str]:
    for where, level in _levels(document, summary):
        if level["refused"]:
            yield f"{where}: no numbers, the load client was the bottleneck ({level['refused']})"


def _levels(document: Document, summary: Sequence[Summary]) -> Iterator[tuple[str, Level]]:
    names = labels(document)
    for entry in summary:
        for level in entry["levels"]:
            yield f"{names[entry['name']]}, {key_of(level).text}", level


# Each gives lines for what it finds; those that weigh most come first.
_RULES: t.Final[tuple[Callable[[Document, Sequence[Summary]], Iterator[str]], ...]] = (
    _refused,
    _unanswered,
    _obstacles,
    _beside,
    _streamed,
    _prompts,
    _words,
    _weights,
    _lengths,
    _counted,
    _few,
    _host,
)
