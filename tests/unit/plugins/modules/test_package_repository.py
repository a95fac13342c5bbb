# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils import _repository, _repository_proof
from ansible_collections.llmops.serving.plugins.module_utils._command import Completed
from ansible_collections.llmops.serving.plugins.modules import package_repository
from tests.unit.plugins.played_host import run_main

KEY = Path(__file__).parents[3] / "fixtures/host/repositories/mirror.asc"
IT = {
    "name": "it",
    "manager": "apt",
    "url": "http://mirror.example",
    "key_url": KEY.as_uri(),
    "fingerprint": "9C533466DBFD5C72F68F4D84514723C7068A1360",
}


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("APT_KEYS", "APT_SOURCES", "APT_MAIN"):
        monkeypatch.setattr(_repository, name, tmp_path / name)
    for module in (_repository, _repository_proof):
        monkeypatch.setattr(module, "run", lambda *_words, **_options: Completed(0, "", ""))
    return tmp_path


@pytest.mark.parametrize("check", [True, False])
def test_tells_what_changes(capsys: pytest.CaptureFixture[str], host: Path, check: bool) -> None:
    code, result, _text = run_main(package_repository, capsys, _ansible_check_mode=check, _ansible_diff=True, **IT)
    assert (code, result["changed"]) == (0, True)
    assert result["files"] == [str(host / "APT_KEYS/it.asc"), str(host / "APT_SOURCES/it.sources")]
    assert [entry["after_header"] for entry in result["diff"]] == result["files"]
    assert (host / "APT_SOURCES/it.sources").exists() is not check


def test_fails_with_each_problem(capsys: pytest.CaptureFixture[str]) -> None:
    code, result, _text = run_main(package_repository, capsys, **IT | {"packages": ["nix"]})
    assert code == 1
    assert result["problems"] == [result["msg"]]
    assert result["msg"].startswith("packages: http://mirror.example has no package nix")


def test_documentation_says_what_the_code_does() -> None:
    documented: dict[str, Any] = yaml.safe_load(package_repository.DOCUMENTATION)["options"]
    keys = ("type", "default", "elements", "choices", "required")
    assert {name: {key: option[key] for key in keys if key in option} for name, option in documented.items()} == {
        name: {key: option[key] for key in keys if key in option}
        for name, option in package_repository.ARGUMENTS.items()
    }
    for example in yaml.safe_load(package_repository.EXAMPLES):
        assert set(example["llmops.serving.package_repository"]) <= set(documented)
