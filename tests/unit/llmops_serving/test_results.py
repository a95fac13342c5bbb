# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events of real runs of ansible-playbook become results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmops_serving.results import (
    RunResult,
    error_lines,
    message_of,
    own_words,
    parse_events,
    probe_of,
    problems_of,
    server_of,
    step_of,
)

FIXTURES = Path(__file__).parent / "fixtures"


def recorded(name: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads((FIXTURES / f"{name}.json").read_text())
    return events


def event(kind: str, host: str = "lab1", action: str = "llmops.serving.server", **data: object) -> dict[str, Any]:
    task = {"task": "Run", "task_uuid": "t1", "resolved_action": action, "task_action": action}
    return {"event": kind, "event_data": {"host": host, **task, **data}}


def stats(**counts: dict[str, int]) -> dict[str, Any]:
    return {"event": "playbook_on_stats", "event_data": {"failures": {}, "dark": {}, "changed": {}, **counts}}


def test_a_recorded_apply_with_a_good_a_failed_an_unreachable_and_a_refused_host() -> None:
    result = parse_events(recorded("apply_mixed"), command="apply", rc=2)

    assert (result.ok, result.changed, result.exit_code) == (False, True, 1)
    assert [host.name for host in result.hosts] == ["lab1", "lab2", "lab3"]
    good, unreachable, refused = result.hosts
    chat, embed = good.servers
    assert (chat.name, chat.ok, chat.engine, chat.action, chat.changed) == ("chat", True, "llama_cpp", "created", True)
    assert (chat.url, chat.models, chat.seconds["total"]) == ("http://127.0.0.1:8001/v1", ("tiny-chat",), 4.25)
    assert chat.probes[0].sample == "The capital of France is Paris."
    assert chat.probes[0].checks[0].detail == "7 words"
    assert (embed.ok, embed.failed_check, embed.rolled_back) == (False, "embedding.constant", True)
    assert (embed.cause, embed.remedy) == ("all vectors are equal", "pick another model in serving_models")
    assert embed.log == "line one\nline two"
    assert good.error is None, "the failure is told with its server, once"
    assert good.models["tiny-chat"].size == 3000000
    assert [(step.label, step.status) for step in good.steps[-2:]] == [
        ("Run the servers (chat)", "changed"),
        ("Run the servers (embed)", "failed"),
    ]
    assert unreachable.unreachable
    assert unreachable.error
    assert unreachable.error.startswith("Failed to connect to the host via ssh")
    assert len(refused.problems) == 2
    assert refused.problems[0].startswith("serving_servers['chat'].port: 8001 is taken")
    assert (refused.ok, refused.changed, refused.error) == (False, False, None)


def test_a_recorded_verify_in_which_a_probe_fails() -> None:
    result = parse_events(recorded("verify"), command="verify")

    assert (result.ok, result.exit_code) == (False, 1)
    assert [(server.name, server.ok, server.state) for server in result.servers] == [
        ("chat", True, "active"),
        ("embed", False, "active"),
    ]


def test_the_json_document_says_what_the_modules_said_and_no_secret() -> None:
    result = parse_events(recorded("apply_mixed"), command="apply", rc=2)
    document = json.loads(json.dumps(result.to_dict()))

    assert "sk-very-secret" in json.dumps(recorded("apply_mixed")), "the events do hold the secret"
    assert "sk-very-secret" not in json.dumps(document)
    assert set(document) == {
        *("version", "command", "ok", "changed", "check", "interrupted", "seconds", "errors", "hosts")
    }
    host = document["hosts"][0]
    assert set(host) == {
        *(
            "name",
            "ok",
            "changed",
            "unreachable",
            "servers",
            "models",
            "problems",
            "notices",
            "fits",
            "reports",
            "error",
        )
    }
    assert host["servers"][0]["probes"][0]["checks"] == [{"name": "text", "ok": True, "detail": "7 words"}]
    assert "invocation" not in host["servers"][0]


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"ok": True}, 0),
        ({"ok": True, "changed": True}, 0),
        ({"ok": True, "changed": True, "check": True}, 3),
        ({"ok": True, "check": True}, 0),
        ({"ok": False, "changed": True, "check": True}, 1),
        ({"ok": False, "interrupted": True}, 130),
    ],
)
def test_exit_codes(facts: dict[str, bool], code: int) -> None:
    assert RunResult("apply", **facts).exit_code == code


def test_a_rescued_failure_fails_nothing() -> None:
    failed = event("runner_on_failed", action="ansible.builtin.command", res={"msg": "no"})
    result = parse_events([failed, stats(rescued={"lab1": 1})], command="apply")

    assert result.ok
    assert result.hosts[0].error is None


def test_an_ignored_failure_of_a_server_fails_the_server() -> None:
    failed = event("runner_on_failed", res={"name": "chat", "msg": "no"}, ignore_errors=True)

    assert not parse_events([failed, stats()], command="apply").ok


def test_without_statistics_the_steps_say_what_happened() -> None:
    events = [
        event("runner_on_ok", res={"name": "chat", "changed": True}),
        event("runner_on_failed", action="ansible.builtin.apt", res={"msg": "no space left"}),
    ]
    result = parse_events(events, command="apply", interrupted=True)

    assert (result.ok, result.changed, result.exit_code) == (False, True, 130)
    assert result.hosts[0].error == "Run: no space left"


def test_a_server_that_failed_before_its_module_ran_goes_by_its_label() -> None:
    result = {"msg": "Task failed: 'x' is undefined", "_ansible_item_label": "chat", "ansible_loop_var": "engine_name"}
    run = parse_events([event("runner_item_on_failed", res=result), stats(failures={"lab1": 1})], command="apply", rc=2)

    assert [(server.name, server.ok) for server in run.servers] == [("chat", False)]


def test_what_an_apply_did_is_kept_when_a_look_follows() -> None:
    seen = event("runner_on_ok", action="llmops.serving.server_info", res={"servers": [{"name": "chat"}]})
    run = parse_events(
        [event("runner_on_ok", res={"name": "chat", "action": "created"}), seen, stats()], command="apply"
    )

    assert [server.action for server in run.servers] == ["created"]


def test_hosts_are_sorted_as_people_count() -> None:
    events = [event("runner_on_ok", host=name, res={"name": "chat"}) for name in ("lab10", "lab2", "a", "3")]

    assert [host.name for host in parse_events(events, command="apply").hosts] == ["3", "a", "lab2", "lab10"]


def test_a_failure_without_a_reason_is_still_a_failure() -> None:
    result = parse_events([], command="apply", rc=250)

    assert not result.ok
    assert "exit code 250" in result.errors[0]


@pytest.mark.parametrize(
    ("lines", "errors"),
    [
        (["[WARNING]: odd"], []),
        (["[ERROR]: the playbook: x could not be found"], ["the playbook: x could not be found"]),
        (["ERROR! old style"], ["old style"]),
        (
            ["[ERROR]: unexpected parameter", "Origin: /site/x.yml:3:6", "", "1 - hosts: all", "[ERROR]: second"],
            ["unexpected parameter (/site/x.yml:3:6)", "second"],
        ),
        (["[ERROR]: one", "[ERROR]: two"], ["one", "two"]),
    ],
)
def test_error_lines(lines: list[str], errors: list[str]) -> None:
    assert list(error_lines(lines)) == errors


@pytest.mark.parametrize(
    ("result", "problems"),
    [
        ({"msg": "plain"}, []),
        ({"msg": ["a: b", "c: d"]}, ["a: b", "c: d"]),
        ({"msg": "2 problems", "problems": ["a: b", "c: d"]}, ["a: b", "c: d"]),
        ({}, []),
    ],
)
def test_problems(result: dict[str, object], problems: list[str]) -> None:
    assert problems_of(result) == problems


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"msg": "boom"}, "boom"),
        ({"msg": "Task failed: Module failed: boom"}, "boom"),
        ({"msg": ["a", "b"]}, "a; b"),
        ({"msg": "non-zero return code", "stderr": "x\nE: no space"}, "non-zero return code: E: no space"),
        ({"msg": "MODULE FAILURE", "module_stderr": "Traceback\nKeyError: 'x'\n"}, "MODULE FAILURE: KeyError: 'x'"),
        ({"censored": "hidden"}, "hidden"),
        ({}, "failed without a message"),
    ],
)
def test_messages(result: dict[str, object], message: str) -> None:
    assert message_of(result) == message


def test_a_loop_over_dicts_without_a_label_shows_no_secret() -> None:
    item = {"name": "chat", "api_key": "sk-very-secret"}
    step = step_of("runner_item_on_ok", {"host": "h", "task": "Run", "res": {"_ansible_item_label": item}})

    assert step.label == "Run (chat)"
    assert own_words({"item": item, "serving": item, "ansible_loop_var": "serving", "name": "chat"}) == {"name": "chat"}


@pytest.mark.parametrize(
    "result", [{}, {"probes": None, "models": None, "seconds": None}, {"models": "one", "log": ["a"]}]
)
def test_odd_answers_are_read_without_a_crash(result: dict[str, object]) -> None:
    server = server_of("h", result, failed=True, name="chat")

    assert (server.name, server.ok) == ("chat", False)
    assert probe_of({"latency_ms": None, "checks": None}).latency_ms is None


def test_what_the_preflight_said_of_memory() -> None:
    entry = {"server": "chat", "verdict": "fits with", "where": "GPU 0", "line": "1 + 2", "remedy": "set x", "need": 3}
    look = {"host": "lab1", "task": "Look", "task_action": "llmops.serving.preflight"}
    events = [
        {"event": "runner_on_ok", "event_data": {**look, "res": {"notices": ["old"], "fits": []}}},
        {"event": "runner_on_ok", "event_data": {**look, "res": {"notices": ["old"], "fits": [entry]}}},
    ]
    result = parse_events(events, command="plan", check=True)

    assert [(fit.server, fit.verdict, fit.line, fit.remedy) for fit in result.hosts[0].fits] == [
        ("chat", "fits with", "1 + 2", "set x")
    ]
    assert result.hosts[0].notices == ("old",), "the second look repeats what the first one said"
    assert result.to_dict()["hosts"][0]["fits"] == [entry]
