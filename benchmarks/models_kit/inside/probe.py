# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# mypy: ignore-errors
# It runs in the benchmark's container.
"""Runs one tool and measures it from outside. Usage: probe.py ORDER, or probe.py without one for facts.

ORDER is JSON: `script` for /bin/sh, its `environment`, the files to read beforehand (`warm`, so that the server finds
them in memory), what must be there afterwards (`expect`: path -> sha256), whether the work folder is emptied first
(`fresh`), and after how many bytes on the wire the tool is killed (`kill_after`, 0 for not at all).

The answer is one line of JSON:

wall, cpu   seconds: from the start to the end, and user + system of the tool and its children that were waited for
rss         bytes: the peak of the sum over the tool's processes, sampled, and at least the largest process
disk, rest  bytes: blocks of the work folder, at their sampled peak and at the end
sent        bytes of models' files that the server wrote to its sockets
started     the monotonic clock at the start
output      the end of what the tool said
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

WORK = Path("/fetched")
LOG = Path("/var/log/bench/objects.jsonl")
STATUS = "http://127.0.0.1:8009/status"
SAMPLE_S = 0.05
WATCH_S = 0.002
IDLE_TIMEOUT_S = 30
BLOCK = 512
TAIL = 2000
PAGE = os.sysconf("SC_PAGE_SIZE")


def run(order: dict) -> dict:
    """Prepare, run, measure and check one tool."""
    if order["fresh"]:
        for path in WORK.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name in ("home", "tmp"):
            (WORK / name).mkdir()
    for path in order["warm"]:
        read(Path(path))
    # What an earlier run left to be written must not slow this one down.
    os.sync()
    logged = LOG.stat().st_size if LOG.exists() else 0
    with tempfile.TemporaryFile() as said:
        measured = measure(order, said)
        said.seek(max(0, said.tell() - TAIL))
        measured["output"] = said.read().decode("utf-8", "replace")
    wait_idle()
    measured["sent"] = sent_since(logged)
    measured["rest"] = blocks(WORK)
    if measured["status"] == 0:
        measured["wrong"] = [path for path, sha256 in order["expect"].items() if digest(WORK / path) != sha256]
    return measured


def measure(order: dict, said: object) -> dict:
    """Run the tool in a session of its own, with its clock and its watchers."""
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **order["environment"]}
    environment |= {"HOME": str(WORK / "home"), "TMPDIR": str(WORK / "tmp")}
    wire = received()
    started = time.monotonic()
    process = subprocess.Popen(  # noqa: S603  # the benchmark's own scripts
        ["/bin/sh", "-euc", order["script"]],
        cwd=WORK,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    sampler = Sampler(process.pid)
    sampler.start()
    if order["kill_after"]:
        while received() - wire < order["kill_after"] and not ended_already(process):
            time.sleep(WATCH_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    _pid, status, used = os.wait4(process.pid, 0)
    ended = time.monotonic()
    process.returncode = os.waitstatus_to_exitcode(status)
    sampler.stop()
    return {
        "status": process.returncode,
        "started": started,
        "wall": ended - started,
        "cpu": used.ru_utime + used.ru_stime,
        "rss": max(sampler.rss, largest(used)),
        "disk": max(sampler.disk, blocks(WORK)),
    }


def largest(used: object) -> int:
    """The largest process in bytes, 0 when it is this one: the kernel counts what a process was before its exec."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used.ru_maxrss * 1024 if used.ru_maxrss > own else 0


def ended_already(process: subprocess.Popen) -> bool:
    """Tell whether a process has ended, and leave it to be waited for."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


class Sampler(threading.Thread):
    """Watches memory and disk beside the tool, twenty times a second."""

    def __init__(self, session: int) -> None:
        """Watch the processes of a session."""
        super().__init__(daemon=True)
        self._session = session
        self._over = threading.Event()
        self.rss = 0
        self.disk = 0

    def run(self) -> None:
        """Sample until told to stop."""
        while True:
            self.rss = max(self.rss, session_memory(self._session))
            self.disk = max(self.disk, blocks(WORK))
            if self._over.wait(SAMPLE_S):
                return

    def stop(self) -> None:
        """End the watch."""
        self._over.set()
        self.join()


def session_memory(session: int) -> int:
    """Sum the resident bytes of a session's processes (proc(5): fields 6 and 24 of stat)."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[3]) == session:
                total += int(fields[21]) * PAGE
    return total


def blocks(folder: Path) -> int:
    """Bytes that the files below a folder take on the disk, each file once however many names it has."""
    seen = {}
    for here, _folders, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                facts = (Path(here) / name).lstat()
                seen[facts.st_ino] = facts.st_blocks * BLOCK
    return sum(seen.values())


def received() -> int:
    """Bytes that came in on loopback, where nothing is but the server and the tool."""
    line = re.search(r"^\s*lo:\s*(\d+)", Path("/proc/net/dev").read_text(encoding="ascii"), re.MULTILINE)
    return int(line.group(1))


def wait_idle() -> None:
    """Wait until the server has seen that its clients are gone: only then its log is whole."""
    deadline = time.monotonic() + IDLE_TIMEOUT_S
    while time.monotonic() < deadline:
        with urllib.request.urlopen(STATUS) as answer:
            # Ours is the one that is left.
            if int(answer.readline().split()[-1]) <= 1:
                return
        time.sleep(0.05)
    raise SystemExit("the server's connections do not end")


def sent_since(offset: int) -> int:
    """Sum the bytes of models' files in the lines that the server's log got since."""
    if not LOG.exists():
        return 0
    with LOG.open("rb") as log:
        log.seek(offset)
        return sum(json.loads(line)["bytes"] for line in log)


def read(path: Path) -> None:
    """Read a file, for it to be in memory."""
    buffer = bytearray(1 << 20)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def digest(path: Path) -> str:
    """The sha256 of a file, empty when it is not there."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def facts() -> dict:
    """Describe the machine and the tools."""
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    name = re.search(r"^model name\s*:\s*(.+)$", cpu, re.MULTILINE)
    flags = set(re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpu, re.MULTILINE).group(1).split())
    mount = max(
        (line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()),
        key=lambda fields: len(fields[1]) if fields[1] == str(WORK) else -1,
    )
    memory = os.sysconf("SC_PHYS_PAGES") * PAGE
    return {
        "cpu": name.group(1) if name else platform.machine(),
        "cores": os.cpu_count(),
        "sha_instructions": bool(flags & {"sha_ni", "sha2"}),
        "memory": memory,
        "kernel": platform.release(),
        "file_system": mount[2],
        "versions": {
            "python": platform.python_version(),
            "nginx": said("nginx -v"),
            "git": said("git --version"),
            "git-lfs": said("git lfs version"),
            "wget": said("wget --version"),
            "curl": said("curl --version"),
            "aria2": said("aria2c --version"),
            "huggingface_hub": said("/opt/hf/bin/pip show huggingface_hub | grep ^Version"),
        },
    }


def said(command: str) -> str:
    """The first version number that a command tells."""
    done = subprocess.run(  # noqa: S603  # from the table above
        ["/bin/sh", "-c", f"{command} 2>&1"], capture_output=True, text=True, check=False
    )
    found = re.search(r"\d+\.\d+[\w.]*", done.stdout)
    return found.group(0) if found else "?"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(json.loads(sys.argv[1])) if len(sys.argv) > 1 else facts()) + "\n")
