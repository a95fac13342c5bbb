# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of the command `llmops` on the host under test, as a user starts them: processes that a test may kill."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops_serving.runner import descendants

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
LIMIT_S = 600.0
WOULD_CHANGE = 3


@dataclass(frozen=True)
class Told:
    """What a run said."""

    code: int
    document: Mapping[str, Any]
    #: all that it printed, as a user could see it
    text: str

    @property
    def host(self) -> Mapping[str, Any]:
        """What it said about its one host."""
        found: list[Mapping[str, Any]] = self.document.get("hosts") or [{}]
        return found[0]

    def server(self, name: str = "chat") -> Mapping[str, Any]:
        """What it said about a server."""
        found = [server for server in self.host.get("servers", []) if server["name"] == name]
        assert found, f"nothing was said of server {name}:\n{self.text[-3000:]}"
        one: Mapping[str, Any] = found[0]
        return one

    @property
    def reasons(self) -> str:
        """Why it failed: all that it said of that, one line each."""
        host = self.host
        lines = [*self.document.get("errors", []), *host.get("problems", []), str(host.get("error") or "")]
        for server in host.get("servers", []):
            lines += [str(server.get(word) or "") for word in ("failed_check", "cause", "remedy", "msg")]
        return "\n".join(line for line in lines if line)

    def went_well(self, *, changed: bool | None = None) -> Told:
        """It ended well, and changed something or nothing."""
        assert self.code == 0, f"exit code {self.code}: {self.reasons or self.text[-800:]}"
        if changed is not None:
            assert self.document["changed"] is changed, f"changed is {self.document['changed']}: {self._steps()}"
        return self

    def played_well(self) -> Told:
        """A play of a role, which tells no document, ended well."""
        assert self.code == 0, self.text[-3000:]
        return self

    def failed(self, *patterns: str) -> Told:
        """It failed, and said all of this about it: cause, and remedy with its variable."""
        assert self.code == 1, f"exit code {self.code}: {self.reasons or self.text[-800:]}"
        missing = [pattern for pattern in patterns if not re.search(pattern, self.reasons)]
        assert not missing, f"{missing} is not said by:\n{self.reasons}"
        return self

    def _steps(self) -> list[str]:
        return [str(step) for step in self.host.get("steps", []) if "changed" in str(step)]


class Run:
    """A run that goes on."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own programs
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A group of its own, so that a test can kill all of it.
            start_new_session=True,
        )

    def told(self) -> Told:
        """Wait for its end."""
        try:
            out, err = self.process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        try:
            document = json.loads(out)
        except ValueError:
            document = {}
        return Told(self.process.returncode, document, err + out)

    def kill(self) -> None:
        """End the whole of it at once, Ansible's workers too, which have sessions of their own."""
        for pid in (self.process.pid, *descendants(self.process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None


@dataclass
class Site:
    """What the host shall serve, and runs that make it so."""

    host: str
    folder: Path
    runs: list[Run] = field(default_factory=list)

    def start(self, variables: Mapping[str, Any], *options: str, command: str = "apply", as_json: bool = True) -> Run:
        """Start `llmops` with an inventory's variables."""
        program = [str(Path(sys.executable).with_name("llmops")), command, *(["--json"] if as_json else []), *options]
        return self._start(program, variables)

    def apply(self, variables: Mapping[str, Any], *options: str) -> Told:
        """Run `llmops apply` to its end."""
        return self.start(variables, *options).told()

    def start_engine(self, variables: Mapping[str, Any]) -> Run:
        """Start a play of the role `engine` alone: the transaction without what precedes it."""
        program = [str(Path(sys.executable).with_name("ansible-playbook")), "tests/faults/engine.yml"]
        return self._start(program, variables)

    def apply_engine(self, variables: Mapping[str, Any]) -> Told:
        """Run the role `engine` alone to its end."""
        return self.start_engine(variables).told()

    def end(self) -> None:
        """Leave no run behind."""
        while self.runs:
            run = self.runs.pop()
            if not run.ended:
                run.kill()

    def _start(self, program: list[str], variables: Mapping[str, Any]) -> Run:
        place = self.folder / f"vars-{len(list(self.folder.iterdir()))}.json"
        place.touch(mode=0o600)
        place.write_text(json.dumps(variables), encoding="utf-8")
        words = ["--inventory", str(ROOT / "inventories/lab"), "--extra-vars", f"@{place}"]
        environment = {"LLMOPS_LAB_HOSTS": self.host, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        self.runs.append(Run([*program, *words], environment))
        return self.runs[-1]
