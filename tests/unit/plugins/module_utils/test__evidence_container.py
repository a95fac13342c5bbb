# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._evidence_container import look_at
from tests.unit.plugins.played_evidence import ID, OTHER_ID, PlayedEvidence, played_evidence

NAME = "llmops-chat"
TOP = "PID                 STAT                RSS                 COMMAND\n"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> PlayedEvidence:
    made = played_evidence(monkeypatch)
    made.container = ({"Status": "running", "Running": True, "OOMKilled": False, "Pid": 7}, 0, ID)
    made.top = TOP + "7  Ss  696  docker-init\n9  Sl  32316  llama-server\n"
    return made


def test_a_container_that_runs(host: PlayedEvidence) -> None:
    found = look_at(NAME, 0)
    assert (found.words["status"], found.words["memory_limit"], found.ids) == ("running", 0, [ID])
    assert found.words["processes"][1] == {"pid": 9, "state": "Sl", "rss": 32316 << 10, "name": "llama-server"}
    assert (found.events, found.told, found.words["last_run_s"]) == ([], [], None)
    # The arguments of a program may be an engine's key.
    (top,) = [argv for argv in host.commands if argv[1] == "top"]
    assert top[-1] == "pid,stat,rss,comm"


STANDSTILLS = [
    ("Tl", "process 9 (llama-server) is stopped by a signal (state Tl)"),
    ("D", "process 9 (llama-server) waits for a device or a disk (state D)"),
    ("tl", "process 9 (llama-server) is stopped by a debugger (state tl)"),
]


@pytest.mark.parametrize(("state", "line"), STANDSTILLS)
def test_a_process_that_does_not_go_on(host: PlayedEvidence, state: str, line: str) -> None:
    host.top = TOP + f"9  {state}  32316  llama-server\n"
    assert look_at(NAME, 0).told == [line]


def test_a_paused_container(host: PlayedEvidence) -> None:
    host.container = ({"Status": "paused", "Running": False}, 0, ID)
    assert look_at(NAME, 0).told == ["container llmops-chat is paused"]


def test_no_container_and_those_before_it(host: PlayedEvidence) -> None:
    host.container = None
    host.events = [f"100 start {OTHER_ID}  ", f"130 oom {OTHER_ID}  ", f"131 die {OTHER_ID} 137 ", "odd"]
    found = look_at(NAME, 50)
    assert (found.ids, found.words.get("status"), found.words["last_run_s"]) == ([OTHER_ID], None, 31)
    assert found.events == [
        "docker event: oom: the container ran out of memory",
        "docker event: die: exit code 137",
    ]


def test_older_events_only_say_how_long_it_ran(host: PlayedEvidence) -> None:
    host.events = [
        f"100 start {OTHER_ID}  ",
        f"200 kill {OTHER_ID}  9",
        f"200 die {OTHER_ID} 137 ",
        f"203 start {ID}  ",
    ]
    found = look_at(NAME, 203, 50)
    assert (found.events, found.ids, found.words["last_run_s"]) == ([], [ID], 100)
    (argv,) = [argv for argv in host.commands if argv[1] == "events"]
    assert argv[argv.index("--since") + 1] == "50.000000"


def test_somebody_s_kill_is_told(host: PlayedEvidence) -> None:
    host.events = [f"200 kill {ID}  9"]
    assert look_at(NAME, 50).events == ["docker event: kill: signal 9"]


def test_docker_that_does_not_answer_is_an_error(host: PlayedEvidence) -> None:
    host.broken = {"docker container inspect": "Cannot connect to the Docker daemon"}
    with pytest.raises(CommandError, match="Cannot connect"):
        look_at(NAME, 0)
