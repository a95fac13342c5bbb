# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils import _hold, _watch_notes
from ansible_collections.llmops.serving.plugins.modules import server_diagnosis
from tests.unit.plugins.played_evidence import PlayedEvidence, engine_line, played_evidence
from tests.unit.plugins.played_host import PlayedHost, engine, played_host, port_of, run_main

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-hunter2"
MODELS = [{"name": "tiny", "task": "chat", "path": "/none"}]
ASKED: dict[str, Any] = {
    "engine": "llama_cpp", "models": MODELS, "gate": [{"task": "chat", "model": "tiny"}], "readiness": "/health",
    "load": {"timeout": 1}, "doctor": [{"name": "odd", "pattern": "odd", "cause": "it is odd", "remedy": "set dtype"}],
}  # fmt: skip


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    monkeypatch.setattr(_hold, "RECORD", tmp_path / "held.json")
    monkeypatch.setattr(_watch_notes, "NOTES_DIR", tmp_path / "notes")
    made = played_host(tmp_path, monkeypatch)
    made.properties = {"ActiveState": "active", "SubState": "running", "UnitFileState": "enabled"}
    return made


@pytest.fixture
def seen(host: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> PlayedEvidence:
    made = played_evidence(monkeypatch)
    made.unit = host.properties
    return made


def have(host: PlayedHost, name: str, port: int) -> None:
    host.have(name, KEY, **ASKED, port=port)
    (host.units / f"llmops-{name}.service").write_text("[Unit]\n", encoding="utf-8")


def test_a_bare_host_is_well(host: PlayedHost, seen: PlayedEvidence, capsys: pytest.CaptureFixture[str]) -> None:
    status, result, _text = run_main(server_diagnosis, capsys)
    assert (status, result["servers"], result["lines"], result["changed"]) == (0, [], [], False)
    assert host.commands == seen.commands == []


@pytest.mark.usefixtures("seen")
def test_a_good_server_is_exit_code_0_and_nothing_changes(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    with engine(KEY) as running:
        have(host, "chat", port_of(running))
        files = host.files()
        status, result, text = run_main(server_diagnosis, capsys, wanted=["chat"])
    assert (status, result["changed"], result["lines"]) == (0, False, ["chat: serving"])
    assert host.files() == files
    assert KEY not in text


def test_an_ill_one_fails_and_all_are_told(
    host: PlayedHost, seen: PlayedEvidence, capsys: pytest.CaptureFixture[str]
) -> None:
    seen.journal = [engine_line(f"odd key {KEY}")]
    host.properties.update(ActiveState="failed", ExecMainCode="1", ExecMainStatus="1", Result="exit-code")
    have(host, "chat", 9)
    status, result, text = run_main(server_diagnosis, capsys, wanted=["chat", "embed"])
    assert status == 1
    assert [server["state"] for server in result["servers"]] == ["ill", "absent"]
    assert result["msg"].startswith("chat: start: it is odd; set dtype; embed: generations: ")
    assert result["lines"][:2] == ["chat: ill: start: it is odd; set dtype", "chat: seen: odd key [hidden]"]
    assert KEY not in text


@pytest.mark.usefixtures("seen")
def test_only_the_named_servers(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    have(host, "chat", 9)
    with engine(KEY) as running:
        have(host, "embed", port_of(running))
        status, result, _text = run_main(server_diagnosis, capsys, names=["embed"], wanted=["chat"])
    assert (status, [server["name"] for server in result["servers"]]) == (0, ["embed"])
    status, result, _text = run_main(server_diagnosis, capsys, names=["gone"], wanted=["chat"])
    assert "correct the name" in result["msg"]


def test_how_many_lines(host: PlayedHost, seen: PlayedEvidence, capsys: pytest.CaptureFixture[str]) -> None:
    seen.journal = [engine_line(str(number)) for number in range(9)]
    have(host, "chat", 9)
    _status, result, _text = run_main(server_diagnosis, capsys, gate=False, lines=2)
    (server,) = result["servers"]
    assert server["log"] == server["evidence"]["log"] == ["7", "8"]
    _status, result, _text = run_main(server_diagnosis, capsys, gate=False, lines=0)
    assert result["servers"][0]["log"] == []


def test_without_systemd_the_host_cannot_be_asked(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.broken = {"systemctl": "not found"}
    have(host, "chat", 9)
    status, result, _text = run_main(server_diagnosis, capsys)
    assert status == 1
    assert result["msg"].startswith("the host cannot be asked: systemctl")


@pytest.mark.usefixtures("seen")
def test_every_word_of_an_entry_is_documented(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    have(host, "chat", 9)
    _status, result, _text = run_main(server_diagnosis, capsys, gate=False)
    (server,) = result["servers"]
    said = " ".join(yaml.safe_load(server_diagnosis.RETURN)["servers"]["description"])
    assert not [word for word in {*server, *server["evidence"]} if f"C({word})" not in said]


def test_options_are_those_of_the_documentation() -> None:
    options = yaml.safe_load(server_diagnosis.DOCUMENTATION)["options"]
    words = ("type", "default", "elements")
    said = {name: [option.get(word) for word in words] for name, option in options.items()}
    assert said == {name: [option.get(word) for word in words] for name, option in server_diagnosis.ARGUMENTS.items()}
    for task in yaml.safe_load(server_diagnosis.EXAMPLES):
        assert set(task["llmops.serving.server_diagnosis"] or {}) <= set(options)
