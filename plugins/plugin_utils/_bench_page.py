# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Write a benchmark as one page of HTML that needs nothing but itself: no script, no font, no network."""

from __future__ import annotations

import base64
import hashlib
import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_conditions import conditions
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import (
    interval,
    key_of,
    label,
    labels,
    number,
    one_line,
    task_of,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_html import Html, element
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_plots import plots
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_report import complete
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_style import STYLE
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import best_level, rate_of
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_table import load_text, memory_text, rows
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_verdict import unit_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import Latency, Level
    from ansible_collections.llmops.serving.plugins.plugin_utils._bench_table import Row

    Document = Mapping[str, t.Any]

# Cautions in sight; the others are unfolded.
_SHOWN: t.Final = 4
_ANSWER: t.Final = 700
_TITLES: t.Final = {"benchmark": "Benchmark", "tournament": "Tournament", "tune": "Tuning run"}
_NONE: t.Final = "\N{EN DASH}"


def page(document: Document) -> str:
    """Write the page of a benchmark.

    Args:
        document: A document; what `complete` adds is added where it is missing.

    Returns:
        HTML. Texts of models and hosts are in it as texts only, and the page's policy forbids scripts besides.

    Raises:
        BenchError: The document is not whole.
    """
    if "recommendation" not in document:
        document = complete(document)
    title = f"{_TITLES[document['kind']]} of {document['inventory'].get('server') or 'engines'} on {_host(document)}"
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:",
        ),
        element("meta", name="color-scheme", content="light dark"),
        # Without one a browser asks the page's server for it.
        element("link", rel="icon", href="data:,"),
        element("title", one_line(title)),
        element("style", Html(STYLE)),
    )
    body = element("body", element("main", *_parts(document, title)))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _host(document: Document) -> str:
    return one_line(document["host"].get("name") or "a host")


def _parts(document: Document, title: str) -> Iterator[Html]:
    yield _hero(document, title)
    yield from _cautions(document["verdict"]["cautions"])
    yield from _course(document)
    yield from _candidates(document)
    yield from plots(document)
    yield from _levels(document)
    yield from _errors(document)
    yield from _answers(document)
    yield _recommendation(document)
    yield from conditions(document)
    yield _footer(document)


def _section(title: str, *children: Html) -> Html:
    return element("section", element("h2", title), *children)


def _scroll(table: Html, about: str) -> Html:
    # A box of its own to scroll, which the keyboard reaches too.
    return element("div", table, class_="scroll", tabindex=0, role="region", aria_label=about)


def _hero(document: Document, title: str) -> Html:
    verdict = document["verdict"]
    first, *others = verdict["lines"] or ["Nothing was measured."]
    profile = document["profile"]
    about = f"{title} · {one_line(document['began'])[:10]} · profile {one_line(profile.get('name') or '')}"
    decided = "In brackets the 95 % intervals."
    if document["kind"] != "benchmark":
        decided = f"Decided by {verdict['decided_by']}. {decided}"
    return element(
        "header",
        element("p", about, class_="over"),
        element("h1", first),
        *(element("p", line, class_="lead") for line in others),
        element("p", decided, class_="quiet"),
        class_=f"card hero{' won' if verdict['winner'] else ''}",
    )


def _cautions(lines: Sequence[str]) -> Iterator[Html]:
    if not lines:
        return
    shown = lines if len(lines) <= _SHOWN + 1 else lines[:_SHOWN]
    more = lines[len(shown) :]
    parts = [element("h2", "Before you believe these numbers"), _list(shown)]
    if more:
        parts.append(element("details", element("summary", f"{len(more)} more"), _list(more)))
    yield element("section", *parts, class_="cautions")


def _list(lines: Sequence[str]) -> Html:
    return element("ul", *(element("li", line) for line in lines), class_="plain")


def _table(head: Sequence[Html], body: Sequence[Html]) -> Html:
    return element("table", element("thead", element("tr", *head)), *body)


def _heads(*titles: tuple[str, str]) -> list[Html]:
    """Make the heads of columns: a title and, small, its unit; those with a unit hold numbers."""
    return [
        element("th", title, element("small", unit), class_="n", scope="col")
        if unit
        else element("th", title, scope="col")
        for title, unit in titles
    ]


def _course(document: Document) -> Iterator[Html]:
    course = document["verdict"].get("course")
    if not course or not course["rows"]:
        return
    names = labels(document)
    body = [
        element(
            "tr",
            element("th", names[row["name"]], scope="row"),
            element("td", number(row["seconds"]), class_="n"),
            element("td", ", ".join(number(run) for run in row["runs"]), class_="n"),
            element("td", number(row["tokens"]), class_="n"),
            element("td", number(row["tokens_per_s"]), class_="n"),
        )
        for row in course["rows"]
    ]
    heads = _heads(
        ("engine", ""), ("total", "s, mean"), ("each run", "s"), ("tokens written", "a run"), ("speed", "tokens/s")
    )
    yield _section(
        "The course's measurement",
        element("p", "All prompts at once, and the time until the last answer has ended.", class_="quiet"),
        _scroll(_table(heads, [element("tbody", *body)]), "Total times"),
        element("h3", "Why the total alone misleads"),
        _list(course["why"]),
    )


def _candidates(document: Document) -> Iterator[Html]:
    verdict = document["verdict"]
    levels = {entry["name"]: entry["levels"] for entry in document["summary"]}
    ranking = verdict["ranking"]
    ordered = sorted(
        document["candidates"],
        key=lambda one: ranking.index(one["name"]) if one["name"] in ranking else len(ranking),
    )
    chat = task_of(document) == "chat"
    latencies = (("TTFT", "p50 / p99, ms"), ("TPOT", "p50 / p99, ms")) if chat else ()
    heads = _heads(
        (_noun(document), ""), ("best", unit_of(verdict["metric"], document)), ("at", ""), *latencies,
        ("whole answer" if chat else "latency", "p50 / p99, ms"), ("load", "s"), ("memory", "peak"), ("notes", ""),
    )  # fmt: skip
    body = [_candidate(one, levels[one["name"]], document, chat=chat) for one in ordered]
    title = "The engines" if document["kind"] == "tournament" else "The candidates"
    explained = "p50: half of the requests were faster; p99: all but one in a hundred."
    if chat:
        explained = f"TTFT: time to the first token. TPOT: time of each further token. {explained}"
    yield _section(
        title if len(ordered) > 1 else "The server",
        _scroll(_table(heads, [element("tbody", *body)]), title),
        element("p", explained, class_="note"),
    )


def _noun(document: Document) -> str:
    return "engine" if document["kind"] == "tournament" else "candidate"


def _candidate(candidate: Mapping[str, t.Any], levels: Sequence[Level], document: Document, *, chat: bool) -> Html:
    verdict = document["verdict"]
    name, status = candidate["name"], candidate.get("status") or ""
    level = best_level(levels, verdict["metric"])
    rate = rate_of(level, verdict["metric"]) if level else None
    tags = []
    if verdict["winner"] == name:
        tags.append(_tag("winner", "good"))
    elif len(verdict["best"]) > 1 and name in verdict["best"]:
        tags.append(_tag("among the best", "good"))
    if status in {"failed", "disqualified"}:
        tags.append(_tag(status, "bad"))
    refused = [key_of(each).text for each in levels if each["refused"]]
    notes = [candidate.get("reason") or "", candidate.get("remedy") or ""] if status != "measured" else []
    notes += [f"refused at {', '.join(refused)}"] if refused else []
    measures = ("ttft_ms", "tpot_ms", "e2el_ms") if chat else ("e2el_ms",)
    best = [number(rate["value"]), element("small", interval(*rate["ci"]))] if rate else [_NONE]
    return element(
        "tr",
        element("th", label(candidate, document), scope="row"),
        element("td", *best, class_="n"),
        element("td", key_of(level).text if level else "", class_="w"),
        *(_latency(level, measure) for measure in measures),
        element("td", load_text(candidate), class_="n"),
        element("td", memory_text(candidate), class_="n"),
        element("td", *tags, one_line("; ".join(note for note in notes if note)), class_="why"),
    )


def _latency(level: Level | None, measure: str) -> Html:
    latency: Latency | None = t.cast("dict[str, t.Any]", level)[measure] if level else None
    return element("td", f"{number(latency['p50'])} / {number(latency['p99'])}" if latency else "", class_="n")


def _tag(text: str, class_: str) -> Html:
    return element("span", text, class_=f"tag {class_}")


def _levels(document: Document) -> Iterator[Html]:
    given = [row for row in rows(document) if row.level]
    if not given:
        return
    chat = task_of(document) == "chat"
    latencies = (("TTFT", "p50 / p99, ms"), ("TPOT", "p50 / p99, ms")) if chat else ()
    heads = _heads(
        (_noun(document), ""), ("level", ""), ("rate", f"{given[0].unit}, 95 %"), *latencies,
        ("whole answer" if chat else "latency", "p50, ms"), ("marks", ""),
    )  # fmt: skip
    groups: dict[str, list[Row]] = {}
    for row in given:
        groups.setdefault(row.candidate, []).append(row)
    body = [
        element("tbody", *(_level(row, len(of), first=row is of[0], chat=chat) for row in of), class_="group")
        for of in groups.values()
    ]
    yield _section("Every level", _scroll(_table(heads, body), "Every level of every candidate"))


def _level(row: Row, count: int, *, first: bool, chat: bool) -> Html:
    marks = [mark for mark in row.marks if mark not in {"winner", "among the best", "failed", "disqualified"}]
    return element(
        "tr",
        *([element("th", row.label, scope="rowgroup", rowspan=count)] if first else []),
        element("td", row.level, class_="w"),
        element("td", row.throughput or _NONE, class_="n"),
        *([element("td", row.ttft, class_="n"), element("td", row.tpot, class_="n")] if chat else []),
        element("td", row.e2el, class_="n"),
        element("td", *(_tag(mark, "warn") for mark in marks)),
    )


def _errors(document: Document) -> Iterator[Html]:
    names = labels(document)
    body = [
        element(
            "tr",
            element("th", names[entry["name"]], scope="row"),
            element("td", key_of(level).text, class_="w"),
            element("td", str(error["count"]), class_="n"),
            element("td", one_line(error["what"]), class_="why"),
        )
        for entry in document["summary"]
        for level in entry["levels"]
        for error in level["errors"]
    ]
    if body:
        heads = _heads((_noun(document), ""), ("level", ""), ("count", "requests"), ("what", ""))
        yield _section("Errors", _scroll(_table(heads, [element("tbody", *body)]), "Errors"))


def _answers(document: Document) -> Iterator[Html]:
    by_prompt: dict[str, list[Html]] = {}
    for candidate in document["candidates"]:
        for answer in candidate.get("answers") or []:
            by_prompt.setdefault(str(answer["prompt"]), []).append(_answer(label(candidate, document), answer))
    if not by_prompt:
        return
    parts: list[Html] = []
    for prompt, cards in by_prompt.items():
        parts += [element("h3", one_line(_cut(prompt))), element("div", *cards, class_="answers")]
    about = "Each was asked the same at temperature 0 before it was measured: only sensible answers count."
    yield _section("What they answered", element("p", about, class_="quiet"), *parts)


def _answer(name: str, answer: Mapping[str, t.Any]) -> Html:
    ok = bool(answer.get("ok"))
    return element(
        "div",
        element("strong", name),
        " ",
        _tag("sensible" if ok else "not sensible", "good" if ok else "bad"),
        element("p", _cut(str(answer.get("text") or "")) or "(no text)"),
        *([element("p", one_line(answer["why"]), class_="bad")] if not ok and answer.get("why") else []),
        class_="card",
    )


def _cut(text: str) -> str:
    return text if len(text) <= _ANSWER else f"{text[: _ANSWER - 1]}…"


def _recommendation(document: Document) -> Html:
    text = document["recommendation"]["yaml"]
    return _section(
        "For the inventory",
        element("pre", text, tabindex=0, role="region", aria_label="The recommendation as YAML"),
    )


def _footer(document: Document) -> Html:
    made_by = one_line(f"llmops.serving {document['tools'].get('llmops.serving') or ''}")
    return element(
        "footer",
        f"Made by {made_by}. Metrics are named and defined as in vllm bench serve; intervals are of a two-level "
        "bootstrap over repetitions and requests, and where they overlap a difference is not called one.",
    )
