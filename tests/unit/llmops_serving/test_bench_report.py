# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_report import complete
from llmops_serving.bench_report import report
from llmops_serving.results import Report
from tests.unit.plugins import bench_documents

if TYPE_CHECKING:
    from pathlib import Path


def shown(document: dict[str, Any], folder: Path, width: int = 160, recommended: str = "") -> str:
    (folder / "report.json").write_text(json.dumps(complete(document)), encoding="utf-8")
    console = Console(width=width, record=True, file=(folder / "out").open("w", encoding="utf-8"))
    for part in report(Report(str(folder), str(folder / "report.json"), "/r/report.html", recommended)):
        console.print(part)
    return console.export_text()


@pytest.mark.parametrize("name", ["clear_winner", "tie", "everything", "embedding", "course", "tune"])
@pytest.mark.parametrize("width", [80, 160])
def test_every_kind_is_shown_with_its_verdict_and_cautions(name: str, width: int, tmp_path: Path) -> None:
    document = getattr(bench_documents, name)()
    text = " ".join(shown(document, tmp_path, width).split())
    whole = complete(document)
    for line in [*whole["verdict"]["lines"], *whole["verdict"]["cautions"]]:
        assert " ".join(line.split())[:60] in text
    assert "/r/report.html" in text


def test_chat_shows_times_to_tokens_and_others_do_not(tmp_path: Path) -> None:
    assert "TTFT" in shown(bench_documents.clear_winner(), tmp_path)
    assert "TTFT" not in shown(bench_documents.embedding(), tmp_path)


def test_the_course_says_why_its_total_misleads(tmp_path: Path) -> None:
    document = bench_documents.course()
    why = complete(document)["verdict"]["course"]["why"]
    assert why
    assert why[0][:50] in " ".join(shown(document, tmp_path).split())


def test_how_to_apply_is_told_where_something_is_recommended(tmp_path: Path) -> None:
    assert "-e @/r/recommended.yml" in shown(bench_documents.clear_winner(), tmp_path, recommended="/r/recommended.yml")
    assert "-e @" not in shown(bench_documents.clear_winner(), tmp_path)
