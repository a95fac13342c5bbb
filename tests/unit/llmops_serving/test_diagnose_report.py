# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from llmops_serving.diagnose_report import besides, findings
from llmops_serving.results import HostResult, RunResult, server_of
from tests.unit.llmops_serving.test_report import text

_GIB = 1 << 30
EVIDENCE: dict[str, Any] = {
    "unit": {"active": "failed", "sub": "failed", "exit_code": 1, "changed": "2026-11-28T20:53:46Z"},
    "memory": {"total": 16 * _GIB, "available": 4 * _GIB},
    "gpus": [{"index": 0, "memory_total": 80 * _GIB, "memory_free": 2 * _GIB}, {"index": 1, "memory_total": None}],
    "disks": [{"path": "/", "total": 9 * _GIB, "free": 3 * _GIB}],
}
WELL: dict[str, Any] = {
    "name": "chat", "ok": True, "state": "serving", "engine": "llama_cpp", "models": ["tiny-chat"], "generation": 3,
    "url": "http://127.0.0.1:8001/v1", "msg": "", "cause": "", "remedy": "", "log": ["listening"], "evidence": EVIDENCE,
    "probes": [{"probe": "chat", "ok": True, "model": "tiny-chat", "sample": "Paris.\x1b[31m", "msg": ""}],
    "notes": ["systemd has restarted it once since it was started"],
}  # fmt: skip
ILL: dict[str, Any] = {
    "name": "embed", "ok": False, "state": "ill", "engine": "infinity", "models": ["minilm"], "generation": None,
    "url": "http://127.0.0.1:8005/v1", "msg": "start: the model file is truncated; fetch it again", "probes": [],
    "failed_check": "start", "cause": "the model file is truncated", "remedy": "fetch it again", "rule": "truncated",
    "source": "llama.cpp src/gguf.cpp", "line": "E tensor data is not within the file", "evidence": EVIDENCE,
    "log": [f"line {number}" for number in range(40)], "notes": [],
}  # fmt: skip


def run(*entries: dict[str, Any], **words: Any) -> RunResult:
    servers = tuple(server_of("lab1", entry, failed=False) for entry in entries)
    ok = all(server.ok for server in servers)
    host = HostResult("lab1", ok=ok, servers=servers, **words)
    return RunResult("diagnose", ok=ok, hosts=(host,), seconds=1.25)


def test_a_well_server_has_its_answer_and_its_notes() -> None:
    (found,) = findings(run(WELL))
    assert found.head.plain.split() == [
        "lab1", "chat", "serving", "llama_cpp", "tiny-chat", "http://127.0.0.1:8001/v1", "generation", "3",
    ]  # fmt: skip
    assert [fact for fact in found.facts if fact[1]] == [
        ("probe", "chat of tiny-chat: Paris. [31m"),
        ("note", "systemd has restarted it once since it was started"),
    ]
    assert found.log == []


def test_an_ill_one_has_all_that_it_rests_on() -> None:
    (found,) = findings(run(ILL))
    assert [fact for fact in found.facts if fact[1]] == [
        ("check", "start"),
        ("cause", "the model file is truncated"),
        ("remedy", "fetch it again"),
        ("seen", "E tensor data is not within the file"),
        ("known by", "truncated, llama.cpp src/gguf.cpp"),
        ("unit", "failed (failed) since 2026-11-28T20:53:46Z, last exit code 1"),
        ("host", "memory 4.0 GiB of 16.0 GiB free, GPU 0 2.0 GiB of 80.0 GiB free, / 3.0 GiB free"),
    ]
    assert found.log == [f"line {number}" for number in range(25, 40)]


def test_a_server_that_loads_is_well_and_says_since_when() -> None:
    (found,) = findings(run({**WELL, "state": "loading", "cause": "it loads since 9 s", "probes": [], "notes": []}))
    assert [fact for fact in found.facts if fact[1]] == [("now", "it loads since 9 s")]


@pytest.mark.parametrize("width", [80, 140])
def test_the_whole_report_fits_the_terminal(width: int) -> None:
    printed = text(run(WELL, ILL, error="Examine: embed: start: the model file is truncated"), width)
    assert max(map(len, printed.splitlines())) <= width
    assert printed.count("the model file is truncated") == 1
    assert "failed: 1 host, 2 servers, 1 of 1 probe good, no changes, 1.2 s" in " ".join(printed.split())


def test_a_host_that_cannot_be_asked_says_so() -> None:
    lost = HostResult("lab2", ok=False, unreachable=True, error="no route")
    broken = HostResult("lab3", ok=False, error="Examine: the host cannot be asked")
    printed = text(RunResult("diagnose", ok=False, hosts=(lost, broken)))
    assert "lab2 unreachable" in printed
    assert "the host cannot be asked" in printed


def test_besides_the_servers_only_errors_of_their_own_are_left() -> None:
    left = besides(run(ILL, error="Examine: embed: it is ill"))
    assert (left.hosts[0].servers, left.hosts[0].error) == ((), None)
