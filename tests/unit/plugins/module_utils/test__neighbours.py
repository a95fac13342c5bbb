# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers beside the one that is changed: systemd and Docker are played, the engines are real HTTP servers."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._lock import server_lock
from ansible_collections.llmops.serving.plugins.module_utils._neighbours import endangered, look_after
from ansible_collections.llmops.serving.plugins.modules import server
from tests.unit.plugins.played_host import OWNER, PlayedHost, engine, played_host, port_of, run_main

if TYPE_CHECKING:
    from pathlib import Path

HOOK = '[Service]\nExecStart=/usr/bin/docker run --rm --gpus "\\"device=0\\"" @IMAGE@\n'
CDI = "[Service]\nExecStart=/usr/bin/docker run --rm --device nvidia.com/gpu=0 @IMAGE@\n"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    monkeypatch.setattr(signal, "signal", lambda _number, _action: None)
    made = played_host(tmp_path / "host", monkeypatch)
    made.images = {"img:1": "img@sha256:1"}
    made.properties = {"ActiveState": "active", "SubState": "running", "UnitFileState": "enabled"}
    return made


def have(host: PlayedHost, name: str, port: int, unit: str) -> None:
    gate = [{"task": "chat", "model": "tiny"}]
    words: dict[str, Any] = {"readiness": "/health", "load": {"timeout": 2}, "doctor": [], "engine": "vllm"}
    host.have(name, unit=unit, port=port, gate=gate, **words)


def test_only_servers_of_the_hook_are_endangered(host: PlayedHost) -> None:
    have(host, "legacy", 8001, HOOK)
    have(host, "changed", 8002, HOOK)
    have(host, "modern", 8003, CDI)
    assert endangered(besides="changed") == ["legacy"]
    assert endangered() == ["changed", "legacy"]
    host.properties = {"ActiveState": "inactive", "SubState": "dead"}
    assert endangered() == [], "what does not run loses nothing"


def test_a_neighbour_that_still_answers_is_left_alone(host: PlayedHost) -> None:
    with engine() as running:
        have(host, "legacy", port_of(running), HOOK)
        host.commands.clear()
        assert look_after(["legacy"]) == [{"name": "legacy", "action": "unchanged", "cause": ""}]
    assert not [line for line in host.commands if "restart" in line]


def test_a_neighbour_that_lost_its_gpus_is_started_anew(host: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    with engine() as running:
        have(host, "legacy", port_of(running), HOOK)
        good = running.routes["POST /v1/chat/completions"]
        running.routes["POST /v1/chat/completions"] = running.routes["GET /health"]  # no chat completion
        play = host._play

        def play_and_mend(argv: list[str]) -> tuple[int, str]:
            if argv[:2] == ["systemctl", "restart"]:
                running.routes["POST /v1/chat/completions"] = good
            return play(argv)

        monkeypatch.setattr(host, "_play", play_and_mend)
        assert look_after(["legacy"]) == [{"name": "legacy", "action": "restarted", "cause": ""}]


def test_a_neighbour_that_does_not_come_back_is_told(host: PlayedHost) -> None:
    with engine() as running:
        have(host, "legacy", port_of(running), HOOK)
        running.routes["POST /v1/chat/completions"] = running.routes["GET /health"]
        (found,) = look_after(["legacy"])
    assert found["action"] == "failed"
    assert "chat probe of tiny" in found["cause"]


def test_a_neighbour_that_somebody_else_changes_is_left_to_them(host: PlayedHost) -> None:
    have(host, "legacy", 8001, HOOK)
    with server_lock("legacy"):
        assert look_after(["legacy", "gone"]) == [
            {"name": "legacy", "action": "skipped", "cause": ""},
            {"name": "gone", "action": "skipped", "cause": ""},
        ]


@pytest.mark.parametrize("broken", [False, True])
def test_a_change_looks_after_its_neighbours(
    host: PlayedHost, tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: bool
) -> None:
    (tmp_path / "model").mkdir()
    with engine() as mine, engine() as other:
        have(host, "legacy", port_of(other), HOOK)
        if broken:
            other.routes["POST /v1/chat/completions"] = other.routes["GET /health"]
        words = {
            "name": "chat", "engine": "vllm", "unit": CDI, "image": "img:1", "port": port_of(mine),
            "models": [{"name": "tiny", "task": "chat", "path": str(tmp_path / "model")}],
            "user": "{}:{}".format(*OWNER), "gate": [{"task": "chat", "model": "tiny"}], "load": {"timeout": 5},
        }  # fmt: skip
        status, result, _text = run_main(server, capsys, **words)
        assert [entry["name"] for entry in result["neighbours"]] == ["legacy"]
        if broken:
            assert (status, result["failed_check"]) == (1, "neighbour legacy")
            assert "nvidia_container_toolkit_way" in result["remedy"]
        else:
            assert (status, result["neighbours"][0]["action"]) == (0, "unchanged")
        # A run that changes nothing reloads nothing, so there is nothing to look after.
        status, result, _text = run_main(server, capsys, **words)
        assert (status, result["action"], result["neighbours"]) == (0, "unchanged", [])


def test_a_neighbour_is_started_anew_without_a_further_reload(host: PlayedHost) -> None:
    with engine() as running:
        have(host, "legacy", port_of(running), HOOK)
        (host.units / "llmops-legacy.service").write_text(
            (host.state_dir / "legacy/0001/unit").read_text(encoding="utf-8"), encoding="utf-8"
        )
        host.properties |= {"NeedDaemonReload": "no", "LoadState": "loaded"}
        running.routes["POST /v1/chat/completions"] = running.routes["GET /health"]
        host.commands.clear()
        look_after(["legacy"])
    verbs = [line.split()[1] for line in host.commands if line.startswith("systemctl")]
    assert "restart" in verbs
    # It would take the GPUs of those that were looked after before.
    assert not {"daemon-reload", "enable"} & set(verbs)
