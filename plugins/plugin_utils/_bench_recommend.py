# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Write the outcome of a benchmark as a change to the inventory, with its evidence."""

from __future__ import annotations

import textwrap
import typing as t

import yaml

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import (
    interval,
    key_of,
    labels,
    names_of,
    number,
    one_line,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import rate_of
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_verdict import unit_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import Latency, Summary
    from ansible_collections.llmops.serving.plugins.plugin_utils._bench_verdict import Verdict

VARIABLE: t.Final = "serving_changes"
# What makes a server this one and not another, and what nobody may read.
_KEPT: t.Final = ("name", "bind", "port", "api_key")
_WIDTH: t.Final = 118
_KINDS: t.Final = {"benchmark": "benchmark", "tournament": "tournament", "tune": "tuning run"}
_LATENCIES: t.Final = (("ttft_ms", "TTFT"), ("tpot_ms", "TPOT"), ("e2el_ms", "whole answer"))


class Expected(t.TypedDict):
    """What the recommended words gave on this host."""

    level: str
    concurrency: int | None
    rate: float | None
    batch: int | None
    metric: str
    value: float
    ci: list[float]
    requests_per_s: float | None
    ttft_ms: Latency | None
    tpot_ms: Latency | None
    e2el_ms: Latency | None


class Recommendation(t.TypedDict):
    """What to write in the inventory; `candidate` is None where nothing can be recommended."""

    server: str
    candidate: str | None
    #: words to set; None removes one
    changes: dict[str, t.Any]
    expected: Expected | None
    yaml: str


def recommend(document: Mapping[str, t.Any], summary: Sequence[Summary], verdict: Verdict) -> Recommendation:
    """Recommend words for the server that a benchmark was about.

    Args:
        document: A document of a benchmark.
        summary: Its summary.
        verdict: Its verdict.

    Returns:
        The recommendation. Among candidates without a significant difference the one that changes nothing is
        preferred, then one with the server's own engine, then the first. Where the inventory has no server that it
        could be about, the words of a new one are told in the comments.
    """
    server = str(document["inventory"].get("server") or "")
    words = document["inventory"].get("words") or {}
    candidates = {candidate["name"]: candidate for candidate in document["candidates"]}
    best = [candidates[name] for name in verdict["best"]]
    chosen = min(best, key=lambda candidate: _distance(words, candidate), default=None)
    changes = {} if chosen is None or not words else changed_words(words, chosen.get("words") or {})
    expected = None if chosen is None else _expected(chosen["name"], summary, verdict)
    lines = [*_comments(document, verdict, chosen, expected, changes)]
    text = "---\n" + "".join(f"# {line}".rstrip() + "\n" for line in lines)
    text += _written({VARIABLE: _merged(document["inventory"].get("changes") or {}, server, changes)})
    return {
        "server": server,
        "candidate": None if chosen is None else chosen["name"],
        "changes": changes,
        "expected": expected,
        "yaml": text,
    }


def _merged(before: Mapping[str, t.Any], server: str, changes: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Lay changes over those that are in force, for one variable holds them all."""
    own = {**(before.get(server) or {}), **changes}
    return {**before, **({server: own} if own else {})}


def _written(value: t.Any) -> str:
    """Write YAML with letters of any language as they are, where PyYAML reads them back.

    It does not for some line breaks of Unicode, which are no letters: PyYAML 6 loses U+0085 at the edge of a string.
    """
    text: str = yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=_WIDTH)
    if yaml.safe_load(text) != value:
        text = yaml.safe_dump(value, sort_keys=False, width=_WIDTH)
    return text


def changed_words(before: Mapping[str, t.Any], after: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give the words that turn one server into another.

    Args:
        before: A server's words.
        after: Those it shall have.

    Returns:
        Words to set; None for one to remove. Never name, bind, port or api_key.
    """
    words = [*after, *(word for word in before if word not in after)]
    return {word: after.get(word) for word in words if word not in _KEPT and before.get(word) != after.get(word)}


def _distance(words: Mapping[str, t.Any], candidate: Mapping[str, t.Any]) -> int:
    changes = changed_words(words, candidate.get("words") or {})
    return 0 if not changes else 1 if "engine" not in changes else 2


def _expected(name: str, summary: Sequence[Summary], verdict: Verdict) -> Expected | None:
    metric = verdict["metric"]
    (levels,) = [entry["levels"] for entry in summary if entry["name"] == name]
    level = next((one for one in levels if key_of(one).text == verdict["levels"].get(name)), None)
    rate = rate_of(level, metric) if level else None
    if level is None or rate is None:
        return None
    requests = level["requests_per_s"]
    return {
        "level": key_of(level).text,
        "concurrency": level["concurrency"],
        "rate": level["rate"],
        "batch": level["batch"],
        "metric": metric,
        "value": rate["value"],
        "ci": rate["ci"],
        "requests_per_s": requests["value"] if requests else None,
        "ttft_ms": level["ttft_ms"],
        "tpot_ms": level["tpot_ms"],
        "e2el_ms": level["e2el_ms"],
    }


def _comments(
    document: Mapping[str, t.Any],
    verdict: Verdict,
    chosen: Mapping[str, t.Any] | None,
    expected: Expected | None,
    changes: Mapping[str, t.Any],
) -> Iterator[str]:
    host = one_line(document["host"].get("name") or "the host")
    made_by = one_line(f"llmops {document['tools'].get('llmops.serving') or ''}")
    date = one_line(document["began"])[:10]
    names = labels(document)
    yield from _wrapped(f"Made by {made_by} on {date} for {host}, from a {_KINDS[document['kind']]}")
    yield ""
    yield from _wrapped(f"Evidence: {verdict['decided_by']}.")
    for line in verdict["lines"]:
        yield from _wrapped(line)
    if chosen is not None and len(verdict["best"]) > 1:
        why = ("it is what the server has now", "it is the server's own engine", "it came first")
        reason = why[_distance(document["inventory"].get("words") or {}, chosen)]
        yield from _wrapped(
            f"{names_of(names[name] for name in verdict['best'])} are not told apart by this benchmark: "
            f"{names[chosen['name']]} is taken because {reason}."
        )
    if expected is not None:
        yield ""
        yield from _wrapped(f"Expected capacity: {_capacity(expected, document)}.")
    if verdict["cautions"]:
        yield ""
        yield "Cautions:"
        for line in verdict["cautions"]:
            yield from _wrapped(line, "- ")
    yield ""
    if changes:
        yield from _wrapped(
            f"Apply: llmops apply -i INVENTORY -l {host} -e @recommended.yml, or copy it into the inventory's "
            f"host_vars/{host}/recommended.yml"
        )
    elif chosen is None:
        yield "Nothing is recommended, because no candidate could be measured."
    elif not document["inventory"].get("words"):
        yield from _wrapped("No server of the inventory serves this model and no other. An entry for serving_servers:")
        entry = {"name": one_line(document["inventory"]["server"])} | changed_words({}, chosen.get("words") or {})
        yield from _written([{**entry, "port": "a free one"}]).splitlines()
    else:
        yield "There is nothing to change: the server has these words already."


def _capacity(expected: Expected, document: Mapping[str, t.Any]) -> str:
    rate = f"{number(expected['value'])} ({interval(*expected['ci'])}) {unit_of(expected['metric'], document)}"
    said = [f"{rate} at {expected['level']}"]
    if expected["requests_per_s"] is not None and expected["metric"] != "requests_per_s":
        said.append(f"{number(expected['requests_per_s'])} requests/s")
    for name, title in _LATENCIES:
        latency: Latency | None = expected[name]  # type: ignore[literal-required]
        if latency:
            said.append(f"{title} p50 {number(latency['p50'])} ms, p99 {number(latency['p99'])} ms")
    return "; ".join(said)


def _wrapped(line: str, mark: str = "") -> list[str]:
    return textwrap.wrap(
        one_line(line), _WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark), break_long_words=False
    )
