#!/usr/bin/env python3
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run of site.yml costs when nothing is to do, as ratios to plainer things in the same run.

Usage: benchmarks/apply.py [HOST] [RUNS], on a lab that `make lab` has made (by default lab1, five runs).

Compared are, in turn so that all meet the same moods of the machine:

site        ansible-playbook site.yml, with two servers and four models in place; it asks every model a real question
facts       a play that gathers facts and runs one module
pyinfra     where pyinfra is installed: a deploy that checks the same packages, files, units and containers
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
INVENTORY = ROOT / "inventories/lab"

FACTS_PLAY = """---
- hosts: serving
  tasks:
    - ansible.builtin.command: "true"
"""

PYINFRA_DEPLOY = """
from pyinfra.operations import apt, files, server, systemd

apt.packages(packages=["docker.io", "ca-certificates", "git"])
for name in ("chat", "embed"):
    unit = f"llmops-{name}.service"
    files.file(path=f"/etc/systemd/system/{unit}", mode="644")
    files.file(path=f"/var/lib/llmops/servers/{name}/current/server.json", mode="644")
    systemd.service(service=unit, running=True, enabled=True)
    server.shell(commands=[f"docker inspect llmops-{name}"])
for name in ("tiny-chat", "minilm", "tiny-rerank", "tiny-classify"):
    server.shell(commands=[f"ls /var/lib/llmops/models/{name}/*.json"])
"""


def commands(host: str, folder: Path) -> dict[str, list[str]]:
    """Name the commands to compare."""
    (folder / "facts.yml").write_text(FACTS_PLAY, encoding="utf-8")
    (folder / "deploy.py").write_text(PYINFRA_DEPLOY, encoding="utf-8")
    found = {
        "site": ["ansible-playbook", "site.yml", "-i", str(INVENTORY)],
        "facts": ["ansible-playbook", str(folder / "facts.yml"), "-i", str(INVENTORY)],
    }
    if shutil.which("pyinfra"):
        listing = json.loads(subprocess.run([INVENTORY / "hosts.py", "--list"], capture_output=True, check=True).stdout)  # noqa: S603  our own
        words = listing["serving"]["vars"] | listing["_meta"]["hostvars"][host]
        known = words["ansible_ssh_common_args"].split("UserKnownHostsFile=")[1].split()[0]
        data = {
            "ssh_hostname": words["ansible_host"],
            "ssh_port": words["ansible_port"],
            "ssh_user": words["ansible_user"],
            "ssh_key": words["ansible_ssh_private_key_file"],
            "ssh_known_hosts_file": known,
        }
        (folder / "hosts.py").write_text(f"serving = [({host!r}, {data!r})]\n", encoding="utf-8")
        found["pyinfra"] = ["pyinfra", "-y", str(folder / "hosts.py"), str(folder / "deploy.py")]
    return found


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """Run a command and give the seconds it took; what it says is shown when it fails."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  the table above
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return time.perf_counter() - began


def main(host: str = "lab1", runs: str = "5") -> None:
    """Measure, and print medians and ratios."""
    environment = dict(os.environ, LLMOPS_LAB_HOSTS=host)
    with tempfile.TemporaryDirectory() as folder:
        table = commands(host, Path(folder))
        taken: dict[str, list[float]] = {name: [] for name in table}
        for turn in range(int(runs) + 1):
            for name, command in table.items():
                took = seconds(command, environment)
                if turn:  # the first of each warms connections and caches
                    taken[name].append(took)
    site = taken["site"]
    for name, times in taken.items():
        ratio = statistics.median(mine / other for mine, other in zip(site, times, strict=True))
        spread = f"{min(times):.2f} to {max(times):.2f}"
        print(f"{name:8} median {statistics.median(times):6.2f} s ({spread})   site / {name}: {ratio:.2f}")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
