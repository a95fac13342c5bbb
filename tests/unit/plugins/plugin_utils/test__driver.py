# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which driver a host gets, and which it does not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.modules.package_repository import ARGUMENTS
from ansible_collections.llmops.serving.plugins.plugin_utils._driver import (
    Looked,
    Plan,
    Wanted,
    driver_plan,
    generation_of,
    numbers,
    parse_looked,
    present_version,
    source_of,
    state_of,
    upstream,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._driver_tables import (
    EITHER,
    FABRIC_SERVICE,
    GENERATIONS,
    LIKE,
    LONG_TERM,
    OPEN,
    PROPRIETARY,
    SOURCES,
)

H100, B200, B300, V100, P100, T4, GH200, K80 = (
    "0x2330", "0x2901", "0x3182", "0x1db4", "0x15f8", "0x1eb8", "0x2342", "0x102d",
)  # fmt: skip
DISTRIBUTIONS: dict[str, dict[str, Any]] = {
    "debian12": {"id": "debian", "name": "Debian GNU/Linux 12 (bookworm)", "version": "12", "family": "debian"},
    "debian13": {"id": "debian", "name": "Debian GNU/Linux 13 (trixie)", "version": "13", "family": "debian"},
    "ubuntu22": {"id": "ubuntu", "name": "Ubuntu 22.04.5 LTS", "version": "22.04", "family": "debian"},
    "ubuntu24": {"id": "ubuntu", "name": "Ubuntu 24.04.3 LTS", "version": "24.04", "family": "debian"},
    "rhel9": {"id": "rhel", "name": "Red Hat Enterprise Linux 9.6", "version": "9.6", "family": "redhat"},
    "rocky9": {"id": "rocky", "name": "Rocky Linux 9.6", "version": "9.6", "family": "redhat"},
    "alma10": {"id": "almalinux", "name": "AlmaLinux 10.0", "version": "10.0", "family": "redhat"},
    "fedora44": {"id": "fedora", "name": "Fedora Linux 44", "version": "44", "family": "redhat"},
    "suse": {"id": "sles", "name": "SLES 15 SP7", "version": "15.7", "family": "other"},
}
NOTHING: dict[str, Any] = {
    "module": None,
    "library": None,
    "module_installed": False,
    "nouveau": False,
    "wsl": False,
    "smi": {"installed": False, "works": False, "code": None, "message": ""},
}


def nvidia(version: str | None = None, *, works: bool = False, **changes: Any) -> dict[str, Any]:
    """Play the facts about a driver: none, or one of a version that is loaded and whole."""
    if version is None:
        return NOTHING | changes
    smi = {"installed": True, "works": works, "code": 0 if works else 9, "message": "" if works else "has failed."}
    return NOTHING | {"module": version, "library": version, "module_installed": True, "smi": smi} | changes


def host(
    *devices: str | None,
    on: str = "debian12",
    driver: dict[str, Any] | None = None,
    bound: str | None = None,
    **changes: Any,
) -> Any:
    """Play a host with GPUs of these device ids, bound to a driver of the kernel or not."""
    driver = nvidia() if driver is None else driver
    gpus = [
        {
            "index": index,
            "pci": f"0000:{index + 1:02x}:00.0",
            "device": device,
            "name": None,
            "driver": bound or ("nvidia" if driver["module"] else None),
            "driver_version": driver["module"] if driver["smi"]["works"] else None,
        }
        for index, device in enumerate(devices)
    ]
    facts = {
        "distribution": DISTRIBUTIONS[on],
        "kernel": "6.1.0-28-amd64",
        "architecture": "x86_64",
        "gpus": gpus,
        "nvidia": driver,
        "held": {},
    }
    return facts | changes


def plan(facts: Any, wanted: Wanted | None = None, looked: Looked | None = None) -> Plan:
    return driver_plan(facts, wanted or Wanted(), looked or Looked())


# -- the tables


def test_generations_are_in_order_and_do_not_overlap() -> None:
    edges = [edge for each in GENERATIONS for edge in (each.first, each.last)]
    assert edges == sorted(edges)
    assert all(each.kernel_module in {OPEN, PROPRIETARY, EITHER} for each in GENERATIONS)


def test_every_generation_has_a_branch_with_long_term_support() -> None:
    for each in GENERATIONS:
        assert any(each.oldest <= branch <= (each.newest or branch) for branch in LONG_TERM), each.name


# Device ids of boards as NVIDIA's open-gpu-kernel-modules and pci.ids list them.
BOARDS = [
    ("0x1381", "Maxwell"), ("0x13f2", "Maxwell"), ("0x17fd", "Maxwell"), ("0x1b38", "Pascal"), (P100, "Pascal"),
    ("0x1cb3", "Pascal"), (V100, "Volta"), ("0x1df6", "Volta"), (T4, "Turing"), ("0x1e30", "Turing"),
    ("0x2182", "Turing"), ("0x20b2", "Ampere"), ("0x2236", "Ampere"), ("0x25b6", "Ampere"), ("0x2204", "Ampere"),
    (H100, "Hopper"), ("0x2335", "Hopper"), (GH200, "Grace Hopper"), ("0x2348", "Grace Hopper"),
    ("0x2684", "Ada Lovelace"), ("0x26b9", "Ada Lovelace"), ("0x27b8", "Ada Lovelace"), (B200, "Blackwell"),
    ("0x2941", "Blackwell"), ("0x2b85", "Blackwell"), ("0x2bb1", "Blackwell"), ("0x2e12", "Grace Blackwell GB10"),
    (B300, "Blackwell Ultra"), ("0x31c2", "Blackwell Ultra"), ("0x3000", "Rubin"), ("0x3fff", "a newer one"),
]  # fmt: skip


@pytest.mark.parametrize(("device", "name"), BOARDS)
def test_generation_of_a_board(device: str, name: str) -> None:
    found = generation_of(device)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("device", [K80, "0x0fc6", None, ""])
def test_no_generation(device: str | None) -> None:
    assert generation_of(device) is None


@pytest.mark.parametrize("key", SOURCES)
def test_a_source_is_whole(key: tuple[str, str]) -> None:
    source = SOURCES[key]
    assert source.manager in {"apt", "dnf"}
    assert source.pin in {"", "package", "stream", "lock"}
    assert source.open != source.proprietary
    assert source.fabric
    assert source.headers
    # Where the names do not carry the branch, something else must keep it.
    assert bool(source.pin) != any("{branch}" in name for name in source.open)
    assert bool(source.directory) == bool(source.key) == bool(source.pin)
    assert re.fullmatch(r"([0-9A-F]{40})?", source.fingerprint)
    # The short name of a key is the end of its fingerprint.
    assert source.fingerprint.endswith(source.key.partition(".")[0].upper()) or not source.fingerprint


@pytest.mark.parametrize("identity", LIKE)
def test_a_likeness_leads_somewhere(identity: str) -> None:
    assert LIKE[identity][0] in {name for name, _version in SOURCES}


@pytest.mark.parametrize("on", sorted(set(DISTRIBUTIONS) - {"suse"}))
def test_a_distribution_has_a_source(on: str) -> None:
    source, _tools = source_of(DISTRIBUTIONS[on])
    assert source is not None
    assert (source.manager == "apt") == (DISTRIBUTIONS[on]["family"] == "debian")


# -- what is there


@pytest.mark.parametrize(
    ("text", "looked"),
    [
        ("", Looked()),
        ("pci 0x10de 0x030200\npci 0x8086 0x068000\n", Looked()),
        ("pci 0x10de 0x068000\n", Looked(nvswitch=True)),
        ("secure_boot 0\n", Looked()),
        ("secure_boot    1\n", Looked(secure_boot=True)),
        ("runfile /usr/bin/nvidia-uninstall\n", Looked(runfile=True)),
        ("enrolled /a\n\nenrolled /b\nenrolled\n", Looked(enrolled=("/a", "/b"))),
    ],
)
def test_parse_looked(text: str, looked: Looked) -> None:
    assert parse_looked(text) == looked


@pytest.mark.parametrize(
    ("version", "own", "compared"),
    [
        ("580.95.05", "580.95.05", (580, 95, 5)),
        ("580.95.05-0ubuntu0.24.04.2", "580.95.05", (580, 95, 5)),
        ("3:580.95.05-1.el9", "580.95.05", (580, 95, 5)),
        ("570.26", "570.26", (570, 26)),
        ("", "", ()),
    ],
)
def test_versions(version: str, own: str, compared: tuple[int, ...]) -> None:
    assert (upstream(version), numbers(version)) == (own, compared)


@pytest.mark.parametrize(
    ("driver", "version"),
    [
        (nvidia(), ""),
        (nvidia("580.95.05", works=True), "580.95.05"),
        # What is installed counts, not what is still loaded.
        (nvidia("570.26") | {"library": "580.95.05"}, "580.95.05"),
        (nvidia() | {"module": "570.26"}, "570.26"),
    ],
)
def test_present_version(driver: dict[str, Any], version: str) -> None:
    assert present_version(host(H100, driver=driver)) == version


@pytest.mark.parametrize(
    ("driver", "words"),
    [
        (nvidia("580.95.05", works=True), ""),
        (nvidia(), "there is no driver"),
        (nvidia(nouveau=True), "there is no driver, and nouveau has the GPU"),
        (nvidia("580.95.05", module=None, nouveau=True), "nouveau has the GPU"),
        (nvidia("580.95.05", module="570.26"), "the loaded kernel module is 570.26, the installed driver 580.95.05"),
        (
            nvidia("580.95.05", module=None, module_installed=False),
            "there is no kernel module of the driver for kernel 6.1.0-28-amd64",
        ),
        (nvidia("580.95.05", module=None), "the kernel module is not loaded"),
        (nvidia("580.95.05"), "nvidia-smi fails: has failed"),
    ],
)
def test_state(driver: dict[str, Any], words: str) -> None:
    assert state_of(host(H100, driver=driver)) == words


# -- nothing to do

WORKING = nvidia("580.95.05", works=True)


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        (host(), Wanted(branch="580")),
        (host(H100, driver=WORKING), Wanted()),
        (host(H100, driver=WORKING), Wanted(branch="580")),
        (host(H100, driver=WORKING), Wanted(version="580.95.05")),
        (host(H100, driver=WORKING), Wanted(branch="580", version="580.95.05-0ubuntu0.24.04.2")),
        (host(H100, driver=WORKING, on="suse"), Wanted()),
        # Left alone without a branch of its own, whatever it is.
        (host(V100, driver=nvidia("535.183.01", works=True)), Wanted()),
        (host(None, driver=WORKING | {"wsl": True}), Wanted()),
    ],
)
def test_nothing_to_do(facts: Any, wanted: Wanted) -> None:
    assert plan(facts, wanted) == Plan()


# -- what is there and not at work


@pytest.mark.parametrize(
    ("driver", "reboot"),
    [
        (nvidia("580.95.05", module=None), False),
        (nvidia("580.95.05"), False),
        (nvidia("580.95.05", module="580.65.06"), True),
        (nvidia("580.95.05", module=None, nouveau=True), True),
    ],
)
@pytest.mark.parametrize("wanted", [Wanted(), Wanted(branch="580"), Wanted(version="580.95.05")])
def test_load(driver: dict[str, Any], wanted: Wanted, reboot: bool) -> None:
    found = plan(host(H100, driver=driver, held={"embed": {}, "chat": {}}), wanted)
    assert (found.action, found.packages, found.problems) == ("load", (), ())
    assert (found.reboot, found.reboot_why) == (reboot, found.why if reboot else "")
    assert found.servers == ("chat", "embed")


def test_a_driver_without_a_module_for_the_kernel_is_repaired_in_its_branch() -> None:
    driver = nvidia("595.71.05", module=None, module_installed=False)
    found = plan(host(H100, on="ubuntu24", driver=driver, kernel="6.8.0-90-generic"))
    assert (found.action, found.branch, found.reboot, found.latest) == ("install", "595", False, False)
    assert found.packages[0] == "linux-headers-6.8.0-90-generic"


def test_a_driver_that_does_not_know_the_gpu_is_replaced() -> None:
    found = plan(host(B200, driver=nvidia("550.163.01")))
    assert (found.action, found.branch, found.latest) == ("change", "580", True)
    assert found.reboot_why == "the kernel module 550.163.01 is loaded"


# -- installations

DRIVERS: list[tuple[str, str, Wanted, tuple[str, ...], tuple[str, ...]]] = [
    (
        "debian12",
        H100,
        Wanted(),
        ("nvidia-driver-pinning-580",),
        ("linux-headers-6.1.0-28-amd64", "linux-headers-amd64", "nvidia-driver-cuda", "nvidia-kernel-open-dkms"),
    ),
    (
        "debian12",
        V100,
        Wanted(version="580.95.05-1"),
        ("nvidia-driver-pinning-580.95.05",),
        (
            "linux-headers-6.1.0-28-amd64",
            "linux-headers-amd64",
            "nvidia-driver-cuda=580.95.05-1",
            "nvidia-kernel-dkms=580.95.05-1",
        ),
    ),
    (
        "debian13",
        H100,
        Wanted(),
        ("nvidia-driver-pinning-620",),
        ("linux-headers-6.1.0-28-amd64", "linux-headers-amd64", "nvidia-driver-cuda", "nvidia-kernel-open-dkms"),
    ),
    (
        "ubuntu22",
        T4,
        Wanted(kernel_module="proprietary"),
        (),
        ("linux-headers-6.1.0-28-amd64", "nvidia-headless-580-server", "nvidia-utils-580-server"),
    ),
    (
        "ubuntu24",
        B200,
        Wanted(branch="620"),
        (),
        ("linux-headers-6.1.0-28-amd64", "nvidia-headless-620-server-open", "nvidia-utils-620-server"),
    ),
    (
        "ubuntu24",
        P100,
        Wanted(version="580.95.05"),
        (),
        (
            "linux-headers-6.1.0-28-amd64",
            "nvidia-headless-580-server=580.95.05-*",
            "nvidia-utils-580-server=580.95.05-*",
        ),
    ),
    (
        "rhel9",
        H100,
        Wanted(),
        (),
        ("kernel-devel-matched-6.1.0-28-amd64", "kernel-headers", "nvidia-driver-cuda", "kmod-nvidia-open-dkms"),
    ),
    (
        "rocky9",
        V100,
        Wanted(version="3:580.95.05-1.el9"),
        ("epel-release",),
        (
            "kernel-devel-matched-6.1.0-28-amd64",
            "kernel-headers",
            "nvidia-driver-cuda-580.95.05-1.el9",
            "kmod-nvidia-latest-dkms-580.95.05-1.el9",
        ),
    ),
    (
        "alma10",
        H100,
        Wanted(key_fingerprint="A" * 40),
        ("epel-release", "python3-dnf-plugin-versionlock"),
        ("kernel-devel-matched-6.1.0-28-amd64", "kernel-headers", "nvidia-driver-cuda", "kmod-nvidia-open-dkms"),
    ),
    (
        "fedora44",
        H100,
        Wanted(),
        (),
        ("kernel-devel-matched-6.1.0-28-amd64", "kernel-headers", "nvidia-driver-cuda", "kmod-nvidia-open-dkms"),
    ),
]


@pytest.mark.parametrize(("on", "device", "wanted", "first", "packages"), DRIVERS)
def test_packages(on: str, device: str, wanted: Wanted, first: tuple[str, ...], packages: tuple[str, ...]) -> None:
    found = plan(host(device, on=on), wanted)
    assert (found.action, found.problems, found.why) == ("install", (), "there is no driver")
    assert (found.first, found.packages) == (first, packages)
    assert (found.reboot, found.latest, found.services) == (False, False, ())


@pytest.mark.parametrize(
    ("on", "wanted", "stream", "lock"),
    [
        ("rhel9", Wanted(), "nvidia-driver:580-open", ""),
        ("rocky9", Wanted(branch="570", kernel_module="proprietary"), "nvidia-driver:570-dkms", ""),
        ("fedora44", Wanted(), "", "*nvidia*580*"),
        ("fedora44", Wanted(version="595.71.05"), "", "*nvidia*595.71.05*"),
        ("debian12", Wanted(), "", ""),
        ("ubuntu24", Wanted(), "", ""),
    ],
)
def test_how_dnf_keeps_the_branch(on: str, wanted: Wanted, stream: str, lock: str) -> None:
    found = plan(host(H100, on=on), wanted)
    assert (found.problems, found.stream, found.lock) == ((), stream, lock)


def test_the_repository_is_what_the_module_takes() -> None:
    found = plan(host(H100), Wanted(version="580.95.05-1")).repository
    assert found is not None
    assert set(found) <= set(ARGUMENTS)
    assert {name for name, option in ARGUMENTS.items() if option.get("required")} <= set(found)
    url = "https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64"
    assert (found["url"], found["key_url"]) == (url, f"{url}/3bf863cc.pub")
    assert found["fingerprint"] == "EB693B3035CD5710E231E123A4B469963BF863CC"
    assert (found["packages"], found["version"]) == (["nvidia-driver-cuda", "nvidia-kernel-open-dkms"], "580.95.05-1")
    assert found["conflicts"] == url.partition("://")[2]


def test_a_mirror_takes_the_place_of_the_repositories() -> None:
    wanted = Wanted(repository_url="http://mirror/cuda/", key_url="http://mirror/key", key_fingerprint="A" * 40)
    found = plan(host(H100, on="rhel9", architecture="aarch64"), wanted).repository
    assert found is not None
    assert (found["url"], found["key_url"]) == ("http://mirror/cuda/rhel9/sbsa", "http://mirror/key")
    assert (found["fingerprint"], found["packages"], found["conflicts"]) == ("A" * 40, [], "")


def test_ubuntu_needs_no_repository() -> None:
    assert plan(host(H100, on="ubuntu24")).repository is None


def test_own_packages_are_taken_as_they_are() -> None:
    for on in ("debian12", "suse"):
        found = plan(host(H100, on=on), Wanted(packages=["mine", "yours"]), Looked(secure_boot=True))
        assert (found.problems, found.packages, found.first, found.repository) == ((), ("mine", "yours"), (), None)


@pytest.mark.parametrize(
    ("kernel", "on", "headers"),
    [
        ("6.12.57+deb13-cloud-amd64", "debian13", ("linux-headers-cloud-amd64",)),
        ("6.1.0-28-rt-amd64", "debian12", ("linux-headers-rt-amd64",)),
        ("6.1.0-28-arm64", "debian12", ("linux-headers-arm64",)),
        ("6.9.3-own", "debian12", ()),
        ("6.8.0-90-generic", "ubuntu24", ()),
    ],
)
def test_debians_headers_come_with_later_kernels_too(kernel: str, on: str, headers: tuple[str, ...]) -> None:
    found = plan(host(H100, on=on, kernel=kernel)).packages
    assert tuple(name for name in found if name.startswith("linux-headers")) == (f"linux-headers-{kernel}", *headers)


def test_headers_of_the_kernel_with_large_pages() -> None:
    kernel = "5.14.0-570.12.1.el9_6.aarch64"
    found = plan(host(GH200, on="rhel9", kernel=f"{kernel}+64k", architecture="aarch64"))
    assert found.packages[:2] == (f"kernel-64k-devel-matched-{kernel}", "kernel-headers")


@pytest.mark.parametrize(
    ("devices", "looked", "on", "more"),
    [
        ([H100] * 8, Looked(nvswitch=True), "ubuntu24", ("nvidia-fabricmanager-580",)),
        ([H100] * 8, Looked(nvswitch=True), "debian12", ("nvidia-fabricmanager",)),
        ([B200] * 8, Looked(), "debian12", ("nvidia-fabricmanager", "nvlsm")),
        ([B300] * 8, Looked(), "rhel9", ("nvidia-fabricmanager", "nvlsm")),
        ([B200] * 8, Looked(), "ubuntu24", ("nvidia-fabricmanager-580",)),
    ],
)
def test_gpus_behind_switches(devices: list[str], looked: Looked, on: str, more: tuple[str, ...]) -> None:
    found = plan(host(*devices, on=on), Wanted(), looked)
    assert found.packages[-len(more) :] == more
    assert found.services == (FABRIC_SERVICE,)
    assert bool(found.notices) == (on == "ubuntu24" and devices[0] == B200)


def test_one_board_alone_has_no_switches_of_its_own() -> None:
    found = plan(host(B200))
    assert (found.services, [name for name in found.packages if "fabric" in name]) == ((), [])


@pytest.mark.parametrize(
    ("devices", "wanted", "flavour", "why"),
    [
        ([H100], Wanted(), OPEN, "NVIDIA recommends them from Turing on"),
        ([None], Wanted(), OPEN, "NVIDIA recommends them from Turing on"),
        ([B200, B300], Wanted(), OPEN, "Blackwell and Blackwell Ultra GPUs work with no others"),
        ([GH200], Wanted(), OPEN, "Grace Hopper GPUs work with no others"),
        ([V100, T4], Wanted(), PROPRIETARY, "Volta GPUs work with no others"),
        ([H100], Wanted(kernel_module="proprietary"), PROPRIETARY, "nvidia_driver_kernel_module says so"),
    ],
)
def test_kernel_module(devices: list[str | None], wanted: Wanted, flavour: str, why: str) -> None:
    found = plan(host(*devices), wanted)
    assert (found.problems, found.kernel_module, found.kernel_module_why) == ((), flavour, why)


@pytest.mark.parametrize(
    ("driver", "why"),
    [
        (nvidia(), ""),
        (nvidia(nouveau=True), "nouveau has the GPU"),
        (nvidia("550.163.01", works=True), "the kernel module 550.163.01 is loaded"),
    ],
)
def test_reboot(driver: dict[str, Any], why: str) -> None:
    found = plan(host(H100, driver=driver), Wanted(branch="580"))
    assert (found.reboot, found.reboot_why) == (bool(why), why)


def test_nouveau_that_is_bound_is_in_the_way_too() -> None:
    found = plan(host(H100, bound="nouveau"))
    assert (found.why, found.reboot_why) == ("there is no driver, and nouveau has the GPU", "nouveau has the GPU")
    found = plan(host(H100, bound="nouveau", driver=nvidia("580.95.05", module=None)))
    assert (found.action, found.reboot_why) == ("load", "nouveau has the GPU")


@pytest.mark.parametrize(("wanted", "latest"), [(Wanted(branch="580"), True), (Wanted(version="580.95.05"), False)])
def test_a_higher_driver_takes_the_place_of_a_working_one(wanted: Wanted, latest: bool) -> None:
    found = plan(host(H100, driver=nvidia("550.163.01", works=True)), wanted)
    assert (found.action, found.problems, found.latest) == ("change", (), latest)
    assert found.why == f"the driver is 550.163.01, wanted is {wanted.version or wanted.branch}"


# -- refusals

REFUSED: list[tuple[Any, Wanted, Looked, str]] = [
    (host(None, driver=nvidia(wsl=True)), Wanted(), Looked(), "nvidia_driver_enabled: this is a Linux inside Windows"),
    (host(driver=nvidia(wsl=True)), Wanted(), Looked(), "nvidia_driver_enabled: this is a Linux inside Windows"),
    (
        host(H100, driver=nvidia("595.71.05", works=True)),
        Wanted(branch="580"),
        Looked(),
        (
            "nvidia_driver_branch: 580 is below the driver 595.71.05 that is there, and a downgrade is never made by "
            "the way: set it to '595' or auto"
        ),
    ),
    (
        host(H100, driver=WORKING),
        Wanted(version="580.65.06"),
        Looked(),
        (
            "nvidia_driver_version: 580.65.06 is below the driver 580.95.05 that is there, and a downgrade is never "
            "made by the way: set it to 580.95.05"
        ),
    ),
    # The same for one that does not work: the packages are of the higher one.
    (
        host(H100, driver=nvidia("595.71.05", module=None)),
        Wanted(branch="580"),
        Looked(),
        "nvidia_driver_branch: 580 is below the driver 595.71.05",
    ),
    (
        host(H100, H100, bound="vfio-pci"),
        Wanted(),
        Looked(),
        "nvidia_driver_enabled: vfio-pci holds every GPU, so they belong to virtual machines: set it to false",
    ),
    (host(H100), Wanted(branch="r580"), Looked(), "nvidia_driver_branch: 'r580' is no branch: write auto or three"),
    (host(H100), Wanted(version="latest"), Looked(), "nvidia_driver_version: 'latest' is no version of a driver"),
    (
        host(H100),
        Wanted(branch="570", version="580.95.05"),
        Looked(),
        "nvidia_driver_version: 580.95.05 is not of branch 570: set nvidia_driver_branch to auto or '580'",
    ),
    (
        host(H100, on="suse"),
        Wanted(),
        Looked(),
        "nvidia_driver_packages: no driver is known for SLES 15 SP7 (only for debian 12, debian 13, ubuntu, rhel 9,",
    ),
    (
        host(H100),
        Wanted(),
        Looked(runfile=True),
        (
            "nvidia_driver_enabled: NVIDIA's own installer put a driver here, past the package manager: run "
            "/usr/bin/nvidia-uninstall, reboot and run again"
        ),
    ),
    (
        host(K80),
        Wanted(),
        Looked(),
        "nvidia_driver_enabled: no driver that today's engines run on knows GPUs older than Maxwell (0000:01:00.0 (0x1",
    ),
    (
        host(B200, V100),
        Wanted(),
        Looked(),
        "nvidia_driver_kernel_module: Blackwell GPUs need open kernel modules and Volta GPUs proprietary ones",
    ),
    (
        host(B200),
        Wanted(branch="565"),
        Looked(),
        "nvidia_driver_branch: 565 does not know Blackwell GPUs: set nvidia_driver_branch to 580 or 620",
    ),
    (
        host(V100),
        Wanted(branch="620"),
        Looked(),
        "nvidia_driver_branch: 620 does not know Volta GPUs: set nvidia_driver_branch to 580",
    ),
    (
        host(V100, on="debian13"),
        Wanted(),
        Looked(),
        (
            "nvidia_driver_branch: the packages for Debian GNU/Linux 13 (trixie) begin with 590, so not 580: set "
            "nvidia_driver_packages to a driver of another source"
        ),
    ),
    (
        host(H100, on="debian13"),
        Wanted(branch="580"),
        Looked(),
        (
            "nvidia_driver_branch: the packages for Debian GNU/Linux 13 (trixie) begin with 590, so not 580: set "
            "nvidia_driver_branch to 620"
        ),
    ),
    (
        host(B200),
        Wanted(kernel_module="proprietary"),
        Looked(),
        "nvidia_driver_kernel_module: Blackwell GPUs work with open kernel modules only: set it to auto or open",
    ),
    (
        host(V100),
        Wanted(kernel_module="open"),
        Looked(),
        "nvidia_driver_kernel_module: Volta GPUs work with proprietary kernel modules only: set it to auto or",
    ),
    (
        host(H100, on="ubuntu24"),
        Wanted(branch="620", kernel_module="proprietary"),
        Looked(),
        "nvidia_driver_kernel_module: from 620 on there are open kernel modules only: set it to auto or open",
    ),
    (
        host(H100, architecture="ppc64le"),
        Wanted(),
        Looked(),
        "nvidia_driver_packages: NVIDIA has no driver for ppc64le",
    ),
    (
        host(H100, on="alma10"),
        Wanted(),
        Looked(),
        "nvidia_driver_key_fingerprint: that of NVIDIA's key CDF6BA43.pub for rhel10 is not known here",
    ),
    (
        host(H100),
        Wanted(),
        Looked(secure_boot=True),
        (
            "nvidia_driver_packages: Secure Boot is on, and the firmware does not trust the key /var/lib/dkms/mok.pub "
            "with which DKMS signs modules: enrol that key with mokutil --import; or turn Secure Boot off"
        ),
    ),
    (
        host(V100, on="ubuntu24"),
        Wanted(),
        Looked(secure_boot=True, enrolled=("/var/lib/dkms/mok.pub",)),
        (
            "nvidia_driver_packages: Secure Boot is on, and the firmware does not trust the key "
            "/var/lib/shim-signed/mok/MOK.der with which DKMS signs modules: set it to "
            "[linux-modules-nvidia-580-server-generic, nvidia-headless-no-dkms-580-server, nvidia-utils-580-server],"
        ),
    ),
]


@pytest.mark.parametrize(("facts", "wanted", "looked", "begins"), REFUSED)
def test_refused(facts: Any, wanted: Wanted, looked: Looked, begins: str) -> None:
    found = plan(facts, wanted, looked)
    (problem,) = found.problems
    assert problem.startswith(begins)
    assert "\n" not in problem
    # What to do is said, and by which variable.
    assert re.match(r"nvidia_driver_\w+: .*: .+", problem)
    assert found.action != "none"
    assert (found.first, found.repository, found.stream) == ((), None, "")


@pytest.mark.parametrize(
    ("on", "key"), [("debian12", "/var/lib/dkms/mok.pub"), ("ubuntu24", "/var/lib/shim-signed/mok/MOK.der")]
)
def test_secure_boot_with_a_trusted_key_is_fine(on: str, key: str) -> None:
    found = plan(host(H100, on=on), Wanted(), Looked(secure_boot=True, enrolled=(key,)))
    assert (found.problems, found.action) == ((), "install")
