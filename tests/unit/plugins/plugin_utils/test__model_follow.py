# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An action that follows its module: which modules it runs with which arguments, and what it prints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import typing as t
from unittest import mock

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.llmops.serving.plugins.action.model import ActionModule
from ansible_collections.llmops.serving.plugins.plugin_utils import _model_follow

MODEL, JOB = "llmops.serving.model", "llmops.serving.model_job"
COUNT = {"doing": "fetch", "total": 100, "kept": 0, "done": 40, "finished": False}
PROGRESS = {"models": {"x": COUNT}, "rate": 10, "left": 6.0, "seconds": 4.0, "closed": False}
RUNNING = {"name": "j", "running": True, "progress": PROGRESS, "waits_for": None}
DONE = {**RUNNING, "running": False, "progress": {**PROGRESS, "models": {"x": {**COUNT, "done": 100}}}}
GOES_ON = {"changed": False, "job": RUNNING}
RESULT = {"changed": True, "models": {"x": {}}, "warnings": []}


class Host:
    """Answers module runs in turn; an exception among them is raised."""

    def __init__(self, *answers: t.Any) -> None:
        self.answers = list(answers)
        self.runs: list[tuple[str, dict[str, t.Any]]] = []
        self.lines: list[str] = []
        self.pauses: list[float] = []

    def execute(
        self, module_name: str, module_args: dict[str, t.Any], task_vars: t.Any, **how: bool
    ) -> dict[str, t.Any]:
        del task_vars
        self.runs.append((module_name, dict(module_args, **how)))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return dict(answer)

    def act(self, monkeypatch: pytest.MonkeyPatch, *, words: dict[str, t.Any] | None = None, **task: t.Any) -> t.Any:
        facts = {"args": words or {"models": {}}, "async_val": 0, "check_mode": False, "no_log": False, **task}
        action = ActionModule(mock.Mock(**facts), mock.Mock(has_native_async=False), *(mock.Mock() for _ in range(4)))
        monkeypatch.setattr(action, "_execute_module", self.execute)
        monkeypatch.setattr(_model_follow.Display, "display", lambda _self, line: self.lines.append(line))
        monkeypatch.setattr(_model_follow.time, "sleep", self.pauses.append)
        return action.run(task_vars={"inventory_hostname": "gpu1"})


@pytest.fixture(autouse=True)
def one_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_model_follow.uuid, "uuid4", lambda: mock.Mock(hex="j"))


def test_what_is_quick_is_one_run_of_the_module_and_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(RESULT)
    found = host.act(monkeypatch)
    assert found == RESULT
    assert host.runs == [(MODEL, {"models": {}, "job": "j"})]
    assert host.lines == []


@pytest.mark.parametrize(
    ("words", "task", "how"),
    [
        ({"models": {}}, {"check_mode": True}, {}),
        ({"models": {}, "state": "absent"}, {}, {}),
        ({"models": {}}, {"async_val": 60}, {"wrap_async": True}),
    ],
)
def test_what_is_not_followed_runs_as_any_module(
    monkeypatch: pytest.MonkeyPatch, words: dict[str, t.Any], task: dict[str, t.Any], how: dict[str, bool]
) -> None:
    host = Host(RESULT)
    host.act(monkeypatch, words=words, **task)
    assert host.runs == [(MODEL, {**words, **how})]


def test_what_takes_long_is_told_now_and_then_and_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    more = {"jobs": [RUNNING]}
    host = Host(GOES_ON, *[more] * 9, {"jobs": [DONE], "result": {**RESULT, "diff": {}}})
    found = host.act(monkeypatch)
    assert found == {"changed": True, "models": {"x": {}}, "diff": {}}
    assert host.runs[0] == (MODEL, {"models": {}, "job": "j"})
    assert [words["wait"] for _name, words in host.runs[1:]] == [5, 5, 5, 10, 10, 15, 20, 30, 30, 30]
    assert {name for name, _words in host.runs[1:]} == {JOB}
    assert host.lines[:-1] == ["  gpu1 x: 40 of 100 B, 10 B/s, 6 s left"] * 10
    assert host.lines[-1] == "  gpu1 x: 100 B in 4 s, 25 B/s"


def test_a_failure_fails_the_task_and_its_warnings_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    result = {"changed": False, "msg": "hub: down", "problems": ["hub: down"], "warnings": ["odd"]}
    host = Host(GOES_ON, {"jobs": [RUNNING], "result": result})
    found = host.act(monkeypatch)
    assert (found["failed"], found["msg"], found["warnings"]) == (True, "hub: down", ["odd"])
    assert host.lines[-1] == "  gpu1 x: failed at 40 of 100 B"


def test_a_task_that_must_not_be_logged_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(GOES_ON, {"jobs": [DONE], "result": RESULT})
    host.act(monkeypatch, no_log=True)
    assert host.lines == []


def test_a_connection_that_comes_back_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = AnsibleConnectionFailure("gone")
    host = Host(GOES_ON, lost, lost, {"jobs": [DONE], "result": RESULT})
    assert host.act(monkeypatch)["changed"] is True
    assert host.pauses == [1, 3]
    assert sum("connection lost, the fetch goes on there" in line for line in host.lines) == 2


def test_a_connection_that_is_lost_for_good_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(GOES_ON, *[AnsibleConnectionFailure("gone")] * 6)
    with pytest.raises(AnsibleConnectionFailure):
        host.act(monkeypatch)
    assert not [words for _name, words in host.runs if "state" in words]


def test_an_answer_that_was_lost_is_asked_of_the_module_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(GOES_ON, {"failed": True, "msg": "no job j"}, {**RESULT, "changed": False})
    assert host.act(monkeypatch)["changed"] is False
    assert host.runs[-1] == (MODEL, {"models": {}})


@pytest.mark.parametrize("when", [1, 2])
def test_an_error_on_the_way_stops_the_work_on_the_host(monkeypatch: pytest.MonkeyPatch, when: int) -> None:
    answers: list[t.Any] = [GOES_ON, {"jobs": [RUNNING]}][: when - 1]
    host = Host(*answers, TimeoutError("the task's own limit"), {"jobs": [RUNNING]})
    with pytest.raises(TimeoutError, match="limit"):
        host.act(monkeypatch)
    assert host.runs[-1] == (JOB, {"job": "j", "state": "stopped"})


def test_signals_mean_again_what_they_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    Host(RESULT).act(monkeypatch)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


PROGRAM = """
import os, signal, sys, time
from ansible_collections.llmops.serving.plugins.plugin_utils import _model_follow
from tests.unit.plugins.plugin_utils.test__model_follow import Host, GOES_ON
import pytest

def worker_dies(number, frame):
    print("died by", signal.Signals(number).name, flush=True)
    os._exit(7)

signal.signal(signal.SIGINT, worker_dies)
signal.signal(signal.SIGTERM, worker_dies)

class Interrupted(Host):
    def execute(self, module_name, module_args, task_vars, **how):
        if module_args.get("state") == "stopped":
            # What ends a worker comes twice, and once more while the host is being told.
            os.kill(os.getpid(), signal.SIGTERM)
            print("stopped", module_args["job"] != "", flush=True)
        elif module_args.get("wait"):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            while True:
                signal.pause()
        return super().execute(module_name, module_args, task_vars, **how)

with pytest.MonkeyPatch.context() as patch:
    Interrupted(GOES_ON, {"jobs": []}).act(patch)
"""


def test_ctrl_c_stops_the_work_on_the_host_and_then_the_worker() -> None:
    done = subprocess.run(  # noqa: S603 - the interpreter of this test
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.stdout.splitlines() == ["stopped True", "died by SIGINT"], done.stderr
    assert done.returncode == 7
