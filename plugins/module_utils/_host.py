# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts about a host that decide whether and how it can serve. Looks only; changes and starts nothing."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._host_cdi import cdi_facts
from ansible_collections.llmops.serving.plugins.module_utils._host_cpu import cpu_facts
from ansible_collections.llmops.serving.plugins.module_utils._host_docker import docker_facts, find_program
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import (
    SMI_COMMAND,
    SMI_TIMEOUT,
    Answer,
    gpu_facts,
    read_text,
    version_tuple,
)
from ansible_collections.llmops.serving.plugins.module_utils._host_held import container_names, held_memory
from ansible_collections.llmops.serving.plugins.module_utils._host_nvidia import nvidia_facts
from ansible_collections.llmops.serving.plugins.module_utils._host_ports import listening_ports
from ansible_collections.llmops.serving.plugins.module_utils._host_toolkit import toolkit_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import Asker, Runner

DEFAULT_MODEL_DIR = "/var/lib/llmops/models"
# The PATH of a connection may lack the usual places; the last one is where WSL puts nvidia-smi.
FURTHER_PATH = ":/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/wsl/lib"
# How long a killed command may take to go. One that hangs inside of a broken driver never does.
_GONE = 1.0

# Distribution id -> (family, oldest supported version). A release without a number (Debian testing) counts as newest.
SUPPORTED: dict[str, tuple[str, tuple[int, ...]]] = {
    "debian": ("debian", (12,)),
    "ubuntu": ("debian", (22, 4)),
    "rhel": ("redhat", (9,)),
    "rocky": ("redhat", (9,)),
    "almalinux": ("redhat", (9,)),
    "centos": ("redhat", (9,)),
    "fedora": ("redhat", (42,)),
}
# What a distribution that is not in the table calls its parents decides its family.
FAMILIES = {"debian": "debian", "ubuntu": "debian", "rhel": "redhat", "fedora": "redhat", "centos": "redhat"}


def ask_command(argv: Sequence[str], timeout: float) -> Answer:
    """Run a command that only looks, and hear it even if it fails.

    Args:
        argv: The command; a bare name is looked for in the usual places too.
        timeout: Seconds after which it is killed.

    Returns:
        What it said.
    """
    environment = dict(os.environ, LC_ALL="C", PATH=os.environ.get("PATH", "") + FURTHER_PATH)
    try:
        process = subprocess.Popen(  # noqa: S603  argv comes from the tables in these files, never from outside
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
    except OSError as error:
        return Answer(None, "", str(error))
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        # subprocess.run would wait for the end without a limit here.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_GONE)
        return Answer(None, "", f"no answer within {timeout:g} s")
    return Answer(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def run_command(argv: Sequence[str], timeout: float) -> str | None:
    """Run a command that only looks.

    Args:
        argv: The command; a bare name is looked for in the usual places too.
        timeout: Seconds after which it is killed.

    Returns:
        Its standard output, or None when it is missing, late or fails.
    """
    answer = ask_command(argv, timeout)
    return answer.out if answer.code == 0 else None


def no_command(argv: Sequence[str], timeout: float) -> str | None:  # noqa: ARG001  the signature of a Runner
    """Run nothing: the Runner for a file tree that is not this machine's."""
    return None


def no_answer(argv: Sequence[str], timeout: float) -> Answer:  # noqa: ARG001  the signature of an Asker
    """Run nothing: the Asker for a file tree that is not this machine's."""
    return Answer(None, "")


def parse_os_release(text: str) -> dict[str, str]:
    """Parse os-release(5).

    Args:
        text: The file's text.

    Returns:
        Its variables without quotes.
    """
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if not equals or key.startswith("#"):
            continue
        try:
            values[key] = "".join(shlex.split(value))
        except ValueError:  # a quote that nobody closed
            values[key] = value.strip("\"'")
    return values


def distribution_facts(root: Path) -> dict[str, Any]:
    """Tell which distribution this is.

    Args:
        root: The root of the file tree to look at.

    Returns:
        id, id_like (list), name, version, codename, family (``debian``, ``redhat``, ``other``), supported (bool).
    """
    text = read_text(root / "etc/os-release") or read_text(root / "usr/lib/os-release") or ""
    release = parse_os_release(text)
    identity = release.get("ID", "")
    parents = release.get("ID_LIKE", "").split()
    version = release.get("VERSION_ID", "")
    family, oldest = SUPPORTED.get(identity, ("", ()))
    if not family:
        family = next((FAMILIES[parent] for parent in parents if parent in FAMILIES), "other")
    return {
        "id": identity,
        "id_like": parents,
        "name": release.get("PRETTY_NAME") or identity or "unknown",
        "version": version,
        "codename": release.get("VERSION_CODENAME", ""),
        "family": family,
        "supported": identity in SUPPORTED and (not version or version_tuple(version) >= oldest),
    }


def memory_facts(root: Path) -> dict[str, int]:
    """Tell the memory from /proc/meminfo.

    Args:
        root: The root of the file tree to look at.

    Returns:
        ``total`` and ``available`` in bytes; 0 when unknown.
    """
    values = dict(re.findall(r"^(\w+):\s+(\d+) kB$", read_text(root / "proc/meminfo") or "", re.MULTILINE))
    return {
        "total": int(values.get("MemTotal", 0)) * 1024,
        "available": int(values.get("MemAvailable", 0)) * 1024,
    }


def core_count(root: Path) -> int:
    """Count the processors that are online.

    Args:
        root: The root of the file tree to look at.

    Returns:
        Their number, at least 1.
    """
    text = read_text(root / "sys/devices/system/cpu/online") or ""
    count = 0
    for part in text.split(","):  # "0-3,8"
        first, _dash, last = part.partition("-")
        if first.isdigit():
            count += int(last or first) - int(first) + 1
    return count or os.cpu_count() or 1


def disk_facts(root: Path, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Tell the space where each path is or will be.

    Args:
        root: The root of the file tree to look at.
        paths: Absolute paths on the host, existing or not.

    Returns:
        Per path: total and free (bytes, free for everybody), mount (its mount point), measured (the nearest
        directory that exists).
    """
    mounts = _mounts(root)
    disks: dict[str, dict[str, Any]] = {}
    for path in paths:
        place = root / path.lstrip("/")
        while not place.exists() and place != root:
            place = place.parent
        relative = place.relative_to(root)
        # A link in the way leads elsewhere: the mount is that of the place it leads to.
        real = "/" + str(relative) if root != Path("/") else os.path.realpath(str(place))
        measured = os.path.normpath(real)
        try:
            space = os.statvfs(str(place))
        except OSError:
            continue
        disks[path] = {
            "total": space.f_blocks * space.f_frsize,
            "free": space.f_bavail * space.f_frsize,
            "mount": _mount_of(measured, mounts),
            "measured": measured,
        }
    return disks


def _mounts(root: Path) -> list[str]:
    text = read_text(root / "proc/self/mounts") or read_text(root / "proc/mounts") or ""
    points = []
    for line in text.splitlines():
        cells = line.split(" ")
        if len(cells) > 1:
            # fstab(5): space, tab, newline and backslash are written as octal numbers.
            points.append(re.sub(r"\\(\d{3})", lambda match: chr(int(match.group(1), 8)), cells[1]))
    return points


def _mount_of(path: str, mounts: Sequence[str]) -> str:
    inside = [point for point in mounts if path == point or path.startswith(point.rstrip("/") + "/")]
    return max(inside, key=len, default="/")


def systemd_facts(root: Path) -> dict[str, Any]:
    """Tell whether systemd runs this host, the way sd_booted(3) does, and its version.

    Args:
        root: The root of the file tree to look at.

    Returns:
        ``running`` (bool) and ``version`` (int, None when not installed).
    """
    version = None
    for pattern in ("usr/lib/systemd/libsystemd-shared-*.so", "usr/lib/*/systemd/libsystemd-shared-*.so"):
        for library in root.glob(pattern):
            match = re.match(r"libsystemd-shared-(\d+)", library.name)
            version = int(match.group(1)) if match else version
    return {"running": (root / "run/systemd/system").is_dir(), "version": version}


def host_facts(
    root: str = "/",
    model_dir: str = DEFAULT_MODEL_DIR,
    paths: Sequence[str] = (),
    run: Runner | None = None,
    ask: Asker | None = None,
) -> dict[str, Any]:
    """Collect the facts about a host. Changes nothing; a fraction of a second without GPUs.

    Args:
        root: The root of the file tree to look at; another one than ``/`` is for tests.
        model_dir: The directory of the models, existing or not.
        paths: Further paths whose disk space is of interest.
        run: Runs commands. Default: the machine's own for ``/``, none for another tree.
        ask: Runs nvidia-smi. Default: likewise.

    Returns:
        hostname, distribution, kernel, architecture, python, cores, cpu, memory, disk (keyed by Docker's root
        directory, model_dir and paths), systemd, docker, git, gpus, nvidia, toolkit, cdi, held, ports: see the
        functions named like them. Plain JSON values.
    """
    tree = Path(root)
    if run is None:
        run = run_command if tree == Path("/") else no_command
    if ask is None:
        ask = ask_command if tree == Path("/") else no_answer
    systemd = systemd_facts(tree)
    docker = docker_facts(tree, run, systemd["running"])
    wanted = dict.fromkeys((docker["root_dir"], model_dir, *paths))
    release = read_text(tree / "proc/sys/kernel/osrelease") or platform.release()
    answer = ask(SMI_COMMAND, SMI_TIMEOUT) if _has_smi(tree) else None
    gpus = gpu_facts(tree, answer, ask)
    held = _own_memory(tree, docker, gpus)
    return {
        "hostname": read_text(tree / "proc/sys/kernel/hostname") or platform.node(),
        "distribution": distribution_facts(tree),
        "kernel": release,
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cores": core_count(tree),
        "cpu": cpu_facts(tree),
        "memory": memory_facts(tree),
        "disk": disk_facts(tree, wanted),
        "systemd": systemd,
        "docker": docker,
        "git": find_program(tree, "git") is not None,
        "gpus": gpus,
        "nvidia": nvidia_facts(tree, release, gpus, answer),
        "toolkit": toolkit_facts(tree, run),
        "cdi": cdi_facts(tree),
        "held": held,
        "ports": listening_ports(tree),
    }


def _has_smi(tree: Path) -> bool:
    return find_program(tree, "nvidia-smi") is not None or (tree / "usr/lib/wsl/lib/nvidia-smi").exists()


def _own_memory(tree: Path, docker: dict[str, Any], gpus: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Tell what our servers hold, and write into each process on a GPU whose it is."""
    socket = str(tree / docker["socket"].lstrip("/")) if docker["running"] and docker["socket"] else None
    processes = [dict(process, gpu=gpu["uuid"]) for gpu in gpus for process in gpu["processes"]]
    held, owners = held_memory(tree, container_names(socket), processes)
    for gpu in gpus:
        for process in gpu["processes"]:
            process["server"] = owners.get(process["pid"])
    return held
