# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs from recorded nvidia-smi answers and made-up sysfs trees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _host_gpu

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORDED = Path(__file__).parents[3] / "fixtures/host/nvidia-smi"
MIB = 1024 * 1024
OPEN_MODULE = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (x)\nGCC version: 13\n"
)
CLOSED_MODULE = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Tue Apr  8 12:41:17 UTC 2025\nGCC version: 12\n"
)


def device(root: Path, address: str, *, kind: str, vendor: str = "0x10de", driver: str | None = None) -> None:
    """Put a PCI device into the made-up sysfs."""
    place = root / "sys/bus/pci/devices" / address
    place.mkdir(parents=True)
    (place / "class").write_text(kind + "\n")
    (place / "vendor").write_text(vendor + "\n")
    (place / "device").write_text("0x2330\n")
    if driver:
        target = root / "sys/bus/pci/drivers" / driver
        target.mkdir(parents=True, exist_ok=True)
        (place / "driver").symlink_to(target)


def no_answer(argv: Sequence[str], timeout: float) -> str | None:  # noqa: ARG001  the signature of a Runner
    """Play a host whose nvidia-smi fails."""
    return None


@pytest.mark.parametrize(
    ("name", "count", "expected"),
    [
        ("t4", 4, ("NVIDIA T4", 16384 * MIB, 16084 * MIB, "7.5", "550.163.01")),
        ("l40s", 8, ("NVIDIA L40S", 49152 * MIB, 48640 * MIB, "8.9", "550.163.01")),
        ("a100", 8, ("NVIDIA A100-SXM4-40GB", 40960 * MIB, 40377 * MIB, "8.0", "550.163.01")),
        ("h100", 8, ("NVIDIA H100 80GB HBM3", 81920 * MIB, 80896 * MIB, "9.0", "550.163.01")),
        ("b200", 8, ("NVIDIA B200", 196608 * MIB, 195584 * MIB, "10.0", "560.35.03")),
        ("gb200", 8, ("NVIDIA GB200", 196608 * MIB, 195584 * MIB, "10.0", "580.65.06")),
        ("gb300", 8, ("NVIDIA GB300 NVL", 294912 * MIB, 293376 * MIB, "10.0", "570.124.06")),
    ],
)
def test_recorded(name: str, count: int, expected: tuple[str, int, int, str, str]) -> None:
    gpus = _host_gpu.parse_smi((RECORDED / f"{name}.csv").read_text(encoding="utf-8"))
    assert [gpu["index"] for gpu in gpus] == list(range(len(gpus)))
    assert len({gpu["uuid"] for gpu in gpus}) == len(gpus) == count
    keys = ("name", "memory_total", "memory_free", "compute_capability", "driver_version")
    assert tuple(gpus[0][key] for key in keys) == expected
    assert not any(gpu["mig"] for gpu in gpus)


def test_no_driver_is_no_gpu() -> None:
    assert _host_gpu.parse_smi((RECORDED / "no-driver.txt").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "0, GPU-a, NVIDIA A100, 40960, 40377, 8.0, 550.1, Enabled, 00000000:3B:00.0",
            {"mig": True, "pci": "0000:3b:00.0"},
        ),
        ("0, GPU-a, NVIDIA GeForce, 8192, 8000, 8.6, 550.1, [N/A], 00000000:01:00.0", {"mig": None}),
        (
            "0, GPU-a, GB10, [N/A], [Not Supported], 12.1, 580.1, N/A, 0000000F:01:00.0",
            {"memory_total": None, "memory_free": None, "pci": "000f:01:00.0"},
        ),
    ],
)
def test_fields_that_vary(line: str, expected: dict[str, Any]) -> None:
    gpu = _host_gpu.parse_smi(line)[0]
    assert {key: gpu[key] for key in expected} == expected


def test_a_lost_gpu_is_left_out() -> None:
    text = (
        "Unable to determine the device handle for GPU0000:3B:00.0: Unknown Error\n"
        "1, GPU-b, NVIDIA L40S, 49152, 48640, 8.9, 550.163.01, Disabled, 00000000:5E:00.0\n"
    )
    assert [gpu["index"] for gpu in _host_gpu.parse_smi(text)] == [1]


@pytest.mark.parametrize(("text", "version"), [(OPEN_MODULE, "580.65.06"), (CLOSED_MODULE, "550.163.01"), ("x", None)])
def test_module_version(tmp_path: Path, text: str, version: str | None) -> None:
    assert _host_gpu.module_version(tmp_path) is None
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "proc/driver/nvidia/version").write_text(text)
    assert _host_gpu.module_version(tmp_path) == version


def test_only_display_controllers_of_nvidia_count(tmp_path: Path) -> None:
    device(tmp_path, "0000:01:00.0", kind="0x030200", driver="nvidia")
    device(tmp_path, "0000:02:00.0", kind="0x030000", driver="nouveau")
    device(tmp_path, "0000:03:00.0", kind="0x030000")
    device(tmp_path, "0000:04:00.0", kind="0x068000", driver="nvidia-nvswitch")  # NVSwitch
    device(tmp_path, "0000:05:00.0", kind="0x020700", driver="mlx5_core")  # NIC
    device(tmp_path, "0000:06:00.0", kind="0x040300", driver="snd_hda_intel")  # the GPU's sound
    device(tmp_path, "0000:07:00.0", kind="0x030000", vendor="0x1002", driver="amdgpu")
    gpus = _host_gpu.gpu_facts(tmp_path, no_answer, has_smi=False)
    assert [(gpu["index"], gpu["pci"], gpu["driver"]) for gpu in gpus] == [
        (0, "0000:01:00.0", "nvidia"),
        (1, "0000:02:00.0", "nouveau"),
        (2, "0000:03:00.0", None),
    ]
    assert all(gpu["uuid"] is None and gpu["name"] is None for gpu in gpus)


def test_name_and_version_without_nvidia_smi(tmp_path: Path) -> None:
    device(tmp_path, "0000:01:00.0", kind="0x030200", driver="nvidia")
    information = tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0/information"
    information.parent.mkdir(parents=True)
    information.write_text("Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 64\n")
    (tmp_path / "proc/driver/nvidia/version").write_text(CLOSED_MODULE)
    gpu = _host_gpu.gpu_facts(tmp_path, no_answer, has_smi=True)[0]
    assert (gpu["name"], gpu["driver_version"]) == ("NVIDIA H100 80GB HBM3", "550.163.01")


def test_bus_and_nvidia_smi_are_joined_by_address(tmp_path: Path) -> None:
    device(tmp_path, "0000:3b:00.0", kind="0x030200", driver="nvidia")
    device(tmp_path, "0000:5e:00.0", kind="0x030200", driver="nvidia")
    answer = (
        "0, GPU-a, NVIDIA L40S, 49152, 48640, 8.9, 550.163.01, Disabled, 00000000:5E:00.0\n"
        "1, GPU-b, NVIDIA T4, 16384, 16084, 7.5, 550.163.01, Disabled, 00000000:3B:00.0\n"
        "2, GPU-c, NVIDIA T4, 16384, 16084, 7.5, 550.163.01, Disabled, 00000000:AF:00.0\n"
    )
    asked = []

    def run(argv: Sequence[str], timeout: float) -> str | None:
        asked.append((argv, timeout))
        return answer

    gpus = _host_gpu.gpu_facts(tmp_path, run, has_smi=True)
    assert [(gpu["pci"], gpu["index"], gpu["uuid"], gpu["driver"]) for gpu in gpus] == [
        ("0000:3b:00.0", 1, "GPU-b", "nvidia"),
        ("0000:5e:00.0", 0, "GPU-a", "nvidia"),
        ("0000:af:00.0", 2, "GPU-c", None),
    ]
    limit = _host_gpu.SMI_TIMEOUT
    assert asked == [(_host_gpu.SMI_COMMAND, limit), (_host_gpu.APP_COMMAND, limit)], "MIG is off, so nothing more"


SPEC = "---\ncdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: []\n"


@pytest.mark.parametrize(
    ("version", "daemon_json", "files", "ways"),
    [
        ("28.2.2", None, {}, []),
        ("28.2.2", None, {"etc/cdi/nvidia.yaml": SPEC}, ["cdi"]),
        ("28.5.2+dfsg4", None, {"run/cdi/nvidia.json": '{\n  "kind": "nvidia.com/gpu"}'}, ["cdi"]),
        ("28.5.2", None, {"etc/cdi/other.yaml": "kind: amd.com/gpu\n"}, []),
        ("28.1.1", None, {"etc/cdi/nvidia.yaml": SPEC}, []),
        ("26.1.5+dfsg1", '{"features": {"cdi": true}}', {"etc/cdi/nvidia.yaml": SPEC}, ["cdi"]),
        ("28.2.2", '{"features": {"cdi": false}}', {"etc/cdi/nvidia.yaml": SPEC}, []),
        ("20.10.24", '{"runtimes": {"nvidia": {"path": "x"}}}', {}, ["runtime"]),
        (None, '{"runtimes": {"crun": {}}}', {"usr/bin/nvidia-container-runtime-hook": ""}, ["gpus"]),
        ("28.2.2", "{broken", {"etc/cdi/nvidia.yaml": SPEC}, ["cdi"]),
        ("28.2.2", "[]", {}, []),
    ],
)
def test_ways(
    tmp_path: Path, version: str | None, daemon_json: str | None, files: dict[str, str], ways: list[str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert _host_gpu.docker_gpu_ways(tmp_path, version, daemon_json) == ways


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("28.2.2", (28, 2, 2)), ("20.10.24+dfsg1-1", (20, 10, 24)), ("24.04", (24, 4)), ("", ()), (None, ()), ("x", ())],
)
def test_version_tuple(version: str | None, numbers: tuple[int, ...]) -> None:
    assert _host_gpu.version_tuple(version) == numbers
