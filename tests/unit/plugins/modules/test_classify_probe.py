# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module classify_probe, run as Ansible runs it."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.serving.plugins.modules import classify_probe
from tests.unit.plugins.fake_engine import FakeEngine, as_json, models
from tests.unit.plugins.run_module import assert_documented, run_module


def server(*scores: float) -> FakeEngine:
    row = [{"label": label, "score": score} for label, score in zip("ab", scores, strict=True)]
    return FakeEngine(
        {"GET /v1/models": models("tiny"), "POST /v1/classify": as_json({"data": [row, row], "model": "tiny"})}
    )


KEY = "s3cret-key"


@pytest.mark.parametrize("check", [False, True])
def test_a_good_server_passes_and_nothing_changes(check: bool) -> None:
    with server(0.8, 0.2) as engine:
        status, result = run_module(
            "classify_probe", url=engine.url, labels=["a", "b"], expect=["a", "a"], _ansible_check_mode=check
        )
    assert (status, result["changed"], result["ok"]) == (0, False, True), result["msg"]
    assert result["probe"] == "classify"
    assert_documented(classify_probe, "classify", result)


def test_a_wrong_answer_fails_with_the_whole_result() -> None:
    with server(0.8, 0.8) as engine:
        status, result = run_module("classify_probe", url=engine.url, api_key=KEY)
    assert (status, result["failed"], result["changed"], result["ok"]) == (1, True, False, False)
    assert result["msg"].startswith("sum: ")
    assert [check["name"] for check in result["checks"] if not check["ok"]] == ["sum"]
    assert_documented(classify_probe, "classify", result)
    del result["invocation"]
    assert KEY not in str(result)
