# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`llmops models` from end to end: the collection's own playbook and modules on this machine, in a store of its own."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store
from llmops_serving import Site, UsageError
from llmops_serving.cli import build_parser
from tests.unit.plugins.stored_models import leave, put, wanted

COLLECTIONS = Path(__file__).parents[3] / ".collections"
A, B = "aaaaaaaaaaaa", "bbbbbbbbbbbb"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "models"))
    put(made, "x", A)
    put(made, "x", B)
    leave(made, "y", A)
    return made


@pytest.fixture
def own(driver: Any, store: Store) -> Any:
    """The driver with the collection of this tree."""
    driver.inventory(serving_model_dir=str(store.root), serving_models=wanted("x", B))
    docker = driver.folder / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text("#!/bin/sh\n# A Docker that runs nothing.\n", encoding="utf-8")
    docker.chmod(0o755)
    path = f"{docker.parent}:{driver.environment.get('PATH', os.environ['PATH'])}"
    words = {"ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "PATH": path}
    return replace(driver, environment={**driver.environment, **words})


def test_a_list_of_all(own: Any) -> None:
    done = own.run("models", "list", "-i", "hosts.yml", "--json")
    assert done.returncode == 0, done.stderr
    (host,) = json.loads(done.stdout)["hosts"]
    assert [(version["key"], version["wanted"]) for version in host["store"]["versions"]] == [(A, False), (B, True)]


def test_damage_is_exit_code_1_and_says_what_to_do(own: Any, store: Store) -> None:
    (store.folder("x", B) / "LICENSE").write_bytes(b"FREE")
    done = own.run("models", "verify", "x", "-i", "hosts.yml")
    assert done.returncode == 1, done.stderr
    said = " ".join(done.stdout.split())
    assert "damaged: LICENSE" in said
    assert "llmops apply -e models_verify=true fetches it again" in said


def test_a_prune_shows_first_and_then_does(own: Any, store: Store) -> None:
    shown = own.run("models", "prune", "--check", "--diff", "-i", "hosts.yml")
    assert shown.returncode == 3, shown.stderr
    assert "would be removed" in shown.stdout
    assert f"-x {A}" in shown.stderr
    assert store.folder("x", A).is_dir()
    done = own.run("models", "prune", "-i", "hosts.yml")
    assert done.returncode == 0, done.stderr
    assert "kept: wanted by the inventory" in done.stdout
    assert [path.name for path in (store.root / "x").iterdir() if path.is_dir()] == [B]
    assert store.leftovers() == []


def test_a_model_that_no_host_has_is_a_wrong_name(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(COLLECTIONS))
    with pytest.raises(UsageError, match="no host has a model named z"):
        Site(own.folder / "hosts.yml").models("list", ["x", "z"])


def test_a_prune_tells_what_is_gone_beside_a_wrong_name(own: Any, store: Store) -> None:
    assert own.run("models", "prune", "x", "z", "-i", "hosts.yml", "--check").returncode == 2
    done = own.run("models", "prune", "x", "z", "-i", "hosts.yml", "--json")
    result = json.loads(done.stdout)
    assert (done.returncode, result["changed"], result["ok"]) == (1, True, False)
    assert result["errors"] == ["no host has a model named z: `llmops models list` tells what they have"]
    assert not store.folder("x", A).exists()


@pytest.mark.parametrize(
    ("words", "names", "check"),
    [
        (["list", "-i", "a"], [], None),
        (["verify", "x", "y", "-i", "a", "-l", "gpu1"], ["x", "y"], None),
        (["prune", "-i", "a", "--check", "x"], ["x"], True),
    ],
)
def test_command_lines(words: list[str], names: list[str], check: bool | None) -> None:
    args = build_parser().parse_args(["models", *words])
    assert (args.command, args.action, args.names, args.server) == ("models", words[0], names, [])
    assert getattr(args, "check", None) == check


@pytest.mark.parametrize("words", [[], ["list"], ["list", "-i", "a", "--check"], ["list", "-i", "a", "--server", "b"]])
def test_wrong_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(["models", *words])
    assert stop.value.code == 2
