# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The driver of made-up trees."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _host_nvidia
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
        ("updates/dkms/nvidia-drm.ko.xz: updates/dkms/nvidia.ko.xz", False),
        ("kernel/drivers/gpu/drm/nouveau/nouveau.ko.xz:", False),
    ],
)
def test_module_on_disk(tmp_path: Path, line: str, expected: bool) -> None:
    write(tmp_path, f"lib/modules/{RELEASE}/modules.dep", f"kernel/a.ko:\n{line}\n")
    assert _host_nvidia.has_module(tmp_path, RELEASE) is expected
    assert not _host_nvidia.has_module(tmp_path, "6.1.0-29-amd64")


def test_a_bare_tree(tmp_path: Path) -> None:
    facts = _host_nvidia.nvidia_facts(tmp_path, RELEASE, None, works=False, explain=_host_nvidia.no_explanation)
    assert facts == {
        "module": None, "library": None, "module_installed": False, "nouveau": False, "wsl": False,
        "smi": {"installed": False, "works": False, "code": None, "message": ""},
    }  # fmt: skip


def test_why_nvidia_smi_fails_is_asked_only_then(tmp_path: Path) -> None:
    asked = []

    def explain(argv: object, timeout: float) -> tuple[int | None, str]:
        asked.append((argv, timeout))
        return 18, MISMATCH

    write(tmp_path, "proc/driver/nvidia/version", CLOSED_MODULE)
    write(tmp_path, "usr/lib64/libnvidia-ml.so.580.95.05")
    write(tmp_path, "dev/dxg")
    (tmp_path / "sys/module/nouveau").mkdir(parents=True)
    good = _host_nvidia.nvidia_facts(tmp_path, RELEASE, "/usr/bin/nvidia-smi", works=True, explain=explain)
    assert (good["smi"], asked) == ({"installed": True, "works": True, "code": 0, "message": ""}, [])
    assert (good["module"], good["library"], good["nouveau"], good["wsl"]) == ("550.163.01", "580.95.05", True, True)
    bad = _host_nvidia.nvidia_facts(tmp_path, RELEASE, "/usr/bin/nvidia-smi", works=False, explain=explain)
    assert bad["smi"] == {"installed": True, "works": False, "code": 18, "message": MISMATCH.splitlines()[0]}
    assert len(asked) == 1


def test_commands_that_fail_are_heard() -> None:
    program = "import sys; print('out'); print('err', file=sys.stderr, flush=True); sys.exit(9)"
    code, text = _host_nvidia.explain_command([sys.executable, "-c", program], 20)
    assert (code, sorted(text.split())) == (9, ["err", "out"])
    assert _host_nvidia.explain_command([sys.executable, "-c", "import time; time.sleep(60)"], 0.2) == (
        None,
        "no answer within 0.2 s",
    )
    code, text = _host_nvidia.explain_command(["/no/such/program"], 1)
    assert code is None
    assert "no/such" in text
