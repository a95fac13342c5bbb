# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module says of servers that are there, down, good and bad; nothing may change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.modules import server_info
from tests.unit.plugins.fake_engine import ChatParts, as_json, completion
from tests.unit.plugins.played_host import PlayedHost, engine, played_host, port_of, run_main

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-hunter2"
MODELS = [{"name": "tiny", "task": "chat", "path": "/models/tiny"}]
ASKED: dict[str, Any] = {"engine": "llama_cpp", "models": MODELS, "gate": [{"task": "chat", "model": "tiny"}]}
WORDS = {"name", "engine", "ok", "state", "url", "bind", "port", "models", "generation", "image", "probes", "seconds"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    made = played_host(tmp_path, monkeypatch)
    made.properties = {"ActiveState": "active", "SubState": "running", "NRestarts": "2", "UnitFileState": "enabled"}
    return made


def test_a_bare_host_has_no_servers(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    status, result, _text = run_main(server_info, capsys)
    assert (status, result["servers"], result["changed"]) == (0, [], False)
    assert host.commands == []


def test_a_good_server_is_judged_with_its_own_key(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    with engine(KEY) as running:
        host.have("chat", KEY, **ASKED, port=port_of(running))
        files = host.files()
        status, result, text = run_main(server_info, capsys)
        url = running.url
    (found,) = result["servers"]
    assert (status, result["changed"], found["ok"], found["msg"]) == (0, False, True, "")
    assert (found["engine"], found["models"], found["url"]) == ("llama_cpp", ["tiny"], url)
    assert (found["state"], found["generation"], found["image"]) == ("active", 1, "img@sha256:1")
    assert [(probe["probe"], probe["ok"]) for probe in found["probes"]] == [("chat", True)]
    assert set(found) == WORDS | {"msg"}
    assert KEY not in text
    # It only looks.
    assert host.files() == files
    assert {line.split(" --")[0] for line in host.commands} == {"systemctl show"}


def test_every_word_of_an_entry_is_documented(host: PlayedHost) -> None:
    said = " ".join(yaml.safe_load(server_info.RETURN)["servers"]["description"])
    host.have("chat")
    assert set(server_info.look("chat", gate=False)) == WORDS | {"msg"}
    assert not [word for word in WORDS | {"msg", "failed_check", "cause", "remedy"} if f"C({word})" not in said]


def test_a_bad_answer_fails_and_names_cause_and_remedy(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    with engine(KEY, ChatParts(plain=as_json(completion("")))) as running:
        host.have("chat", KEY, **ASKED, port=port_of(running))
        status, result, text = run_main(server_info, capsys)
    (found,) = result["servers"]
    assert (status, result["failed"], found["ok"], found["state"]) == (1, True, False, "active")
    assert found["failed_check"] == "chat probe of tiny"
    assert found["cause"]
    assert found["remedy"]
    assert result["msg"] == f"chat: {found['msg']}"
    assert [probe["ok"] for probe in found["probes"]] == [False]
    assert KEY not in text


def test_a_server_that_lost_its_key_fails(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    with engine() as running:
        host.have("chat", KEY, **ASKED, port=port_of(running))
        status, result, _text = run_main(server_info, capsys)
    assert status == 1
    assert result["servers"][0]["failed_check"] == "key"


@pytest.mark.parametrize("state", ["failed", "inactive", "activating"])
def test_a_server_that_is_down_is_not_asked(host: PlayedHost, capsys: pytest.CaptureFixture[str], state: str) -> None:
    host.properties["ActiveState"] = state
    with engine() as running:
        host.have("chat", **ASKED, port=port_of(running))
        status, result, _text = run_main(server_info, capsys)
    (found,) = result["servers"]
    assert (status, found["ok"], found["state"], found["probes"]) == (1, False, state, [])
    unit = "llmops-chat.service"
    assert result["msg"] == f"chat: its unit {unit} is {state}: systemctl status {unit}"
    assert running.requests == []


def test_nobody_is_asked_where_that_is_not_wanted(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    with engine() as running:
        host.have("chat", **ASKED, port=port_of(running))
        status, result, _text = run_main(server_info, capsys, gate=False)
    assert (status, result["servers"][0]["ok"], result["servers"][0]["probes"]) == (0, True, [])
    assert running.requests == []


def test_only_the_named_servers_are_looked_at(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.have("chat")
    host.have("embed")
    status, result, _text = run_main(server_info, capsys, names=["embed"], gate=False)
    assert (status, [found["name"] for found in result["servers"]]) == (0, ["embed"])
    status, result, _text = run_main(server_info, capsys, names=[])
    assert (status, result["servers"]) == (0, [])


@pytest.mark.parametrize("attempted", [False, True])
def test_a_named_server_that_is_absent_fails(
    host: PlayedHost, capsys: pytest.CaptureFixture[str], attempted: bool
) -> None:
    if attempted:
        host.have("gone", current=False)
    host.have("chat")
    status, result, _text = run_main(server_info, capsys, names=["chat", "gone"], gate=False)
    chat, gone = result["servers"]
    assert status == 1
    assert chat["ok"]
    assert (gone["ok"], gone["state"], gone["models"], gone["probes"]) == (False, "absent", [], [])
    assert result["msg"] == "gone: server gone is not on this host: apply the inventory first"


def test_all_that_is_wrong_is_told_at_once(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.properties["ActiveState"] = "failed"
    for name in ("embed", "chat"):
        host.have(name)
    status, result, _text = run_main(server_info, capsys)
    assert status == 1
    assert [found["name"] for found in result["servers"]] == ["chat", "embed"]
    assert [part.split(":")[0] for part in result["msg"].split("; ")] == ["chat", "embed"]


def test_examples_use_options_that_there_are() -> None:
    options = yaml.safe_load(server_info.DOCUMENTATION)["options"]
    assert set(options) == {"names", "gate"}
    for task in yaml.safe_load(server_info.EXAMPLES):
        assert set(task["llmops.serving.server_info"] or {}) <= set(options)
