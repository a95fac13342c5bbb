# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The driver of made-up trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _host_nvidia
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import Answer
from tests.unit.plugins.module_utils.test__host_gpu import CLOSED_MODULE

RECORDED = Path(__file__).parents[3] / "fixtures/host/nvidia-smi"
LIBRARIES = "usr/lib/x86_64-linux-gnu"
RELEASE = "6.1.0-28-amd64"
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.95\n"


def write(root: Path, name: str, text: str = "") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ((RECORDED / "no-driver.txt").read_text(), "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system. "),
        (MISMATCH, "Failed to initialize NVML: Driver/library version mismatch"),
        ("\n", ""),
        ("something\nelse\n", "something"),
        (
            "Mon Nov  2\nUnable to determine the device handle for GPU0000:3B:00.0: GPU is lost.\n",
            "Unable to determine",
        ),
    ],
)
def test_the_line_that_speaks(text: str, line: str) -> None:
    assert _host_nvidia.speaking_line(text).startswith(line.strip())


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ([], None),
        ([f"{LIBRARIES}/libnvidia-ml.so.1"], None),
        ([f"{LIBRARIES}/libnvidia-ml.so.1", f"{LIBRARIES}/libnvidia-ml.so.550.163.01"], "550.163.01"),
        (["usr/lib64/libnvidia-ml.so.580.65.06"], "580.65.06"),
        # Left over by an upgrade: the linker takes the newest.
        (["usr/lib64/libnvidia-ml.so.575.57.08", "usr/lib64/libnvidia-ml.so.580.65.06"], "580.65.06"),
        (["usr/lib/wsl/lib/libnvidia-ml.so.1"], None),
    ],
)  # fmt: skip
def test_library(tmp_path: Path, files: list[str], version: str | None) -> None:
    for name in files:
        write(tmp_path, name)
    assert _host_nvidia.library_version(tmp_path) == version


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("updates/dkms/nvidia.ko.xz: kernel/drivers/x.ko", True),
        ("kernel/drivers/char/drm/nvidia.ko:", True),
        ("updates/dkms/nvidia-current.ko:", True),
        ("updates/dkms/nvidia-tesla-470.ko.xz:", True),
        ("updates/dkms/nvidia-legacy-390xx.ko:", True),
        ("updates/dkms/nvidia-current-uvm.ko: updates/dkms/nvidia-current.ko", False),
        ("kernel/drivers/video/fbdev/nvidia/nvidiafb.ko.zst:", False),
        ("updates/dkms/nvidia-drm.ko.xz: updates/dkms/nvidia.ko.xz", False),
        ("kernel/drivers/gpu/drm/nouveau/nouveau.ko.xz:", False),
    ],
)
def test_module_on_disk(tmp_path: Path, line: str, expected: bool) -> None:
    write(tmp_path, f"lib/modules/{RELEASE}/modules.dep", f"kernel/a.ko:\n{line}\n")
    assert _host_nvidia.has_module(tmp_path, RELEASE) is expected
    assert not _host_nvidia.has_module(tmp_path, "6.1.0-29-amd64")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"lib/modules/{RELEASE}/updates/dkms/nvidia.ko.zst", True),
        (f"usr/lib/modules/{RELEASE}/kernel/drivers/video/nvidia.ko", True),
        (f"lib/modules/{RELEASE}/extra/nvidia/nvidia.ko.xz", True),
        (f"lib/modules/{RELEASE}/updates/dkms/nvidia-uvm.ko", False),
        ("lib/modules/6.1.0-27-amd64/updates/dkms/nvidia.ko", False),
    ],
)
def test_module_that_depmod_does_not_know_yet(tmp_path: Path, name: str, expected: bool) -> None:
    write(tmp_path, name)
    assert _host_nvidia.has_module(tmp_path, RELEASE) is expected


GPU = {"uuid": "GPU-a", "driver": "nvidia"}
SILENT = {"uuid": None, "driver": "nvidia"}


def test_a_bare_tree(tmp_path: Path) -> None:
    assert _host_nvidia.nvidia_facts(tmp_path, RELEASE, [], None) == {
        "module": None, "library": None, "module_installed": False, "nouveau": False, "wsl": False,
        "smi": {"installed": False, "works": False, "code": None, "message": ""},
    }  # fmt: skip


def test_a_tree_with_everything(tmp_path: Path) -> None:
    write(tmp_path, "proc/driver/nvidia/version", CLOSED_MODULE)
    write(tmp_path, "usr/lib64/libnvidia-ml.so.580.95.05")
    write(tmp_path, f"lib/modules/{RELEASE}/modules.dep", "updates/dkms/nvidia.ko:\n")
    write(tmp_path, "dev/dxg")
    (tmp_path / "sys/module/nouveau").mkdir(parents=True)
    facts = _host_nvidia.nvidia_facts(tmp_path, RELEASE, [GPU], Answer(0, "0, GPU-a, …"))
    assert facts == {
        "module": "550.163.01", "library": "580.95.05", "module_installed": True, "nouveau": True, "wsl": True,
        "smi": {"installed": True, "works": True, "code": 0, "message": ""},
    }  # fmt: skip


def test_nouveau_that_holds_a_gpu(tmp_path: Path) -> None:
    assert _host_nvidia.nvidia_facts(tmp_path, RELEASE, [{"uuid": None, "driver": "nouveau"}], None)["nouveau"] is True


@pytest.mark.parametrize(
    ("answer", "gpus", "expected"),
    [
        (Answer(18, MISMATCH), [SILENT], (False, 18, "Failed to initialize NVML: Driver/library version mismatch")),
        (Answer(9, "", "NVIDIA-SMI has failed because\n"), [SILENT], (False, 9, "NVIDIA-SMI has failed because")),
        (Answer(6, "No devices were found\n"), [], (False, 6, "No devices were found")),
        (Answer(None, "", "no answer within 30 s"), [SILENT], (False, None, "no answer within 30 s")),
        # One GPU is lost and the other answers.
        (Answer(15, "1, GPU-a, …", "Unable to determine …"), [SILENT, GPU], (True, 15, "")),
        (Answer(0, ""), [SILENT], (False, 0, "")),
    ],
)
def test_what_nvidia_smi_says(
    tmp_path: Path, answer: Answer, gpus: list[dict[str, str | None]], expected: tuple[bool, int | None, str]
) -> None:
    smi = _host_nvidia.nvidia_facts(tmp_path, RELEASE, gpus, answer)["smi"]
    assert smi["installed"] is True
    assert (smi["works"], smi["code"], smi["message"]) == expected
