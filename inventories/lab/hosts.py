#!/usr/bin/env python3
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventory of the running lab hosts, from the lab's state file. Standard library only.

LLMOPS_LAB_HOSTS=lab1,lab2 takes those hosts, running or not; without it the group holds the hosts of `llmops lab up`,
lab1, lab2 and so on, whose ssh port answers. Without a lab the group is empty.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import sys
from pathlib import Path
from typing import Any

CONNECT_TIMEOUT_S = 0.5
_OWN = re.compile(r"lab\d+")


def lab_root() -> Path:
    """Tell the lab's directory, as llmops_serving.lab.state.default_root does."""
    given = os.environ.get("LLMOPS_LAB_DIR")
    if given:
        return Path(given).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "llmops-lab"


def read_state(root: Path) -> dict[str, Any]:
    """Read the lab's state; {} if there is none."""
    try:
        state = json.loads((root / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def answers(port: int) -> bool:
    """Tell whether something listens on a port of this machine."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False


def choose(hosts: dict[str, Any], wanted: str) -> dict[str, Any]:
    """Take the hosts named in `wanted` (separated by commas), or those that run."""
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    if names:
        return {name: hosts[name] for name in names if name in hosts}
    # Others belong to whoever made them by name, such as a test that runs at the same time.
    return {name: host for name, host in hosts.items() if _OWN.fullmatch(name) and answers(int(host["ssh_port"]))}


def inventory(root: Path, state: dict[str, Any], hosts: dict[str, Any]) -> dict[str, Any]:
    """Write the inventory in the shape that Ansible's script plugin reads."""
    known_hosts = shlex.quote(f"UserKnownHostsFile={root / 'ssh' / 'known_hosts'}")
    shared = {
        "ansible_host": "127.0.0.1",
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(root / "ssh" / "id_ed25519"),
        "ansible_ssh_common_args": f"-o {known_hosts} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes",
        "ansible_python_interpreter": "/usr/bin/python3",
        "lab_hub_revisions": {name: repo["revision"] for name, repo in state.get("repos", {}).items()},
        "lab_hub_files": {
            name: {file: facts["sha256"] for file, facts in repo["files"].items()}
            for name, repo in state.get("repos", {}).items()
        },
        "lab_api_key_file": str(root / "secrets" / "api_key"),
        "lab_hub_token_file": str(root / "secrets" / "hub_token"),
    }
    variables = {
        name: {
            "ansible_port": host["ssh_port"],
            # A state of before knew no choice.
            "lab_engines": host.get("engines", ["llama_cpp", "infinity"]),
            "lab_published_ports": {int(inside): outside for inside, outside in host["ports"].items()},
        }
        for name, host in hosts.items()
    }
    return {"serving": {"hosts": sorted(hosts), "vars": shared}, "_meta": {"hostvars": variables}}


def main() -> None:
    """Print the inventory; Ansible asks with --list and, where _meta were missing, with --host."""
    root = lab_root()
    state = read_state(root)
    hosts = choose(state.get("hosts", {}), os.environ.get("LLMOPS_LAB_HOSTS", ""))
    whole = inventory(root, state, hosts)
    if "--host" in sys.argv[1:-1]:
        whole = whole["_meta"]["hostvars"].get(sys.argv[-1], {})
    json.dump(whole, sys.stdout, indent=2, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
