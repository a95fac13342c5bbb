# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host knows about its NVIDIA driver: module, library, nvidia-smi. Looks only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import module_version, read_text, version_tuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import Answer

# Where distributions, NVIDIA's own installer and WSL put the library that nvidia-smi loads.
LIBRARY_DIRECTORIES = (
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib/x86_64-linux-gnu/nvidia/current",
    "usr/lib/aarch64-linux-gnu/nvidia/current",
    "usr/lib64",
    "usr/lib/wsl/lib",
)
MODULE_DIRECTORIES = ("lib/modules", "usr/lib/modules")
# Debian's packages rename the module, to nvidia-current.ko or after the branch that is still kept for old GPUs. Others
# of the driver (nvidia-drm.ko, nvidia-current-uvm.ko) and of the kernel (nvidiafb.ko) do not count.
_MODULE = r"nvidia(?:-current|-(?:tesla|legacy)(?:-\d+\w*)?)?\.ko(?:\.(?:gz|xz|zst))?"
_LISTED = re.compile(rf"/{_MODULE}:")
_FILE = re.compile(rf"{_MODULE}$")
# Where DKMS, the distributions' packages and NVIDIA's installer put modules.
_PLACES = ("updates", "updates/dkms", "extra", "extra/nvidia", "weak-updates/nvidia", "kernel/drivers/video")
# A line of nvidia-smi that says what is wrong, in the place of advice.
_SPEAKING = re.compile(r"fail|error|couldn't|unable|mismatch|no devices|not found|no answer", re.IGNORECASE)


def speaking_line(text: str) -> str:
    """Find the line of a failed nvidia-smi that says what is wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    speaking = [line for line in lines if _SPEAKING.search(line)]
    return (speaking or lines or [""])[0]


def library_version(root: Path) -> str | None:
    """Tell the version of the driver's library on disk, by its file's name.

    Args:
        root: The root of the file tree to look at.

    Returns:
        The highest one, None without any. On WSL the file has no version, so None.
    """
    found = [
        match.group(1)
        for directory in LIBRARY_DIRECTORIES
        for path in (root / directory).glob("libnvidia-ml.so.*")
        if (match := re.search(r"\.so\.(\d+\.\d+(?:\.\d+)?)$", path.name))
    ]
    return max(found, key=version_tuple, default=None)


def has_module(root: Path, release: str) -> bool:
    """Tell whether the running kernel has NVIDIA's module on disk, loaded or not.

    Args:
        root: The root of the file tree to look at.
        release: The kernel's release.

    Returns:
        Whether depmod lists it, or it lies where modules are put.
    """
    for directory in MODULE_DIRECTORIES:
        place = root / directory / release
        if _LISTED.search(read_text(place / "modules.dep") or ""):
            return True
        if any(_FILE.match(path.name) for part in _PLACES for path in (place / part).glob("nvidia*.ko*")):
            return True
    return False


def nvidia_facts(root: Path, release: str, gpus: Sequence[Mapping[str, Any]], answer: Answer | None) -> dict[str, Any]:
    """Tell what is known about the driver.

    Args:
        root: The root of the file tree to look at.
        release: The kernel's release.
        gpus: The GPUs, as gpu_facts gives them.
        answer: What nvidia-smi answered when asked for them, None when it is not installed.

    Returns:
        module (version of the loaded one), library (version on disk), module_installed, nouveau (loaded, or bound to a
        GPU), wsl, and smi: installed, works (it told of a GPU), code (its exit status, a nvmlReturn_t of
        nvml.h: 9 a driver that is not loaded, 12 a missing library, 15 a lost GPU, 18 a library and a module of
        different versions), message (what it says is wrong, empty while it works).
    """
    works = any(gpu["uuid"] for gpu in gpus)
    message = speaking_line(answer.out + "\n" + answer.err) if answer and not works else ""
    return {
        "module": module_version(root),
        "library": library_version(root),
        "module_installed": has_module(root, release),
        "nouveau": (root / "sys/module/nouveau").is_dir() or any(gpu["driver"] == "nouveau" for gpu in gpus),
        "wsl": (root / "dev/dxg").exists(),
        "smi": {
            "installed": answer is not None,
            "works": works,
            "code": answer.code if answer else None,
            "message": message,
        },
    }
