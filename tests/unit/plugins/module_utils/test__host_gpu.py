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


def silent(argv: Sequence[str], timeout: float) -> _host_gpu.Answer:
    """Play a host where there is nothing more to ask nvidia-smi for."""
    raise AssertionError(f"{argv} within {timeout} s")


FAILED = _host_gpu.Answer(9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n")


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
    gpus = _host_gpu.gpu_facts(tmp_path, None, silent)
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
    gpu = _host_gpu.gpu_facts(tmp_path, FAILED, silent)[0]
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

    def ask(argv: Sequence[str], timeout: float) -> _host_gpu.Answer:
        asked.append((argv, timeout))
        return _host_gpu.Answer(0, "")

    gpus = _host_gpu.gpu_facts(tmp_path, _host_gpu.Answer(0, answer), ask)
    assert [(gpu["pci"], gpu["index"], gpu["uuid"], gpu["driver"], gpu["lost"]) for gpu in gpus] == [
        ("0000:3b:00.0", 1, "GPU-b", "nvidia", False),
        ("0000:5e:00.0", 0, "GPU-a", "nvidia", False),
        ("0000:af:00.0", 2, "GPU-c", None, False),
    ]
    assert asked == [(_host_gpu.APP_COMMAND, _host_gpu.SMI_TIMEOUT)], "MIG is off, so nothing more"


ONE = "0, GPU-a, NVIDIA L40S, 49152, 48640, 8.9, 550.163.01, Disabled, 00000000:3B:00.0\n"
OTHER = "1, GPU-b, NVIDIA L40S, 49152, 48640, 8.9, 550.163.01, Disabled, 00000000:5E:00.0\n"
HANDLE = "Unable to determine the device handle for GPU"


@pytest.mark.parametrize(
    ("text", "addresses", "indices"),
    [
        (f"{HANDLE}0000:3B:00.0: GPU is lost.  Reboot the system to recover this GPU\n", {"0000:3b:00.0"}, set()),
        (f"{HANDLE} 0000:02:00.0: Unknown Error\n", {"0000:02:00.0"}, set()),
        (f"{HANDLE}3: 0000:5F:00.0: Unknown Error\n{OTHER}", {"0000:5f:00.0"}, set()),
        (f"{HANDLE}2: Unknown Error\n", set(), {2}),
        (f"{HANDLE} 0000:02:00.0: Insufficient Permissions\n", set(), set()),
        ("Unable to determine the device handle for gpu 0000:01:00.0: Not Found\n", {"0000:01:00.0"}, set()),
        (ONE, set(), set()),
        ("", set(), set()),
    ],
)
def test_gpus_that_nvidia_smi_cannot_reach(text: str, addresses: set[str], indices: set[int]) -> None:
    assert _host_gpu.parse_lost(text) == (addresses, indices)


@pytest.mark.parametrize(
    ("answer", "lost"),
    [
        # It went on to the other one, and failed or not; what it says may be on either stream.
        (_host_gpu.Answer(15, f"{HANDLE}0000:3B:00.0: GPU is lost.\n{OTHER}"), [True, False]),
        (_host_gpu.Answer(0, OTHER, f"{HANDLE}0: 0000:3B:00.0: Unknown Error\n"), [True, False]),
        (_host_gpu.Answer(0, OTHER), [True, False]),
        # It gave up.
        (_host_gpu.Answer(255, f"{HANDLE}0000:5E:00.0: Unknown Error\n"), [False, True]),
        (_host_gpu.Answer(255, f"{HANDLE}1: Unknown Error\n"), [False, True]),
        (FAILED, [False, False]),
        (_host_gpu.Answer(None, "", "no answer within 30 s"), [False, False]),
    ],
)
def test_lost_gpus(tmp_path: Path, answer: _host_gpu.Answer, lost: list[bool]) -> None:
    device(tmp_path, "0000:3b:00.0", kind="0x030200", driver="nvidia")
    device(tmp_path, "0000:5e:00.0", kind="0x030200", driver="nvidia")
    gpus = _host_gpu.gpu_facts(tmp_path, answer, lambda _argv, _timeout: _host_gpu.Answer(0, ""))
    assert [gpu["lost"] for gpu in gpus] == lost
    assert [gpu["index"] for gpu in gpus] == [0, 1]


@pytest.mark.parametrize("driver", ["vfio-pci", "nouveau", None])
def test_a_gpu_that_the_driver_does_not_hold_is_not_lost_and_takes_no_index(tmp_path: Path, driver: str | None) -> None:
    device(tmp_path, "0000:01:00.0", kind="0x030000", driver=driver)
    device(tmp_path, "0000:3b:00.0", kind="0x030200", driver="nvidia")
    answer = _host_gpu.Answer(0, ONE)
    gpus = _host_gpu.gpu_facts(tmp_path, answer, lambda _argv, _timeout: _host_gpu.Answer(0, ""))
    assert [(gpu["index"], gpu["uuid"], gpu["lost"]) for gpu in gpus] == [(1, None, False), (0, "GPU-a", False)]


# As in NVIDIA's MIG User Guide ("Creating GPU Instances"); the second as drivers below 470 wrote it.
WITH_MIG = """\
GPU 0: A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
  MIG 1g.5gb      Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 1g.5gb+me   Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
GPU 10: A100-SXM4-40GB (UUID: GPU-b)
  MIG 1c.3g.20gb  Device  0: (UUID: MIG-x)
"""
WITH_OLD_MIG = """\
GPU 0: A100-SXM4-40GB (UUID: GPU-e86cb44c)
  MIG 3g.20gb Device 0: (UUID: MIG-GPU-e86cb44c/1/0)
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            WITH_MIG,
            {
                "GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77": [
                    ("0:0", "1g.5gb", "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f"),
                    ("0:1", "1g.5gb+me", "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb"),
                ],
                "GPU-b": [("10:0", "1c.3g.20gb", "MIG-x")],
            },
        ),
        (WITH_OLD_MIG, {"GPU-e86cb44c": [("0:0", "3g.20gb", "MIG-GPU-e86cb44c/1/0")]}),
        ("No devices were found\n", {}),
        ("  MIG 3g.20gb Device 0: (UUID: MIG-without-a-GPU)\n", {}),
    ],
)
def test_mig_devices(text: str, expected: dict[str, list[tuple[str, str, str]]]) -> None:
    found = _host_gpu.parse_list(text)
    assert {uuid: [tuple(part.values()) for part in parts] for uuid, parts in found.items()} == expected


def test_processes_in_mig_devices_are_told_with_their_gpu(tmp_path: Path) -> None:
    listed = "GPU 0: NVIDIA L40S (UUID: GPU-a)\n  MIG 1g.5gb     Device  0: (UUID: MIG-1)\n"
    answers = {
        _host_gpu.APP_COMMAND: "GPU-a, 1, one, 1\nMIG-1, 2, two, 2\nGPU-b, 3, three, 3\n",
        _host_gpu.LIST_COMMAND: listed,
    }
    answer = _host_gpu.Answer(0, ONE.replace("Disabled", "Enabled"))
    (gpu,) = _host_gpu.gpu_facts(tmp_path, answer, lambda argv, _timeout: _host_gpu.Answer(0, answers[tuple(argv)]))
    assert gpu["processes"] == [{"pid": 1, "name": "one", "memory": MIB}, {"pid": 2, "name": "two", "memory": 2 * MIB}]
    assert gpu["mig_devices"] == [{"index": "0:0", "profile": "1g.5gb", "uuid": "MIG-1"}]


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("28.2.2", (28, 2, 2)), ("20.10.24+dfsg1-1", (20, 10, 24)), ("24.04", (24, 4)), ("", ()), (None, ()), ("x", ())],
)
def test_version_tuple(version: str | None, numbers: tuple[int, ...]) -> None:
    assert _host_gpu.version_tuple(version) == numbers
