# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmops_serving.lab.state import FileFacts, HostFacts, LabState, Paths, RepoFacts

SCRIPT = Path(__file__).parents[4] / "inventories" / "lab" / "hosts.py"


def ask(root: Path, *words: str, **environment: str) -> Any:
    done = subprocess.run(  # noqa: S603  # our own script
        [sys.executable, str(SCRIPT), *words],
        env={"PATH": os.environ["PATH"], "HOME": str(root), "LLMOPS_LAB_DIR": str(root), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(name="listening")
def _listening() -> Any:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture(name="root")
def _root(tmp_path: Path, listening: int) -> Path:
    paths = Paths(tmp_path / "with space")
    paths.make()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        silent = free.getsockname()[1]
    paths.save(
        LabState(
            repos={"lab/x": RepoFacts("a" * 40, {"x.gguf": FileFacts("b" * 64, 1)})},
            hosts={
                "lab1": HostFacts("bookworm", listening, {8001: 18001}),
                "lab2": HostFacts("bookworm", silent, {8001: 18101}, ("vllm",)),
            },
        )
    )
    return paths.root


def test_script_can_be_run() -> None:
    assert os.access(SCRIPT, os.X_OK)


def test_no_lab_is_an_empty_group(tmp_path: Path) -> None:
    answer = ask(tmp_path)
    assert answer["serving"]["hosts"] == []
    assert answer["_meta"]["hostvars"] == {}


def test_a_broken_state_is_an_empty_group(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    assert ask(tmp_path)["serving"]["hosts"] == []


def test_only_hosts_that_answer(root: Path, listening: int) -> None:
    answer = ask(root, "--list")
    assert answer["serving"]["hosts"] == ["lab1"]
    variables = answer["_meta"]["hostvars"]["lab1"]
    assert variables == {
        "ansible_port": listening,
        "lab_engines": ["llama_cpp", "infinity"],
        "lab_published_ports": {"8001": 18001},
    }
    shared = answer["serving"]["vars"]
    assert shared["lab_hub_revisions"] == {"lab/x": "a" * 40}
    assert shared["lab_hub_files"] == {"lab/x": {"x.gguf": "b" * 64}}
    assert shared["ansible_ssh_private_key_file"] == str(root / "ssh" / "id_ed25519")
    assert f"'UserKnownHostsFile={root}/ssh/known_hosts'" in shared["ansible_ssh_common_args"]
    assert shared["lab_api_key_file"] == str(root / "secrets" / "api_key")


def test_named_hosts_are_taken_as_they_are(root: Path) -> None:
    assert ask(root, LLMOPS_LAB_HOSTS="lab2, lab9")["serving"]["hosts"] == ["lab2"]


def test_each_host_tells_what_it_was_asked_to_serve_with(root: Path) -> None:
    assert ask(root, "--host", "lab2", LLMOPS_LAB_HOSTS="lab2")["lab_engines"] == ["vllm"]
    path = root / "state.json"
    state = json.loads(path.read_text())
    del state["hosts"]["lab1"]["engines"]
    path.write_text(json.dumps(state))
    assert ask(root, "--host", "lab1")["lab_engines"] == ["llama_cpp", "infinity"]


def test_host_variables(root: Path, listening: int) -> None:
    assert ask(root, "--host", "lab1")["ansible_port"] == listening
    assert ask(root, "--host", "nobody") == {}
