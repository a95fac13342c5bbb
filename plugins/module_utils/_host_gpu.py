# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host knows about its NVIDIA GPUs, read from sysfs, procfs and, where it answers, nvidia-smi."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    # A runner takes argv and a time limit in seconds; it gives stdout, or None when the command is missing, late or
    # fails.
    Runner = Callable[[Sequence[str], float], "str | None"]
    # An asker takes the same, and gives what the command said even if it failed.
    Asker = Callable[[Sequence[str], float], "Answer"]


class Answer(NamedTuple):
    """What a command said.

    Attributes:
        code: Its exit status, None when it did not run or did not end.
        out: Its standard output.
        err: Its standard error, or why it did not run or end.
    """

    code: int | None
    out: str
    err: str = ""


NVIDIA_VENDOR = "0x10de"
# PCI class 03xx is a display controller: 0300 VGA, 0302 3D. NVSwitch (0680) and NVIDIA NICs (0200, 0207) are not.
DISPLAY_CLASS = "0x03"

SMI_FIELDS = (
    "index",
    "uuid",
    "name",
    "memory.total",
    "memory.free",
    "compute_cap",
    "driver_version",
    "mig.mode.current",
    "pci.bus_id",
)
APP_FIELDS = ("gpu_uuid", "pid", "process_name", "used_gpu_memory")
APP_COMMAND = ("nvidia-smi", "--query-compute-apps=" + ",".join(APP_FIELDS), "--format=csv,noheader,nounits")
LIST_COMMAND = ("nvidia-smi", "-L")
SMI_COMMAND = ("nvidia-smi", "--query-gpu=" + ",".join(SMI_FIELDS), "--format=csv,noheader,nounits")
# Without persistence mode the driver initialises every GPU first, 1 to 3 s for each (NVIDIA's "Driver Persistence",
# Overview), and a machine has eight. Only a driver that hangs is waited for so long.
SMI_TIMEOUT = 30.0
# Versions of libnvidia-ml and of GPUs differ in how they say "no such value".
UNKNOWN = frozenset({"", "[n/a]", "n/a", "[not supported]", "[unknown error]", "[insufficient permissions]"})


def read_text(path: Path) -> str | None:
    """Read a small file.

    Args:
        path: The file.

    Returns:
        Its text without surrounding white space, or None when it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def version_tuple(version: str | None) -> tuple[int, ...]:
    """Give the leading numbers of a version for comparing: ``28.2.2`` is (28, 2, 2), None is ().

    Args:
        version: A version as a program prints it.

    Returns:
        The numbers up to the first part that does not begin with a digit.
    """
    match = re.match(r"\d+(?:\.\d+)*", version or "")
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def normal_pci(address: str) -> str:
    """Write a PCI address as sysfs does: nvidia-smi prints ``00000000:3B:00.0``, sysfs ``0000:3b:00.0``.

    Args:
        address: A PCI address with domain.

    Returns:
        The address in lower case with a domain of four digits.
    """
    domain, _colon, rest = address.strip().lower().partition(":")
    return f"{domain[-4:]:>04}:{rest}"


def parse_smi(text: str) -> list[dict[str, Any]]:
    """Parse the answer to SMI_COMMAND.

    Args:
        text: CSV without header and units, one GPU a line, columns SMI_FIELDS (the last may be missing).

    Returns:
        One dict per GPU: index (int), uuid, name, memory_total and memory_free (bytes), compute_capability
        (``9.0``), driver_version, mig (bool), pci. A field the driver does not tell is None. Lines that are not a
        GPU (``Unable to determine the device handle …`` of a lost one) are left out.
    """
    gpus: list[dict[str, Any]] = []
    for line in text.splitlines():
        cells: list[str | None] = [
            None if cell.strip().lower() in UNKNOWN else cell.strip() for cell in line.split(",")
        ]
        if len(cells) < len(SMI_FIELDS) - 1 or not (cells[0] or "").isdigit():
            continue
        cells += [None] * (len(SMI_FIELDS) - len(cells))
        index, uuid, name, total, free, capability, driver, mig, pci = cells[: len(SMI_FIELDS)]
        gpus.append(
            {
                "index": int(index or 0),
                "uuid": uuid,
                "name": name,
                "memory_total": _mebibytes(total),
                "memory_free": _mebibytes(free),
                "compute_capability": capability,
                "driver_version": driver,
                "mig": None if mig is None else mig.lower() == "enabled",
                "pci": None if pci is None else normal_pci(pci),
            }
        )
    return gpus


def parse_apps(text: str) -> list[dict[str, Any]]:
    """Parse the answer to APP_COMMAND.

    Args:
        text: CSV without header and units, one process a line. A process's name may hold commas.

    Returns:
        One dict per process: gpu (its UUID), pid, name, memory (bytes, None where the driver does not tell).
    """
    processes = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) < len(APP_FIELDS) or not cells[1].isdigit():
            continue
        name, memory = ", ".join(cells[2:-1]), cells[-1]
        processes.append({"gpu": cells[0], "pid": int(cells[1]), "name": name, "memory": _mebibytes(memory)})
    return processes


_LISTED_GPU = re.compile(r"^GPU (\d+): .*\(UUID: (\S+?)\)")
_LISTED_MIG = re.compile(r"^\s+MIG\s+(\S+)\s+Device\s+(\d+):\s+\(UUID:\s*(\S+?)\)")


def parse_list(text: str) -> dict[str, list[dict[str, str]]]:
    """Parse the answer to LIST_COMMAND.

    Args:
        text: A line for each GPU, and below it one for each of its MIG devices (NVIDIA's MIG User Guide).

    Returns:
        By the GPU's UUID its MIG devices: index (``0:1``, the GPU's and the device's number), profile, uuid.
    """
    found: dict[str, list[dict[str, str]]] = {}
    number, devices = "", []
    for line in text.splitlines():
        gpu, mig = _LISTED_GPU.match(line), _LISTED_MIG.match(line)
        if gpu:
            number, devices = gpu.group(1), found.setdefault(gpu.group(2), [])
        elif mig:
            devices.append({"index": f"{number}:{mig.group(2)}", "profile": mig.group(1), "uuid": mig.group(3)})
    return found


# "GPU0000:3B:00.0: GPU is lost. …", "GPU 0000:02:00.0: Unknown Error", "GPU3: 0000:5F:00.0: Unknown Error" and "GPU2:
# Unknown Error" are all in reports of users. One that this user may not touch is not lost.
_LOST = re.compile(
    r"Unable to determine the device handle for gpu ?"
    r"(?:(?:(?P<index>\d+): )?(?P<pci>[0-9a-f]+:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])|(?P<only>\d+)): "
    r"(?!Insufficient Permissions)",
    re.IGNORECASE,
)


def parse_lost(text: str) -> tuple[set[str], set[int]]:
    """Find the GPUs that nvidia-smi says it cannot reach; it may fail because of them, or go on to the others.

    Args:
        text: Everything it printed.

    Returns:
        The PCI addresses of these GPUs as far as it names them, and the indices of those that it names otherwise.
    """
    told = list(_LOST.finditer(text))
    return (
        {normal_pci(match.group("pci")) for match in told if match.group("pci")},
        {int(match.group("only")) for match in told if match.group("only")},
    )


def _mebibytes(cell: str | None) -> int | None:
    return int(cell) * 1024 * 1024 if cell is not None and cell.isdigit() else None


def module_version(root: Path) -> str | None:
    """Tell the version of the loaded kernel module.

    Args:
        root: The root of the file tree to look at.

    Returns:
        For example ``550.163.01``; None when the module is not loaded.
    """
    text = read_text(root / "proc/driver/nvidia/version") or ""
    # "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  …", or
    # "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06 …"
    match = re.search(r"Kernel Module\b[^\n]*?\s(\d+\.\d+(?:\.\d+)?)\b", text)
    return match.group(1) if match else None


def pci_gpus(root: Path) -> list[dict[str, Any]]:
    """List the NVIDIA GPUs on the PCI bus; needs neither driver nor extra packages.

    Args:
        root: The root of the file tree to look at.

    Returns:
        One dict per GPU in bus order: pci, vendor, device (PCI ids in hex), driver (the bound kernel driver:
        ``nvidia``, ``nouveau``, ``vfio-pci`` or None), name (None without the nvidia module).
    """
    found: list[dict[str, Any]] = []
    try:
        devices = sorted((root / "sys/bus/pci/devices").iterdir())
    except OSError:
        return found
    for device in devices:
        if read_text(device / "vendor") != NVIDIA_VENDOR:
            continue
        if not (read_text(device / "class") or "").startswith(DISPLAY_CLASS):
            continue
        information = read_text(root / "proc/driver/nvidia/gpus" / device.name / "information") or ""
        model = re.search(r"^Model:\s*(\S.*)$", information, re.MULTILINE)
        link = device / "driver"
        found.append(
            {
                "pci": device.name,
                "vendor": NVIDIA_VENDOR,
                "device": read_text(device / "device"),
                "driver": link.resolve().name if link.is_symlink() else None,
                "name": model.group(1).strip() if model else None,
            }
        )
    return found


def gpu_facts(root: Path, answer: Answer | None, ask: Asker) -> list[dict[str, Any]]:
    """Join what the PCI bus and nvidia-smi say about each GPU.

    Args:
        root: The root of the file tree to look at.
        answer: The answer to SMI_COMMAND, None where nvidia-smi is not installed.
        ask: Runs nvidia-smi again: for the processes once a GPU has answered, for MIG devices where a GPU has MIG on.

    Returns:
        One dict per GPU with the keys of pci_gpus and parse_smi, and mig_devices (see parse_list), processes (see
        parse_apps, without gpu) and lost (nvidia-smi names it as lost, or tells of others only although its driver
        holds this one too). GPUs that only nvidia-smi sees (WSL, a container without sysfs) are in the list too, with
        ``vendor`` set and ``driver`` None. Values that nobody tells are None.
    """
    loaded = module_version(root)
    seen = parse_smi(answer.out) if answer else []
    lost = parse_lost(answer.out + "\n" + answer.err) if answer else (set(), set())
    processes = parse_apps(ask(APP_COMMAND, SMI_TIMEOUT).out) if seen else []
    parts = parse_list(ask(LIST_COMMAND, SMI_TIMEOUT).out) if any(gpu["mig"] for gpu in seen) else {}
    by_pci = {gpu["pci"]: gpu for gpu in seen if gpu["pci"]}
    taken = {gpu["index"] for gpu in seen}
    gpus: list[dict[str, Any]] = []
    for position, device in enumerate(pci_gpus(root)):
        smi = by_pci.get(device["pci"])
        index = smi["index"] if smi else _free_index(position, taken)
        gone = smi is None and _is_lost(device, index, lost, bool(by_pci))
        gpus.append(dict(_joined(device, smi, index, loaded), lost=gone))
    known = {gpu["pci"] for gpu in gpus}
    for smi in seen:
        if smi["pci"] not in known:
            device = {"pci": smi["pci"], "vendor": NVIDIA_VENDOR, "device": None, "driver": None, "name": None}
            gpus.append(dict(_joined(device, smi, smi["index"], loaded), lost=False))
    for gpu in gpus:
        gpu["mig_devices"] = parts.get(gpu["uuid"] or "", [])
        # A process in a MIG device may be told under the device's own UUID.
        own = {gpu["uuid"], *(part["uuid"] for part in gpu["mig_devices"])}
        gpu["processes"] = [
            {key: process[key] for key in ("pid", "name", "memory")} for process in processes if process["gpu"] in own
        ]
    return gpus


def _free_index(position: int, taken: set[int]) -> int:
    # The driver numbers its GPUs in the order of the bus, and leaves those out that it does not hold. An index must not
    # stand for two GPUs.
    index = position
    while index in taken:
        index += 1
    taken.add(index)
    return index


def _is_lost(device: dict[str, Any], index: int, lost: tuple[set[str], set[int]], compared: bool) -> bool:
    addresses, indices = lost
    if device["pci"] in addresses or index in indices:
        return True
    # One that belongs to a virtual machine (vfio-pci), or that is too old for this driver and so held by none, is not
    # missed. An nvidia-smi that tells no addresses cannot be compared with the bus.
    return compared and device["driver"] == "nvidia"


def _joined(device: dict[str, Any], smi: dict[str, Any] | None, index: int, loaded: str | None) -> dict[str, Any]:
    smi = smi or {}
    return {
        "index": index,
        "pci": device["pci"],
        "vendor": device["vendor"],
        "device": device["device"],
        "name": smi.get("name") or device["name"],
        "driver": device["driver"],
        "driver_version": smi.get("driver_version") or loaded,
        "uuid": smi.get("uuid"),
        "memory_total": smi.get("memory_total"),
        "memory_free": smi.get("memory_free"),
        "compute_capability": smi.get("compute_capability"),
        "mig": smi.get("mig"),
    }
