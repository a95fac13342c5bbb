# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module tells what there is, changes nothing, and its documentation names every word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.modules import server_history_info
from tests.unit.plugins.played_host import PlayedHost, played_host, run_main

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-hunter2"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    return played_host(tmp_path, monkeypatch)


def test_a_bare_host_has_no_history(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    status, result, _text = run_main(server_history_info, capsys)
    assert (status, result["servers"], result["lines"], result["changed"]) == (0, [], [], False)
    assert host.commands == []


def test_all_servers_or_those_that_are_named(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("embed", "chat", "chat"):
        host.have(name, KEY)
    files = host.files()
    status, result, text = run_main(server_history_info, capsys)
    assert (status, result["changed"]) == (0, False)
    assert [(found["name"], found["current"]) for found in result["servers"]] == [("chat", 2), ("embed", 1)]
    assert result["lines"][0].startswith("chat generation 2: current, since 2")
    assert KEY not in text
    assert host.files() == files

    status, result, _text = run_main(server_history_info, capsys, names=["embed"])
    assert [found["name"] for found in result["servers"]] == ["embed"]


@pytest.mark.parametrize(("there", "said"), [([], "it has none"), (["chat", "embed"], "it has chat, embed")])
def test_a_name_that_is_not_there_fails_and_says_which_are(
    host: PlayedHost, capsys: pytest.CaptureFixture[str], there: list[str], said: str
) -> None:
    for name in there:
        host.have(name)
    status, result, _text = run_main(server_history_info, capsys, names=[*there, "nix"])
    assert (status, result["msg"]) == (1, f"no server named nix on this host; {said}")
    assert [found["name"] for found in result["servers"]] == there


def test_every_word_is_documented(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.have("chat", models=[{"name": "tiny", "task": "chat", "path": "/models/tiny/aaa"}])
    _status, result, _text = run_main(server_history_info, capsys)
    documented = yaml.safe_load(server_history_info.RETURN)
    # Warnings of a process stay with it, also those of other modules that were run in it.
    assert set(documented) == set(result) - {"changed", "invocation", "warnings"}
    said = " ".join(documented["servers"]["description"])
    (server,) = result["servers"]
    (generation,) = server["generations"]
    words = [*server, *generation, *generation["models"][0]]
    assert not [word for word in words if f"C({word})" not in said]


def test_examples_use_options_that_there_are() -> None:
    options = yaml.safe_load(server_history_info.DOCUMENTATION)["options"]
    for task in yaml.safe_load(server_history_info.EXAMPLES):
        assert set(task["llmops.serving.server_history_info"]) <= set(options)
