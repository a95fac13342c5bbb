# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A collection of the right shape whose modules only say what the inventory tells them to say.

It lets ansible-playbook and ansible-runner be the real ones, while no host, engine or model is needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are as wide as a log takes, not as the terminal that tests happen to run in."""
    monkeypatch.delenv("COLUMNS", raising=False)


PLAY = """
- name: Serve what the inventory says
  hosts: serving
  gather_facts: false
  tasks:
    - name: Look at the host
      llmops.serving.preflight:
        problems: "{{ serving_fake_problems }}"
      register: preflight
      # Every module costs half a second, so it runs where a test wants it.
      when: serving_fake_problems is defined
    - name: Refuse what cannot work
      ansible.builtin.fail:
        msg: "{{ preflight.problems }}"
      when: serving_fake_problems is defined
    - name: Forgive what does not matter
      ansible.builtin.fail:
        msg: this is forgiven
      ignore_errors: true
      when: serving_fake_forgiven | default(false)
    - name: Fetch the models
      llmops.serving.model:
        models: "{{ serving_models }}"
      when: serving_models is defined
    - name: Run the servers
      llmops.serving.MODULE:
        says: "{{ item }}"
      loop: "{{ serving_servers | selectattr('name', 'in', serving_only | default(names)) }}"
      loop_control:
        label: "{{ item.name }}"
      vars:
        names: "{{ serving_servers | map(attribute='name') }}"
"""

INFO_PLAY = """
- name: Ask every server
  hosts: serving
  gather_facts: false
  tasks:
    - name: Ask every server
      llmops.serving.server_info:
        servers: "{{ serving_servers }}"
"""

MODULES = {
    "preflight": """
module = AnsibleModule({"problems": {"type": "list", "elements": "str"}}, supports_check_mode=True)
module.exit_json(problems=module.params["problems"], host={"cores": 2})
""",
    "model": """
module = AnsibleModule({"models": {"type": "dict"}}, supports_check_mode=True)
models = module.params["models"]
module.exit_json(changed=any(model["changed"] for model in models.values()), models=models)
""",
    "server": """
module = AnsibleModule({"says": {"type": "dict"}}, supports_check_mode=True)
says = dict(module.params["says"])
says.pop("api_key", None)
if says.get("touch"):
    with open(says["touch"], "w") as handle:
        handle.write("working")
time.sleep(says.pop("sleep", 0))
if says.pop("failed", False):
    module.fail_json(**says)
module.exit_json(**says)
""",
    "server_info": """
module = AnsibleModule({"servers": {"type": "list", "elements": "dict"}}, supports_check_mode=True)
servers = module.params["servers"]
for server in servers:
    server.pop("api_key", None)
module.exit_json(servers=servers)
""",
    "server_diagnosis": """
module = AnsibleModule({"servers": {"type": "list", "elements": "dict"}}, supports_check_mode=True)
servers = module.params["servers"]
ill = [server["msg"] for server in servers if not server["ok"]]
if ill:
    module.fail_json(msg="; ".join(ill), servers=servers)
module.exit_json(servers=servers)
""",
}
HEAD = """#!/usr/bin/python
import time
from ansible.module_utils.basic import AnsibleModule
"""

CHAT = {
    "probe": "chat",
    "ok": True,
    "checks": [{"name": "text", "ok": True, "detail": "7 words"}],
    "latency_ms": 321.5,
    "sample": "The capital of France is Paris.",
    "model": "tiny-chat",
    "raw": {},
    "msg": "",
}
GOOD: dict[str, Any] = {
    "name": "chat",
    "api_key": "sk-very-secret",
    "engine": "llama_cpp",
    "action": "created",
    "changed": True,
    "url": "http://127.0.0.1:8001/v1",
    "port": 8001,
    "models": ["tiny-chat"],
    "seconds": {"pull": 1.5, "wait": 2.0, "total": 4.25},
    "probes": [CHAT],
}
BAD: dict[str, Any] = {
    "name": "embed",
    "api_key": "sk-very-secret",
    "engine": "infinity",
    "failed": True,
    "changed": False,
    "msg": "embedding: all vectors are equal",
    "failed_check": "embedding.constant",
    "cause": "all vectors are equal",
    "remedy": "pick another model in serving_models",
    "rolled_back": True,
    "log": "line one\nline two",
    "url": "http://127.0.0.1:8005/v1",
    "models": ["minilm"],
    "probes": [
        {
            "probe": "embedding",
            "ok": False,
            "checks": [{"name": "constant", "ok": False, "detail": "1 distinct vector"}],
            "latency_ms": 12.0,
            "sample": "",
            "model": "minilm",
            "msg": "constant: all vectors are equal; pick another model",
        }
    ],
}
UNCHANGED = {**GOOD, "action": "unchanged", "changed": False}


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the collection; returns the folder to put on ANSIBLE_COLLECTIONS_PATH."""
    root = tmp_path_factory.mktemp("collections")
    home = root / "ansible_collections/llmops/serving"
    for folder in ("playbooks", "plugins/modules", "meta"):
        (home / folder).mkdir(parents=True)
    (home / "galaxy.yml").write_text("namespace: llmops\nname: serving\nversion: 0.0.1\n")
    for verb in ("site", "plan", "remove"):
        (home / f"playbooks/{verb}.yml").write_text(PLAY.replace("MODULE", "server"))
    (home / "playbooks/verify.yml").write_text(INFO_PLAY)
    (home / "playbooks/diagnose.yml").write_text(INFO_PLAY.replace("server_info", "server_diagnosis"))
    for name, body in MODULES.items():
        (home / f"plugins/modules/{name}.py").write_text(HEAD + body)
    return root


@dataclass(frozen=True)
class Driver:
    """Runs `llmops` in a process of its own, far away from any checkout."""

    folder: Path
    environment: dict[str, str]
    good: dict[str, Any]
    bad: dict[str, Any]
    unchanged: dict[str, Any]

    def inventory(self, *servers: dict[str, Any], group: str = "serving", **variables: object) -> Path:
        """Write an inventory of one local host that serves."""
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        content = {group: {"hosts": {"box": host}, "vars": {"serving_servers": list(servers), **variables}}}
        path = self.folder / "hosts.yml"
        path.write_text(yaml.safe_dump(content))
        return path

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start the command."""
        return subprocess.Popen(  # noqa: S603 - our own command, no shell
            [sys.executable, "-m", "llmops_serving.cli", *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(words, process.returncode, out, err)


@pytest.fixture
def driver(tmp_path: Path, collection: Path) -> Driver:
    """Give a driver with a private temporary folder, so that leftovers can be seen."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment = {**kept, "ANSIBLE_COLLECTIONS_PATH": str(collection), "TMPDIR": str(scratch)}
    return Driver(tmp_path, environment, GOOD, BAD, UNCHANGED)
