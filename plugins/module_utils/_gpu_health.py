# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Say what keeps a host's GPUs from being used. Pure functions over the facts of `host_facts`."""

from __future__ import annotations

import re
import typing as t
from collections import Counter

_INSTALL = (
    "set nvidia_driver_enabled: true to let the role nvidia_driver install a driver, or install the vendor's by hand"
)
# What nvidia-smi exits with is a nvmlReturn_t of nvml.h: LIBRARY_NOT_FOUND and LIB_RM_VERSION_MISMATCH.
_NO_LIBRARY, _MISMATCH = 12, 18
# A specification may call its devices something else ("gpu0" of `nvidia-ctk cdi generate
# --device-name-strategy=type-index`), and then says nothing that the facts could deny.
_NUMBERED = re.compile(r"\d+(?::\d+)?$|GPU-|MIG-")


def gpu_health(host: dict[str, t.Any], driver_follows: bool = False) -> t.Iterator[str]:
    """Find what keeps a host's GPUs from being used, the most basic first.

    Args:
        host: The facts of `host_facts`.
        driver_follows: Whether a driver will be installed after this, so that the lack of one is no problem yet.

    Yields:
        One line a problem: cause and remedy.
    """
    gpus, nvidia = host["gpus"], host["nvidia"]
    if not gpus and not nvidia["wsl"]:
        yield (
            f"serving_accelerator: cuda, and {host['hostname']} has no NVIDIA GPU on its PCI bus: set it to cpu, or "
            "give the machine its GPU (passthrough of a virtual machine)"
        )
        return
    lost = [gpu for gpu in gpus if gpu["lost"]]
    if not nvidia["smi"]["works"] and not lost:
        if not driver_follows:
            yield f"GPU: {next(_driver_problems(host), 'no GPU answers')}"
        return
    for gpu in lost:
        yield (
            f"GPU {gpu['index']} ({gpu['pci']}): the driver has lost it: restart the host, and look for Xid in dmesg "
            "if that does not bring it back"
        )
    if not lost:  # a specification that names it is then right
        yield from _undivided(gpus)
        yield from cdi_problems(host)


def _undivided(gpus: t.Sequence[dict[str, t.Any]]) -> t.Iterator[str]:
    """Say that nothing can run on any GPU, because MIG wants them divided and they are not."""
    able = [gpu for gpu in gpus if gpu["uuid"]]
    if able and all(gpu["mig"] and not gpu["mig_devices"] for gpu in able):
        # NVIDIA's MIG User Guide, Creating GPU Instances: MIG stays on over a restart, and the devices go.
        yield (
            f"GPU {able[0]['index']}: MIG is on and there are no MIG devices, so nothing runs on it: make some, for "
            f"example by `nvidia-smi mig -i {able[0]['index']} -cgi 0 -C` (they go at each restart of the host), or "
            f"switch MIG off by `nvidia-smi -i {able[0]['index']} -mig 0`"
        )


def _driver_problems(host: dict[str, t.Any]) -> t.Iterator[str]:
    """Say what may be why no GPU answers, the surest first."""
    nvidia, gpus = host["nvidia"], host["gpus"]
    smi = nvidia["smi"]
    taken = sorted({gpu["driver"] for gpu in gpus if gpu["driver"] not in (None, "nvidia")})
    if nvidia["wsl"]:
        said = f"nvidia-smi says: {smi['message']}" if smi["message"] else "there is no nvidia-smi"
        yield (
            f"this is a Linux inside Windows (WSL), whose driver does not answer ({said}): install NVIDIA's driver in "
            "Windows, and run `wsl --shutdown` there"
        )
    if _differ(nvidia["module"], nvidia["library"]) or (smi["code"] == _MISMATCH and nvidia["module"]):
        other = nvidia["library"] if _differ(nvidia["module"], nvidia["library"]) else "of another version"
        yield (
            f"the driver's module is {nvidia['module']} and its library {other}, as after an unattended "
            "upgrade, so nothing starts on a GPU any more: restart the host, and set nvidia_driver_hold: true"
        )
    if "nouveau" in taken and nvidia["module_installed"]:
        yield (
            "the kernel's own driver nouveau holds it, although NVIDIA's is installed: restart the host, and if it "
            "stays so, set nvidia_driver_enabled: true to let the role nvidia_driver put nouveau aside"
        )
    if "nouveau" in taken:
        yield f"the kernel's own driver nouveau holds it: {_INSTALL}; both put nouveau aside, and the host restarts"
    if taken:
        yield f"{taken[0]} holds it, so it belongs to a virtual machine: set serving_accelerator: cpu, or free it"
    if nvidia["module"] is None and nvidia["module_installed"]:
        yield (
            "its driver is installed and not loaded: restart the host; if it stays so, `modprobe nvidia` says why "
            "(Secure Boot refuses modules whose key is not enrolled, see mokutil)"
        )
    if smi["code"] == _NO_LIBRARY and nvidia["library"] is None:
        yield f"nvidia-smi is there without the driver's library (libnvidia-ml.so): {_INSTALL}"
    if nvidia["module"] is None and smi["installed"]:
        yield (
            "its driver has no module for the running kernel: restart the host into the kernel that it was built for, "
            "or install that kernel's headers and run `dkms autoinstall`"
        )
    if not smi["installed"]:
        yield f"there is one and no driver for it: {_INSTALL}"
    said = smi["message"] or "nothing"
    yield f"its driver does not answer (nvidia-smi says: {said}): restart the host, or {_INSTALL}"


def _differ(module: str | None, library: str | None) -> bool:
    return module is not None and library is not None and module != library


def cdi_problems(host: dict[str, t.Any]) -> t.Iterator[str]:
    """Find specifications of CDI that promise what the host does not have.

    Args:
        host: The facts of `host_facts`.

    Yields:
        One line a problem. What the toolkit wrote is none, for the role nvidia_container_toolkit lets it write anew.
    """
    cdi, known = host["cdi"], _known(host, whole=True)
    foreign = [spec for spec in cdi["specs"] if not _is_toolkits(spec["path"], host)]
    for spec in foreign:
        gone = sorted(name for name in set(spec["devices"]) - known if _NUMBERED.match(name))
        if spec["missing"] or gone:
            what = ", ".join([*spec["missing"], *(f"nvidia.com/gpu={name}" for name in gone)])
            yield (
                f"GPU: the CDI specification {spec['path']} names {what}, which the host does not have: remove that "
                "file"
            )
    yield from _refused(host, foreign)


def _refused(host: dict[str, t.Any], foreign: t.Sequence[dict[str, t.Any]]) -> t.Iterator[str]:
    """Find names in two files of one directory, which Docker refuses. Of two directories, /run wins over /etc."""
    # Cache.refresh in pkg/cdi/cache.go of container-device-interface: specifications conflict if they are of equal
    # priority, and that is their directory's.
    cdi = host["cdi"]
    for name in cdi["twice"]:
        places = [_place(spec) for spec in cdi["specs"] if name in spec["devices"]]
        both = [spec for spec in cdi["specs"] if name in spec["devices"] and places.count(_place(spec)) > 1]
        extra = [spec for spec in both if spec in foreign]
        if extra:
            paths = " and ".join(spec["path"] for spec in both)
            yield (
                f"GPU: nvidia.com/gpu={name} is in two CDI specifications ({paths}), and Docker refuses such devices: "
                f"remove {extra[0]['path']}"
            )
            return  # one is enough to find the files by


def _place(spec: dict[str, t.Any]) -> str:
    directory = str(spec["path"]).rpartition("/")[0]
    return directory[len("/var") :] if directory == "/var/run/cdi" else directory


def _is_toolkits(path: str, host: dict[str, t.Any]) -> bool:
    toolkit = host["toolkit"]
    return (path.endswith("/run/cdi/nvidia.yaml") and toolkit["refresh"]) or (
        path == "/etc/cdi/nvidia.yaml" and bool(toolkit["packages"])
    )


def _known(host: dict[str, t.Any], whole: bool = False) -> set[str]:
    """Name the GPUs and MIG devices that answer: indices, UUIDs, and all.

    Args:
        host: The facts of `host_facts`.
        whole: Name GPUs that are divided as well, which some specifications do, and which are given away in parts only.
    """
    names: set[str] = set()
    for gpu in host["gpus"]:
        if gpu["uuid"] and not gpu["lost"]:
            names |= {"all"} if gpu["mig_devices"] and not whole else {"all", str(gpu["index"]), gpu["uuid"]}
            names |= {part[word] for part in gpu["mig_devices"] for word in ("index", "uuid")}
    return names


def gpu_choice_problems(wanted: t.Sequence[str], host: dict[str, t.Any]) -> t.Iterator[str]:
    """Find GPUs that a server asks for in vain.

    Args:
        wanted: The value of `gpus` of a server, empty for all.
        host: The facts of `host_facts`.

    Yields:
        One line a problem, without the variable.
    """
    names = [str(name) for name in wanted]
    known = _known(host)
    if not known:
        return  # none answers, which is said elsewhere
    for name in dict.fromkeys(names):
        if name not in known:
            have = ", ".join(f"{gpu['index']} ({gpu['uuid']})" for gpu in host["gpus"] if gpu["uuid"])
            parts = [part["index"] for gpu in host["gpus"] for part in gpu["mig_devices"]]
            mig = f", MIG devices {', '.join(parts)}" if parts else ""
            yield f"there is no GPU {name}: choose among {have}{mig}"
    if "all" in names and len(names) > 1:
        yield "all stands for every GPU: leave the others out, or all"
    identities = [_identity(name, host) for name in names]
    for identity, count in Counter(identities).items():
        if count > 1:
            twice = [name for name, own in zip(names, identities) if own == identity]  # noqa: B905  Python 3.8
            yield f"{' and '.join(twice)} are one GPU: name it once"


def _identity(name: str, host: dict[str, t.Any]) -> str:
    """Give the UUID behind an index, so that a GPU named in both ways is known to be one."""
    for gpu in host["gpus"]:
        if name == str(gpu["index"]) and gpu["uuid"]:
            return str(gpu["uuid"])
        for part in gpu["mig_devices"]:
            if name == part["index"]:
                return str(part["uuid"])
    return name
