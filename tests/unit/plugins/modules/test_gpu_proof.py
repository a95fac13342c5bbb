# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils import _gpu_proof
from ansible_collections.llmops.serving.plugins.module_utils._command import Completed
from ansible_collections.llmops.serving.plugins.modules import gpu_proof
from tests.unit.plugins.played_host import run_main

if TYPE_CHECKING:
    from pathlib import Path

UUID = "GPU-01000100-0000-0000-0000-000000000000"
HOST: dict[str, Any] = {
    "nvidia": {"module": "550.163.01"},
    "toolkit": {"version": "1.20.0"},
    "docker": {"version": "28.5.2"},
    "gpus": [{"uuid": UUID, "lost": False}],
}
SEEN = Completed(0, f"GPU 0: NVIDIA H100 80GB HBM3 (UUID: {UUID})\n", "")
IT = {"way": "cdi", "image": "docker.io/library/debian:12.12-slim"}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Completed]:
    """Each container takes one."""
    answers = [SEEN]
    monkeypatch.setattr(gpu_proof, "host_facts", lambda: HOST)
    monkeypatch.setattr(_gpu_proof, "RECORD", tmp_path / "gpu-proof.json")
    monkeypatch.setattr(_gpu_proof, "image_digest", lambda image: image)
    monkeypatch.setattr(_gpu_proof, "run", lambda *_words, **_options: answers.pop())
    return answers


def test_proves_once(capsys: pytest.CaptureFixture[str], answers: list[Completed]) -> None:
    code, first, _text = run_main(gpu_proof, capsys, **IT)
    assert (code, first["changed"], first["gpus"], answers) == (0, True, [UUID], [])
    code, second, _text = run_main(gpu_proof, capsys, **IT)
    assert (code, second["changed"], second["gpus"]) == (0, False, [UUID])


def test_proves_again_when_told(capsys: pytest.CaptureFixture[str], answers: list[Completed]) -> None:
    run_main(gpu_proof, capsys, **IT)
    answers.append(SEEN)
    _code, second, _text = run_main(gpu_proof, capsys, **IT, force=True)
    assert (second["changed"], answers) == (True, [])


def test_check_mode_starts_nothing(capsys: pytest.CaptureFixture[str], answers: list[Completed]) -> None:
    _code, result, _text = run_main(gpu_proof, capsys, **IT, _ansible_check_mode=True)
    assert (result["changed"], answers) == (True, [SEEN])
    assert "--device nvidia.com/gpu=all" in result["command"]
    assert not _gpu_proof.RECORD.exists()


def test_a_proof_that_fails_is_not_remembered(capsys: pytest.CaptureFixture[str], answers: list[Completed]) -> None:
    answers[:] = [Completed(125, "", "docker: unresolvable CDI devices nvidia.com/gpu=all")]
    code, result, _text = run_main(gpu_proof, capsys, **IT)
    assert code == 1
    assert "no CDI specification on the host names nvidia.com/gpu=all" in result["cause"]
    assert result["msg"] == f"containers do not see the GPUs: {result['cause']}: {result['remedy']}"
    assert result["log"]
    assert not _gpu_proof.RECORD.exists()


def test_documentation_says_what_the_code_does() -> None:
    documented: dict[str, Any] = yaml.safe_load(gpu_proof.DOCUMENTATION)["options"]
    keys = ("type", "default", "elements", "choices", "required")
    assert {name: {key: option[key] for key in keys if key in option} for name, option in documented.items()} == {
        name: {key: option[key] for key in keys if key in option} for name, option in gpu_proof.ARGUMENTS.items()
    }
    for example in yaml.safe_load(gpu_proof.EXAMPLES):
        assert set(example["llmops.serving.gpu_proof"]) <= set(documented)
