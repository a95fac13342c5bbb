# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_course import Course, course
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import summarise
from tests.unit.plugins import bench_documents
from tests.unit.plugins.bench_documents import refuse


def course_of(given: dict[str, object]) -> Course:
    found = course(given, summarise(given))
    assert found is not None
    return found


def test_totals_stand_beside_the_tokens() -> None:
    rows = course_of(bench_documents.course())["rows"]
    assert [row["name"] for row in rows] == ["tgi", "vllm", "aphrodite"]
    assert [row["tokens"] for row in rows] == [700, 1260, 1540]
    for row in rows:
        assert row["seconds"] == round(sum(row["runs"]) / 3, 3)
        assert abs(row["tokens_per_s"] - row["tokens"] / row["seconds"]) < 1
        assert row["answers"] == 21


def test_the_reasons_are_those_that_apply() -> None:
    said = " ".join(course_of(bench_documents.course())["why"])
    assert "TGI wrote 700 tokens and Aphrodite 1540" in said
    assert "7 of the 7 prompts are identical" in said
    assert "Temperature 0 does not make" in said
    assert "warm-up" not in said
    assert "dtype" not in said


def test_reasons_that_do_not_apply_are_not_given() -> None:
    given = bench_documents.course()
    given["profile"]["work"]["prompts"] = [f"prompt {number}" for number in range(7)]
    for candidate in given["candidates"]:
        for step in candidate["steps"]:
            step["tokens"]["output"] = 700
    said = " ".join(course_of(given)["why"])
    assert "amounts of work" not in said
    assert "identical" not in said
    assert "Temperature" not in said
    assert "TTFT and TPOT tell them apart" in said


def test_cold_runs_other_words_and_another_order_are_told() -> None:
    given = bench_documents.course()
    given["profile"]["warmup"] = 0
    given["candidates"][0]["words"]["dtype"] = "float16"
    # The first to be done wrote so little that it was the slower one.
    for step in given["candidates"][0]["steps"]:
        step["tokens"]["output"] = 70
    said = " ".join(course_of(given)["why"])
    assert "There was no warm-up" in said
    assert "different dtype" in said
    assert "TGI has the shortest total, vLLM writes fastest" in said


def test_a_slow_first_run_is_told() -> None:
    given = bench_documents.course()
    given["candidates"][1]["steps"][0]["seconds"] *= 2
    assert "The first run of vLLM took more than 1.25 times" in " ".join(course_of(given)["why"])


def test_a_refused_engine_is_not_in_the_table() -> None:
    given = bench_documents.course()
    refuse(given["candidates"][0]["steps"][0])
    assert [row["name"] for row in course_of(given)["rows"]] == ["vllm", "aphrodite"]


def test_another_profile_has_no_such_table() -> None:
    given = bench_documents.clear_winner()
    assert course(given, summarise(given)) is None
