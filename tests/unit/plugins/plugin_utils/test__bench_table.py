# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_report import complete
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_table import memory_text, rows, size_text
from tests.unit.plugins import bench_documents

GIB = 2**30


def test_rows_follow_the_ranking_and_those_without_numbers_come_last() -> None:
    found = rows(complete(bench_documents.everything()))
    assert list(dict.fromkeys(row.label for row in found)) == ["vLLM", "Aphrodite", "llama.cpp", "SGLang", "infinity"]
    assert [row.level for row in found if row.candidate == "vllm"] == [
        "1 at once", "2 at once", "4 at once", "8 at once",
    ]  # fmt: skip
    assert [(row.marks, row.level, row.throughput) for row in found[-2:]] == [
        (["disqualified"], "", ""),
        (["failed"], "", ""),
    ]


def test_a_row_tells_its_numbers() -> None:
    row = rows(complete(bench_documents.clear_winner()))[3]
    assert row.to_dict() == {
        "candidate": "vllm",
        "label": "vLLM",
        "status": "measured",
        "level": "8 at once",
        "throughput": "529 (516\N{EN DASH}541)",
        "unit": "output tokens/s",
        "ttft": "84.1 / 120",
        "tpot": "13.8 / 18.9",
        "e2el": "959",
        "load": "14.1",
        "memory": "1.80 GiB",
        "marks": [],
    }


def test_what_weakens_a_number_stands_beside_it() -> None:
    found = rows(complete(bench_documents.everything()))
    marks = {(row.candidate, row.level): row.marks for row in found}
    assert marks["vllm", "1 at once"] == ["winner"]
    assert marks["aphrodite", "8 at once"] == ["client was the bottleneck"]
    assert marks["llama_cpp", "8 at once"] == ["6 failed", "3 short", "3 cut off", "6 of another input length"]
    refused = next(row for row in found if row.marks == ["client was the bottleneck"])
    assert refused.throughput == refused.ttft == refused.tpot == refused.e2el == ""


def test_equals_are_marked() -> None:
    found = rows(complete(bench_documents.tie()))
    assert [row.candidate for row in found if "among the best" in row.marks] == ["sglang", "vllm"]
    assert not any("winner" in row.marks for row in found)


MEMORY: list[tuple[dict[str, t.Any], str]] = [
    ({}, ""),
    ({"container_peak": 3 * GIB, "host_peak": 12 * GIB, "gpu_peak": None}, "3 GiB"),
    ({"container_peak": 3 * GIB, "gpu_peak": 14 * GIB}, "14 GiB GPU, 3 GiB container"),
    ({"container_peak": None, "host_peak": 12 * GIB}, "12 GiB"),
]


@pytest.mark.parametrize(("memory", "text"), MEMORY)
def test_memory(memory: dict[str, t.Any], text: str) -> None:
    assert memory_text({"memory": memory}) == text


def test_sizes() -> None:
    assert [size_text(size) for size in (1.5 * GIB, 300 * 2**20)] == ["1.50 GiB", "300 MiB"]


@pytest.mark.parametrize("name", ["clear_winner", "tie", "everything", "embedding", "course", "tune"])
def test_a_completed_document_is_json(name: str) -> None:
    whole = complete(getattr(bench_documents, name)())
    assert json.loads(json.dumps(whole)) == whole
    assert rows(whole)
