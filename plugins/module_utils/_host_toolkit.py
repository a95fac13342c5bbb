# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The NVIDIA Container Toolkit on a host: which version, and which of its parts. Looks only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._host_docker import find_program
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import read_text

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import Runner

PACKAGES = (
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "libnvidia-container-tools",
    "libnvidia-container1",
)
REFRESH = "nvidia-cdi-refresh"
UNIT_DIRECTORIES = ("etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
RPM_TIMEOUT = 5.0


def toolkit_facts(root: Path, run: Runner) -> dict[str, Any]:
    """Tell what of the toolkit is installed.

    Args:
        root: The root of the file tree to look at.
        run: Runs commands on the host.

    Returns:
        version (``1.20.0``, None without it), packages (version by name), ctk (path of nvidia-ctk), hook (Docker's
        ``--gpus`` needs it), refresh (whether nvidia-cdi-refresh is there) and refresh_enabled.
    """
    ctk = find_program(root, "nvidia-ctk")
    packages = _dpkg(root)
    if not packages and ctk and find_program(root, "rpm"):
        packages = _rpm(run)
    told = packages.get("nvidia-container-toolkit-base") or packages.get("nvidia-container-toolkit")
    if told is None and ctk:
        match = re.search(r"version (\d+(?:\.\d+)+)", run(("nvidia-ctk", "--version"), RPM_TIMEOUT) or "")
        told = match.group(1) if match else None
    return {
        "version": None if told is None else told.partition("-")[0],
        "packages": packages,
        "ctk": ctk,
        "hook": find_program(root, "nvidia-container-runtime-hook") is not None,
        "refresh": any((root / directory / f"{REFRESH}.service").exists() for directory in UNIT_DIRECTORIES),
        "refresh_enabled": any((root / "etc/systemd/system").glob(f"*.wants/{REFRESH}.*")),
    }


def _dpkg(root: Path) -> dict[str, str]:
    """Read dpkg's own list, which is quicker than asking dpkg."""
    found = {}
    text = read_text(root / "var/lib/dpkg/status") or ""
    for name in PACKAGES:
        block = re.search(rf"^Package: {re.escape(name)}\n(?:.+\n?)*", text, re.MULTILINE)
        if block is None or not re.search(r"^Status: \S+ ok installed$", block.group(), re.MULTILINE):
            continue
        version = re.search(r"^Version: (\S+)$", block.group(), re.MULTILINE)
        if version:
            found[name] = version.group(1)
    return found


def _rpm(run: Runner) -> dict[str, str]:
    # rpm fails when one of them is missing, and says the others all the same only on its output: so one at a time.
    asked = {name: run(("rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}", name), RPM_TIMEOUT) for name in PACKAGES}
    return {name: answer.strip() for name, answer in asked.items() if answer}
