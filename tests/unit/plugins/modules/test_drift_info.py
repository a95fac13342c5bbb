# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as Ansible runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from ansible_collections.llmops.serving.plugins.module_utils._drift import ARGUMENTS
from ansible_collections.llmops.serving.plugins.modules import drift_info
from tests.unit.plugins.fake_store import KEY, WANTED, a_store
from tests.unit.plugins.run_module import run_module

if TYPE_CHECKING:
    from pathlib import Path


def test_differences_are_no_change_and_no_failure(tmp_path: Path) -> None:
    store = a_store(tmp_path, x=b"weights")
    (store.folder("x", KEY) / "x.gguf").unlink()
    code, told = run_module("drift_info", models={"x": WANTED}, path=str(store.root))
    assert code == 0, told
    assert told["changed"] is False
    assert {"about": "model", "name": "x", "what": "x.gguf: cannot be read: No such file or directory"} in told[
        "differs"
    ]


def test_a_store_that_is_none_is_a_failure_in_words(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a file in the place of a folder")
    code, told = run_module("drift_info", models={"x": WANTED}, path=str(tmp_path / "x"), host=False)
    assert code == 0, "a store that is no folder has no model"
    assert [one["about"] for one in told["differs"]] == ["model"]


def test_documentation_and_arguments_agree(tmp_path: Path) -> None:
    documented = yaml.safe_load(drift_info.DOCUMENTATION)["options"]
    assert list(documented) == list(ARGUMENTS)
    for name, option in ARGUMENTS.items():
        for key in ("type", "default", "required", "choices", "elements"):
            assert documented[name].get(key) == option.get(key), (name, key)
    _code, told = run_module("drift_info", path=str(tmp_path))
    assert set(yaml.safe_load(drift_info.RETURN)) == set(told) - {"changed", "invocation"}
