#!/usr/bin/env python3
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a server is away while it is changed, beside a plain restart of its unit in the same run.

Usage: benchmarks/change.py [HOST] [RUNS] [SERVER], on a lab that `make lab` has made (lab1, five runs, chat).

Measured from outside, by a client on the host that asks for the engine's readiness every 20 ms. In turn:

restart  `systemctl restart` of the unit: what the engine itself takes to stop and to load
change   `llmops apply` with one option changed: a new generation, gated
failed   `llmops apply` with an option that the engine does not take when it starts: the generation before is put back
"""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
INVENTORY = ROOT / "inventories/lab"

# Prints the seconds of each time in which nothing was ready, the longest last.
CLIENT = """
import sys, time, urllib.request
url, end, away, gaps = sys.argv[1], float(sys.argv[2]), None, []
began = time.monotonic()
while time.monotonic() - began < end:
    try:
        good = urllib.request.urlopen(url, timeout=2).status == 200
    except OSError:
        good = False
    now = time.monotonic()
    if not good and away is None:
        away = now
    elif good and away is not None:
        gaps.append(now - away)
        away = None
    time.sleep(0.02)
if away is not None:
    gaps.append(time.monotonic() - away)
print(max(gaps, default=0.0))
"""


class Host:
    """A lab host, over ssh as its inventory says."""

    def __init__(self, name: str) -> None:
        """Read the inventory."""
        self.environment = dict(os.environ, LLMOPS_LAB_HOSTS=name)
        listing = json.loads(self._said([str(INVENTORY / "hosts.py"), "--list"]))
        words = listing["serving"].get("vars", {}) | listing["_meta"]["hostvars"][name]
        self.ssh = [
            "ssh", *shlex.split(words["ansible_ssh_common_args"]), "-i", words["ansible_ssh_private_key_file"],
            "-p", str(words["ansible_port"]), f"{words['ansible_user']}@{words['ansible_host']}",
        ]  # fmt: skip

    def _said(self, argv: list[str]) -> str:
        done = subprocess.run(argv, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)  # noqa: S603  our own
        return done.stdout

    def watch(self, url: str, seconds: float) -> subprocess.Popen[str]:
        """Ask for readiness for some time; what it prints is the longest time away."""
        client = f"python3 -c {shlex.quote(CLIENT)} {url} {seconds}"
        return subprocess.Popen([*self.ssh, client], stdout=subprocess.PIPE, text=True)  # noqa: S603  our own

    def run(self, command: str) -> None:
        """Run a command there."""
        subprocess.run([*self.ssh, command], check=True)  # noqa: S603  our own

    def apply(self, server: str, change: dict[str, Any]) -> dict[str, Any]:
        """Apply the inventory with one server's words changed, and give what the module said."""
        words = json.dumps({"serving_changes": {server: change}})
        argv = ["llmops", "apply", "-i", str(INVENTORY), "--server", server, "--json", "-e", words]
        (host,) = json.loads(self._said(argv))["hosts"]
        (found,) = host["servers"]
        return dict(found)


def away(host: Host, url: str, act: Any, patience: float) -> tuple[float, Any]:
    """Do something while a client watches, and give the longest time in which nothing was ready."""
    watching = host.watch(url, patience)
    time.sleep(2)
    told = act()
    said, _errors = watching.communicate()
    return float(said), told


def main(name: str = "lab1", runs: str = "5", server: str = "chat") -> None:
    """Measure, and print medians and differences."""
    host = Host(name)
    url = host.apply(server, {})["url"].removesuffix("/v1") + "/health"
    patience = 40.0
    taken: dict[str, list[float]] = {"restart": [], "change": [], "failed": []}
    told: dict[str, list[float]] = {"change": [], "failed": []}
    for turn in range(int(runs)):
        found, _none = away(host, url, lambda: host.run(f"systemctl restart llmops-{server}"), patience)
        taken["restart"].append(found)
        for kind, change in (
            ("change", {"environment": {"LLMOPS_TURN": str(turn)}}),
            ("failed", {"environment": {"LLMOPS_TURN": str(turn)}, "unchecked_options": {"no-such-option": True}}),
        ):
            found, said = away(host, url, lambda change=change: host.apply(server, change), patience)
            taken[kind].append(found)
            told[kind].append(said["seconds"]["away"])
    restart = statistics.median(taken["restart"])
    for kind, times in taken.items():
        median = statistics.median(times)
        spread = f"{min(times):.2f} to {max(times):.2f}"
        own = f", as told {statistics.median(told[kind]):.2f} s" if kind in told else ""
        more = f"restart {median - restart:+.2f} s, {median / restart:.2f} x"
        print(f"{kind:8} away {median:6.2f} s ({spread}), {more}{own}")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
