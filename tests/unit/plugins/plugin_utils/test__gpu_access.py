# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.serving.plugins.filter.gpu_access import gpu_access
from ansible_collections.llmops.serving.plugins.module_utils._host_toolkit import PACKAGES

UUIDS = [f"GPU-01000100-0000-0000-0000-00000000000{index}" for index in range(2)]
GPUS = [{"index": index, "uuid": uuid, "lost": False} for index, uuid in enumerate(UUIDS)]
NAMES = ["0", "1", *UUIDS, "all"]
OLD_NAMES = ["0", UUIDS[0], "all"]
REFRESHED, GENERATED, OTHER = "/var/run/cdi/nvidia.yaml", "/etc/cdi/nvidia.yaml", "/etc/cdi/site.yaml"
RUNTIME = {"runtimes": {"nvidia": {"args": [], "path": "nvidia-container-runtime"}}}
CDI = {"features": {"cdi": True}}
CRUN = {"runtimes": {"crun": {"path": "/usr/bin/crun"}}}


def packages(version: str) -> dict[str, str]:
    return dict.fromkeys(PACKAGES, f"{version}-1")


def spec(path: str, names: list[str] | None = None, missing: list[str] | None = None) -> dict[str, Any]:
    return {"path": path, "devices": NAMES if names is None else names, "missing": missing or []}


def host(  # noqa: PLR0913, PLR0917  what may differ between two hosts
    docker: str | None = "28.5.2",
    toolkit: str | None = None,
    specs: list[dict[str, Any]] | None = None,
    daemon: dict[str, Any] | None = None,
    distribution: str = "debian 13",
    smi: bool = True,
    gpus: list[dict[str, Any]] | None = None,
    package: str | None = "docker.io",
    refresh_enabled: bool | None = None,
) -> dict[str, Any]:
    """Facts as host_info tells them, as far as the decision reads them."""
    identity, _blank, version = distribution.partition(" ")
    family = {"debian": "debian", "ubuntu": "debian", "rocky": "redhat"}.get(identity, "other")
    parents = {"opensuse-leap": ["suse", "opensuse"], "arch": []}.get(identity, [])
    words = "" if smi else "couldn't communicate with the NVIDIA driver"
    return {
        "gpus": GPUS if gpus is None else gpus,
        "distribution": {
            "id": identity, "id_like": parents, "version": version, "family": family, "name": distribution.title(),
        },
        "nvidia": {"smi": {"installed": True, "works": smi, "code": 0 if smi else 9, "message": words}},
        "toolkit": {
            "version": toolkit,
            "packages": packages(toolkit) if toolkit else {},
            "hook": toolkit is not None,
            "refresh_enabled": bool(toolkit and toolkit >= "1.18") if refresh_enabled is None else refresh_enabled,
        },
        "cdi": {"specs": specs or []},
        "docker": {
            "version": docker,
            "installed": docker is not None,
            "package": package if docker else None,
            "daemon_json": json.dumps(daemon) if daemon else None,
        },
    }  # fmt: skip


def test_a_host_without_gpus_needs_nothing() -> None:
    found = gpu_access(host(gpus=[]), "1.20.0")
    assert (found["present"], found["install"], found["problems"], found["way"]) == (False, False, [], "")


# The host, the wanted way, the way, what daemon.json needs, and words of the reason.
CHOICES: list[tuple[dict[str, Any], str, str, dict[str, Any], str]] = [
    (host("28.5.2"), "auto", "cdi", {}, "Docker 28.5.2 takes CDI devices"),
    (host("28.2.0"), "auto", "cdi", {}, "takes CDI devices"),
    (host("29.2.1"), "auto", "cdi", {}, "takes CDI devices"),
    (host("28.1.1"), "auto", "runtime", RUNTIME, "would need a restart of Docker 28.1.1"),
    (host("26.1.5+dfsg1", daemon=CDI), "auto", "cdi", {}, "with features.cdi in daemon.json"),
    (host("26.1.5", toolkit="1.17.9"), "auto", "runtime", RUNTIME, "only a reload"),
    (host("20.10.24+dfsg1"), "auto", "runtime", RUNTIME, "Docker 20.10.24+dfsg1 has no CDI"),
    (host("24.0.9", daemon=CDI), "auto", "runtime", RUNTIME, "has no CDI"),
    (host("28.5.2", daemon={"features": {"cdi": False}}), "auto", "runtime", RUNTIME, "switches CDI off"),
    (host("26.1.5", daemon=CRUN | {"features": {"buildkit": True}}), "cdi", "cdi", CDI, "nvidia_container_toolkit_way"),
    (host("28.5.2", daemon={"features": {"cdi": False}}), "cdi", "cdi", CDI, "says so"),
    (host("28.5.2"), "runtime", "runtime", RUNTIME, "says so"),
    (host("28.5.2", daemon=CRUN), "runtime", "runtime", RUNTIME, "says so"),
    # A runtime of that name that is there already stays as it is.
    (host("28.5.2", daemon={"runtimes": {"nvidia": {"path": "/opt/x"}}}), "runtime", "runtime", {}, "says so"),
    (host("28.5.2"), "gpus", "gpus", {}, "says so"),
    # Docker that is not installed yet is the distribution's.
    (host(None, distribution="debian 12"), "auto", "runtime", RUNTIME, "Docker 20.10 has no CDI"),
    (host(None, distribution="debian 13"), "auto", "cdi", CDI, "once daemon.json says features.cdi"),
    (host(None, distribution="ubuntu 24.04"), "auto", "cdi", {}, "takes CDI devices"),
    # A daemon.json that is broken is the role docker's to refuse.
    (
        host("28.5.2") | {"docker": {"version": "28.5.2", "installed": True, "package": None, "daemon_json": "{"}},
        "auto",
        "cdi",
        {},
        "",
    ),
]


@pytest.mark.parametrize(("facts", "wanted", "way", "options", "why"), CHOICES)
def test_chooses_a_way(facts: dict[str, Any], wanted: str, way: str, options: dict[str, Any], why: str) -> None:
    found = gpu_access(facts, "1.20.0", wanted)
    assert (found["way"], found["daemon_options"]) == (way, options)
    assert why in found["why"]
    assert "default-runtime" not in json.dumps(found)


def test_a_toolkit_whose_runtime_loses_gpus_costs_a_restart_instead() -> None:
    found = gpu_access(host("26.1.5"), "1.17.9")
    assert (found["way"], found["daemon_options"]) == ("cdi", CDI)
    assert "toolkit 1.17.9 would lose GPUs at every reload of systemd" in found["why"]


# The toolkit that is there, the wanted one, whether packages change, and whether to an older one.
INSTALLS = [
    (None, "1.20.0", True, False),
    ("1.20.0", "1.20.0", False, False),
    ("1.20.0", "1.20.0-1", False, False),
    ("1.19.1", "1.20.0", True, False),
    ("1.20.0", "1.19.1", True, True),
    ("1.9.0", "1.20.0", True, False),
]


@pytest.mark.parametrize(("there", "wanted", "install", "downgrade"), INSTALLS)
def test_pins_the_version(there: str | None, wanted: str, install: bool, downgrade: bool) -> None:
    found = gpu_access(host(toolkit=there), wanted)
    assert (found["installed"], found["install"], found["downgrade"]) == (there or "", install, downgrade)
    assert found["packages"] == [f"{package}={wanted.partition('-')[0]}-1" for package in PACKAGES]


def test_all_four_packages_count() -> None:
    facts = host(toolkit="1.20.0")
    facts["toolkit"]["packages"]["libnvidia-container1"] = "1.19.1-1"
    assert gpu_access(facts, "1.20.0")["install"]
    del facts["toolkit"]["packages"]["libnvidia-container1"]
    assert gpu_access(facts, "1.20.0")["install"]


MANAGERS = [
    ("debian 13", "apt", "https://m/stable/deb/$(ARCH)", "libnvidia-container1=1.20.0-1"),
    ("ubuntu 24.04", "apt", "https://m/stable/deb/$(ARCH)", "libnvidia-container1=1.20.0-1"),
    ("rocky 9.4", "dnf", "https://m/stable/rpm/$basearch", "libnvidia-container1-1.20.0-1"),
    ("opensuse-leap 15.6", "zypper", "https://m/stable/rpm/$basearch", "libnvidia-container1=1.20.0-1"),
]


@pytest.mark.parametrize(("distribution", "manager", "repository", "package"), MANAGERS)
def test_knows_the_package_manager(distribution: str, manager: str, repository: str, package: str) -> None:
    found = gpu_access(host(distribution=distribution), "1.20.0", "auto", "https://m/stable/")
    assert (found["manager"], found["repository"], found["packages"][-1]) == (manager, repository, package)
    assert found["problems"] == []


# Toolkit, wanted version, specifications; from where, the file, whether it is good, what goes, whether packages change.
SPECS: list[tuple[str | None, str, list[dict[str, Any]], tuple[Any, ...]]] = [
    (None, "1.20.0", [], ("refresh", "/run/cdi/nvidia.yaml", False, [], True)),
    ("1.20.0", "1.20.0", [spec(REFRESHED)], ("refresh", "/run/cdi/nvidia.yaml", True, [], False)),
    ("1.20.0", "1.20.0", [], ("refresh", "/run/cdi/nvidia.yaml", False, [], False)),
    # A GPU more, and a GPU less.
    ("1.20.0", "1.20.0", [spec(REFRESHED, OLD_NAMES)], ("refresh", "/run/cdi/nvidia.yaml", False, [], False)),
    ("1.20.0", "1.20.0", [spec(REFRESHED, missing=["/dev/nvidia2"])],
     ("refresh", "/run/cdi/nvidia.yaml", False, [], False)),
    # What another version wrote is written anew.
    ("1.19.1", "1.20.0", [spec(REFRESHED)], ("refresh", "/run/cdi/nvidia.yaml", False, [], True)),
    # One specification only.
    ("1.20.0", "1.20.0", [spec(GENERATED), spec(REFRESHED)],
     ("refresh", "/run/cdi/nvidia.yaml", True, ["/etc/cdi/nvidia.yaml"], False)),
    ("1.17.9", "1.20.0", [spec(GENERATED)], ("refresh", "/run/cdi/nvidia.yaml", False, ["/etc/cdi/nvidia.yaml"], True)),
    ("1.20.0", "1.17.9", [spec(REFRESHED)],
     ("generate", "/etc/cdi/nvidia.yaml", False, ["/run/cdi/nvidia.yaml"], True)),
    ("1.17.9", "1.17.9", [spec(GENERATED)], ("generate", "/etc/cdi/nvidia.yaml", True, [], False)),
    # Somebody else's is used, and needs no toolkit.
    (None, "1.20.0", [spec(OTHER)], ("foreign", OTHER, True, [], False)),
    (None, "1.20.0", [spec(GENERATED, ["0", "1", "all"])], ("foreign", GENERATED, True, [], False)),
    ("1.20.0", "1.20.0", [spec(OTHER)], ("foreign", OTHER, True, [], False)),
    ("1.19.1", "1.20.0", [spec(OTHER)], ("foreign", OTHER, True, [], True)),
    # One that lacks a GPU is not.
    (None, "1.20.0", [spec(OTHER, OLD_NAMES)], ("refresh", "/run/cdi/nvidia.yaml", False, [], True)),
    (None, "1.20.0", [spec(OTHER, ["0", "1"])], ("refresh", "/run/cdi/nvidia.yaml", False, [], True)),
]  # fmt: skip


@pytest.mark.parametrize(("toolkit", "wanted", "specs", "expected"), SPECS)
def test_has_one_specification(
    toolkit: str | None, wanted: str, specs: list[dict[str, Any]], expected: tuple[Any, ...]
) -> None:
    found = gpu_access(host(toolkit=toolkit, specs=specs), wanted)
    told = found["spec"]
    assert (told["how"], told["path"], told["current"], list(told["remove"]), found["install"]) == expected


def test_a_refresh_that_does_not_start_with_the_host_is_not_good() -> None:
    facts = host(toolkit="1.20.0", specs=[spec(REFRESHED)], refresh_enabled=False)
    assert not gpu_access(facts, "1.20.0")["spec"]["current"]


def test_other_ways_need_no_specification() -> None:
    found = gpu_access(host(specs=[spec(OTHER)]), "1.20.0", "runtime")
    assert (found["spec"]["how"], found["install"]) == ("none", True)


@pytest.mark.parametrize(
    ("facts", "way", "restart"),
    [
        (host("29.2.0"), "gpus", True),
        (host("28.5.2"), "gpus", True),
        (host("28.5.2", toolkit="1.20.0"), "gpus", False),
        (host(None), "gpus", False),
        (host("28.5.2"), "runtime", False),
        (host("28.5.2"), "cdi", False),
    ],
)
def test_docker_is_restarted_only_to_find_the_hook(facts: dict[str, Any], way: str, restart: bool) -> None:
    assert gpu_access(facts, "1.20.0", way)["restart"] is restart


PROBLEMS: list[tuple[dict[str, Any], str, str]] = [
    (host("20.10.24"), "cdi", "nvidia_container_toolkit_way: cdi needs Docker 25.0 or newer, this host has 20.10.24"),
    (
        host(None),
        "auto",
        "serving_accelerator: cuda needs Docker, which is not installed: apply the role docker before",
    ),
    (host(package="snap"), "auto", "docker_packages: Docker from snap cannot see the driver"),
    (host(distribution="arch"), "auto", "nvidia_container_toolkit_enabled: Arch has no apt, dnf or zypper"),
    (host(smi=False), "auto", "does not answer (nvidia-smi says: couldn't communicate with the NVIDIA driver)"),
    (
        host(specs=[spec(OTHER, missing=["/dev/nvidia2"])]),
        "auto",
        "the CDI specification /etc/cdi/site.yaml names /dev/nvidia2, which this host does not have: remove that file",
    ),
]


@pytest.mark.parametrize(("facts", "way", "words"), PROBLEMS)
def test_tells_what_keeps_it_from_working(facts: dict[str, Any], way: str, words: str) -> None:
    (problem,) = gpu_access(facts, "1.20.0", way)["problems"]
    assert words in problem
    assert "\n" not in problem


def test_what_is_not_there_yet_is_expected_in_a_plan() -> None:
    facts = host(None, smi=False)
    found = gpu_access(facts, "1.20.0", planning=True)
    assert found["problems"] == []
    docker, driver = found["expected"]
    assert docker == "Docker is not installed yet: 26.1 or newer is expected of Debian 13"
    assert "expected of the role nvidia_driver" in driver
    assert len(gpu_access(facts, "1.20.0")["problems"]) == 2


def test_a_lost_gpu_is_not_waited_for() -> None:
    lost = [GPUS[0], GPUS[1] | {"lost": True}]
    found = gpu_access(host(gpus=lost, toolkit="1.20.0", specs=[spec(REFRESHED, OLD_NAMES)]), "1.20.0")
    assert found["uuids"] == UUIDS[:1]
    assert found["spec"]["current"]


def test_an_unknown_way_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        AnsibleFilterError, match=r"^nvidia_container_toolkit_way: 'cid' is unknown: choose one of auto"
    ):
        gpu_access(host(), "1.20.0", "cid")


def test_facts_of_before_are_refused() -> None:
    facts = host()
    del facts["cdi"]
    with pytest.raises(AnsibleFilterError, match="the facts lack 'cdi'"):
        gpu_access(facts, "1.20.0")


IMAGES = [
    ("docker.io/library/debian:12.12-slim", "mirror:5000/hub/library/debian:12.12-slim", []),
    ("debian:12.12-slim", "mirror:5000/hub/library/debian:12.12-slim", []),
    ("ghcr.io/a/b:1", "ghcr.io/a/b:1", []),
    ("debian", "", ["nvidia_container_toolkit_image: 'debian' names no fixed version"]),
]


@pytest.mark.parametrize(("image", "mirrored", "problems"), IMAGES)
def test_the_image_of_the_proof_is_pinned_and_mirrored(image: str, mirrored: str, problems: list[str]) -> None:
    found = gpu_access(host(), "1.20.0", image=image, registries={"docker.io": "mirror:5000/hub"})
    assert found["image"] == mirrored
    assert [problem.partition(":")[0] for problem in found["problems"]] == [
        problem.partition(":")[0] for problem in problems
    ]
    assert all(words in problem for words, problem in zip(problems, found["problems"], strict=True))
