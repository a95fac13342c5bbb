# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""inventories/gpu behind stand-ins for GPUs: see molecule.yml."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from testinfra.host import Host

SERVERS = ("chat", "small", "embed")
PORTS = {"chat": 8000, "small": 8001, "embed": 8005}
UUIDS = [f"GPU-01000100-0000-0000-0000-00000000000{index}" for index in range(2)]


def container(host: Host, server: str) -> str:
    return host.check_output("docker inspect --format '{{.Id}}' llmops-%s", server)


def seen(host: Host, server: str) -> list[str]:
    lines = host.check_output("docker exec llmops-%s nvidia-smi -L", server).splitlines()
    return [line.rpartition("UUID: ")[2].rstrip(")") for line in lines]


@pytest.mark.parametrize("server", SERVERS)
def test_the_unit_gives_the_gpus_by_cdi_and_waits_for_the_specification(host: Host, server: str) -> None:
    unit = host.file(f"/etc/systemd/system/llmops-{server}.service").content_string
    assert "--device nvidia.com/gpu=all" in unit
    assert "--gpus" not in unit
    assert " nvidia-cdi-refresh.service" in unit
    complaints = host.run(f"systemd-analyze verify /etc/systemd/system/llmops-{server}.service 2>&1 | grep llmops-")
    assert complaints.stdout == ""


@pytest.mark.parametrize("server", SERVERS)
def test_the_container_sees_the_gpus(host: Host, server: str) -> None:
    assert seen(host, server) == UUIDS


def test_a_reload_of_systemd_takes_nothing_away(host: Host) -> None:
    before = {server: container(host, server) for server in SERVERS}
    host.check_output("systemctl daemon-reload")
    for server in SERVERS:
        assert container(host, server) == before[server]
        assert seen(host, server) == UUIDS
        host.check_output(f"curl --silent --fail --output /dev/null http://127.0.0.1:{PORTS[server]}/health")


def test_a_specification_by_hand_needs_no_toolkit(host: Host) -> None:
    assert host.check_output("ls /etc/cdi /run/cdi 2>/dev/null || true").split() == ["/etc/cdi:", "nvidia.yaml"]
    assert not host.file("/usr/bin/nvidia-ctk").exists
    assert not host.file("/etc/docker/daemon.json").exists
