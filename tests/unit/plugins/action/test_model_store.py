# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of the actions on a store, and of those on models, are followed; test__model_follow says what that means."""

from __future__ import annotations

import typing as t
from unittest import mock

import pytest

from ansible_collections.llmops.serving.plugins.action import model, model_store


@pytest.mark.parametrize(
    ("action", "words", "followed"),
    [
        (model, {"models": {}}, True),
        (model, {"models": {}, "state": "present"}, True),
        (model, {"models": {}, "state": "absent"}, False),
        (model_store, {"action": "verify"}, True),
        (model_store, {"action": "prune"}, False),
        (model_store, {}, False),
    ],
)
def test_what_may_take_long_is_given_a_job(
    monkeypatch: pytest.MonkeyPatch, action: t.Any, words: dict[str, t.Any], followed: bool
) -> None:
    runs: list[dict[str, t.Any]] = []

    def execute(module_name: str, module_args: dict[str, t.Any], task_vars: t.Any) -> dict[str, t.Any]:
        del task_vars
        assert module_name == f"llmops.serving.{action.__name__.rpartition('.')[2]}"
        runs.append(module_args)
        return {"changed": False}

    task = mock.Mock(args=words, async_val=0, check_mode=False, no_log=False)
    made = action.ActionModule(task, *(mock.Mock() for _ in range(5)))
    monkeypatch.setattr(made, "_execute_module", execute)
    assert made.run(task_vars={}) == {"changed": False}
    (given,) = runs
    assert ("job" in given) == followed
    assert {name: value for name, value in given.items() if name != "job"} == words
