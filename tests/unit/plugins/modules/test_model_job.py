# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it, on jobs that are real processes."""

from __future__ import annotations

import os
import tempfile
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils import _model_job
from ansible_collections.llmops.serving.plugins.modules import model_job
from tests.unit.plugins.played_host import run_main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / (f"llmops-jobs-{os.geteuid()}")
    monkeypatch.setattr(_model_job, "JOBS", folder)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield folder
    for job in _model_job.jobs():
        _model_job.stop(job["name"])


def begin(name: str, go: Path) -> dict[str, Any]:
    def work(_progress: str | None) -> dict[str, Any]:
        while not go.exists():
            time.sleep(0.02)
        return {"changed": True}

    told: dict[str, Any] = _model_job.start(name, "/store", work, patience=0)["job"]
    return told


def test_a_host_without_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    for state in ("followed", "stopped"):
        status, result, _text = run_main(model_job, capsys, state=state)
        assert (status, result["changed"], result["jobs"]) == (0, False, [])


def test_a_job_is_followed_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begin("a", tmp_path / "go")
    status, result, _text = run_main(model_job, capsys, job="a")
    assert (status, [job["name"] for job in result["jobs"]], "result" in result) == (0, ["a"], False)
    assert run_main(model_job, capsys)[1]["jobs"][0]["running"] is True
    (tmp_path / "go").touch()
    _status, result, _text = run_main(model_job, capsys, job="a", wait=30)
    assert (result["result"], result["jobs"][0]["running"], result["changed"]) == ({"changed": True}, False, False)
    status, result, _text = run_main(model_job, capsys, job="a")
    assert (status, result["failed"]) == (1, True)
    assert "no job a" in result["msg"]


@pytest.mark.parametrize(("words", "stopped"), [({"job": "a"}, ["a"]), ({}, ["a", "b"]), ({"job": "none"}, [])])
def test_jobs_are_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: dict[str, str], stopped: list[str]
) -> None:
    for name in ("a", "b"):
        begin(name, tmp_path / "go")
    for check in (True, False):
        _status, result, _text = run_main(model_job, capsys, state="stopped", _ansible_check_mode=check, **words)
        assert (result["changed"], [job["name"] for job in result["jobs"]]) == (bool(stopped), stopped)
        left = {job["name"] for job in _model_job.jobs()}
        assert left == ({"a", "b"} if check else {"a", "b"} - set(stopped))


def test_documentation_and_arguments_agree() -> None:
    documented = yaml.safe_load(model_job.DOCUMENTATION)["options"]
    keys = ("type", "default", "choices")
    said = {name: [option.get(key) for key in keys] for name, option in documented.items()}
    assert said == {name: [option.get(key) for key in keys] for name, option in model_job.ARGUMENTS.items()}
    for task in yaml.safe_load(model_job.EXAMPLES):
        assert set(task["llmops.serving.model_job"] or {}) <= set(documented)


def test_every_word_of_a_job_is_documented(tmp_path: Path) -> None:
    words = yaml.safe_load(model_job.RETURN)["jobs"]["contains"]
    assert set(begin("a", tmp_path / "go")) == set(words)
