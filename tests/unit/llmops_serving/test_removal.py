# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `llmops remove` asks for, and how it tells what came of it."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
from rich.console import Console, Group

from llmops_serving.errors import UsageError
from llmops_serving.removal import add_remove_options, removal_of, removals, remove_variables
from llmops_serving.results import RunResult, parse_events

UNIT = {"kind": "unit", "name": "/etc/systemd/system/llmops-chat.service", "server": "chat", "line": "unit of chat"}
AGENT = {"kind": "folder", "name": "/usr/local/lib/llmops", "server": "", "line": "folder of the agent"}
MODEL = {"kind": "model", "name": "/m/tiny/1", "server": "", "line": "model /m/tiny/1", "bytes": 2048}
LOCK = {"kind": "lock", "name": "/run/lock/llmops-x.lock", "server": "", "line": "lock x"}
MODELS = {"kind": "models", "name": "/m", "server": "", "line": "models /m: 1 version, 2.0 KiB", "bytes": 2048}
THEIRS = {"kind": "container", "name": "llmops-x", "server": "", "line": "container llmops-x: has no label"}
CHAT = {"name": "chat", "engine": "vllm", "action": "removed", "changed": True, "ok": True, "probes": []}


def event(kind: str, module: str, **result: Any) -> dict[str, Any]:
    data = {"host": "lab1", "task": module, "resolved_action": f"llmops.serving.{module}", "res": result}
    return {"event": kind, "event_data": data}


def run(*events: dict[str, Any], check: bool = False, failures: int = 0) -> RunResult:
    stats = {"event": "playbook_on_stats", "event_data": {"failures": {"lab1": failures}, "changed": {"lab1": 1}}}
    return parse_events([*events, stats], command="remove", check=check, rc=2 if failures else 0)


def printed(result: RunResult) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(Group(*removals(result)))
    return capture.get()


REMOVED = event(
    "runner_on_ok", "purge", servers=[CHAT], removed=[UNIT, AGENT, MODEL, LOCK], notes=["image i stays for server b"],
    left=[], kept=[], foreign=[],
)  # fmt: skip
LOOKED = event("runner_on_ok", "leftovers_info", left=[], kept=[MODELS], foreign=[THEIRS], problems=[])


def test_the_later_look_counts_and_what_was_removed_is_kept() -> None:
    (host,) = run(REMOVED, LOOKED).hosts
    assert host.removal is not None
    assert [trace.line for trace in host.removal.removed] == [
        "unit of chat", "folder of the agent", "model /m/tiny/1", "lock x",
    ]  # fmt: skip
    assert [trace.line for trace in host.removal.kept] == [MODELS["line"]]
    assert [(server.name, server.action, server.ok) for server in host.servers] == [("chat", "removed", True)]
    assert host.notices == ("image i stays for server b",)


def test_people_see_what_does_not_go_without_saying() -> None:
    said = printed(run(REMOVED, LOOKED))
    assert "unit of chat" not in said
    assert "lock x" not in said
    for line in ("removed besides:", "folder of the agent", "model /m/tiny/1, 2.0 KiB", "lab1 keeps:", "llmops-x"):
        assert line in said
    assert said.rstrip().endswith("lab1 has nothing left of it")


def test_in_check_mode_nothing_was_removed() -> None:
    said = printed(run(REMOVED, LOOKED, check=True))
    assert "would be removed besides:" in said
    assert "nothing left" not in said


def test_what_is_left_fails_the_host_and_is_listed() -> None:
    left = event(
        "runner_on_failed", "leftovers_info", left=[UNIT], kept=[], foreign=[], problems=["left: unit of chat"]
    )
    result = run(REMOVED, left, failures=1)
    assert result.exit_code == 1
    assert result.hosts[0].problems == ("left: unit of chat",)
    assert "nothing left" not in printed(result)
    assert result.to_dict()["hosts"][0]["removal"]["left"] == [UNIT]


def test_a_server_that_failed_is_told_once() -> None:
    words = {"action": "failed", "changed": False, "ok": False, "failed": True, "cause": "locked", "remedy": "wait"}
    failed = event("runner_on_failed", "purge", servers=[CHAT | words], msg="server chat: locked; wait", problems=[])
    (host,) = run(failed, failures=1).hosts
    assert host.error is None
    assert host.problems == ()
    assert [(server.ok, server.cause) for server in host.servers] == [(False, "locked")]
    assert host.removal is None


def test_a_host_that_could_not_be_looked_at_has_its_reason() -> None:
    failed = event("runner_on_failed", "purge", servers=[], msg="Docker is down", problems=["Docker is down"])
    assert run(failed, failures=1).hosts[0].problems == ("Docker is down",)
    assert removal_of({"msg": "x"}) is None


def test_some_servers_or_all() -> None:
    words = {"remove_all": True, "remove_models": False, "remove_images": True, "remove_docker": False}
    assert remove_variables((), everything=True, models=False, images=True) == words
    with pytest.raises(UsageError, match=r"--all removes every server, and --server chat names one"):
        remove_variables(("chat",), everything=True, models=False, images=False)


def test_the_options_are_off_by_default() -> None:
    parser = argparse.ArgumentParser()
    add_remove_options(parser)
    assert vars(parser.parse_args([])) == dict.fromkeys(("all", "models", "images", "docker"), False)
    asked = vars(parser.parse_args(["--all", "--models", "--images", "--docker"]))
    assert asked == dict.fromkeys(("all", "models", "images", "docker"), True)


@pytest.mark.parametrize("words", [{"everything": True, "images": False}, {"everything": False, "images": True}])
def test_docker_goes_only_with_what_is_in_it(words: dict[str, bool]) -> None:
    with pytest.raises(UsageError, match=r"add --all and --images"):
        remove_variables((), models=True, docker=True, **words)
    asked = remove_variables((), everything=True, models=False, images=True, docker=True)
    assert asked["remove_docker"]
