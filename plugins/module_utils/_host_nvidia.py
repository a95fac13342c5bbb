# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host knows about its NVIDIA driver: module, library, nvidia-smi. Looks only."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import module_version, read_text, version_tuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    # Gives exit status and output, both streams in one, of a command that failed; None as status when it never ran.
    Explainer = Callable[[Sequence[str], float], "tuple[int | None, str]"]

# Where distributions, NVIDIA's own installer and WSL put the library that nvidia-smi loads.
LIBRARY_DIRECTORIES = (
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib/x86_64-linux-gnu/nvidia/current",
    "usr/lib/aarch64-linux-gnu/nvidia/current",
    "usr/lib64",
    "usr/lib/wsl/lib",
)
MODULES = ("nvidia.ko", "nvidia.ko.gz", "nvidia.ko.xz", "nvidia.ko.zst", "nvidia-current.ko")
# A line of nvidia-smi that says what is wrong, in the place of advice.
_SPEAKING = re.compile(r"fail|error|couldn't|unable|mismatch|no devices|not found", re.IGNORECASE)


def explain_command(argv: Sequence[str], timeout: float) -> tuple[int | None, str]:
    """Run a command that fails, to hear why.

    Args:
        argv: The command.
        timeout: Seconds after which it is killed.

    Returns:
        Its exit status, None when it did not run or end, and what it printed.
    """
    environment = dict(os.environ, LC_ALL="C", PATH=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin")
    try:
        done = subprocess.run(  # noqa: S603  argv comes from the tables in these files, never from outside
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer within {timeout:g} s"
    except OSError as error:
        return None, str(error)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def no_explanation(argv: Sequence[str], timeout: float) -> tuple[int | None, str]:  # noqa: ARG001  an Explainer
    """Run nothing: the Explainer for a file tree that is not this machine's."""
    return None, ""


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
        Whether depmod lists it.
    """
    for directory in ("lib/modules", "usr/lib/modules"):
        listing = read_text(root / directory / release / "modules.dep") or ""
        for line in listing.splitlines():
            if line.partition(":")[0].rpartition("/")[2] in MODULES:
                return True
    return False


def nvidia_facts(root: Path, release: str, smi: str | None, works: bool, explain: Explainer) -> dict[str, Any]:
    """Tell what is known about the driver.

    Args:
        root: The root of the file tree to look at.
        release: The kernel's release.
        smi: The path of nvidia-smi, None when it is not installed.
        works: Whether nvidia-smi has answered.
        explain: Runs nvidia-smi again where it has not, to hear why.

    Returns:
        module (version of the loaded one), library (version on disk), module_installed, nouveau (loaded), wsl, and smi:
        installed, works, code (exit status), message (what it says is wrong).
    """
    code: int | None = 0 if works else None
    message = ""
    if smi and not works:
        code, text = explain(("nvidia-smi", "-L"), 5.0)
        message = speaking_line(text)
    return {
        "module": module_version(root),
        "library": library_version(root),
        "module_installed": has_module(root, release),
        "nouveau": (root / "sys/module/nouveau").is_dir(),
        "wsl": (root / "dev/dxg").exists(),
        "smi": {"installed": smi is not None, "works": works, "code": code, "message": message},
    }
