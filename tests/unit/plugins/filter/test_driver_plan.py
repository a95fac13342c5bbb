# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The face of the plan of a driver: what a role hands it and gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.serving.plugins.filter import driver_plan as module

DEFAULTS = yaml.safe_load((Path(__file__).parents[4] / "roles/nvidia_driver/defaults/main.yml").read_text("utf-8"))
filter_ = module.FilterModule().filters()["driver_plan"]
HOST: dict[str, Any] = {
    "distribution": {"id": "debian", "name": "Debian GNU/Linux 12 (bookworm)", "version": "12", "family": "debian"},
    "kernel": "6.1.0-28-amd64",
    "architecture": "x86_64",
    "gpus": [{"pci": "0000:01:00.0", "device": "0x2330", "name": None, "driver": None, "driver_version": None}],
    "nvidia": {
        "module": None,
        "library": None,
        "module_installed": False,
        "nouveau": True,
        "wsl": False,
        "smi": {"installed": False, "works": False, "code": None, "message": ""},
    },
    "held": {"chat": {"memory": 1, "gpus": {}}},
}


def test_gives_what_it_documents_in_plain_json() -> None:
    found = filter_(HOST)
    assert set(found) == set(yaml.safe_load(module.RETURN)["_value"]["contains"])
    assert json.loads(json.dumps(found)) == found
    assert (found["action"], found["branch"], found["servers"]) == ("install", "580", ["chat"])
    assert (found["reboot"], found["reboot_why"]) == (True, "nouveau has the GPU")


def test_takes_what_the_role_has_and_with_the_same_defaults() -> None:
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    shared = {name: DEFAULTS[f"nvidia_driver_{name}"] for name in documented if f"nvidia_driver_{name}" in DEFAULTS}
    assert set(documented) - set(shared) == {"_input", "looked"}
    assert shared == {name: documented[name]["default"] for name in shared}
    assert filter_(HOST, **shared) == filter_(HOST)


def test_hears_what_the_role_saw() -> None:
    assert filter_(HOST, looked="pci 0x10de 0x068000")["services"] == ["nvidia-fabricmanager.service"]


def test_options_are_heard() -> None:
    found = filter_(HOST, branch="595", repository_url="http://mirror", key_fingerprint="A" * 40)
    assert (found["branch"], found["first"]) == ("595", ["nvidia-driver-pinning-595"])
    assert (found["repository"]["url"], found["repository"]["fingerprint"]) == (
        "http://mirror/debian12/x86_64",
        "A" * 40,
    )
    assert filter_(HOST, packages=["mine"])["packages"] == ["mine"]
    assert filter_(HOST, version="595.71.05")["version"] == "595.71.05"
    assert filter_(HOST, kernel_module="proprietary")["kernel_module"] == "proprietary"
    assert filter_(HOST, key_url="http://mirror/key")["repository"]["key_url"] == "http://mirror/key"


def test_a_branch_without_quotes_is_a_branch() -> None:
    assert filter_(HOST, branch=580) == filter_(HOST, branch="580")
    assert filter_(HOST, version=570.26) == filter_(HOST, version="570.26")


@pytest.mark.parametrize("host", [None, {}, [], "host", {"gpus": []}])
def test_other_input_is_refused_in_words(host: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^driver_plan: the input is not what llmops\.serving\.host_info"):
        filter_(host)
