# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils._model_run import ARGUMENTS
from ansible_collections.llmops.serving.plugins.modules import model
from tests.unit.plugins.fake_hub import FakeHub, fake_hub, gguf

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[4]
REV = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_geheim"  # noqa: S105 - a canary, not a secret


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub(tmp_path / "hub") as running:
        running.add_file("a/b", REV, "x.gguf", gguf())
        yield running


def run(folder: Path, **params: Any) -> tuple[int, str, dict[str, Any]]:
    arguments = {
        "ANSIBLE_MODULE_ARGS": {
            **params,
            "_ansible_remote_tmp": str(folder / "tmp"),
            "_ansible_keep_remote_files": False,
        }
    }
    found = subprocess.run(
        [sys.executable, "-m", "ansible_collections.llmops.serving.plugins.modules.model"],
        input=json.dumps(arguments),
        env={"PYTHONPATH": f"{ROOT}/.collections", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout, found.stderr
    return found.returncode, found.stdout, json.loads(found.stdout)


def test_documentation_and_arguments_agree() -> None:
    documented = yaml.safe_load(model.DOCUMENTATION)["options"]
    assert sorted(documented) == sorted(ARGUMENTS)
    for name, option in ARGUMENTS.items():
        for key in ("type", "default", "required", "choices"):
            assert documented[name].get(key) == option.get(key), (name, key)


def test_documented_result(fake: FakeHub, tmp_path: Path) -> None:
    models = {"x": {"repo": "a/b", "revision": REV, "file": "x.gguf"}}
    code, _text, result = run(tmp_path, models=models, path=str(tmp_path / "store"), hub_url=fake.url)
    assert (code, result["changed"]) == (0, True)
    assert sorted(result["models"]["x"]) == sorted(yaml.safe_load(model.RETURN)["models"]["contains"])
    assert "warnings" not in result


def test_failure_hides_the_token(fake: FakeHub, tmp_path: Path) -> None:
    models = {"x": {"repo": "a/none", "revision": REV, "file": "x.gguf"}}
    code, text, result = run(tmp_path, models=models, path=str(tmp_path / "store"), hub_url=fake.url, token=TOKEN)
    assert (code, result["failed"]) == (1, True)
    assert "serving_models['x'].repo" in result["msg"]
    assert result["problems"]
    assert TOKEN not in text


def test_examples_are_yaml() -> None:
    assert all("llmops.serving.model" in task for task in yaml.safe_load(model.EXAMPLES))
