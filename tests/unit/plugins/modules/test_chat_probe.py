# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module chat_probe, run as Ansible runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.modules import chat_probe
from tests.unit.plugins.fake_engine import ChatParts, as_json, completion
from tests.unit.plugins.run_module import assert_documented, run_module

if TYPE_CHECKING:
    from pathlib import Path


KEY = "s3cret-key"


@pytest.mark.parametrize("check", [False, True])
def test_a_good_server_passes_and_nothing_changes(check: bool) -> None:
    with ChatParts().engine() as engine:
        status, result = run_module("chat_probe", url=engine.url, expect="Paris", _ansible_check_mode=check)
    assert (status, result["changed"], result["ok"]) == (0, False, True), result["msg"]
    assert result["probe"] == "chat"
    assert_documented(chat_probe, "chat", result)


def test_a_wrong_answer_fails_with_the_whole_result() -> None:
    with ChatParts(plain=as_json(completion("!"))).engine() as engine:
        status, result = run_module("chat_probe", url=engine.url, api_key=KEY)
    assert (status, result["failed"], result["changed"], result["ok"]) == (1, True, False, False)
    assert result["msg"].startswith("text: ")
    assert [check["name"] for check in result["checks"] if not check["ok"]] == ["text"]
    assert_documented(chat_probe, "chat", result)
    del result["invocation"]
    assert KEY not in str(result)


def test_the_key_is_sent_from_a_file_and_in_no_output(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n", encoding="utf-8")
    with ChatParts().engine() as engine:
        status, result = run_module("chat_probe", url=engine.url, api_key_file=str(file))
        assert engine.requests[0].headers["Authorization"] == "Bearer " + KEY
    assert status == 0
    assert KEY not in str(result)


def test_the_key_is_hidden_in_the_invocation() -> None:
    with ChatParts().engine() as engine:
        status, result = run_module("chat_probe", url=engine.url, api_key=KEY)
        assert engine.requests[0].headers["Authorization"] == "Bearer " + KEY
    assert status == 0
    assert KEY not in str(result)


BAD = [
    ({"api_key_file": "/no/such/key"}, "options: cannot read api_key_file /no/such/key: No such file or directory; an"),
    ({"api_key": ""}, "models: the API key cannot be used: it is empty; an API key must be"),
    ({"api_key": KEY, "api_key_file": "/b"}, "parameters are mutually exclusive: api_key|api_key_file"),
    ({"max_tokens": 0}, "options: max_tokens is 0: it must be at least 1"),
    ({"expects": "Paris"}, "Unsupported parameters for"),
]


@pytest.mark.parametrize(("parameters", "words"), BAD)
def test_bad_options_are_refused(parameters: dict[str, Any], words: str) -> None:
    status, result = run_module("chat_probe", url="http://127.0.0.1:9/v1", **parameters)
    assert (status, result["failed"]) == (1, True)
    assert words in result["msg"]
