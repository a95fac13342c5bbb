# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Specifications of CDI, recorded and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._host_cdi import cdi_facts

RECORDED = (Path(__file__).parents[3] / "fixtures/host/cdi/8xh100.yaml").read_text(encoding="utf-8")
NODES = [
    *(f"/dev/nvidia{number}" for number in range(8)),
    "/dev/nvidiactl",
    "/dev/nvidia-modeset",
    "/dev/nvidia-uvm",
    "/dev/nvidia-uvm-tools",
]

BY_HAND = """\
cdiVersion: "0.6.0"
kind: nvidia.com/gpu  # the stand-in
devices:
- name: all
  containerEdits:
    env:
    - FOO=bar
    deviceNodes:
    - path: /dev/nvidia0
    mounts:
    - hostPath: /dev/shm/x
      containerPath: /x
- name: '0'
  containerEdits:
    deviceNodes: [{path: /dev/nvidia0}, {path: /dev/gone}]
containerEdits:
  env:
  - name: NOT_A_DEVICE
"""
WITH_NODES_ELSEWHERE = """\
kind: "nvidia.com/gpu"
containerEdits:
  deviceNodes:
    - path: /dev/nvidiactl
      hostPath: /dev/real-ctl
devices:
  - { name: "0:1", containerEdits: { deviceNodes: [ { path: "/dev/nvidia-caps/nvidia-cap3" } ] } }
"""
# Keys in the order of the alphabet, so that a device's name comes last.
NAME_LAST = """\
cdiVersion: 0.5.0
containerEdits:
  deviceNodes:
  - path: /dev/nvidiactl
  hooks:
  - args:
    - nvidia-ctk
    - hook
    hookName: createContainer
    path: /usr/bin/nvidia-ctk
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
    - path: /dev/nvidia-caps/nvidia-cap12
  name: "0:0"
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia1
  name: 1
kind: nvidia.com/gpu
"""
IN_ONE_LINE = (
    "{cdiVersion: 0.5.0, kind: nvidia.com/gpu, devices: [{name: all, containerEdits: {deviceNodes: [{path: /dev/a}]}}]}"
)
AS_JSON = json.dumps(
    {
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        "devices": [{"name": "GPU-1", "containerEdits": {"deviceNodes": [{"path": "/dev/x", "hostPath": "/dev/y"}]}}],
        "containerEdits": {},
    }
)


def tree(root: Path, files: dict[str, str], nodes: list[str]) -> Path:
    for name, text in [*files.items(), *((node[1:], "") for node in nodes)]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_what_the_toolkit_wrote_for_eight_gpus(tmp_path: Path) -> None:
    facts = cdi_facts(tree(tmp_path, {"run/cdi/nvidia.yaml": RECORDED}, NODES))
    uuids = [f"GPU-01000100-0000-0000-0000-00000000000{number}" for number in range(8)]
    assert [spec["path"] for spec in facts["specs"]] == ["/run/cdi/nvidia.yaml"]
    assert facts["specs"][0]["devices"] == [*map(str, range(8)), *uuids, "all"]
    assert facts["specs"][0]["missing"] == []
    assert facts["twice"] == []


def test_a_gpu_that_is_gone(tmp_path: Path) -> None:
    nodes = [node for node in NODES if node != "/dev/nvidia5"]
    facts = cdi_facts(tree(tmp_path, {"run/cdi/nvidia.yaml": RECORDED}, nodes))
    assert facts["specs"][0]["missing"] == ["/dev/nvidia5"]


@pytest.mark.parametrize(
    ("name", "text", "devices", "missing"),
    [
        ("etc/cdi/a.yaml", BY_HAND, ["all", "0"], ["/dev/gone"]),
        ("etc/cdi/a.yaml", WITH_NODES_ELSEWHERE, ["0:1"], ["/dev/nvidia-caps/nvidia-cap3", "/dev/real-ctl"]),
        (
            "etc/cdi/a.yaml",
            NAME_LAST,
            ["0:0", "1"],
            ["/dev/nvidia-caps/nvidia-cap12", "/dev/nvidia1", "/dev/nvidiactl"],
        ),
        ("etc/cdi/a.yaml", IN_ONE_LINE, ["all"], ["/dev/a"]),
        ("var/run/cdi/a.yaml", IN_ONE_LINE, ["all"], ["/dev/a"]),
        ("etc/cdi/a.json", AS_JSON, ["GPU-1"], ["/dev/y"]),
        ("etc/cdi/a.json", '{"kind": "nvidia.com/gpu", "containerEdits": null}', [], []),
        ("etc/cdi/a.yaml", "kind: nvidia.com/gpu\ndevices: []\n", [], []),
    ],
)  # fmt: skip
def test_specifications_by_hand(tmp_path: Path, name: str, text: str, devices: list[str], missing: list[str]) -> None:
    (spec,) = cdi_facts(tree(tmp_path, {name: text}, ["/dev/nvidia0"]))["specs"]
    assert (spec["path"], spec["devices"], spec["missing"]) == (f"/{name}", devices, missing)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("etc/cdi/a.yaml", "kind: amd.com/gpu\ndevices:\n- name: '0'\n"),
        ("etc/cdi/a.yaml", "devices:\n- name: '0'\n"),
        ("etc/cdi/a.yaml", ""),
        ("etc/cdi/a.yaml", "kind: nvidia.com/gpu\ndevices: [{name: '0'"),
        ("etc/cdi/a.yaml", "kind: nvidia.com/gpus\n"),
        ("etc/cdi/a.json", "{broken"),
        ("etc/cdi/a.json", "[]"),
        ("etc/cdi/a.json", '{"kind": "nvidia.com/gpu", "devices": 3}'),
        ("etc/cdi/a.conf", BY_HAND),
        ("opt/cdi/a.yaml", BY_HAND),
    ],
)
def test_what_is_none(tmp_path: Path, name: str, text: str) -> None:
    assert cdi_facts(tree(tmp_path, {name: text}, [])) == {"specs": [], "devices": [], "twice": []}


def test_one_name_in_two_files(tmp_path: Path) -> None:
    files = {"etc/cdi/nvidia.yaml": BY_HAND, "run/cdi/nvidia.yaml": BY_HAND.replace("'0'", "'1'")}
    facts = cdi_facts(tree(tmp_path, files, []))
    assert (facts["devices"], facts["twice"]) == (["0", "1", "all"], ["all"])


def test_a_linked_directory_counts_once(tmp_path: Path) -> None:
    tree(tmp_path, {"run/cdi/nvidia.yaml": BY_HAND}, [])
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to(tmp_path / "run")
    facts = cdi_facts(tmp_path)
    assert [spec["path"] for spec in facts["specs"]] == ["/run/cdi/nvidia.yaml"]
    assert facts["twice"] == []


def test_a_directory_that_is_a_link_counts_once(tmp_path: Path) -> None:
    tree(tmp_path, {"run/cdi/nvidia.yaml": BY_HAND}, [])
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to(tmp_path / "run")
    facts = cdi_facts(tmp_path)
    assert [spec["path"] for spec in facts["specs"]] == ["/run/cdi/nvidia.yaml"]
    assert facts["twice"] == []
