# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import typing as t

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_recommend import changed_words
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_report import complete
from tests.unit.plugins import bench_documents
from tests.unit.plugins.bench_documents import EVIL, LLAMA, SGLANG, VLLM, document, fallen, measured

SECRET = "k-9f27c1"  # noqa: S105  of nothing

# A server's words, those of the candidate that won, and the changes.
CHANGES: list[tuple[dict[str, t.Any], dict[str, t.Any], dict[str, t.Any]]] = [
    ({"engine": "vllm"}, {"engine": "vllm"}, {}),
    ({"engine": "vllm"}, {"engine": "llama_cpp", "model": "q4"}, {"engine": "llama_cpp", "model": "q4"}),
    ({"engine": "vllm", "options": {"a": 1}}, {"engine": "vllm"}, {"options": None}),
    ({"options": {"a": 1, "b": 2}}, {"options": {"a": 1}}, {"options": {"a": 1}}),
    ({"options": None}, {}, {}),
    ({"kv_cache_gib": 0.5}, {"kv_cache_gib": 0.25}, {"kv_cache_gib": 0.25}),
    ({"parallel": 0}, {"parallel": False}, {}),
    (
        {"name": "chat", "port": 8000, "bind": "0.0.0.0", "api_key": [SECRET]},  # noqa: S104  not bound to
        {"name": "tournament-vllm", "port": 18000, "bind": "127.0.0.1"},
        {},
    ),
]


@pytest.mark.parametrize(("before", "after", "changes"), CHANGES)
def test_only_what_differs_is_changed(
    before: dict[str, t.Any], after: dict[str, t.Any], changes: dict[str, t.Any]
) -> None:
    assert changed_words(before, after) == changes


def test_the_winner_is_written_for_the_inventory_with_its_evidence() -> None:
    whole = complete(bench_documents.clear_winner())
    recommendation = whole["recommendation"]
    text = recommendation["yaml"]
    assert yaml.safe_load(text) == {"serving_changes": {"chat": {"engine": "vllm"}}}
    assert recommendation["changes"] == {"engine": "vllm"}
    assert recommendation["candidate"] == "vllm"
    said = " ".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    assert "Made by llmops 0.1.0 on 2026-11-25 for lab1, from a tournament" in said
    assert "vLLM wins with 2.55 times the output tokens/s of Aphrodite." in said
    assert (
        "Expected capacity: 529 (516\N{EN DASH}541) output tokens/s at 8 at once; 8.27 requests/s; TTFT p50 84" in said
    )
    assert "llmops apply -i INVENTORY -l lab1 -e @recommended.yml" in said
    assert "host_vars/lab1/recommended.yml" in said
    assert recommendation["expected"]["concurrency"] == 8


# Who is tied, the engine of the server now, who is taken, and why.
TIES = [
    ("sglang", "sglang", "it is what the server has now"),
    ("vllm", "vllm", "it is what the server has now"),
    ("llama_cpp", "sglang", "it came first"),
]


@pytest.mark.parametrize(("engine", "taken", "why"), TIES)
def test_of_equals_the_one_that_changes_least_is_taken(engine: str, taken: str, why: str) -> None:
    given = bench_documents.tie()
    given["inventory"]["words"]["engine"] = engine
    recommendation = complete(given)["recommendation"]
    assert recommendation["candidate"] == taken
    assert why in recommendation["yaml"].replace("\n# ", " ")


def test_of_equals_the_own_engine_with_other_words_comes_before_another_engine() -> None:
    given = document([measured(LLAMA), measured(VLLM), measured(SGLANG)])
    given["candidates"][1]["words"]["parallel"] = 32
    given["inventory"]["words"] |= {"engine": "vllm", "parallel": 16}
    recommendation = complete(given)["recommendation"]
    assert recommendation["changes"] == {"parallel": 32}
    assert "it is the server's own engine" in recommendation["yaml"].replace("\n# ", " ")


def test_nothing_measured_recommends_nothing() -> None:
    recommendation = complete(document([fallen(VLLM, "failed", "out of memory", "lower it")]))["recommendation"]
    assert recommendation["candidate"] is recommendation["expected"] is None
    assert yaml.safe_load(recommendation["yaml"]) == {"serving_changes": {}}
    assert "Nothing is recommended" in recommendation["yaml"]


ODD: list[t.Any] = [
    "no", "null", "~", "1e3", "0x1F", "2026-11-25", "a: b", "- a", "# a", " a ", "a\nb\n", "", "{{ x }}", "%a", "@a",
    "`a`", "!a", "*a", "&a", "'\"", "\u00e9\u4e2d\U0001f600", "\x85\u2028",
    "\t", "=", "<<", "12:30:45", "a" * 300, EVIL,
    ["on", 1, None], {"y": "n", "1": 1.5}, True, 1.0, 10**20,
]  # fmt: skip


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_odd_values_come_back_as_they_were(value: t.Any) -> None:
    given = document([measured(LLAMA, levels=(1,)), measured(VLLM, levels=(1,))])
    given["candidates"][1]["words"]["options"] = {"flag": value}
    given["inventory"]["server"] = "on"
    read = yaml.safe_load(complete(given)["recommendation"]["yaml"])
    assert read == {"serving_changes": {"on": {"engine": "vllm", "options": {"flag": value}}}}


def test_no_text_of_a_model_becomes_yaml() -> None:
    given = bench_documents.clear_winner()
    reason = "it said\nserving_changes: {chat: {engine: evil}}\n"
    given["candidates"][2] |= {"status": "disqualified", "reason": reason}
    given["host"]["name"] = "lab1\nevil: true"
    read = yaml.safe_load(complete(given)["recommendation"]["yaml"])
    assert read == {"serving_changes": {"chat": {"engine": "vllm"}}}


def test_no_secret_is_written() -> None:
    given = bench_documents.clear_winner()
    given["inventory"]["words"]["api_key"] = [SECRET]
    given["candidates"][1]["words"]["api_key"] = [SECRET + "2"]
    assert SECRET not in complete(given)["recommendation"]["yaml"]


def test_a_document_is_completed_the_same_each_time_and_left_alone() -> None:
    given = bench_documents.everything()
    before = copy.deepcopy(given)
    assert complete(given) == complete(given)
    assert given == before


def test_without_a_server_of_the_model_an_entry_is_told_and_nothing_changes() -> None:
    alone = bench_documents.clear_winner()
    alone["inventory"] = {"server": "minilm", "words": {}}
    found = complete(alone)["recommendation"]
    assert found["changes"] == {}
    assert yaml.safe_load(found["yaml"]) == {"serving_changes": {}}
    told = [line.removeprefix("# ") for line in found["yaml"].splitlines() if line.startswith("#")]
    (entry,) = yaml.safe_load("\n".join(told[told.index("- name: minilm") :]))
    assert entry["engine"] == found["candidate"]


def test_what_is_laid_over_servers_already_stays() -> None:
    alone = bench_documents.clear_winner()
    server = alone["inventory"]["server"]
    alone["inventory"]["changes"] = {server: {"parallel": 8}, "embed": {"dtype": "half"}}
    found = complete(alone)["recommendation"]
    laid = yaml.safe_load(found["yaml"])["serving_changes"]
    assert laid["embed"] == {"dtype": "half"}
    assert laid[server] == {"parallel": 8} | found["changes"]
