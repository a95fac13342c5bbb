# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs and what was locked, read from what modules returned."""

from __future__ import annotations

import typing as t

import pytest

from llmops_serving.drift import Difference, LockWritten, differences_of, lock_of
from llmops_serving.results import RunResult, Step, parse_events

LOOKED = [{"about": "model", "name": "m", "what": "x.gguf: its bytes are not those that were fetched"}]


def step(name: str, action: str, status: str = "changed") -> Step:
    return Step("box", name, action, status)


def test_servers_and_what_was_looked_at_and_what_tasks_would_do_are_told() -> None:
    steps = [
        step("Write daemon.json", "ansible.builtin.copy"),
        step("Serve", "llmops.serving.server"),
        step("Fetch", "llmops.serving.model"),
        step("Look", "llmops.serving.preflight", "ok"),
    ]
    servers = [{"name": "chat", "changed": True, "differs": ["options: -1 +2"]}]
    assert differences_of(servers, LOOKED, steps) == (
        Difference("server", "chat", "options: -1 +2"),
        Difference(**LOOKED[0]),
        Difference("task", "Write daemon.json", "would change the host"),
    )


def test_where_nobody_looked_nothing_is_known() -> None:
    assert differences_of([{"name": "chat", "changed": True}], None, []) == ()


def event(action: str, res: dict[str, t.Any], kind: str = "runner_on_ok") -> dict[str, t.Any]:
    data = {"host": "box", "task": "t", "task_uuid": action, "resolved_action": f"llmops.serving.{action}", "res": res}
    return {"event": kind, "event_data": data}


def run(command: str, *events: dict[str, t.Any], check: bool = True) -> RunResult:
    stats = {"event": "playbook_on_stats", "event_data": {"ok": {"box": 1}}}
    return parse_events([*events, stats], command=command, check=check)


@pytest.mark.parametrize(("command", "looked", "code"), [("drift", LOOKED, 3), ("drift", [], 0), ("plan", LOOKED, 0)])
def test_a_difference_is_exit_code_3_of_drift_alone(command: str, looked: list[dict[str, str]], code: int) -> None:
    result = run(command, event("drift_info", {"differs": looked}))
    assert result.exit_code == code
    assert result.to_dict()["hosts"][0]["differs"] == looked


def test_without_check_mode_the_document_says_nothing_of_differences() -> None:
    result = run("apply", event("drift_info", {"differs": LOOKED}), check=False)
    assert "differs" not in result.to_dict()["hosts"][0]


WRITTEN = {"path": "/l", "changed": True, "lines": ["image a: b"], "images": 1, "models": 2, "hosts": 3, "diff": {}}


def test_a_lock_file_is_told() -> None:
    result = run("lock", event("lock_file", WRITTEN), check=False)
    assert result.hosts[0].locks == (LockWritten("/l", True, ("image a: b",), 1, 2, 3),)
    assert result.to_dict()["hosts"][0]["locks"] == [{word: WRITTEN[word] for word in WRITTEN if word != "diff"}]


def test_a_lock_file_that_could_not_be_written_is_none() -> None:
    assert lock_of({"failed": True, "path": "/l", "msg": "no space"}) is None


def test_what_answers_is_worth_more_than_what_was_compared() -> None:
    compared = {"name": "chat", "changed": False, "action": "unchanged", "probes": [], "differs": []}
    answered = {"name": "chat", "ok": True, "probes": [{"probe": "chat", "ok": True}]}
    result = run("lock", event("server", compared), event("server_info", {"servers": [answered]}), check=False)
    assert [probe.probe for probe in result.probes] == ["chat"]
