# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils import _model_job, _model_references
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store
from ansible_collections.llmops.serving.plugins.module_utils._model_store_run import ARGUMENTS
from ansible_collections.llmops.serving.plugins.modules import model_store
from tests.unit.plugins.played_host import played_host, run_main
from tests.unit.plugins.run_module import run_module
from tests.unit.plugins.stored_models import leave, put, wanted

if TYPE_CHECKING:
    from pathlib import Path

A = "aaaaaaaaaaaa"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    # One without containers, for what a host runs is asked before anything is pruned.
    monkeypatch.setattr(_model_references, "run", played_host(tmp_path / "host", monkeypatch).run)
    made = Store(str(tmp_path / "models"))
    put(made, "x", A)
    leave(made, "y", A)
    return made


def test_documentation_and_arguments_agree() -> None:
    documented = yaml.safe_load(model_store.DOCUMENTATION)["options"]
    assert sorted(documented) == sorted(ARGUMENTS)
    for name, option in ARGUMENTS.items():
        for key in ("type", "default", "elements", "choices"):
            assert documented[name].get(key) == option.get(key), (name, key)
    for task in yaml.safe_load(model_store.EXAMPLES):
        assert set(task["llmops.serving.model_store"]) <= set(documented)


def test_in_a_process_of_its_own(store: Store) -> None:
    code, result = run_module("model_store", path=str(store.root))
    assert (code, [version["name"] for version in result["versions"]]) == (0, ["x"])


def test_every_word_of_the_result_is_documented(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    documented = yaml.safe_load(model_store.RETURN)
    (store.folder("x", A) / "LICENSE").unlink()
    for action, status in (("list", 0), ("verify", 1), ("prune", 0)):
        done = run_main(model_store, capsys, action=action, path=str(store.root), models=wanted("x", A))
        assert done[0] == status
        assert set(done[1]) - {"changed", "invocation", "diff", "failed", "msg"} <= set(documented)
        for version in done[1]["versions"]:
            assert set(version) - {"damaged"} == set(documented["versions"]["contains"]) - {"damaged"}


def test_damage_fails_and_a_name_that_is_not_there_warns(store: Store) -> None:
    (store.folder("x", A) / "LICENSE").write_bytes(b"FREE")
    # A process that has loaded parts of the controller warns elsewhere.
    status, result = run_module("model_store", action="verify", path=str(store.root), names=["x", "z"])
    assert (status, result["failed"], result["changed"]) == (1, True, False)
    assert result["msg"] == result["problems"][0]
    assert "x/aaaaaaaaaaaa/LICENSE is damaged" in result["msg"]
    assert "has no model 'z'" in str(result["warnings"])


def test_a_check_may_be_a_job(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / f"llmops-jobs-{os.geteuid()}"
    monkeypatch.setattr(_model_job, "JOBS", folder)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    status, result, _text = run_main(model_store, capsys, action="verify", path=str(store.root), job="a")
    assert (status, result["lines"]) == (0, ["1 version read, 136.7 KiB: 0 damaged files"])
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("check", [True, False])
def test_a_prune(store: Store, capsys: pytest.CaptureFixture[str], check: bool) -> None:
    words = {"action": "prune", "path": str(store.root), "models": wanted("x", A), "_ansible_check_mode": check}
    status, result, _text = run_main(model_store, capsys, **words)
    assert (status, result["changed"], [entry["name"] for entry in result["removed"]]) == (0, True, ["y"])
    assert (store.partial / f"y-{A}").exists() == check
