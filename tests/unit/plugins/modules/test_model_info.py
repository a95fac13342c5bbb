# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it."""

from __future__ import annotations

import typing as t

import yaml

from ansible_collections.llmops.serving.plugins.module_utils._model_info import ARGUMENTS
from ansible_collections.llmops.serving.plugins.modules import model_info
from tests.unit.plugins.fake_store import KEY, WANTED, a_store
from tests.unit.plugins.run_module import run_module

if t.TYPE_CHECKING:
    from pathlib import Path


def test_complete_models_are_told_from_others(tmp_path: Path) -> None:
    store = a_store(tmp_path, x=b"weights", y=b"weights")
    (store.folder("y", KEY) / "x.gguf").write_bytes(b"weigh")
    models = {"x": WANTED, "y": WANTED, "z": WANTED}
    code, told = run_module("model_info", models=models, path=str(store.root), names=["web1"])
    assert code == 0, told
    assert {name: model["complete"] for name, model in told["models"].items()} == {"x": True, "y": False, "z": False}
    assert {model["key"] for model in told["models"].values()} == {KEY}
    assert told["addresses"][-1] == "web1"
    assert told["changed"] is False


def test_documentation_and_arguments_agree(tmp_path: Path) -> None:
    documented = yaml.safe_load(model_info.DOCUMENTATION)["options"]
    assert list(documented) == list(ARGUMENTS)
    for name, option in ARGUMENTS.items():
        for key in ("type", "default", "required", "choices", "elements"):
            assert documented[name].get(key) == option.get(key), (name, key)
    _code, told = run_module("model_info", models={}, path=str(tmp_path))
    assert set(yaml.safe_load(model_info.RETURN)) == set(told) - {"changed", "invocation"}
