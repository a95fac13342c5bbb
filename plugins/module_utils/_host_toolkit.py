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
# dpkg keeps one list of files per package, named after its architecture too where several can be installed.
_ARCHITECTURES = ("", ":amd64", ":arm64")


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
    """Read dpkg's own list, which is quicker than asking dpkg; it is long, so only where one of them is in it."""
    lists = root / "var/lib/dpkg/info"
    if not any((lists / f"{name}{kind}.list").exists() for name in PACKAGES for kind in _ARCHITECTURES):
        return {}
    found = {}
    for block in (read_text(root / "var/lib/dpkg/status") or "").split("\n\n"):
        name = block.partition("\n")[0][len("Package: ") :]
        if name not in PACKAGES or not re.search(r"^Status: \S+ ok installed$", block, re.MULTILINE):
            continue
        version = re.search(r"^Version: (\S+)$", block, re.MULTILINE)
        if version:
            found[name] = version.group(1)
    return found


def _rpm(run: Runner) -> dict[str, str]:
    # rpm fails when one of them is missing, so one at a time.
    asked = {name: run(("rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}", name), RPM_TIMEOUT) for name in PACKAGES}
    return {name: answer.strip() for name, answer in asked.items() if answer}
