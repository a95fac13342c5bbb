# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module embedding_probe, run as Ansible runs it."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.serving.plugins.modules import embedding_probe
from tests.unit.plugins.fake_engine import FakeEngine, Reply, Request, as_json, models
from tests.unit.plugins.run_module import assert_documented, run_module

TEXT, NEAR, FAR = [1.0, 0.1], [0.9, 0.2], [-0.1, 1.0]


def server(*vectors: list[float]) -> FakeEngine:
    def embed(request: Request) -> Reply:
        wanted = vectors if isinstance(request.json["input"], list) else vectors[:1]
        data = [{"index": index, "embedding": vector} for index, vector in enumerate(wanted)]
        return as_json({"data": data, "model": "tiny"})

    return FakeEngine({"GET /v1/models": models("tiny"), "POST /v1/embeddings": embed})


KEY = "s3cret-key"


@pytest.mark.parametrize("check", [False, True])
def test_a_good_server_passes_and_nothing_changes(check: bool) -> None:
    with server(TEXT, NEAR, FAR) as engine:
        status, result = run_module("embedding_probe", url=engine.url, dimension=2, _ansible_check_mode=check)
    assert (status, result["changed"], result["ok"]) == (0, False, True), result["msg"]
    assert result["probe"] == "embedding"
    assert_documented(embedding_probe, "embedding", result)


def test_a_wrong_answer_fails_with_the_whole_result() -> None:
    with server(TEXT, FAR, NEAR) as engine:
        status, result = run_module("embedding_probe", url=engine.url, api_key=KEY)
    assert (status, result["failed"], result["changed"], result["ok"]) == (1, True, False, False)
    assert result["msg"].startswith("semantic: ")
    assert [check["name"] for check in result["checks"] if not check["ok"]] == ["semantic"]
    assert_documented(embedding_probe, "embedding", result)
    del result["invocation"]
    assert KEY not in str(result)
