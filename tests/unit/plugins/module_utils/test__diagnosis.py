# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _change, _diagnosis, _hold, _watch_notes
from ansible_collections.llmops.serving.plugins.module_utils._diagnosis import examine
from ansible_collections.llmops.serving.plugins.module_utils._hold import Held, HoldError
from ansible_collections.llmops.serving.plugins.module_utils._lock import server_lock
from ansible_collections.llmops.serving.plugins.module_utils._watch_notes import Notes, write_notes
from tests.unit.plugins.fake_engine import ChatParts, as_json, completion
from tests.unit.plugins.played_evidence import ID, PlayedEvidence, engine_line, played_evidence, systemd_line
from tests.unit.plugins.played_host import PlayedHost, engine, played_host, port_of

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._generations import Store

KEY = "sk-hunter2"
DOCTOR = [
    {
        "name": "odd",
        "pattern": r"odd (?P<what>\w+)",
        "cause": "the {what} is odd",
        "remedy": "set dtype",
        "source": "x.py",
    }
]
ASKED: dict[str, Any] = {
    "engine": "llama_cpp", "models": [{"name": "tiny", "task": "chat", "path": "/none"}], "readiness": "/health",
    "gate": [{"task": "chat", "model": "tiny"}], "load": {"timeout": 100}, "doctor": DOCTOR, "healthy_but": [],
}  # fmt: skip
RUNS = {"ActiveState": "active", "SubState": "running", "UnitFileState": "enabled", "InvocationID": "one"}
NO_PORT = 9


class Patient:
    """A host with one server, all of whose programs are played."""

    def __init__(self, host: PlayedHost, seen: PlayedEvidence) -> None:
        self.host = host
        self.seen = seen

    def have(self, port: int = NO_PORT, key: str | None = None, **words: Any) -> Store:
        store = self.host.have("chat", key, **{**ASKED, **words}, port=port)
        (self.host.units / "llmops-chat.service").write_text("[Unit]\n", encoding="utf-8")
        return store

    def fares(self, age: float | None = None, **words: str) -> None:
        """Say what systemd says of the unit; `age` in seconds since its program was started."""
        started = {} if age is None else {"ExecMainStartTimestampMonotonic": str(int((monotonic() - age) * 1e6))}
        self.host.properties = {**RUNS, **started, **words}
        self.seen.unit = self.host.properties


def monotonic() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Patient:
    monkeypatch.setattr(_hold, "RECORD", tmp_path / "held.json")
    monkeypatch.setattr(_watch_notes, "NOTES_DIR", tmp_path / "notes")
    monkeypatch.setattr(_diagnosis, "_READY_TIMEOUT_S", 2)
    made = Patient(played_host(tmp_path, monkeypatch), played_evidence(monkeypatch))
    made.fares()
    return made


def test_a_server_that_serves_is_well(patient: Patient) -> None:
    with engine(KEY) as running:
        patient.have(port_of(running), KEY)
        found = examine("chat")
        url = running.url
    assert (found["ok"], found["state"], found["msg"], found["url"]) == (True, "serving", "", url)
    assert [probe["ok"] for probe in found["probes"]] == [True]
    assert (found["cause"], found["rule"], found["notes"], found["generation"]) == ("", "", [], 1)


def test_nothing_is_asked_where_that_is_not_wanted(patient: Patient) -> None:
    with engine() as running:
        patient.have(port_of(running))
        found = examine("chat", gate=False)
    assert (found["ok"], found["state"], found["probes"]) == (True, "serving", [])
    assert [request.path for request in running.requests] == ["/health"]


def test_a_server_that_ended_is_diagnosed(patient: Patient) -> None:
    patient.have()
    patient.fares(ActiveState="failed", ExecMainCode="1", ExecMainStatus="1", Result="exit-code")
    patient.seen.journal = [engine_line("loading"), engine_line("E odd shape here"), engine_line("exiting due to it")]
    found = examine("chat")
    assert (found["ok"], found["state"], found["failed_check"]) == (False, "ill", "start")
    assert (found["cause"], found["remedy"]) == ("the shape is odd", "set dtype")
    assert (found["rule"], found["source"], found["line"]) == ("odd", "x.py", "E odd shape here")
    assert found["msg"] == "start: the shape is odd; set dtype"
    assert found["log"] == ["loading", "E odd shape here", "exiting due to it"]


def test_a_server_that_answers_badly_is_ill(patient: Patient) -> None:
    with engine(parts=ChatParts(plain=as_json(completion("")))) as running:
        patient.have(port_of(running))
        found = examine("chat")
    assert (found["ok"], found["state"], found["failed_check"]) == (False, "ill", "chat probe of tiny")
    assert found["cause"]
    assert [probe["ok"] for probe in found["probes"]] == [False]


def test_a_healthy_server_may_have_written_that_it_is_not(patient: Patient) -> None:
    with engine() as running:
        patient.have(port_of(running), healthy_but=[{"pattern": "no GPU", "cause": "on the CPU", "remedy": "set gpus"}])
        patient.seen.journal = [engine_line("no GPU found")]
        found = examine("chat")
    assert (found["ok"], found["failed_check"], found["cause"], found["remedy"]) == (
        False,
        "log",
        "on the CPU",
        "set gpus",
    )


LOADS = [
    # Age, restarts, how long the run before lasted, what the watchdog saw: how it fares.
    (10, 0, None, None, True, "loading"),
    (200, 0, None, None, False, "ill"),
    # It was ready before, so this is no loading.
    (10, 0, None, "one", False, "ill"),
    (10, 0, None, "of another start", True, "loading"),
    # It ran for long, was killed, and comes up again.
    (10, 1, 5000, None, True, "loading"),
    # It ends before it is ready, each time.
    (10, 1, 5, None, False, "ill"),
]


@pytest.mark.parametrize(("age", "restarts", "lasted", "ready", "ok", "state"), LOADS)
def test_loading_is_not_ill_and_a_loop_is_no_loading(  # noqa: PLR0913, PLR0917  one row of the table
    patient: Patient, age: int, restarts: int, lasted: int | None, ready: str | None, ok: bool, state: str
) -> None:
    patient.have()
    patient.fares(age, NRestarts=str(restarts))
    patient.seen.journal = [systemd_line("Main process exited, code=exited, status=1/FAILURE", at=1)] if lasted else []
    patient.seen.events = [f"1000 start {ID}  ", f"{1000 + lasted} die {ID} 1 "] if lasted else []
    if ready:
        write_notes("chat", Notes(invocation=ready, ready=True))
    found = examine("chat")
    assert (found["ok"], found["state"]) == (ok, state)


def test_a_frozen_engine_is_ill_however_young(patient: Patient) -> None:
    patient.have()
    patient.fares(10)
    patient.seen.container = ({"Status": "running", "Running": True}, 0, ID)
    patient.seen.top = "PID STAT RSS COMMAND\n9 Tl 696 llama-server\n"
    found = examine("chat")
    assert (found["ok"], found["state"], found["failed_check"]) == (False, "ill", "wait")
    assert found["cause"] == "it does not answer: process 9 (llama-server) is stopped by a signal (state Tl)"
    assert "systemctl restart llmops-chat.service" in found["remedy"]


def test_a_stopped_server_was_stopped_by_somebody(patient: Patient) -> None:
    patient.have()
    patient.fares(ActiveState="inactive", SubState="dead", Result="success", UnitFileState="disabled")
    found = examine("chat")
    assert (found["ok"], found["state"]) == (False, "stopped")
    assert found["cause"] == "its unit llmops-chat.service is stopped; it is not enabled either"
    assert found["remedy"].startswith("start it: systemctl start llmops-chat.service")


def test_a_unit_that_is_gone(patient: Patient) -> None:
    patient.have()
    (patient.host.units / "llmops-chat.service").unlink()
    patient.fares(ActiveState="inactive", LoadState="not-found")
    found = examine("chat")
    assert (found["ok"], found["failed_check"]) == (False, "unit")
    assert found["cause"].endswith("llmops-chat.service is gone")


@pytest.mark.parametrize(("wanted", "remedy"), [(True, "apply the inventory"), (False, "correct the name")])
def test_a_server_that_is_not_there(patient: Patient, wanted: bool, remedy: str) -> None:
    patient.fares(ActiveState="inactive")
    patient.seen.journal = [engine_line(f"error: args api_key={KEY}"), systemd_line("Failed")]
    found = examine("chat", wanted=wanted)
    assert (found["ok"], found["state"], found["generation"]) == (False, "absent", None)
    assert found["cause"].startswith("server chat is not on this host; what it said when it was is in journalctl")
    # Its keys are gone with it, so nobody knows what to cover.
    assert KEY not in str(found)
    assert found["remedy"].startswith(remedy)


def test_a_server_that_is_being_changed_is_left_alone(patient: Patient) -> None:
    patient.have()
    with server_lock("chat", what="changing"):
        found = examine("chat")
    assert (found["ok"], found["state"]) == (True, "changing")
    assert "is changing it since" in found["cause"]
    assert found["lock"]["pid"]


def test_a_change_that_was_cut_off(patient: Patient) -> None:
    patient.have()
    _change.begin("chat", 1, 2, "starting it")
    found = examine("chat")
    assert (found["ok"], found["state"], found["failed_check"]) == (False, "cut off", "change")
    assert "a change to generation 2" in found["cause"]
    assert "(starting it)" in found["cause"]
    assert (found["change"]["before"], found["change"]["to"]) == (1, 2)


def test_a_held_server_is_told_by_whom(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    patient.have()
    patient.fares(ActiveState="inactive", SubState="dead")
    monkeypatch.setattr(_diagnosis, "read_held", lambda: Held("20:00", "tournament", ["chat"], [], "me"))
    monkeypatch.setattr(_diagnosis, "held_notice", lambda: "a tournament holds it: --restore")
    found = examine("chat")
    assert (found["ok"], found["state"], found["cause"]) == (False, "held", "a tournament holds it: --restore")

    def unreadable() -> Held:
        raise HoldError("held.json cannot be read")

    monkeypatch.setattr(_diagnosis, "read_held", unreadable)
    assert examine("chat")["cause"] == "held.json cannot be read"


def test_a_failed_generation_that_is_kept_is_told(patient: Patient) -> None:
    with engine() as running:
        store = patient.have(port_of(running))
        second = patient.host.have("chat", current=False, **ASKED, port=port_of(running)).read(2)
        assert second
        store.record(second._replace(failed={"check": "start", "cause": "no room", "remedy": "r", "at": "now"}))
        found = examine("chat")
    assert (found["ok"], found["generation"]) == (True, 1)
    (failed,) = found["failed_generations"]
    assert (failed["number"], failed["cause"]) == (2, "no room")
    assert found["notes"] == ["generation 2 failed and is kept: start: no room"]


def test_a_first_one_that_failed_and_is_kept_has_its_rules(patient: Patient) -> None:
    patient.host.have("chat", current=False, **ASKED)
    (patient.host.units / "llmops-chat.service").write_text("[Unit]\n", encoding="utf-8")
    patient.fares(ActiveState="failed", ExecMainCode="1", ExecMainStatus="1", Result="exit-code")
    patient.seen.journal = [engine_line("E odd shape")]
    found = examine("chat")
    assert (found["cause"], found["generation"], found["engine"]) == ("the shape is odd", None, "llama_cpp")


def test_no_key_is_in_what_is_told(patient: Patient) -> None:
    patient.have(key=KEY)
    patient.fares(ActiveState="failed", ExecMainCode="1", ExecMainStatus="1", Result="exit-code")
    patient.seen.journal = [engine_line(f"error: args api_key={KEY}")]
    folder = patient.host.state_dir / "chat" / "evidence"
    folder.mkdir()
    (folder / "20261128T200000Z.json").write_text(f'{{"seen": "{KEY}", "log": ["{KEY}"]}}', encoding="utf-8")
    found = examine("chat")
    assert KEY not in str(found)
    assert found["cause"] == "error: args api_key=[hidden]"
    assert found["watchdog"][0]["seen"] == "[hidden]"
