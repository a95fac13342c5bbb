# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that go on by themselves: started, seen in /proc, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _detached
from ansible_collections.llmops.serving.plugins.module_utils._detached import Process, end

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[4]
# Forked from a process with one thread, as a module is; the test's own has many.
START = """
import sys, time
from pathlib import Path
from ansible_collections.llmops.serving.plugins.module_utils._detached import detach
kept = open(sys.argv[1], "w")
lost = open(sys.argv[1] + ".lost", "w")
process = detach(lambda: (kept.write("begun"), kept.flush(), time.sleep(60)), [kept.fileno()], "llmops-test",
                 [Path(name) for name in sys.argv[2:]])
print(process.pid, process.began)
"""
nobody_can = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")


def start(place: Path, *readable: Path) -> Process:
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", START, str(place), *map(str, readable)],
        env={"PYTHONPATH": str(ROOT / ".collections"), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=20,  # it must not wait for the process behind
    )
    pid, began = map(int, done.stdout.split())
    return Process(pid, began)


def said(pid: int, name: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(name + ":"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def running(place: Path) -> Iterator[Process]:
    process = start(place)
    yield process
    end(process)


def test_it_goes_on_without_its_parent_and_holds_nothing_of_it(running: Process, place: Path) -> None:
    until = time.monotonic() + 10
    while place.read_text(encoding="ascii") != "begun" and time.monotonic() < until:
        time.sleep(0.01)
    assert place.read_text(encoding="ascii") == "begun"
    open_files = {str(entry.readlink()) for entry in Path(f"/proc/{running.pid}/fd").iterdir()}
    assert open_files == {os.devnull, str(place)}
    assert os.getsid(running.pid) not in (os.getsid(0), running.pid)
    assert said(running.pid, "Name") == "llmops-test"
    assert str(Path(f"/proc/{running.pid}/cwd").readlink()) == "/", "it keeps no file system from being unmounted"


def test_it_is_ended(running: Process) -> None:
    assert end(running) is True
    assert end(running) is False, "it is gone already"


def test_another_process_of_that_number_is_left_alone(running: Process) -> None:
    assert end(Process(running.pid, running.began + 1)) is False
    os.kill(running.pid, 0)


@pytest.mark.parametrize("pid", [-1, 0, 1])
def test_numbers_that_mean_many_or_all_are_no_process(pid: int) -> None:
    assert end(Process(pid, 0)) is False


def test_one_that_does_not_listen_is_ended_all_the_same(running: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_detached, "_PATIENCE_S", 0.2)
    os.kill(running.pid, signal.SIGSTOP)
    assert end(running) is True
    assert end(running) is False


@nobody_can
def test_it_is_nobody_where_nobody_can_read(place: Path) -> None:
    process = start(place, Path("/etc/passwd"))
    try:
        assert said(process.pid, "Uid").split() == ["65534"] * 4
        assert said(process.pid, "Gid").split() == ["65534"] * 4
        assert said(process.pid, "Groups") == ""
    finally:
        end(process)


@nobody_can
def test_it_keeps_its_rights_where_they_are_needed(place: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("x", encoding="ascii")
    own.chmod(0o600)
    process = start(place, Path("/etc/passwd"), own)
    try:
        assert said(process.pid, "Uid").split() == ["0"] * 4
    finally:
        end(process)
