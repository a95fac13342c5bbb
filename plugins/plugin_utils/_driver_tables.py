# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables about NVIDIA drivers: branches, generations of GPUs, and where each distribution's driver comes from.

Sources, as of November 2026:

- NVIDIA Driver Installation Guide, release 620 (docs.nvidia.com/datacenter/tesla/driver-installation-guide): the
  compute-only packages, the kernel modules, version locking.
- Supported Drivers and CUDA Toolkit Versions, release 620 (docs.nvidia.com/datacenter/tesla/drivers/620): the branches.
- github.com/NVIDIA/gpu-driver-container, main of 2026-08-17, install.sh of each distribution: Fabric Manager.
- packages.ubuntu.com: nvidia-graphics-drivers-*-server and fabric-manager-*.
- pci.ids of 2026-08-22 (github.com/pciutils/pciids): device ids and chips.
- README.md of github.com/NVIDIA/open-gpu-kernel-modules, tags 515.43.04 to 595.45.04: which branch was the first to
  know a device.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

AUTO = "auto"
OPEN = "open"
PROPRIETARY = "proprietary"
EITHER = "either"

#: Branches with long-term support, the preferred one first: until June 2028 and September 2029.
LONG_TERM = (580, 620)
#: From this branch on there are no proprietary kernel modules (guide, Recent Updates).
OPEN_ONLY = 620
#: The last branch for Maxwell, Pascal and Volta.
LAST_FOR_OLD = 580

REPOSITORIES = "https://developer.download.nvidia.com/compute/cuda/repos"
RUNFILE_UNINSTALLER = "/usr/bin/nvidia-uninstall"
FABRIC_SERVICE = "nvidia-fabricmanager.service"
# NVIDIA's names of architectures in its repositories.
ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "sbsa"}


class Generation(NamedTuple):
    """A range of PCI device ids.

    Attributes:
        first: The lowest device id.
        last: The highest one.
        name: The architecture.
        kernel_module: The flavour that works: OPEN, PROPRIETARY or EITHER.
        oldest: The first branch that knows all of them; 0 where any in use does.
        newest: The last branch that knows them, None while there is none.
    """

    first: int
    last: int
    name: str
    kernel_module: str
    oldest: int = 0
    newest: int | None = None


GENERATIONS: tuple[Generation, ...] = (
    Generation(0x1340, 0x14FF, "Maxwell", PROPRIETARY, newest=LAST_FOR_OLD),
    Generation(0x15C0, 0x15FF, "Pascal", PROPRIETARY, newest=LAST_FOR_OLD),
    Generation(0x1600, 0x16FF, "Maxwell", PROPRIETARY, newest=LAST_FOR_OLD),
    Generation(0x1720, 0x172F, "Pascal", PROPRIETARY, newest=LAST_FOR_OLD),
    Generation(0x1740, 0x17FF, "Maxwell", PROPRIETARY, newest=LAST_FOR_OLD),
    Generation(0x1B00, 0x1D7F, "Pascal", PROPRIETARY, newest=LAST_FOR_OLD),
    Generation(0x1D80, 0x1DFF, "Volta", PROPRIETARY, newest=LAST_FOR_OLD),
    Generation(0x1E00, 0x1FFF, "Turing", EITHER),
    Generation(0x2080, 0x20FF, "Ampere", EITHER),
    Generation(0x2180, 0x21FF, "Turing", EITHER),
    Generation(0x2200, 0x227F, "Ampere", EITHER),
    Generation(0x2300, 0x233F, "Hopper", EITHER, oldest=525),
    Generation(0x2340, 0x234F, "Grace Hopper", OPEN, oldest=535),
    Generation(0x2350, 0x23FF, "Hopper", EITHER, oldest=525),
    Generation(0x2400, 0x25FF, "Ampere", EITHER),
    Generation(0x2680, 0x28FF, "Ada Lovelace", EITHER, oldest=535),
    Generation(0x2900, 0x2DFF, "Blackwell", OPEN, oldest=570),
    Generation(0x2E00, 0x2EFF, "Grace Blackwell GB10", OPEN, oldest=580),
    Generation(0x2F00, 0x2F7F, "Blackwell", OPEN, oldest=570),
    Generation(0x3000, 0x30FF, "Rubin", OPEN),
    Generation(0x3180, 0x33FF, "Blackwell Ultra", OPEN, oldest=580),
)
# What nobody has listed yet is newer than the list, and open modules are the only ones to come.
UNLISTED = Generation(GENERATIONS[-1].last + 1, 0xFFFF, "a newer one", OPEN)

#: Boards whose NVLink 5 switches are no PCI devices of NVIDIA: HGX B200 and HGX B300. Alone in a host, such a GPU was
#: handed to a virtual machine, and the fabric is the hypervisor's.
NVLINK5_BOARDS = frozenset({0x2901, 0x3182})


@dataclass(frozen=True)
class Source:
    """Where a distribution's driver comes from and what its packages are called.

    In the names, ``{branch}`` is the driver's branch, ``{kernel}`` the running kernel's release.

    Attributes:
        manager: ``apt`` or ``dnf``.
        oldest: The first branch that it has under these names.
        open: Packages of a compute-only driver with open kernel modules.
        proprietary: The same with proprietary ones.
        headers: What DKMS needs to build a module for the running kernel.
        fabric: What GPUs behind NVSwitch need.
        nvlink5: What those of NVLINK5_BOARDS need besides; empty where the source lacks it.
        directory: Of NVIDIA's repository; empty for the distribution's own packages.
        key: The file name of the repository's key.
        fingerprint: Of this key; empty where it is not known here.
        pin: How the branch is kept: ``package`` (NVIDIA's pinning packages), ``stream`` (of a dnf module), ``lock``
            (dnf versionlock), or empty, where the packages' names carry it.
        tools: Packages to install before all others.
        lock_tools: What `dnf versionlock` needs.
        mok: The key with which DKMS signs modules.
        signed: By flavour, packages that work under Secure Boot as they are, for the distribution's usual kernel.
    """

    manager: str
    oldest: int
    open: tuple[str, ...]
    proprietary: tuple[str, ...]
    headers: tuple[str, ...]
    fabric: tuple[str, ...]
    nvlink5: tuple[str, ...] = ()
    directory: str = ""
    key: str = ""
    fingerprint: str = ""
    pin: str = ""
    tools: tuple[str, ...] = ()
    lock_tools: tuple[str, ...] = ()
    mok: str = "/var/lib/dkms/mok.pub"
    signed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _debian(release: str, oldest: int, key: str, fingerprint: str) -> Source:
    return Source(
        manager="apt",
        oldest=oldest,
        open=("nvidia-driver-cuda", "nvidia-kernel-open-dkms"),
        proprietary=("nvidia-driver-cuda", "nvidia-kernel-dkms"),
        headers=("linux-headers-{kernel}",),
        fabric=("nvidia-fabricmanager",),
        nvlink5=("nvlsm",),
        directory=f"debian{release}",
        key=key,
        fingerprint=fingerprint,
        pin="package",
    )


def _redhat(directory: str, pin: str, key: str, fingerprint: str, *, lock_tools: tuple[str, ...]) -> Source:
    return Source(
        manager="dnf",
        oldest=560,
        open=("nvidia-driver-cuda", "kmod-nvidia-open-dkms"),
        proprietary=("nvidia-driver-cuda", "kmod-nvidia-latest-dkms"),
        headers=("kernel-devel-matched-{kernel}", "kernel-headers"),
        fabric=("nvidia-fabricmanager",),
        nvlink5=("nvlsm",),
        directory=directory,
        key=key,
        fingerprint=fingerprint,
        pin=pin,
        lock_tools=lock_tools,
    )


_DEB_KEY = ("3bf863cc.pub", "EB693B3035CD5710E231E123A4B469963BF863CC")
_RPM_KEY = ("D42D0685.pub", "610C7B14E068A878070DA4E99CD0A493D42D0685")
_DNF4_LOCK = ("python3-dnf-plugin-versionlock",)

#: (distribution, major version) -> where its driver comes from. NVIDIA's newer repositories have a key each; that of
#: RHEL 10 and of Fedora 43 is known by its short name only, which is no fingerprint.
SOURCES: dict[tuple[str, str], Source] = {
    ("debian", "12"): _debian("12", 560, *_DEB_KEY),
    # The repository began with 590 and lacks 580 (github.com/NVIDIA/cuda-repo-management, issue 38). Its key is
    # another one because Debian 13 refuses the signatures of the old one.
    ("debian", "13"): _debian("13", 590, "8793F200.pub", "02182E60104FCDC26EAE1B8597A5D4CB8793F200"),
    ("ubuntu", ""): Source(
        manager="apt",
        oldest=535,
        open=("nvidia-headless-{branch}-server-open", "nvidia-utils-{branch}-server"),
        proprietary=("nvidia-headless-{branch}-server", "nvidia-utils-{branch}-server"),
        headers=("linux-headers-{kernel}",),
        fabric=("nvidia-fabricmanager-{branch}",),
        mok="/var/lib/shim-signed/mok/MOK.der",
        signed={
            OPEN: (
                "linux-modules-nvidia-{branch}-server-open-generic",
                "nvidia-headless-no-dkms-{branch}-server-open",
                "nvidia-utils-{branch}-server",
            ),
            PROPRIETARY: (
                "linux-modules-nvidia-{branch}-server-generic",
                "nvidia-headless-no-dkms-{branch}-server",
                "nvidia-utils-{branch}-server",
            ),
        },
    ),
    ("rhel", "9"): _redhat("rhel9", "stream", *_RPM_KEY, lock_tools=_DNF4_LOCK),
    ("rhel", "10"): _redhat("rhel10", "lock", "CDF6BA43.pub", "", lock_tools=_DNF4_LOCK),
    ("fedora", "42"): _redhat("fedora42", "lock", *_RPM_KEY, lock_tools=()),
    ("fedora", "43"): _redhat("fedora43", "lock", "1940C73E.pub", "", lock_tools=()),
    ("fedora", "44"): _redhat(
        "fedora44", "lock", "73CD9B30.pub", "129994480EC63D2789BC98E490DFED2F73CD9B30", lock_tools=()
    ),
}
#: Distributions that take another one's driver, and what they install first: DKMS is in EPEL.
LIKE: dict[str, tuple[str, tuple[str, ...]]] = {
    "rocky": ("rhel", ("epel-release",)),
    "almalinux": ("rhel", ("epel-release",)),
    "centos": ("rhel", ("epel-release",)),
}
#: Kernels of Debian that have a package which always depends on the newest headers.
DEBIAN_FLAVOURS = re.compile(r"-((?:cloud-|rt-)?(?:amd64|arm64))$")
