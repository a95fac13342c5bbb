# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people get to read about differences and lock files."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from rich.console import Console

from llmops_serving.drift import Difference, LockWritten
from llmops_serving.report import render
from llmops_serving.results import HostResult, RunResult, Server, Step

UNIT = Difference("server", "chat", "unit: /etc/systemd/system/llmops-chat.service was edited by hand: +Nice=5")
OPTIONS = replace(UNIT, what="options: -512 +1024")
DOCKER = Difference("docker", "", "20.10.24 is installed, the lock file has 28.5.1")


def text(*hosts: HostResult, command: str = "drift", **words: Any) -> str:
    console = Console(file=io.StringIO(), width=100, highlight=False)
    console.print(render(RunResult(command, ok=all(host.ok for host in hosts), hosts=hosts, seconds=1.2, **words)))
    printed: str = console.file.getvalue()  # type: ignore[attr-defined] # the file is the StringIO above
    return "\n".join(line.rstrip() for line in printed.splitlines())


def test_differences_stand_by_host_and_server() -> None:
    chat = Server("chat", "gpu1", ok=True)
    one = HostResult("gpu1", ok=True, changed=True, servers=(chat,), differs=(UNIT, OPTIONS, DOCKER))
    assert text(one, HostResult("gpu2", ok=True), check=True, changed=True).splitlines() == [
        "host  about        what differs",
        "gpu1  server chat  unit: /etc/systemd/system/llmops-chat.service was edited by hand: +Nice=5",
        "                   options: -512 +1024",
        "      docker       20.10.24 is installed, the lock file has 28.5.1",
        "gpu2               nothing",
        "",
        "differs: 2 hosts, 1 server, 3 differences, 1.2 s",
    ]


def test_a_plan_tells_differences_and_once_what_tasks_would_do() -> None:
    task = Difference("task", "Write daemon.json", "would change the host")
    step = Step("gpu1", "Write daemon.json", "ansible.builtin.copy", "changed")
    one = HostResult("gpu1", ok=True, changed=True, differs=(OPTIONS, task), steps=(step,))
    printed = text(one, command="plan", check=True, changed=True)
    assert "gpu1  server chat  options: -512 +1024\n" in printed
    assert printed.count("Write daemon.json") == 1


def test_nothing_that_differs_is_said() -> None:
    assert text(HostResult("gpu1", ok=True), check=True).endswith(
        "nothing differs: 1 host, 0 servers, 0 differences, 1.2 s"
    )


def test_a_host_that_could_not_be_asked_is_no_host_without_differences() -> None:
    printed = text(HostResult("gpu1", ok=False, unreachable=True, error="timed out"), check=True)
    assert "nothing" not in printed
    assert "gpu1 unreachable" in printed
    assert "failed: 1 host" in printed


def test_a_lock_says_what_is_new_and_what_it_holds() -> None:
    written = LockWritten("/inv/.llmops.lock.yml", True, ("image a: sha256:1",), 1, 2, 1)
    printed = text(HostResult("gpu1", ok=True, locks=(written,)), command="lock")
    assert "new in /inv/.llmops.lock.yml:\n  image a: sha256:1\n" in printed
    assert "/inv/.llmops.lock.yml: written, 1 image, 2 models, 1 host" in printed
    assert ": would be written" in text(HostResult("gpu1", ok=True, locks=(written,)), command="lock", check=True)
    same = replace(written, changed=False, lines=())
    assert ": says so already" in text(HostResult("gpu1", ok=True, locks=(same,)), command="lock")
