# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import functools
import html.parser
import re
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import BenchError
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_page import page
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_report import complete
from tests.unit.plugins import bench_documents
from tests.unit.plugins.bench_documents import EVIL, VLLM, Engine, document, fallen, measured

NAMES = ("clear_winner", "tie", "everything", "embedding", "course", "tune")
VOID = ("meta", "link", "br", "hr")


class Reader(html.parser.HTMLParser):
    """Reads a page: its elements, its texts, and whether what is opened is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.texts.append(data)

    def close(self) -> None:
        super().close()
        assert self._open == []

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@functools.cache
def page_of(name: str) -> str:
    return page(getattr(bench_documents, name)())


def read(given: dict[str, t.Any] | str) -> Reader:
    reader = Reader()
    reader.feed(page_of(given) if isinstance(given, str) else page(given))
    reader.close()
    return reader


@pytest.mark.parametrize("name", NAMES)
def test_the_page_needs_nothing_but_itself(name: str) -> None:
    text = page_of(name)
    assert len(text.encode()) < 300_000
    reader = read(name)
    kinds = {kind for kind, _attributes in reader.elements}
    assert not kinds & {"script", "img", "iframe", "object", "embed", "form", "base", "audio", "video", "image", "use"}
    for kind, attributes in reader.elements:
        assert not any(name.startswith("on") or name in {"src", "style"} for name in attributes), (kind, attributes)
        assert attributes.get("href") in {None, "data:,"}
    style = text[text.index("<style>") : text.index("</style>")]
    assert not re.search(r"url\(|@import|@font-face", style)
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in reader.elements
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')


def test_the_page_of_five_engines_at_six_levels_is_small() -> None:
    engines = [Engine(f"engine{number}", f"Engine {number}", ttft=40 + 9 * number) for number in range(5)]
    given = document([measured(engine, levels=(1, 2, 4, 8, 16, 32), requests=60) for engine in engines])
    assert len(page(given).encode()) < 300_000


def test_texts_of_models_and_hosts_stay_texts() -> None:
    given = bench_documents.everything()
    given["host"]["name"] = given["profile"]["name"] = given["inventory"]["server"] = EVIL
    given["candidates"][0]["title"] = given["candidates"][1]["name"] = EVIL
    given["candidates"][1]["argv"] = [EVIL]
    given["candidates"][1]["words"]["options"] = {EVIL: EVIL}
    given["candidates"][1]["image"] = given["host"]["os"] = given["tools"]["python"] = EVIL
    reader = read(given)
    assert not {kind for kind, _attributes in reader.elements} & {"script", "b"}
    assert "\u202e" not in reader.text
    assert reader.text.count('<script>alert("x")</script>') > 20


def test_the_verdict_comes_first_and_cautions_follow() -> None:
    text = read("everything").text
    order = [
        "vLLM wins with 81 % more good requests/s than Aphrodite, at 4 at once.",
        "SGLang is disqualified",
        "Before you believe these numbers",
        "the load client shares the host's 2 cores",
        "The engines",
        "Under load",
        "What they cost",
        "Every level",
        "Errors",
        "timeout after 30 s",
        "What they answered",
        "not sensible",
        "For the inventory",
        "serving_changes:",
        "Conditions",
        "AMD EPYC 7763",
        "c0ffee" + "0" * 34,
        "--max-model-len 2048",
    ]
    places = [text.find(part) for part in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)


# A document, parts that its page has, and parts that it has not.
PARTS: list[tuple[str, list[str], list[str]]] = [
    ("clear_winner", ["winner", "Time to the first token", "Times between tokens, 8 at once", "Loading"],
     ["Before you believe", "Errors", "The course's measurement"]),
    ("tie", ["among the best", "No significant difference between SGLang and vLLM"], ["winner"]),
    ("embedding", ["texts/s", "batch 32", "Time of a whole request, 4 at once", "Answers that had come by then"],
     ["TTFT:", "Times between tokens"]),
    ("course", ["The course's measurement", "Why the total alone misleads", "7 of the 7 prompts are identical"], []),
    ("everything", ["client was the bottleneck", "6 failed", "3 short", "3 cut off", "Requests that met the objective",
     "refused at 8 at once"], []),
    ("tune", ["parallel=32", "The candidates"], ["The engines"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "has", "has_not"), PARTS)
def test_parts(name: str, has: list[str], has_not: list[str]) -> None:
    text = read(name).text
    assert [part for part in has if part not in text] == []
    assert [part for part in has_not if part in text.split("For the inventory", maxsplit=1)[0]] == []


def test_a_completed_document_is_shown_as_it_is() -> None:
    whole = complete(bench_documents.clear_winner())
    assert page(whole) == page_of("clear_winner")
    whole["verdict"]["lines"] = ["As it was judged then."]
    assert "As it was judged then." in page(whole)


def test_a_page_without_any_numbers() -> None:
    text = read(document([fallen(VLLM, "failed", "out of memory", "lower kv_cache_gib")])).text
    assert "No candidate could be measured, so there is no winner." in text
    assert "lower kv_cache_gib" in text
    assert "Under load" not in text


def test_what_a_document_may_lack_is_left_out() -> None:
    given = document([measured(VLLM, levels=(1,))], kind="benchmark")
    for name in ("image", "argv", "loads", "memory", "answers", "model", "power_w"):
        del given["candidates"][0][name]
    given["host"] = {"name": "lab1"}
    assert "vLLM gives 101 (" in read(given).text


def test_what_is_no_document_is_refused() -> None:
    with pytest.raises(BenchError, match="kind is None"):
        page({})
