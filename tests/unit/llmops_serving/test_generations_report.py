# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people get to read about generations, rollbacks, failed changes and waves."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from llmops_serving.generations_result import history_of
from llmops_serving.report import render
from llmops_serving.results import HostResult, RunResult, Step, parse_events
from llmops_serving.waves import Waves

FAILED = {"check": "wait", "cause": "out of memory", "remedy": "less", "at": "2026-01-31T12:00:00Z"}
ONE: dict[str, Any] = {
    "number": 1,
    "current": False,
    "state": "kept",
    "made": "2026-01-29T11:59:00Z",
    "gated": "2026-01-29T12:00:00Z",
    "failed": None,
    "engine": "llama_cpp",
    "image": "ghcr.io/x@sha256:0123456789abcdef",
    "image_name": "ghcr.io/x:1",
    "models": [{"name": "tiny", "version": "aaaaaaaaaaaa"}],
    "changes": [],
    "missing": ["model tiny is not there"],
}
TWO = {
    **ONE,
    "number": 2,
    "state": "current",
    "gated": "2026-01-30T12:00:00Z",
    "changes": ["option --ctx-size: 512, was 1024"],
    "missing": [],
}
THREE = {**ONE, "number": 3, "state": "failed", "gated": None, "failed": FAILED, "missing": []}
CHAT = {"name": "chat", "current": 2, "generations": [ONE, TWO, THREE], "pending": None}
CUT = {"since": "2026-01-31 12:00:00 +0000", "before": 2, "to": 4, "step": "starting"}


def text(result: RunResult, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(render(result))
    printed: str = console.file.getvalue()  # type: ignore[attr-defined] # the file is the StringIO above
    assert max(map(len, printed.splitlines())) <= width
    return "\n".join(line.rstrip() for line in printed.splitlines())


def event(module: str, kind: str = "ok", **result: Any) -> dict[str, Any]:
    action = f"llmops.serving.{module}"
    data = {"host": "gpu1", "task": "Do", "task_action": action, "resolved_action": action, "res": result}
    return {"event": f"runner_on_{kind}", "event_data": data}


def test_a_history_begins_with_the_newest() -> None:
    result = parse_events([event("server_history_info", servers=[CHAT])], command="history")
    assert text(result).splitlines() == [
        "host  server  generation  good since (UTC)     what it runs, and what it changed",
        "gpu1  chat    3  failed   -                    llama_cpp, tiny aaaaaaaaaaaa",
        "                                               ghcr.io/x:1 (sha256:0123456789ab)",
        "                                               wait: out of memory",
        "              2  current  2026-01-30 12:00:00  llama_cpp, tiny aaaaaaaaaaaa",
        "                                               ghcr.io/x:1 (sha256:0123456789ab)",
        "                                               option --ctx-size: 512, was 1024",
        "              1  kept     2026-01-29 12:00:00  llama_cpp, tiny aaaaaaaaaaaa",
        "                                               ghcr.io/x:1 (sha256:0123456789ab)",
        "                                               model tiny is not there",
        "",
        "done: 1 host, 1 server, 3 generations, no changes, 0.0 s",
    ]
    assert result.to_dict()["hosts"][0]["histories"] == [CHAT]


def test_a_change_that_was_cut_off_is_told() -> None:
    result = parse_events([event("server_history_info", servers=[{**CHAT, "pending": CUT}])], command="history")
    assert "a change to generation 4 that began at 2026-01-31 12:00:00" in " ".join(text(result).split())
    assert history_of({**CHAT, "pending": CUT}).pending.endswith("(starting)")


def test_a_host_without_servers_says_so() -> None:
    result = parse_events([event("server_history_info", servers=[])], command="history")
    assert text(result).splitlines() == [
        "gpu1: no servers",
        "",
        "done: 1 host, 0 servers, 0 generations, no changes, 0.0 s",
    ]


BACK = {
    "name": "chat",
    "engine": "llama_cpp",
    "url": "http://127.0.0.1:8001/v1",
    "action": "rolled_back",
    "changed": True,
    "generation": 1,
    "from_generation": 2,
    "changes": ["option --ctx-size: 1024, was 512"],
    "seconds": {"away": 2.25, "total": 3.0},
}


def test_a_rollback_says_where_it_went_and_for_how_long_nothing_answered() -> None:
    said = " ".join(text(parse_events([event("server_rollback", **BACK)], command="rollback")).split())
    assert "http://127.0.0.1:8001/v1 rolled back away 2.2 s" in said
    assert "generation 1, after 2 option --ctx-size: 1024, was 512" in said
    planned = text(parse_events([event("server_rollback", **BACK)], command="rollback", check=True))
    assert "http://127.0.0.1:8001/v1  roll back" in planned


def test_one_that_serves_already_went_nowhere() -> None:
    result = parse_events([event("server_rollback", **{**BACK, "generation": 2})], command="rollback")
    assert "after" not in text(result)


@pytest.mark.parametrize(
    ("words", "said", "unsaid"),
    [
        (
            {"rolled_back": True, "away_s": 12.34},
            ["now the previous generation serves again, the service was away for 12.3 s"],
            ["kept", "then"],
        ),
        # Said by the module already.
        ({"rolled_back": True, "remedy": "less (generation 1 serves again)"}, ["generation 1 serves again"], ["now"]),
        ({"kept_failed": 3}, ["kept generation 3 for inspection: `llmops history gpu1 chat`"], ["now"]),
        (
            {"second": {"check": "start", "cause": "the disk is full"}, "away_s": 60.0, "kept_failed": 3},
            [
                "then the generation before fails too: start: the disk is full",
                "now nothing serves, the service was away for 60.0 s; both generations are kept",
            ],
            [],
        ),
        ({}, [], ["now", "then", "kept"]),
    ],
)
@pytest.mark.parametrize("module", ["server", "server_rollback"])
def test_a_failed_change_says_what_it_left(
    module: str, words: dict[str, Any], said: list[str], unsaid: list[str]
) -> None:
    failure = {"name": "chat", "msg": "m", "failed_check": "wait", "cause": "out of memory", "remedy": "less", **words}
    result = parse_events([event(module, "failed", **failure)], command="apply", rc=2)
    assert result.hosts[0].error is None, "the failure is told with its server, once"
    printed = " ".join(text(result).split())
    assert "check wait cause out of memory remedy less" in printed
    assert not [words for words in said if words not in printed]
    assert not [word for word in unsaid if f" {word} " in printed]


def test_waves_that_were_stopped_say_whom_they_did_not_get_to() -> None:
    step = Step("a", "Serve", "llmops.serving.server", "changed", "chat")
    hosts = (HostResult("a", ok=True, steps=(step,)), HostResult("b", ok=False, error="Serve: no"))
    waves = Waves((("a", "b"),), cut_short=("a",), not_reached=("c", "d"))
    said = text(RunResult("apply", ok=False, hosts=hosts, waves=waves))
    assert "a was stopped after `Serve (chat)`, when another host of its wave failed" in said
    assert "not touched, because wave 1 was the last one to begin: c, d" in said
    assert "not touched" not in text(RunResult("apply", ok=True, hosts=hosts, waves=Waves((("a", "b"),))))
