# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that this test starts, and others that are played as files; Docker is played."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _watch_processes
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, Completed
from ansible_collections.llmops.serving.plugins.module_utils._watch_processes import (
    computes,
    container_processes,
    describe,
    holds_port_of_nobody,
    listeners,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SPAN_S = 0.5
BURNS = "while True: pass"
SLEEPS = "import time; time.sleep(600)"
LISTENS = """
import socket, time
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
time.sleep(600)
"""


class Host(t.NamedTuple):
    """Starts processes, the first of which is the container's own."""

    start: Callable[[str], subprocess.Popen[str]]
    said: dict[str, str]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    running: list[subprocess.Popen[str]] = []
    said: dict[str, str] = {}

    def run(argv: list[str], timeout: float = 60, check: bool = True) -> Completed:
        if argv[0] not in said:
            raise CommandError(f"{argv[0]} does not answer within {timeout:g} s: {check}")
        return Completed(0, said[argv[0]], "")

    def start(program: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", program]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))  # noqa: S603  our own
        said["docker"] = f"{running[0].pid}\n"
        return running[-1]

    monkeypatch.setattr(_watch_processes, "run", run)
    monkeypatch.setattr(_watch_processes.shutil, "which", lambda name: name if name in said else None)
    yield Host(start, said)
    for process in running:
        process.kill()
        process.communicate()


def settle(process: subprocess.Popen[str]) -> None:
    """Wait until a program sleeps."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if "nanosleep" in Path(f"/proc/{process.pid}/wchan").read_text(encoding="ascii"):
            return
        time.sleep(0.05)


def test_one_that_computes(host: Host) -> None:
    host.start(BURNS)
    assert computes("llmops-chat", span=SPAN_S) is True


def test_one_that_waits(host: Host) -> None:
    settle(host.start(SLEEPS))
    assert computes("llmops-chat", span=SPAN_S) is False


def test_one_that_is_stopped(host: Host) -> None:
    process = host.start(BURNS)
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    assert computes("llmops-chat", span=SPAN_S) is False
    described = describe(container_processes("llmops-chat"))
    assert [(entry["pid"], entry["state"]) for entry in described] == [(process.pid, "T")]
    assert described[0]["threads"][0]["state"] == "T"


def test_where_docker_does_not_answer_nothing_is_known() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_watch_processes, "run", _fails)
        assert computes("llmops-chat", span=SPAN_S) is None


def _fails(*_: t.Any, **__: t.Any) -> Completed:
    raise CommandError("no Docker")


def test_only_who_listens_counts_where_http_is_not_answered(host: Host) -> None:
    listens = host.start(LISTENS)
    assert listens.stdout is not None
    port = int(listens.stdout.readline())
    settle(listens)
    other = host.start(BURNS)
    assert listeners([listens.pid, other.pid], port) == {listens.pid}
    assert computes("llmops-chat", port, span=SPAN_S) is False


def test_nobody_listens_on_another_port(host: Host) -> None:
    listens = host.start(LISTENS)
    assert listens.stdout is not None
    assert int(listens.stdout.readline())
    with socket.create_server(("127.0.0.1", 0)) as ours:
        assert listeners([listens.pid], ours.getsockname()[1]) == set()


@pytest.mark.parametrize(
    ("runs", "listens", "ghost"),
    [
        ("", ["docker-proxy"], True),
        ("0123abcd\n", ["docker-proxy"], False),
        ("", ["docker-proxy", "nginx"], False),
        ("", [], False),
    ],
)
def test_a_port_that_docker_keeps_for_nobody(
    host: Host, monkeypatch: pytest.MonkeyPatch, runs: str, listens: list[str], ghost: bool
) -> None:
    host.said["docker"] = runs
    ports = [{"port": 8001, "process": name} for name in listens] + [{"port": 22, "process": "sshd"}]
    monkeypatch.setattr(_watch_processes, "listening_ports", lambda _: ports)
    assert holds_port_of_nobody(8001) is ghost
    host.said.clear()
    assert holds_port_of_nobody(8001) is False


PMON = "# gpu   pid  type    sm   mem   enc   dec   command\n# Idx     #   C/G     %     %     %     %   name\n"


@pytest.mark.parametrize(("share", "busy"), [("87", True), ("0", False), ("-", False)])
def test_one_that_waits_for_its_gpu_computes(host: Host, share: str, busy: bool) -> None:
    process = host.start(SLEEPS)
    settle(process)
    host.said["nvidia-smi"] = f"{PMON}    0  {process.pid}     C    {share}     3     -     -   python\n"
    assert computes("llmops-chat", span=SPAN_S) is busy


def test_the_gpu_of_others_is_no_sign(host: Host) -> None:
    settle(host.start(SLEEPS))
    host.said["nvidia-smi"] = PMON + "    0     1     C    99     3     -     -   python\n"
    assert computes("llmops-chat", span=SPAN_S) is False


def test_the_whole_tree_below_the_first_process_is_the_container(host: Host, tmp_path: Path) -> None:
    host.said["docker"] = "10\n"
    for pid, parent, name in ((10, 1, "docker-init"), (11, 10, "vllm (serve)"), (12, 11, "EngineCore"), (13, 1, "x")):
        place = tmp_path / "proc" / str(pid)
        place.mkdir(parents=True)
        fields = ["S", str(parent), *["0"] * 9, "150", "50", *["0"] * 20]
        (place / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n", encoding="ascii")
    found = container_processes("llmops-chat", tmp_path)
    assert [(process.pid, process.name, process.ticks) for process in found] == [
        (10, "docker-init", 200),
        (11, "vllm (serve)", 200),
        (12, "EngineCore", 200),
    ]


def waiting(place: Path, states: str) -> None:
    """Play a process whose threads are in these states, and which gets no CPU time."""
    for number, state in enumerate(states):
        thread = place / "task" / str(10 + number)
        thread.mkdir(parents=True, exist_ok=True)
        fields = " ".join([state, "1", *["0"] * 40])
        for path in (thread / "stat", place / "stat"):
            path.write_text(f"10 (engine) {fields}\n", encoding="ascii")


@pytest.mark.parametrize(("states", "busy"), [("SSR", True), ("D", True), ("SS", False), ("T", False), ("Z", False)])
def test_who_waits_for_a_processor_or_a_disk_is_not_idle(host: Host, tmp_path: Path, states: str, busy: bool) -> None:
    host.said["docker"] = "10\n"
    waiting(tmp_path / "proc" / "10", states)
    assert computes("llmops-chat", span=0.05, root=tmp_path) is busy
