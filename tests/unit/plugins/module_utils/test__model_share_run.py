# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module answers before, and without, a process of its own; the process is tested with the module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_share_run
from ansible_collections.llmops.serving.plugins.module_utils._detached import Process
from ansible_collections.llmops.serving.plugins.module_utils._model_share_run import ARGUMENTS, run
from tests.unit.plugins.fake_store import KEY, a_store

if TYPE_CHECKING:
    from pathlib import Path


def words(**given: Any) -> dict[str, Any]:
    return {name: option.get("default") for name, option in ARGUMENTS.items()} | given


def test_nothing_is_started_where_nothing_is_there(tmp_path: Path) -> None:
    assert run(words(versions={"x": KEY}, path=str(tmp_path)), False) == {"changed": False, "manifests": {}, "port": 0}


def test_check_mode_starts_nothing(tmp_path: Path) -> None:
    store = a_store(tmp_path, x=b"weights")
    found = run(words(versions={"x": KEY}, path=str(store.root)), True)
    assert found == {"changed": True, "manifests": {}, "port": 0}


@pytest.mark.parametrize("missing", ["certificate", "key", "token"])
def test_it_does_not_start_without_its_secrets(tmp_path: Path, missing: str) -> None:
    store = a_store(tmp_path, x=b"weights")
    given = {"certificate": "c", "key": "k", "token": "t", missing: ""}
    said = run(words(versions={"x": KEY}, path=str(store.root), **given), False)["msg"]
    assert said == f"{missing}: required to start; the action of this module makes it"


@pytest.mark.parametrize(
    ("process", "check_mode", "ended", "changed"),
    [
        ({}, False, [], False),
        ({"host": "a", "pid": 7, "began": 9}, False, [Process(7, 9)], True),
        ({"host": "a", "pid": "7", "began": "9"}, False, [Process(7, 9)], True),
        ({"host": "a", "pid": 7, "began": 9}, True, [], True),
    ],
)
def test_stopping(
    process: dict[str, Any], check_mode: bool, ended: list[Process], changed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Process] = []
    monkeypatch.setattr(_model_share_run, "end", lambda one: seen.append(one) is None)
    assert run(words(state="stopped", process=process), check_mode) == {"changed": changed}
    assert seen == ended
