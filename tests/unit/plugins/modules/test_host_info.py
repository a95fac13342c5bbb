# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_info, run as Ansible runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils._host import host_facts
from ansible_collections.llmops.serving.plugins.modules import host_info
from tests.unit.plugins.module_utils.test__host_gpu import device

ROOT = Path(__file__).parents[4]


def run(parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Run the module in a process of its own and give its status and result."""
    path = os.pathsep.join([str(ROOT / ".collections"), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", "ansible_collections.llmops.serving.plugins.modules.host_info"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": parameters}),
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, result


@pytest.mark.parametrize("check", [False, True])
def test_it_tells_and_changes_nothing(check: bool) -> None:
    status, result = run({"model_dir": "/srv/models", "paths": ["/opt"], "_ansible_check_mode": check})
    assert (status, result["changed"]) == (0, False)
    assert {"/srv/models", "/opt"} < set(result["host"]["disk"])


def test_it_refuses_unknown_options() -> None:
    status, result = run({"modeldir": "/srv"})
    assert status == 1
    assert "modeldir" in result["msg"]


def test_every_value_is_documented() -> None:
    documented = yaml.safe_load(host_info.RETURN)["host"]["contains"]
    _status, result = run({})
    assert set(result["host"]) == set(documented)
    assert set(result["host"]["docker"]) == set(documented["docker"]["contains"])
    for name in ("distribution", "nvidia", "toolkit", "cdi"):
        assert set(result["host"][name]) == set(documented[name]["sample"]), name
    assert set(result["host"]["nvidia"]["smi"]) == set(documented["nvidia"]["sample"]["smi"])


def test_every_value_of_a_gpu_is_documented(tmp_path: Path) -> None:
    device(tmp_path, "0000:3b:00.0", kind="0x030200", driver="nvidia")
    (gpu,) = host_facts(str(tmp_path))["gpus"]
    assert set(gpu) == set(yaml.safe_load(host_info.RETURN)["host"]["contains"]["gpus"]["sample"][0])
