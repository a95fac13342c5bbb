# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that are held and released: systemd and Docker are played, the engines are real HTTP servers."""

from __future__ import annotations

import signal
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _hold
from ansible_collections.llmops.serving.plugins.module_utils._hold import (
    HoldError,
    held_notice,
    hold,
    read_held,
    release,
)
from ansible_collections.llmops.serving.plugins.module_utils._lock import LockError
from ansible_collections.llmops.serving.plugins.modules import server_hold
from tests.unit.plugins.played_host import PlayedHost, engine, played_host, port_of, run_main

if t.TYPE_CHECKING:
    from pathlib import Path

UP = {"ActiveState": "active", "SubState": "running", "UnitFileState": "enabled"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    made = played_host(tmp_path / "host", monkeypatch)
    made.properties = dict(UP)
    monkeypatch.setattr(_hold, "RECORD", tmp_path / "host" / "held.json")
    monkeypatch.setattr(signal, "signal", lambda _number, _action: None)
    return made


def have(host: PlayedHost, name: str, port: int) -> None:
    words: dict[str, t.Any] = {"readiness": "/health", "load": {"timeout": 2}, "doctor": [], "engine": "vllm"}
    host.have(name, port=port, gate=[{"task": "chat", "model": "tiny"}], **words)


def test_what_runs_is_stopped_and_written_down(host: PlayedHost) -> None:
    have(host, "chat", 8001)
    assert hold("tournament", ["tournament-vllm"]) == ["chat"]
    assert "systemctl stop llmops-chat.service" in host.commands
    held = read_held()
    assert held is not None
    assert (held.servers, held.guests, held.purpose) == (["chat"], ["tournament-vllm"], "tournament")


def test_what_did_not_run_is_not_started_at_the_release(host: PlayedHost) -> None:
    have(host, "chat", 8001)
    host.properties = {"ActiveState": "inactive", "SubState": "dead"}
    assert hold("tournament", []) == []
    host.commands.clear()
    assert release() == []
    assert not [line for line in host.commands if "restart" in line]


def test_what_is_held_already_is_left_alone(host: PlayedHost) -> None:
    have(host, "chat", 8001)
    hold("tuning", [])
    with pytest.raises(HoldError, match=r"a tuning that began at .* holds the servers chat: .*--restore"):
        hold("tournament", [])
    held = read_held()
    assert held is not None
    assert held.purpose == "tuning"


def test_a_server_of_the_guests_name_is_not_taken_for_one(host: PlayedHost) -> None:
    have(host, "tournament-vllm", 8001)
    with pytest.raises(HoldError, match="has a server tournament-vllm already"):
        hold("tournament", ["tournament-vllm"])
    assert read_held() is None


def test_a_server_that_is_being_changed_ends_the_hold_and_all_run_again(
    host: PlayedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine() as running:
        have(host, "chat", port_of(running))
        have(host, "embed", port_of(running))
        lock, calls = _hold.server_lock, []

        def busy(name: str, wait: bool = True, patience: float = 10, **_words: object) -> t.Any:
            calls.append(name)
            if name == "embed" and calls.count("embed") == 1:
                message = "process 7 is changing server embed on this host"
                raise LockError(message)
            return lock(name, wait, patience)

        monkeypatch.setattr(_hold, "server_lock", busy)
        with pytest.raises(HoldError, match="is changing server embed"):
            hold("tournament", [])
    assert "systemctl restart llmops-chat.service" in host.commands, "it was stopped before the other was found busy"
    assert read_held() is None


def test_the_release_removes_guests_and_asks_what_it_starts(host: PlayedHost) -> None:
    with engine() as running:
        have(host, "chat", port_of(running))
        hold("tournament", ["tournament-vllm"])
        have(host, "tournament-vllm", 8002)
        (found,) = release()
    assert (found["name"], found["action"], found["ok"]) == ("chat", "restarted", True)
    assert found["probes"][0]["sample"]
    assert not (host.state_dir / "tournament-vllm").exists()
    assert "docker rm --force --volumes llmops-tournament-vllm" in host.commands
    assert read_held() is None


def test_one_that_does_not_come_back_is_told_and_stays_written_down(host: PlayedHost) -> None:
    have(host, "chat", 9)
    hold("tournament", [])
    (found,) = release()
    assert not found["ok"]
    assert found["cause"]
    assert read_held() is not None, "so that the release can be repeated"


def test_one_that_was_removed_meanwhile_is_no_failure(host: PlayedHost) -> None:
    have(host, "chat", 8001)
    hold("tournament", [])
    _hold.Store("chat").remove()
    assert [(one["action"], one["ok"]) for one in release()] == [("gone", True)]
    assert read_held() is None


def test_others_are_told_and_who_holds_is_not(host: PlayedHost) -> None:
    have(host, "chat", 8001)
    assert held_notice(["chat"]) == ""
    hold("tournament", ["tournament-vllm"])
    assert "holds the servers chat" in held_notice(["chat"])
    assert held_notice(["tournament-vllm"]) == ""


def test_somebody_elses_hold_is_released_by_who_insists_only(host: PlayedHost) -> None:
    have(host, "chat", 8001)
    hold("tournament", ["tournament-vllm"], owner="me")
    host.commands.clear()
    assert release(owner="you") == []
    assert read_held() is not None
    assert not host.commands
    release()
    assert "systemctl stop llmops-tournament-vllm.service" in host.commands


def test_of_two_that_hold_at_the_same_moment_one_does(host: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    have(host, "chat", 8001)
    looked = _hold.read_held

    def meanwhile(record: Path | None = None) -> t.Any:
        found = looked(record)
        if found is None and not _hold.RECORD.exists():
            # Another one begins after this one has looked.
            _hold.RECORD.write_text('{"since": "", "purpose": "tuning", "servers": [], "guests": [], "owner": "you"}')
        return found

    monkeypatch.setattr(_hold, "read_held", meanwhile)
    with pytest.raises(HoldError, match="a tuning that began"):
        hold("tournament", [], owner="me")
    assert not [line for line in host.commands if "stop" in line]


def test_a_server_between_two_starts_is_held_too(host: PlayedHost) -> None:
    have(host, "chat", 8001)
    host.properties["ActiveState"] = "activating"
    assert hold("tournament", []) == ["chat"]


def test_a_guest_that_cannot_be_removed_keeps_nobody_from_serving(host: PlayedHost) -> None:
    with engine() as running:
        have(host, "chat", port_of(running))
        hold("tournament", ["tournament-vllm"])
        host.broken["docker rm"] = "the daemon does not answer"
        have(host, "tournament-vllm", 8002)
        with pytest.raises(HoldError, match="tournament-vllm could not be removed: docker rm"):
            release()
    assert "systemctl restart llmops-chat.service" in host.commands
    assert read_held() is not None, "so that the release can be repeated"


def test_a_record_that_cannot_be_read_says_what_to_do(host: PlayedHost) -> None:
    _hold.RECORD.write_text("{", encoding="utf-8")
    assert "remove it, and apply the inventory" in held_notice()
    with pytest.raises(HoldError, match="cannot be read"):
        hold("tournament", [])
    assert not host.commands


def test_the_module_holds_and_releases(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    with engine() as running:
        have(host, "chat", port_of(running))
        code, result, _text = run_main(server_hold, capsys, guests=["tournament-x"], _ansible_check_mode=True)
        assert (code, result["changed"], read_held()) == (0, True, None)
        code, result, _text = run_main(server_hold, capsys, guests=["tournament-x"])
        assert (code, result["held"]) == (0, ["chat"])
        code, result, _text = run_main(server_hold, capsys, state="released")
    assert (code, result["changed"], result["servers"][0]["name"]) == (0, True, "chat")
    code, result, _text = run_main(server_hold, capsys, state="released")
    assert (code, result["changed"], result["servers"]) == (0, False, [])


def test_the_module_fails_where_a_server_stays_away(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    have(host, "chat", 9)
    run_main(server_hold, capsys)
    code, result, _text = run_main(server_hold, capsys, state="released")
    assert code == 1
    assert result["msg"].startswith("not all servers serve again: chat: ")
