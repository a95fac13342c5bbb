# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _watch_notes
from ansible_collections.llmops.serving.plugins.module_utils._diagnosis_notes import notes, watchdog_records
from ansible_collections.llmops.serving.plugins.module_utils._hide import Veil
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit
from ansible_collections.llmops.serving.plugins.module_utils._watch_notes import Notes, write_notes
from tests.unit.plugins.played_host import PlayedHost, played_host

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    monkeypatch.setattr(_watch_notes, "NOTES_DIR", tmp_path / "notes")
    return played_host(tmp_path, monkeypatch)


def told(**words: Any) -> dict[str, Any]:
    """What was found of a server about which there is nothing to say, but for these words."""
    evidence = {"unit": {"enabled": "enabled"}, "kernel": [], "memory": {}, "unread": []}
    evidence.update(words.pop("evidence", {}))
    return {
        "name": "chat", "change": None, "lock": None, "watchdog": [], "failed_generations": [], "evidence": evidence,
        **words,
    }  # fmt: skip


def test_of_a_server_that_is_as_it_should_be_there_is_nothing_to_say(host: PlayedHost) -> None:
    current = host.have("chat").current()
    Unit("chat").path.write_text("[Unit]\n", encoding="utf-8")
    assert list(notes(told(), Unit("chat"), current)) == []


@pytest.mark.parametrize(("words", "count"), [({}, 1), ({"change": {"to": 2}}, 0), ({"lock": {"pid": 1}}, 0)])
def test_a_unit_edited_by_hand(host: PlayedHost, words: dict[str, Any], count: int) -> None:
    current = host.have("chat").current()
    Unit("chat").path.write_text("[Unit]\n# mine\n", encoding="utf-8")
    found = list(notes(told(**words), Unit("chat"), current))
    assert len(found) == count
    assert all("is not as generation 1 has it" in line for line in found)


EVIDENCE = [
    ({"unit": {"enabled": "enabled", "stale": True}}, "systemctl daemon-reload"),
    (
        {"unit": {"enabled": "enabled", "restarts": 1, "exit_code": 137}},
        "restarted it once since it was started, the last time with exit code 137",
    ),
    ({"unit": {"enabled": "enabled", "restarts": 4, "exit_code": None}}, "restarted it 4 times since it was started"),
    ({"kernel": ["first", "last"]}, "the kernel says: last"),
    ({"memory": {"total": 100 << 30, "available": 4 << 30}}, "nearly full: 4.0 of 100.0 GiB"),
    ({"unread": ["the GPUs cannot be read: nvidia-smi took more than 10 s"]}, "the GPUs cannot be read"),
]


@pytest.mark.parametrize(("evidence", "words"), EVIDENCE)
def test_what_the_evidence_has(host: PlayedHost, evidence: dict[str, Any], words: str) -> None:
    assert host.folder.is_dir()
    (line,) = notes(told(evidence=evidence), Unit("chat"), None)
    assert words in line


def test_a_server_that_does_not_come_back(host: PlayedHost) -> None:
    current = host.have("chat").current()
    Unit("chat").path.write_text("[Unit]\n", encoding="utf-8")
    (line,) = notes(told(evidence={"unit": {"enabled": "disabled"}}), Unit("chat"), current)
    assert "systemctl enable llmops-chat.service" in line


def test_what_the_watchdog_counted_and_did(host: PlayedHost) -> None:
    assert host.folder.is_dir()
    write_notes("chat", Notes(strikes=[{"at": "t", "seen": "no answer"}, {"at": "t", "seen": "no answer in 10 s"}]))
    records = [{"file": "/e/1.json"}, {"file": "/e/2.json", "at": "20:00", "seen": "it was frozen"}]
    assert list(notes(told(watchdog=records), Unit("chat"), None)) == [
        "the watchdog has counted 2 of 3 strikes: no answer in 10 s",
        "the watchdog has started it anew 2 times, the last time at 20:00: it was frozen",
    ]


def test_records_are_cut_covered_and_only_those_that_can_be_read(host: PlayedHost) -> None:
    folder = host.have("chat").directory / "evidence"
    folder.mkdir()
    first = {
        "at": "20:00",
        "seen": "sk-1 hangs",
        "log": ["a", "b", "c"],
        "evidence": {"log": ["a", "b", "c"], "unit": {}},
    }
    for name, text in (("1.json", json.dumps(first)), ("2.json", "{"), ("3.json", "[]")):
        (folder / name).write_text(text, encoding="utf-8")
    (found,) = watchdog_records("chat", Veil(["sk-1"]), 2)
    assert found == {
        "at": "20:00", "seen": "[hidden] hangs", "log": ["b", "c"], "evidence": {"log": ["b", "c"], "unit": {}},
        "file": str(folder / "1.json"),
    }  # fmt: skip
