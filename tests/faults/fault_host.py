# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host under test: reached as a container of this machine, so that cutting its ssh or its network cuts no test."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from llmops_serving.lab import daemon, hosts
from tests.conformance.lab_images import docker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.state import State

HERE = Path(__file__).parent
LIMIT_S = 300.0
#: Stops the first process whose command line a pattern finds, and that was not there before; prints its number.
FREEZE = r"""
import os, re, signal, sys, time
pattern, lasts = re.compile(sys.argv[1].encode()), time.monotonic() + float(sys.argv[2])
def lines():
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    yield int(name), file.read().replace(b"\0", b" ")
            except OSError:
                pass
before = {pid for pid, line in lines() if pattern.search(line)}
print("ready", flush=True)
while time.monotonic() < lasts:
    for pid, line in lines():
        if pid not in before and pattern.search(line):
            os.kill(pid, signal.SIGSTOP)
            print(pid, flush=True)
            sys.exit()
    time.sleep(0.002)
sys.exit("it never came")
"""
#: Stops the process that holds the lock of a server once a path is there, or a file says something.
FREEZE_HOLDER = r"""
import os, re, signal, sys, time
server, path, says, lasts = sys.argv[1], sys.argv[2], sys.argv[3], time.monotonic() + float(sys.argv[4])
def there():
    try:
        return os.path.lexists(path) and (not says or says in open(path).read())
    except OSError:
        return False
print("ready", flush=True)
while time.monotonic() < lasts:
    if there():
        pid = int(re.search(r"\d+", open(f"/run/lock/llmops-{server}.lock").read()).group())
        os.kill(pid, signal.SIGSTOP)
        print(pid, flush=True)
        sys.exit()
sys.exit("it never came")
"""

#: Stops an engine that was not there before once its log says that it has a question to answer.
FREEZE_ASKED = r"""
import os, re, signal, subprocess, sys, time
server, pattern, lasts = sys.argv[1], re.compile(sys.argv[2].encode()), time.monotonic() + float(sys.argv[3])
def engines():
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    if pattern.search(file.read().replace(b"\0", b" ")):
                        yield int(name)
            except OSError:
                pass
before = set(engines())
argv = ["journalctl", "--follow", "--lines", "0", "--output", "cat", "--unit", f"llmops-{server}"]
log = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
print("ready", flush=True)
for line in log.stdout:
    found = set(engines()) - before
    if found and "processing task" in line:
        pid = found.pop()
        os.kill(pid, signal.SIGSTOP)
        log.kill()
        print(pid, flush=True)
        sys.exit()
"""


class Frozen:
    """A process on the host that was stopped on sight, or will be."""

    def __init__(self, host: FaultHost, program: str, *words: str) -> None:
        self.host = host
        command = ["docker", "exec", host.container, "python3", "-c", program, *words, str(LIMIT_S)]
        self._watch = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own watch
        assert self._watch.stdout is not None
        assert self._watch.stdout.readline() == "ready\n"
        self.pid = 0

    def wait(self) -> Frozen:
        """Wait until it stands."""
        out, err = self._watch.communicate(timeout=LIMIT_S + 10)
        assert out.strip().isdigit(), f"nothing was stopped: {err.strip()}"
        self.pid = int(out)
        return self

    def thaw(self) -> None:
        """Let it go on, if it is still there."""
        self.host.run(f"kill -CONT {self.pid}", check=False)

    def end(self) -> None:
        """Watch no more, and leave nothing that stands."""
        self._watch.kill()
        self._watch.communicate()
        if self.pid:
            self.thaw()


class FaultHost:
    """One host of the lab, and what can go wrong with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.container = hosts.container_name(name)
        self._frozen: list[Frozen] = []

    # -- commands ------------------------------------------------------------------------------------------------------

    def run(self, command: str, *, check: bool = True, data: str = "", timeout: float = LIMIT_S) -> str:
        """Run a shell command as root; one that fails fails the test."""
        argv = ["docker", "exec", "-i", self.container, "bash", "-c", command]
        done = subprocess.run(  # noqa: S603 - our own commands
            argv, input=data, capture_output=True, text=True, check=False, timeout=timeout
        )
        if check and done.returncode:
            pytest.fail(f"{command[:300]} ended with {done.returncode}\n{done.stdout}{done.stderr}", pytrace=False)
        return done.stdout

    def start(self, command: str) -> None:
        """Start a shell command that goes on."""
        docker("exec", "-d", self.container, "bash", "-c", command)

    def look(self, server: str = "chat") -> State:
        """See how a server stands."""
        from tests.faults.state import State  # noqa: PLC0415 - each knows the other

        program = (HERE / "look.py").read_text(encoding="utf-8")
        said: dict[str, Any] = json.loads(self.run(f"python3 - {server}", data=program))
        return State(server, said)

    def wait_for(self, what: str, true: Callable[[], Any], limit: float = LIMIT_S) -> Any:
        """Wait until a function's answer is true, and give that."""
        deadline = time.monotonic() + limit
        while not (answer := true()):
            assert time.monotonic() < deadline, f"never came on {self.name}: {what}"
            time.sleep(0.2)
        return answer

    def wait_until_idle(self, server: str = "chat") -> None:
        """Wait until no transaction works on a server."""
        lock = f"/run/lock/llmops-{server}.lock"
        self.wait_for(
            f"the end of the change of {server}",
            lambda: self.run(f"if [ ! -e {lock} ] || flock -n {lock} true; then echo idle; fi", check=False),
        )

    def wait_until_served(self, server: str = "chat") -> State:
        """Wait until a server's unit runs and the engine answers what it is for."""
        return self.wait_for(f"an answer of {server}", lambda: answering(self.look(server)))

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def freeze(self, pattern: str) -> Frozen:
        """Stop the next process whose command line a pattern finds."""
        self._frozen.append(Frozen(self, FREEZE, pattern))
        return self._frozen[-1]

    def freeze_holder(self, path: str, says: str = "", server: str = "chat") -> Frozen:
        """Stop the process that changes a server once a path is there, and its text says something."""
        self._frozen.append(Frozen(self, FREEZE_HOLDER, server, path, says))
        return self._frozen[-1]

    def freeze_asked(self, server: str, engine: str) -> Frozen:
        """Stop the next engine of a server at its first question."""
        self._frozen.append(Frozen(self, FREEZE_ASKED, server, engine))
        return self._frozen[-1]

    def thaw(self) -> None:
        """Leave nothing that stands."""
        while self._frozen:
            self._frozen.pop().end()

    def power_cut(self) -> None:
        """End every process at once, and boot again."""
        for verb in ("kill", "start"):
            docker(verb, self.container)
        self.await_boot()

    def reboot(self) -> None:
        """Shut down in order, and boot again."""
        docker("restart", "--time", "60", self.container)
        self.await_boot()

    def await_boot(self) -> None:
        """Wait until ssh answers."""
        client = daemon.connect()
        assert client is not None
        hosts.wait(client, self.name)

    def cut_ssh(self) -> None:
        """End every ssh connection, as a network does that is gone."""
        self.run("pkill -KILL -f '^sshd: root' || pkill -KILL -f '^sshd-session: root'")

    def limit_memory(self, mib: int) -> None:
        """Let all processes of the host together have so much memory; 0 for as much as there is."""
        size = f"{mib}m" if mib else f"{(1 << 20)}m"
        docker("update", "--memory", size, "--memory-swap", size, self.container)

    def used_mib(self) -> int:
        """Memory of all processes of the host, without what the kernel can drop."""
        told = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", self.container).stdout
        found = re.match(r"([\d.]+)([KMG])iB", told)
        assert found, told
        return int(float(found.group(1)) * {"K": 1 / 1024, "M": 1, "G": 1024}[found.group(2)])

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        """Write a file."""
        self.run(f"install -D -m {mode} /dev/stdin {shlex.quote(path)}", data=text)


def answering(state: State) -> State | None:
    """The state when it has an answer, else None."""
    return None if state.answer.startswith("no answer") or state.active != "active" else state
