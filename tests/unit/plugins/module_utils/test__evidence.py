# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _evidence, _generations
from ansible_collections.llmops.serving.plugins.module_utils._evidence import collect, last_starts
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit
from tests.unit.plugins.played_evidence import (
    ID,
    PlayedEvidence,
    engine_line,
    played_evidence,
    systemd_line,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._hide import Veil

KEY = "sk-hunter2"
FAILED = {
    "LoadState": "loaded", "ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainCode": "1",
    "ExecMainStatus": "1", "NRestarts": "3", "UnitFileState": "enabled", "NeedDaemonReload": "no",
    "ExecMainStartTimestampMonotonic": "1000000", "StateChangeTimestampMonotonic": "0", "InvocationID": "one",
}  # fmt: skip


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedEvidence:
    monkeypatch.setattr(_generations, "STATE_DIR", tmp_path)
    folder = tmp_path / "chat" / "0001"
    folder.mkdir(parents=True)
    (folder / "client-key").write_text(KEY, encoding="utf-8")
    made = played_evidence(monkeypatch)
    made.unit = dict(FAILED)
    return made


def test_lines_stand_in_the_order_in_which_they_are_matched(host: PlayedEvidence) -> None:
    host.journal = [systemd_line("Main process exited, code=exited, status=1/FAILURE"), engine_line("ValueError: odd")]
    host.kernel = ["NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus."]
    host.dockerd = ['level=error msg="no" container=llmops-chat']
    host.events = [f"{int(time.time())} die {ID} 1 "]
    found = collect(Unit("chat"), time.time() - 60)
    assert found.lines() == [
        "ValueError: odd",
        "kernel: NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.",
        "docker event: die: exit code 1",
        'dockerd: level=error msg="no" container=llmops-chat',
        "systemd: Main process exited, code=exited, status=1/FAILURE",
        "exit code 1: failed",
    ]
    assert found.unread == []


def test_a_unit_in_words(host: PlayedEvidence) -> None:
    host.unit["NeedDaemonReload"] = "yes"
    unit = collect(Unit("chat"), 0).unit
    assert (unit["active"], unit["result"], unit["exit_code"], unit["restarts"]) == ("failed", "exit-code", 1, 3)
    assert (unit["enabled"], unit["stale"], unit["changed"]) == ("enabled", True, "")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", unit["started"])


EXITS = [
    # A program that runs has no end; the one before it had.
    ("0", "0", [], None, []),
    ("0", "0", ["Main process exited, code=exited, status=137/n/a"], 137, ["exit code 137: killed (SIGKILL)"]),
    ("0", "0", ["Main process exited, code=killed, status=9/KILL"], 137, ["exit code 137: killed (SIGKILL)"]),
    ("1", "125", [], 125, ["exit code 125: docker could not start the container"]),
    ("1", "0", [], 0, ["exit code 0: ended by itself"]),
    ("1", "132", [], 132, ["exit code 132: the processor lacks an instruction that the engine uses (SIGILL)"]),
    ("3", "11", [], 139, ["exit code 139: crashed (SIGSEGV)"]),
    ("1", "3", ["Main process exited, code=exited, status=1/FAILURE"], 3, ["exit code 3: failed"]),
]


@pytest.mark.parametrize(("code", "status", "said", "exit_code", "told"), EXITS)
def test_how_it_ended(  # noqa: PLR0913, PLR0917  one row of the table
    host: PlayedEvidence, code: str, status: str, said: list[str], exit_code: int | None, told: list[str]
) -> None:
    host.unit.update(ExecMainCode=code, ExecMainStatus=status)
    host.journal = [systemd_line(line) for line in said]
    found = collect(Unit("chat"), 0)
    assert (found.unit["exit_code"], found.told) == (exit_code, told)


def test_no_secret_is_in_any_word(host: PlayedEvidence) -> None:
    said = f"api_key='{KEY}'"
    host.journal = [engine_line("x" * 995 + KEY), engine_line(said), systemd_line(said)]
    host.kernel = ["NVRM: " + said]
    host.dockerd = ["level=fatal " + said]
    host.broken = {"docker container": said}
    found = collect(Unit("chat"), 0)
    text = json.dumps([found.to_dict(), found.lines()])
    assert KEY not in text
    # Nor a part of one that a cut would leave.
    assert "sk-" not in text
    assert "api_key='[hidden]'" in text


def test_without_knowing_the_secrets_no_line_is_shown(host: PlayedEvidence, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> Veil:
        raise OSError("no such disk")

    monkeypatch.setattr(_evidence, "veil_of_host", fails)
    host.journal = [engine_line("a line")]
    found = collect(Unit("chat"), 0)
    assert found.lines() == []
    assert found.unread == ["the secrets cannot be read: no such disk"]


BROKEN = [
    ("systemctl", "the unit"),
    ("journalctl", "the journal"),
    ("docker", "Docker"),
]


@pytest.mark.parametrize(("command", "what"), BROKEN)
def test_what_cannot_be_read_is_a_word_and_the_rest_is_there(host: PlayedEvidence, command: str, what: str) -> None:
    host.broken = {command: "does not answer"}
    found = collect(Unit("chat"), 0)
    assert [line for line in found.unread if line.startswith(f"{what} cannot be read: {command}")]
    assert found.memory["total"] > found.memory["available"] > 0
    assert found.disks


def test_nothing_at_all_can_be_read(host: PlayedEvidence, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    host.broken = {"": "does not answer"}
    monkeypatch.setattr(_evidence, "MEMINFO", tmp_path / "none")
    monkeypatch.setattr(_evidence, "PLACES", ())
    found = collect(Unit("chat"), 0)
    assert (found.unit, found.log, found.memory, found.disks) == ({}, [], {}, [])
    assert len(found.unread) == 6
    assert json.dumps(found.to_dict())


def test_a_rule_can_know_that_docker_is_down(host: PlayedEvidence) -> None:
    host.broken = {"docker": "Cannot connect to the Docker daemon"}
    assert any("Cannot connect to the Docker daemon" in line for line in collect(Unit("chat"), 0).lines())


def test_a_full_disk_is_told(host: PlayedEvidence, monkeypatch: pytest.MonkeyPatch) -> None:
    host.unit["ExecMainCode"] = "0"
    monkeypatch.setattr(_evidence, "PLACES", ("/", "/no/such/place"))
    monkeypatch.setattr(_evidence, "_FULL", 1 << 80)
    found = collect(Unit("chat"), 0)
    assert [disk["path"] for disk in found.disks] == ["/"]
    (line,) = found.told
    assert re.fullmatch(r"no space left on /: [\d.]+ of [\d.]+ GiB are free", line)


def test_of_the_last_starts_also_docker_and_kernel(host: PlayedEvidence) -> None:
    now = time.time()
    host.journal = [engine_line("first", "a", now - 500), engine_line("second", "b", now - 100)]
    host.events = [f"{int(now) - 300} die {ID} 1 ", f"{int(now) - 50} die {ID} 3 "]
    found = collect(Unit("chat"), 0, starts=1)
    assert (found.log, found.docker) == (["second"], ["docker event: die: exit code 3"])
    (kernel,) = [argv for argv in host.commands if "_TRANSPORT=kernel" in argv]
    assert kernel[kernel.index("--since") + 1] == f"@{int(now - 100)}"


@pytest.mark.parametrize(
    ("active", "restarts", "starts"), [("active", 0, 1), ("active", 1, 2), ("failed", 0, 2), ("activating", 0, 2)]
)
def test_how_many_starts_tell(active: str, restarts: int, starts: int) -> None:
    assert last_starts(active, restarts) == starts


def test_to_dict_keeps_the_last_lines(host: PlayedEvidence) -> None:
    host.journal = [engine_line(str(number)) for number in range(9)]
    found = collect(Unit("chat"), 0)
    assert found.to_dict(2)["log"] == ["7", "8"]
    assert found.to_dict(0)["log"] == []
