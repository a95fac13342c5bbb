# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab host as its clients see it: what it serves, and a way to its servers, which listen on its loopback alone."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
import typing as t
from dataclasses import dataclass

from llmops_serving.lab import Lab

if t.TYPE_CHECKING:
    from collections.abc import Iterator

TUNNEL_TIMEOUT_S = 10
#: What clients send to a server that wants no key, as the course does.
NO_KEY = "dummy_key"
# The servers' own records, by name.
_LIST = """python3 -c "import glob, json
paths = glob.glob('/var/lib/llmops/servers/*/current/server.json')
print(json.dumps({path.split('/')[5]: json.load(open(path)) for path in paths}))"
"""
_KEY = "cat /var/lib/llmops/servers/{}/current/client-key 2>/dev/null || true"


@dataclass(frozen=True)
class ServedModel:
    """One model of a server.

    Attributes:
        server: Name of the server.
        engine: Its engine.
        model: Name to ask for.
        task: What it is for.
        port: Port on the host.
    """

    server: str
    engine: str
    model: str
    task: str
    port: int


def chosen_host() -> LabHost:
    """Give the host that LLMOPS_LAB_HOSTS names, lab1 without it."""
    return LabHost(os.environ.get("LLMOPS_LAB_HOSTS", "lab1"))


class LabHost:
    """One host of the lab, by name."""

    def __init__(self, name: str) -> None:
        """Find the host in the lab's state."""
        self.name = name
        self._paths = Lab().paths
        self._facts = self._paths.load().hosts[name]

    def run(self, command: str, data: str = "") -> str:
        """Run a command on the host, with a text on its stdin, and give what it prints."""
        argv = [*self._ssh(), command]
        return subprocess.run(argv, input=data, capture_output=True, text=True, check=True).stdout  # noqa: S603

    def servers(self) -> dict[str, dict[str, t.Any]]:
        """Give what each server was asked to be, by name, as their own records say."""
        return {name: record["asked"] for name, record in sorted(json.loads(self.run(_LIST)).items())}

    def models(self) -> list[ServedModel]:
        """List what the host serves."""
        return [
            ServedModel(name, asked["engine"], entry["model"], entry["task"], asked["port"])
            for name, asked in self.servers().items()
            for entry in asked["gate"]
        ]

    def key(self, server: str) -> str:
        """Give the key that clients of a server send; any word where it wants none, as the course does."""
        return self.run(_KEY.format(server)) or NO_KEY

    @contextlib.contextmanager
    def reach(self, port: int) -> Iterator[str]:
        """Open a tunnel to a port of the host's loopback, and give its address here."""
        here = _free_port()
        forward = f"127.0.0.1:{here}:127.0.0.1:{port}"
        with subprocess.Popen([*self._ssh("-N", "-o", "ExitOnForwardFailure=yes", "-L", forward)]) as tunnel:  # noqa: S603
            try:
                _wait_for(here)
                yield f"http://127.0.0.1:{here}"
            finally:
                tunnel.terminate()

    def _ssh(self, *options: str) -> list[str]:
        return [
            "ssh", "-q", "-p", str(self._facts.ssh_port), "-o", f"IdentityFile={self._paths.ssh_key}",
            "-o", f"UserKnownHostsFile={self._paths.known_hosts}", "-o", "IdentitiesOnly=yes", *options,
            "root@127.0.0.1",
        ]  # fmt: skip


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + TUNNEL_TIMEOUT_S
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
