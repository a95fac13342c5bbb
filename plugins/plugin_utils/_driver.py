# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done so that a host has a working NVIDIA driver: which one, from where, and whether it must reboot."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.plugin_utils._driver_tables import (
    ARCHITECTURES,
    AUTO,
    DEBIAN_FLAVOURS,
    EITHER,
    FABRIC_SERVICE,
    GENERATIONS,
    LIKE,
    LONG_TERM,
    NVLINK5_BOARDS,
    OPEN,
    OPEN_ONLY,
    PROPRIETARY,
    REPOSITORIES,
    RUNFILE_UNINSTALLER,
    SOURCES,
    UNLISTED,
    Generation,
    Source,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# What messages call the role's variables.
PREFIX = "nvidia_driver_"


@dataclass(frozen=True)
class Wanted:
    """What the role's variables say; see its argument specification.

    Attributes:
        branch: Such as ``580``; ``auto`` for the branch with long-term support that suits the host.
        version: The exact version, with or without the packages' revision; empty for the newest of the branch.
        kernel_module: ``auto``, ``open`` or ``proprietary``.
        packages: Instead of those of the tables; no repository is added then.
        repository_url: Of NVIDIA's repositories or a mirror of them.
        key_url: Of the repository's key; empty for the one inside the repository.
        key_fingerprint: Of this key; empty for the one of the tables.
    """

    branch: str = AUTO
    version: str = ""
    kernel_module: str = AUTO
    packages: Sequence[str] = ()
    repository_url: str = REPOSITORIES
    key_url: str = ""
    key_fingerprint: str = ""


@dataclass(frozen=True)
class Looked:
    """What the role itself saw on the host, besides the host's facts.

    Attributes:
        nvswitch: Whether NVSwitches are on the PCI bus.
        secure_boot: Whether the firmware starts signed code only.
        runfile: Whether NVIDIA's own installer put the driver there, past the package manager.
        enrolled: Files of keys that the firmware trusts.
    """

    nvswitch: bool = False
    secure_boot: bool = False
    runfile: bool = False
    enrolled: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        action: ``none``, ``load`` (it is there, but not at work), ``install``, ``change`` (to a higher version).
        why: What is wrong now, in one line; empty where nothing is.
        branch: The wanted branch.
        version: The wanted exact version without the packages' revision; empty for the newest.
        kernel_module: ``open`` or ``proprietary``.
        kernel_module_why: Why this one.
        manager: ``apt`` or ``dnf``.
        repository: The parameters of the module package_repository; None for the distribution's own packages.
        first: Packages to install before the others.
        stream: The stream of dnf's module to enable; empty for none.
        lock: The pattern for `dnf versionlock`; empty for none.
        lock_tools: What `dnf versionlock` needs.
        packages: What to install, as the package manager takes it.
        latest: Whether installed packages are to be brought to their newest version as well.
        services: Services to start.
        reboot: Whether nothing but a reboot can put the driver to work.
        reboot_why: Why.
        servers: Servers that a reboot stops.
        notices: Lines for people.
        problems: Why it cannot be done, one line each.
    """

    action: str = "none"
    why: str = ""
    branch: str = ""
    version: str = ""
    kernel_module: str = ""
    kernel_module_why: str = ""
    manager: str = ""
    repository: dict[str, Any] | None = None
    first: tuple[str, ...] = ()
    stream: str = ""
    lock: str = ""
    lock_tools: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    latest: bool = False
    services: tuple[str, ...] = ()
    reboot: bool = False
    reboot_why: str = ""
    servers: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Case:
    """A host that needs a driver, with everything that decides which."""

    host: Mapping[str, Any]
    wanted: Wanted
    looked: Looked
    present: str
    generations: tuple[Generation | None, ...]
    source: Source | None
    tools: tuple[str, ...]

    @property
    def known(self) -> tuple[Generation, ...]:
        """The generations of the GPUs, each once."""
        return tuple(dict.fromkeys(each for each in self.generations if each))

    @property
    def oldest(self) -> int:
        """The first branch that can be installed."""
        return self.source.oldest if self.source and not self.wanted.packages else 0

    @property
    def distribution(self) -> str:
        """What people call the host's system."""
        return str(self.host["distribution"]["name"])


# -- what is there -----------------------------------------------------------------------------------------------------


def parse_looked(text: str) -> Looked:
    """Parse what the role printed when it looked at the host.

    Args:
        text: Lines ``pci VENDOR CLASS`` for each PCI device, ``secure_boot 0|1``, ``runfile PATH`` and
            ``enrolled PATH``, where there is something to tell.

    Returns:
        What it means.
    """
    words = [line.split() for line in text.splitlines()]
    return Looked(
        # Class 0680 is a bridge of no listed kind; beside data-centre GPUs only NVSwitches are such ones of NVIDIA.
        nvswitch=any(line[:2] == ["pci", "0x10de"] and "".join(line[2:]).startswith("0x0680") for line in words),
        secure_boot=["secure_boot", "1"] in words,
        runfile=any(line[:1] == ["runfile"] for line in words),
        enrolled=tuple(line[1] for line in words if line[:1] == ["enrolled"] and len(line) > 1),
    )


def generation_of(device: str | None) -> Generation | None:
    """Tell a GPU's generation.

    Args:
        device: Its PCI device id in hexadecimal digits, such as ``0x2330``; None when it is not on the bus.

    Returns:
        The generation; None for GPUs older than Maxwell, and for those whose id nobody tells.
    """
    if not device:
        return None
    number = int(device, 16)
    found = next((each for each in GENERATIONS if each.first <= number <= each.last), None)
    return UNLISTED if found is None and number > GENERATIONS[0].first else found


def upstream(version: str) -> str:
    """Give the driver's own version out of a package's: ``580.95.05`` of ``3:580.95.05-1.el9``."""
    return version.rpartition(":")[2].partition("-")[0]


def numbers(version: str) -> tuple[int, ...]:
    """Give the numbers of a driver's version, for comparing."""
    return tuple(int(part) for part in re.findall(r"\d+", upstream(version)))


def present_version(host: Mapping[str, Any]) -> str:
    """Tell the version of the driver on a host: what answers, else what is installed or loaded; empty for none."""
    nvidia = host["nvidia"]
    told = [gpu["driver_version"] for gpu in host["gpus"]] if nvidia["smi"]["works"] else []
    return next((str(version) for version in (*told, nvidia["library"], nvidia["module"]) if version), "")


def is_nouveaus(host: Mapping[str, Any]) -> bool:
    """Tell whether nouveau is in the way: bound to a GPU, or only loaded."""
    return bool(host["nvidia"]["nouveau"]) or any(gpu["driver"] == "nouveau" for gpu in host["gpus"])


def state_of(host: Mapping[str, Any]) -> str:
    """Say in a few words why the driver does not work; empty when it does."""
    nvidia, nouveau = host["nvidia"], is_nouveaus(host)
    smi, module, library = nvidia["smi"], nvidia["module"], nvidia["library"]
    states = (
        (smi["works"], ""),
        (not (smi["installed"] and library) and nouveau, "there is no driver, and nouveau has the GPU"),
        (not (smi["installed"] and library), "there is no driver"),
        (nouveau, "nouveau has the GPU"),
        (module and module != library, f"the loaded kernel module is {module}, the installed driver {library}"),
        (not nvidia["module_installed"], f"there is no kernel module of the driver for kernel {host['kernel']}"),
        (not module, "the kernel module is not loaded"),
        (True, f"nvidia-smi fails: {(smi['message'] or str(smi['code'])).rstrip('.')}"),
    )
    return next(words for holds, words in states if holds)


def source_of(distribution: Mapping[str, Any]) -> tuple[Source | None, tuple[str, ...]]:
    """Tell where a distribution's driver comes from.

    Args:
        distribution: As in the host's facts.

    Returns:
        The source, None for a distribution without one, and packages to install before any other.
    """
    identity, tools = LIKE.get(distribution["id"], (distribution["id"], ()))
    major = str(distribution["version"]).partition(".")[0]
    return SOURCES.get((identity, major)) or SOURCES.get((identity, "")), tools


# -- the plan ----------------------------------------------------------------------------------------------------------


def driver_plan(host: Mapping[str, Any], wanted: Wanted, looked: Looked) -> Plan:
    """Tell what has to be done so that a host has a working driver.

    A driver that works is left alone, unless a branch or a version is asked for by name and it is below that; it is
    never exchanged for a lower one.

    Args:
        host: The host's facts, as the module host_info tells them.
        wanted: What the role's variables say.
        looked: What the role saw besides.

    Returns:
        The plan. With problems, nothing of it may be done.
    """
    nvidia = host["nvidia"]
    source, tools = source_of(host["distribution"])
    generations = tuple(generation_of(gpu["device"]) for gpu in host["gpus"])
    case = _Case(host, wanted, looked, present_version(host), generations, source, tools)
    works = bool(nvidia["smi"]["works"])
    # On WSL the GPUs are on no bus, so none to be seen may as well be one without a driver.
    if (works and _satisfied(case)) or not (host["gpus"] or nvidia["wsl"]):
        return Plan()
    why = state_of(host) or f"the driver is {case.present}, wanted is {wanted.version or wanted.branch}"
    plan = Plan(why=why, servers=tuple(sorted(host["held"])))
    if nvidia["wsl"]:
        return dataclasses.replace(plan, action="install", problems=(_WSL,))
    intact = nvidia["smi"]["installed"] and nvidia["library"] and nvidia["module_installed"]
    if intact and _satisfied(case):
        differ = bool(nvidia["module"]) and nvidia["module"] != nvidia["library"]
        reboot_why = why if is_nouveaus(host) or differ else ""
        return dataclasses.replace(plan, action="load", reboot=bool(reboot_why), reboot_why=reboot_why)
    return _installation(case, plan)


_WSL = (
    f"{PREFIX}enabled: this is a Linux inside Windows (WSL), where the driver belongs to Windows: install it there, "
    "and set it to false"
)


def _satisfied(case: _Case) -> bool:
    """Tell whether the driver that is there is the wanted one, and one that its GPUs can have."""
    if not case.present:
        return False
    if case.wanted.version:
        return numbers(case.present) == numbers(case.wanted.version)
    if case.wanted.branch != AUTO:
        return numbers(case.present)[:1] == numbers(case.wanted.branch)
    return case.host["nvidia"]["smi"]["works"] or _suits(numbers(case.present)[0], case.known)


def _suits(branch: int, generations: Iterable[Generation]) -> bool:
    return all(each.oldest <= branch <= (each.newest or branch) for each in generations)


def _installation(case: _Case, plan: Plan) -> Plan:
    problems = [*_wanted_problems(case.wanted), *_host_problems(case)]
    branch = 0 if problems else _branch(case)
    flavour, flavour_why = _flavour(case)
    if not problems:
        problems += [*_branch_problems(case, branch), *_flavour_problems(case, branch, flavour)]
    reboot_why = _reboot_why(case.host)
    plan = dataclasses.replace(
        plan,
        action="change" if case.present and not _satisfied(case) else "install",
        branch=str(branch or ""),
        version=upstream(case.wanted.version),
        kernel_module=flavour,
        kernel_module_why=flavour_why,
        manager="apt" if case.host["distribution"]["family"] == "debian" else "dnf",
        packages=tuple(case.wanted.packages),
        reboot=bool(reboot_why),
        reboot_why=reboot_why,
        problems=tuple(problems),
    )
    if problems or case.source is None or case.wanted.packages:
        return plan
    if problems := list(_source_problems(case, case.source, plan)):
        return dataclasses.replace(plan, problems=tuple(problems))
    return _packed(case, case.source, plan)


def _branch(case: _Case) -> int:
    if case.wanted.version:
        return numbers(case.wanted.version)[0]
    if case.wanted.branch != AUTO:
        return int(case.wanted.branch)
    # A broken driver stays of its branch, if the GPUs can have that.
    candidates = (*numbers(case.present)[:1], *LONG_TERM)
    fitting = [branch for branch in candidates if branch >= case.oldest and _suits(branch, case.known)]
    return next(iter(fitting), LONG_TERM[0])


def _flavour(case: _Case) -> tuple[str, str]:
    if case.wanted.kernel_module != AUTO:
        return case.wanted.kernel_module, f"{PREFIX}kernel_module says so"
    for flavour in (PROPRIETARY, OPEN):
        needing = [each.name for each in case.known if each.kernel_module == flavour]
        if needing:
            return flavour, f"{' and '.join(dict.fromkeys(needing))} GPUs work with no others"
    return OPEN, "NVIDIA recommends them from Turing on"


def _reboot_why(host: Mapping[str, Any]) -> str:
    if is_nouveaus(host):
        return "nouveau has the GPU"
    module = host["nvidia"]["module"]
    return f"the kernel module {module} is loaded" if module else ""


# -- problems ----------------------------------------------------------------------------------------------------------


def _wanted_problems(wanted: Wanted) -> Iterator[str]:
    if wanted.branch != AUTO and not re.fullmatch(r"\d{3}", wanted.branch):
        yield f"{PREFIX}branch: {wanted.branch!r} is no branch: write auto or three digits such as '580'"
    elif wanted.version and not re.fullmatch(r"(\d+:)?\d{3}(\.\d+)+(-\S+)?", wanted.version):
        yield f"{PREFIX}version: {wanted.version!r} is no version of a driver: write one such as 580.95.05"
    elif wanted.version and wanted.branch not in {AUTO, str(numbers(wanted.version)[0])}:
        yield (
            f"{PREFIX}version: {wanted.version} is not of branch {wanted.branch}: set {PREFIX}branch to auto or "
            f"'{numbers(wanted.version)[0]}'"
        )


def _host_problems(case: _Case) -> Iterator[str]:
    if case.source is None and not case.wanted.packages:
        names = ", ".join(f"{identity} {version}".strip() for identity, version in SOURCES)
        yield (
            f"{PREFIX}packages: no driver is known for {case.distribution} (only for {names} and their likes): name "
            "the packages of its own driver, or install one by hand"
        )
    if case.looked.runfile:
        yield (
            f"{PREFIX}enabled: NVIDIA's own installer put a driver here, past the package manager: run "
            f"{RUNFILE_UNINSTALLER}, reboot and run again"
        )
    holders = {gpu["driver"] for gpu in case.host["gpus"]}
    if not holders & {None, "nvidia", "nouveau"}:
        yield (
            f"{PREFIX}enabled: {' and '.join(sorted(holders))} holds every GPU, so they belong to virtual machines: "
            "set it to false, or free them"
        )
    pairs = zip(case.host["gpus"], case.generations, strict=True)
    old = [f"{gpu['pci']} ({gpu['name'] or gpu['device']})" for gpu, each in pairs if each is None and gpu["device"]]
    if old:
        yield (
            f"{PREFIX}enabled: no driver that today's engines run on knows GPUs older than Maxwell ({', '.join(old)}): "
            "take them out or set it to false"
        )
    kinds = {each.kernel_module: each.name for each in case.known}
    if OPEN in kinds and PROPRIETARY in kinds:
        yield (
            f"{PREFIX}kernel_module: {kinds[OPEN]} GPUs need open kernel modules and {kinds[PROPRIETARY]} GPUs "
            "proprietary ones, so no driver serves both: put them into different hosts"
        )


def _branch_problems(case: _Case, branch: int) -> Iterator[str]:
    where = f"{PREFIX}version" if case.wanted.version else f"{PREFIX}branch"
    suited = [str(each) for each in LONG_TERM if each >= case.oldest and _suits(each, case.known)]
    remedy = f"set {PREFIX}branch to {' or '.join(suited)}" if suited else _ELSEWHERE
    strangers = [each.name for each in case.known if not _suits(branch, [each])]
    if strangers:
        yield f"{where}: {branch} does not know {' and '.join(dict.fromkeys(strangers))} GPUs: {remedy}"
    elif branch < case.oldest:
        yield f"{where}: the packages for {case.distribution} begin with {case.oldest}, so not {branch}: {remedy}"
    if not case.present:
        return
    target = case.wanted.version or str(branch)
    below = numbers(target) < numbers(case.present)[: len(numbers(target))]
    if below:
        keep = f"set it to {case.present}" if case.wanted.version else f"set it to '{numbers(case.present)[0]}' or auto"
        yield (
            f"{where}: {target} is below the driver {case.present} that is there, and a downgrade is never made by the "
            f"way: {keep}, or remove that driver by hand and run again"
        )


_ELSEWHERE = f"set {PREFIX}packages to a driver of another source, which you add to the host"


def _flavour_problems(case: _Case, branch: int, flavour: str) -> Iterator[str]:
    others = [each for each in case.known if each.kernel_module not in {flavour, EITHER}]
    if others:
        yield (
            f"{PREFIX}kernel_module: {others[0].name} GPUs work with {others[0].kernel_module} kernel modules only: "
            f"set it to auto or {others[0].kernel_module}"
        )
    elif flavour == PROPRIETARY and branch >= OPEN_ONLY and _suits(branch, case.known):
        yield f"{PREFIX}kernel_module: from {OPEN_ONLY} on there are open kernel modules only: set it to auto or open"


def _source_problems(case: _Case, source: Source, plan: Plan) -> Iterator[str]:
    if source.directory and case.host["architecture"] not in ARCHITECTURES:
        yield f"{PREFIX}packages: NVIDIA has no driver for {case.host['architecture']}: name those of another source"
    if source.directory and not (case.wanted.key_fingerprint or source.fingerprint):
        yield (
            f"{PREFIX}key_fingerprint: that of NVIDIA's key {source.key} for {source.directory} is not known here: set "
            "it to the one that NVIDIA publishes"
        )
    if case.looked.secure_boot and source.mok not in case.looked.enrolled:
        signed = ""
        if source.signed:
            names = ", ".join(_named(source.signed[plan.kernel_module], plan.branch))
            signed = f"set it to [{names}], whose modules are signed; or "
        yield (
            f"{PREFIX}packages: Secure Boot is on, and the firmware does not trust the key {source.mok} with which "
            f"DKMS signs modules: {signed}enrol that key with mokutil --import; or turn Secure Boot off in the firmware"
        )


# -- packages ----------------------------------------------------------------------------------------------------------


def _packed(case: _Case, source: Source, plan: Plan) -> Plan:
    """Complete a plan by what is to be installed, and from where."""
    boards = [gpu for gpu in case.host["gpus"] if gpu["device"] and int(gpu["device"], 16) in NVLINK5_BOARDS]
    nvlink5 = len(boards) > 1
    fabric = source.fabric if case.looked.nvswitch or nvlink5 else ()
    drivers = source.open if plan.kernel_module == OPEN else source.proprietary
    names = _named((*drivers, *fabric), plan.branch)
    exact = plan.version or plan.branch
    pins = (f"nvidia-driver-pinning-{exact}",) if source.pin == "package" else ()
    lacking = f"{case.distribution} lacks nvlsm, which these GPUs need too: install it from NVIDIA's repository"
    return dataclasses.replace(
        plan,
        repository=_repository(case, source, names),
        first=(*case.tools, *(source.lock_tools if source.pin == "lock" else ()), *pins),
        stream=f"nvidia-driver:{plan.branch}-{_STREAMS[plan.kernel_module]}" if source.pin == "stream" else "",
        lock=f"*nvidia*{exact}*" if source.pin == "lock" else "",
        lock_tools=source.lock_tools,
        packages=(
            *_headers(source, str(case.host["kernel"])),
            *(_exactly(name, case.wanted.version, source.manager) for name in names),
            *(source.nvlink5 if nvlink5 else ()),
        ),
        latest=plan.action == "change" and not plan.version,
        services=(FABRIC_SERVICE,) if fabric else (),
        notices=(lacking,) if nvlink5 and not source.nvlink5 else (),
    )


_STREAMS = {OPEN: "open", PROPRIETARY: "dkms"}


def _named(templates: Iterable[str], branch: str) -> list[str]:
    return [template.format(branch=branch) for template in templates]


def _headers(source: Source, kernel: str) -> tuple[str, ...]:
    if source.manager == "dnf" and kernel.endswith("+64k"):  # the kernel with large pages on Arm
        return ("kernel-64k-devel-matched-" + kernel[: -len("+64k")], "kernel-headers")
    names = tuple(name.format(kernel=kernel) for name in source.headers)
    flavour = DEBIAN_FLAVOURS.search(kernel) if source.manager == "apt" and source.directory else None
    return (*names, f"linux-headers-{flavour[1]}") if flavour else names


def _exactly(name: str, version: str, manager: str) -> str:
    if not version:
        return name
    if manager == "dnf":
        return f"{name}-{version.rpartition(':')[2]}"
    return f"{name}={version}" if "-" in version else f"{name}={version}-*"


def _repository(case: _Case, source: Source, names: Sequence[str]) -> dict[str, Any] | None:
    if not source.directory:
        return None
    wanted = case.wanted
    url = f"{wanted.repository_url.rstrip('/')}/{source.directory}/{ARCHITECTURES[case.host['architecture']]}"
    # What is in a stream that is not enabled yet cannot be seen.
    seen = source.pin != "stream"
    return {
        "name": "nvidia-cuda",
        "manager": source.manager,
        "url": url,
        "key_url": wanted.key_url or f"{url}/{source.key}",
        "fingerprint": wanted.key_fingerprint or source.fingerprint,
        "packages": list(names) if seen else [],
        "version": wanted.version if seen and "-" in wanted.version else "",
        # NVIDIA's package cuda-keyring describes the same repository, with another file for the key.
        "conflicts": url.partition("://")[2] if source.manager == "apt" else "",
        "variables": {
            "url": f"{PREFIX}repository_url",
            "key_url": f"{PREFIX}key_url",
            "fingerprint": f"{PREFIX}key_fingerprint",
            "version": f"{PREFIX}version",
            "packages": f"{PREFIX}branch",
        },
    }
