# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory that the collection's own servers hold on a host now, of it and of its GPUs. Looks only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._host_docker import list_containers
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PREFIX = "llmops-"
# Of cgroups by systemd (docker-<id>.scope) and by cgroupfs (/docker/<id>). Where the host is a container itself, its
# own id may come first.
_CONTAINER = re.compile(r"docker[-/]([0-9a-f]{64})")
_RESIDENT = re.compile(r"^Rss(?:Anon|Shmem):\s+(\d+) kB$", re.MULTILINE)
_COUNTED = re.compile(r"^(anon|shmem) (\d+)$", re.MULTILINE)


def container_names(socket: str | None) -> dict[str, str]:
    """Name the servers whose containers run.

    Args:
        socket: The socket of a running Docker, None without one.

    Returns:
        The server's name by the container's id.
    """
    found = {}
    for entry in list_containers(socket, "llmops.server") if socket else []:
        names = [str(name).lstrip("/") for name in entry.get("Names") or []]
        found.update({str(entry.get("Id")): name[len(PREFIX) :] for name in names if name.startswith(PREFIX)})
    return found


def held_memory(
    root: Path, names: Mapping[str, str], processes: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, dict[str, Any]], dict[int, str]]:
    """Sum up the memory of servers.

    Args:
        root: The root of the file tree to look at.
        names: Servers by their container's id.
        processes: What nvidia-smi says of processes on GPUs: pid, gpu (its UUID), memory (bytes or None).

    Returns:
        By server ``memory``, bytes of its processes that are no file's and so cannot be dropped, and ``gpus``, bytes
        by the GPU's UUID; and the server of each process id.
    """
    # The kernel's own sum where there is one. Over the processes, what they share counts once for each of them.
    counted: dict[str, int | None] = {}
    held: dict[str, dict[str, Any]] = {name: {"memory": 0, "gpus": {}} for name in names.values()}
    owners: dict[int, str] = {}
    for directory in (root / "proc").iterdir() if names else ():
        if not directory.name.isdigit():
            continue
        cgroup = read_text(directory / "cgroup") or ""
        ours = [container for container in _CONTAINER.findall(cgroup) if container in names]
        if not ours:
            continue
        server = owners[int(directory.name)] = names[ours[0]]
        if server not in counted:
            counted[server] = _counted(root, cgroup, ours[0])
        told = counted[server]
        if told is not None:
            held[server]["memory"] = told
            continue
        resident = _RESIDENT.findall(read_text(directory / "status") or "")
        held[server]["memory"] += sum(int(kib) * 1024 for kib in resident)
    for process in processes:
        owner = owners.get(process["pid"])
        if owner is not None and process["memory"]:
            gpus = held[owner]["gpus"]
            gpus[process["gpu"]] = gpus.get(process["gpu"], 0) + process["memory"]
    return held, owners


def _counted(root: Path, cgroup: str, container: str) -> int | None:
    """Read what the kernel counts for a container (cgroup v2, memory.stat); None where it does not."""
    place = re.search(rf"^0::/(.*?{container}[^/\n]*)", cgroup, re.MULTILINE)
    text = read_text(root / "sys/fs/cgroup" / place.group(1) / "memory.stat") if place else None
    values = dict(_COUNTED.findall(text or ""))
    return sum(map(int, values.values())) if "anon" in values else None
