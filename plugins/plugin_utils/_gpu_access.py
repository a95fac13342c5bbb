# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Decide how containers of a host get its GPUs, from the facts about it alone.

Three ways (moby/moby: daemon/devices_nvidia_linux.go, daemon/cdi.go; NVIDIA/nvidia-container-toolkit 1.20.0):

* `cdi`: `--device nvidia.com/gpu=…`. Docker edits the container as a specification on the host says. On without being
  told from Docker 28.2 on, with `features.cdi` from 25.0 on.
* `runtime`: `--runtime nvidia`. NVIDIA's runtime edits the container, from toolkit 1.18 on as CDI does it.
* `gpus`: `--gpus`. Docker knows it if the hook was there when it started.

What the hook injected, which `gpus` and a toolkit before 1.18 use, is lost when systemd reloads its units, and the
units of this collection make it do that.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict, dataclass, field

from ansible_collections.llmops.serving.plugins.module_utils._gpu_words import WAYS
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import version_tuple
from ansible_collections.llmops.serving.plugins.module_utils._host_toolkit import PACKAGES
from ansible_collections.llmops.serving.plugins.plugin_utils._images import ImageError, mirrored, pinned

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Facts = Mapping[str, t.Any]

CDI_SINCE: t.Final = (25, 0)
CDI_BY_DEFAULT: t.Final = (28, 2)
#: From this toolkit on nvidia-cdi-refresh writes the specification, and the runtime works as CDI does.
REFRESH_SINCE: t.Final = (1, 18)
REFRESHED: t.Final = "/run/cdi/nvidia.yaml"
GENERATED: t.Final = "/etc/cdi/nvidia.yaml"

RUNTIME_OPTIONS: t.Final = {"runtimes": {"nvidia": {"args": [], "path": "nvidia-container-runtime"}}}
CDI_OPTIONS: t.Final = {"features": {"cdi": True}}

#: The Docker that a distribution brings, where it is not installed yet. Others bring one that is newer than all limits.
BROUGHT: t.Final = {("debian", "12"): "20.10", ("debian", "13"): "26.1"}
FAMILIES: t.Final = {"debian": "apt", "redhat": "dnf"}
REPOSITORIES: t.Final = {"apt": "/deb/$(ARCH)", "dnf": "/rpm/$basearch", "zypper": "/rpm/$basearch"}


@dataclass(frozen=True)
class Choice:
    """A way and why it was chosen."""

    way: str
    why: str


@dataclass(frozen=True)
class Spec:
    """Where the CDI specification comes from.

    Attributes:
        how: `refresh` (nvidia-cdi-refresh writes it), `generate` (nvidia-ctk writes it when it is told), `foreign`
            (somebody else's, which is used as it is), `none` (this way needs none).
        path: The file.
        current: Whether it is there and names all GPUs and nothing that is gone.
        remove: Further ones that name the same devices.
    """

    how: str = "none"
    path: str = ""
    current: bool = True
    remove: tuple[str, ...] = ()


@dataclass(frozen=True)
class Access:
    """What a host needs so that containers get its GPUs.

    Attributes:
        present: Whether it has GPUs; without any nothing else is said.
        way: One of WAYS.
        why: Why this one, for people.
        installed: The toolkit's version now, "" without one.
        wanted: The one that it shall have.
        install: Whether packages must change.
        downgrade: Whether to an older version.
        manager: `apt`, `dnf` or `zypper`, "" for an unknown distribution.
        repository: The address of the package repository for this manager.
        names: The packages' names.
        packages: The packages, for the manager with their versions.
        daemon_options: What daemon.json must hold besides what it holds.
        restart: Whether Docker must be restarted after the packages, even where daemon.json stays as it is.
        spec: Where the CDI specification comes from.
        uuids: Of the GPUs that a container must see, in their order.
        problems: What keeps it from working: one line each, with the variable and the remedy.
        expected: What cannot be known yet and was assumed.
        image: The image of the proof, by the name of its mirror.
    """

    present: bool
    way: str = ""
    why: str = ""
    installed: str = ""
    wanted: str = ""
    install: bool = False
    downgrade: bool = False
    manager: str = ""
    repository: str = ""
    names: tuple[str, ...] = PACKAGES
    packages: tuple[str, ...] = ()
    daemon_options: dict[str, t.Any] = field(default_factory=dict)
    restart: bool = False
    spec: Spec = field(default_factory=Spec)
    uuids: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    image: str = ""

    def plain(self) -> dict[str, t.Any]:
        """Give the same as plain values, with lists in the place of tuples."""
        plain: dict[str, t.Any] = json.loads(json.dumps(asdict(self)))
        return plain


@dataclass(frozen=True)
class Wanted:
    """What the inventory wants.

    Attributes:
        version: The version of the toolkit, such as 1.20.0; a package's release behind it does not count.
        way: `auto`, or one of WAYS.
        repository_url: The address of NVIDIA's repository or a mirror of it.
        image: The image of the proof.
        registries: Mirrors of registries, by the prefix that they stand for.
    """

    version: str
    way: str = "auto"
    repository_url: str = ""
    image: str = ""
    registries: Mapping[str, str] = field(default_factory=dict)

    @property
    def plain_version(self) -> str:
        """The version without a package's release."""
        return self.version.partition("-")[0]


@dataclass(frozen=True)
class Docker:
    """What of Docker decides: its version, whether that is only assumed, and what daemon.json says."""

    version: tuple[int, ...]
    text: str
    assumed: bool
    options: Mapping[str, t.Any]

    @property
    def cdi(self) -> bool | None:
        """What `features.cdi` says; None where it says nothing."""
        features = self.options.get("features")
        value = features.get("cdi") if isinstance(features, dict) else None
        return value if isinstance(value, bool) else None

    @property
    def has_cdi(self) -> bool:
        """Whether it takes CDI devices without a change of daemon.json."""
        return self.version >= CDI_SINCE and (self.cdi is True or (self.cdi is None and self.version >= CDI_BY_DEFAULT))

    @property
    def has_runtime(self) -> bool:
        """Whether daemon.json names a runtime `nvidia`."""
        runtimes = self.options.get("runtimes")
        return isinstance(runtimes, dict) and isinstance(runtimes.get("nvidia"), dict)


def access(host: Facts, inventory: Wanted, planning: bool) -> Access:
    """Decide how containers of a host get its GPUs.

    Args:
        host: The facts, as the module host_info tells them.
        inventory: What is wanted.
        planning: Whether nothing can be installed now, so that what is missing may still come.

    Returns:
        All that is to be done.
    """
    if not host["gpus"]:
        return Access(present=False)
    wanted, way = inventory.plain_version, inventory.way
    docker = docker_of(host)
    foreign = foreign_spec(host)
    chosen = choose(way, docker, wanted, foreign)
    packages: Mapping[str, str] = host["toolkit"]["packages"]
    spare = chosen.way == "cdi" and foreign != "" and not packages
    install = not spare and any(release(packages.get(package, "")) != wanted for package in PACKAGES)
    manager = manager_of(host)
    installed = host["toolkit"]["version"] or ""
    driver = driver_problem(host)
    image, image_problems = proof_image(inventory)
    problems = [
        *image_problems,
        *way_problems(way, docker, host),
        *(spec_problems(host) if chosen.way == "cdi" else []),
        *([] if planning else [*docker_problems(host), *([driver] if driver else [])]),
        *distribution_problems(install, manager, host),
    ]
    return Access(
        present=True,
        way=chosen.way,
        why=chosen.why,
        installed=installed,
        wanted=wanted,
        install=install,
        downgrade=install and version_tuple(installed) > version_tuple(wanted),
        manager=manager,
        repository=inventory.repository_url.rstrip("/") + REPOSITORIES.get(manager, ""),
        packages=tuple(f"{package}{'=' if manager != 'dnf' else '-'}{wanted}-1" for package in PACKAGES),
        daemon_options=daemon_options(chosen.way, docker),
        # Docker looks for the hook when it starts. One that is there may still be younger than Docker's start.
        restart=chosen.way == "gpus" and not host["toolkit"]["hook"] and not docker.assumed,
        spec=spec_of(host, wanted, foreign, install) if chosen.way == "cdi" else Spec(),
        uuids=tuple(gpu["uuid"] for gpu in host["gpus"] if gpu["uuid"] and not gpu.get("lost")),
        problems=tuple(problems),
        expected=tuple(expectations(host, docker, driver if planning else "")),
        image=image,
    )


def release(version: str) -> str:
    """Give a package's version without its release: 1.20.0-1 is 1.20.0."""
    return version.rpartition(":")[2].partition("-")[0]


def docker_of(host: Facts) -> Docker:
    """Take what decides out of the facts; a Docker that is not installed is the one that the distribution brings."""
    facts = host["docker"]
    try:
        options = json.loads(facts["daemon_json"] or "{}")
    except ValueError:
        # The role docker refuses such a file.
        options = {}
    text = facts["version"] or ""
    assumed = not text
    if assumed:
        distribution = host["distribution"]
        text = BROUGHT.get((distribution["id"], distribution["version"].partition(".")[0]), "29.0")
    return Docker(version_tuple(text), text, assumed, options if isinstance(options, dict) else {})


def choose(way: str, docker: Docker, wanted: str, foreign: str) -> Choice:
    """Choose a way; `auto` takes the first that needs no restart of Docker and survives a reload of systemd."""
    if way in WAYS:
        return Choice(way, "nvidia_container_toolkit_way says so")
    if docker.has_cdi:
        said = " with features.cdi in daemon.json" if docker.version < CDI_BY_DEFAULT else ""
        own = f", and {foreign} names the devices" if foreign else ""
        return Choice("cdi", f"Docker {docker.text} takes CDI devices{said}{own}")
    return _without_cdi(docker, wanted)


def _without_cdi(docker: Docker, wanted: str) -> Choice:
    if docker.version < CDI_SINCE:
        return Choice("runtime", f"Docker {docker.text} has no CDI, which came with 25.0")
    if docker.assumed:
        return Choice("cdi", f"Docker {docker.text} takes CDI devices once daemon.json says features.cdi")
    if docker.cdi is False:
        return Choice("runtime", "daemon.json switches CDI off by features.cdi")
    if version_tuple(wanted) >= REFRESH_SINCE:
        return Choice(
            "runtime", f"CDI would need a restart of Docker {docker.text}, and NVIDIA's runtime only a reload"
        )
    return Choice("cdi", f"toolkit {wanted} would lose GPUs at every reload of systemd by its runtime")


def daemon_options(way: str, docker: Docker) -> dict[str, t.Any]:
    """Tell what daemon.json must hold for a way and does not hold yet. Never a default runtime: every container of an
    image with NVIDIA's variables would get all GPUs by it."""  # noqa: D205, D209  one thought
    if way == "cdi" and not docker.has_cdi:
        return dict(CDI_OPTIONS)
    if way == "runtime" and not docker.has_runtime:
        return dict(RUNTIME_OPTIONS)
    return {}


def plain_path(path: str) -> str:
    """Write a path below /run one way: /var/run is a link to it."""
    return path.removeprefix("/var") if path.startswith("/var/run/") else path


def wanted_names(host: Facts) -> list[set[str]]:
    """List what a specification must name: `all`, and each GPU by its number or its UUID, or each of its MIG devices.

    That of WSL names nothing but `all`, and that of a divided GPU its parts alone (nvidia-container-toolkit,
    pkg/nvcdi: lib-wsl.go, lib-nvml.go). A GPU without a UUID is not the driver's.
    """
    if host["nvidia"].get("wsl"):
        return [{"all"}]
    names: list[set[str]] = [{"all"}]
    for gpu in host["gpus"]:
        if gpu["uuid"] and not gpu.get("lost"):
            parts = gpu.get("mig_devices") or [gpu]
            names += [{str(part["index"]), part["uuid"]} for part in parts]
    return names


def offers(spec: Mapping[str, t.Any], host: Facts) -> bool:
    """Tell whether a specification names all GPUs, and nothing that is gone."""
    names = set(spec["devices"])
    return not spec["missing"] and all(names & choices for choices in wanted_names(host))


def foreign_spec(host: Facts) -> str:
    """Find a specification that somebody else wrote and that names all GPUs; "" without one.

    The places where the toolkit writes are somebody else's only on a host without the toolkit.
    """
    own = {REFRESHED, GENERATED} if host["toolkit"]["packages"] else set()
    for spec in host["cdi"]["specs"]:
        if plain_path(spec["path"]) not in own and offers(spec, host):
            return str(spec["path"])
    return ""


def spec_of(host: Facts, wanted: str, foreign: str, install: bool) -> Spec:
    """Decide where the specification comes from, and which ones are one too many."""
    if foreign:
        return Spec("foreign", foreign)
    specs = {plain_path(spec["path"]): spec for spec in host["cdi"]["specs"]}
    refreshed = version_tuple(wanted) >= REFRESH_SINCE
    path, other = (REFRESHED, GENERATED) if refreshed else (GENERATED, REFRESHED)
    # Written by another version of the toolkit, it may name hooks that are no more.
    current = path in specs and offers(specs[path], host) and not install
    if refreshed:
        current = current and host["toolkit"]["refresh_enabled"]
    return Spec("refresh" if refreshed else "generate", path, current, (other,) if other in specs else ())


# -- what keeps it from working ----------------------------------------------------------------------------------------


def way_problems(way: str, docker: Docker, host: Facts) -> list[str]:
    """List what is wrong with the wanted way."""
    problems = []
    if way == "cdi" and docker.version < CDI_SINCE:
        problems.append(
            f"nvidia_container_toolkit_way: cdi needs Docker 25.0 or newer, this host has {docker.text}: set it to auto"
        )
    if host["docker"]["package"] == "snap":
        problems.append(
            "docker_packages: Docker from snap cannot see the driver: remove it by `snap remove docker`, and run again"
        )
    return problems


def docker_problems(host: Facts) -> list[str]:
    """Say that there is no Docker."""
    if host["docker"]["installed"]:
        return []
    return ["serving_accelerator: cuda needs Docker, which is not installed: apply the role docker before this one"]


def spec_problems(host: Facts) -> list[str]:
    """List specifications of somebody else that name what is gone; those of the toolkit are written anew."""
    return [
        (
            f"nvidia_container_toolkit_way: the CDI specification {spec['path']} names {', '.join(spec['missing'])}, "
            "which this host does not have: remove that file, or set the way to runtime"
        )
        for spec in host["cdi"]["specs"]
        if spec["missing"] and plain_path(spec["path"]) not in {REFRESHED, GENERATED}
    ]


def proof_image(inventory: Wanted) -> tuple[str, list[str]]:
    """Give the image of the proof by the name of its mirror, and what is wrong with it."""
    if not inventory.image:
        return "", []
    try:
        return str(mirrored(pinned(inventory.image), inventory.registries)), []
    except ImageError as error:
        return "", [f"nvidia_container_toolkit_image: {error}"]


def driver_problem(host: Facts) -> str:
    """Say why the driver does not answer; "" when it does."""
    smi = host["nvidia"]["smi"]
    if smi["works"]:
        return ""
    said = f"nvidia-smi says: {smi['message']}" if smi["installed"] else "nvidia-smi is not installed"
    return (
        f"serving_accelerator: cuda needs NVIDIA's driver, and it does not answer ({said}): install it with the role "
        "nvidia_driver and restart the host if that says so, or set serving_accelerator: cpu"
    )


def distribution_problems(install: bool, manager: str, host: Facts) -> list[str]:
    """Say that the packages cannot be installed on this distribution."""
    if not install or manager:
        return []
    return [
        (
            f"nvidia_container_toolkit_enabled: {host['distribution']['name']} has no apt, dnf or zypper: install the "
            "NVIDIA Container Toolkit by hand, write a CDI specification, and run again"
        )
    ]


def expectations(host: Facts, docker: Docker, driver: str) -> list[str]:
    """Say what was assumed because it is not there yet."""
    lines = []
    if docker.assumed:
        lines.append(
            f"Docker is not installed yet: {docker.text} or newer is expected of {host['distribution']['name']}"
        )
    if driver:
        lines.append("the driver does not answer yet: it is expected of the role nvidia_driver")
    return lines


def manager_of(host: Facts) -> str:
    """Tell the package manager of a distribution; "" where it is not known."""
    distribution = host["distribution"]
    parents: Sequence[str] = (distribution["id"], *distribution["id_like"])
    if any(parent.startswith(("suse", "sles", "opensuse")) for parent in parents):
        return "zypper"
    return FAMILIES.get(distribution["family"], "")
