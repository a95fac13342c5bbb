# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With stand-ins for GPUs, nvidia-smi and NVIDIA's packages: see molecule/shared/gpu."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    from testinfra.host import Host

UUIDS = [f"GPU-01000100-0000-0000-0000-00000000000{index}" for index in range(2)]
IMAGE = "registry.lab:5000/docker.io/library/debian:12.12-slim"
OTHERS: dict[str, t.Any] = json.loads((Path(__file__).parents[1] / "files/daemon.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "package",
    [
        "nvidia-container-toolkit",
        "nvidia-container-toolkit-base",
        "libnvidia-container-tools",
        "libnvidia-container1",
    ],
)
def test_the_version_is_pinned(host: Host, package: str) -> None:
    found = host.package(package)
    assert (found.is_installed, found.version) == (True, "1.20.0-1")


def test_the_repository_is_trusted_by_its_own_key_only(host: Host) -> None:
    sources = host.file("/etc/apt/sources.list.d/nvidia-container-toolkit.sources").content_string
    assert "Signed-By: /etc/apt/keyrings/nvidia-container-toolkit.asc\n" in sources
    assert host.file("/etc/apt/keyrings/nvidia-container-toolkit.asc").mode == 0o644
    # The list of before would make apt refuse all its sources.
    assert host.file("/etc/apt/sources.list.d/nvidia-docker.list").content_string.startswith("# disabled by")


def test_there_is_one_specification(host: Host) -> None:
    specs = host.check_output("ls /etc/cdi/*.yaml /run/cdi/*.yaml 2>/dev/null || true").split()
    assert specs == ["/run/cdi/nvidia.yaml"]
    for unit in ("nvidia-cdi-refresh.path", "nvidia-cdi-refresh.service"):
        assert host.service(unit).is_enabled
    assert host.service("nvidia-cdi-refresh.path").is_running


def test_the_settings_of_docker_are_as_they_were(host: Host) -> None:
    assert json.loads(host.file("/etc/docker/daemon.json").content_string) == OTHERS
    assert host.check_output("docker info --format '{{.DefaultRuntime}}'") == "runc"


def test_the_proof_is_written_down(host: Host) -> None:
    proof = json.loads(host.file("/var/lib/llmops/gpu-proof.json").content_string)
    assert (proof["way"], proof["toolkit"], proof["driver"]) == ("cdi", "1.20.0", "550.163.01")
    assert proof["gpus"] == UUIDS
    assert proof["boot"] == host.check_output("cat /proc/sys/kernel/random/boot_id")


@pytest.mark.parametrize(("device", "seen"), [("all", UUIDS), ("1", UUIDS[1:]), (UUIDS[0], UUIDS[:1])])
def test_a_container_sees_the_gpus_that_it_is_given(host: Host, device: str, seen: list[str]) -> None:
    run = "docker run --rm --pull never --network none --cap-drop ALL --read-only"
    lines = host.check_output(f"{run} --device nvidia.com/gpu={device} {IMAGE} nvidia-smi -L").splitlines()
    assert [line.rpartition("UUID: ")[2].rstrip(")") for line in lines] == seen


def test_a_container_that_is_given_none_sees_none(host: Host) -> None:
    assert host.run(f"docker run --rm --pull never {IMAGE} nvidia-smi -L").rc != 0
