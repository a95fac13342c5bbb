# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from testinfra.host import Host

DRIVER = ("nvidia-driver-cuda", "nvidia-kernel-open-dkms", "libnvidia-ml1")


@pytest.fixture
def version(host: Host) -> str:
    """The version that works: 580.95.05 after the first steps, 595.71.05 after the side effects."""
    told = host.check_output("nvidia-smi --query-gpu=driver_version --format=csv,noheader").split("\n")
    assert len(told) == 2
    assert set(told) in ({"580.95.05"}, {"595.71.05"})
    return told[0]


def test_library_and_module_are_of_the_driver(host: Host, version: str) -> None:
    assert version in host.file("/proc/driver/nvidia/version").content_string
    assert host.file(f"/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.{version}").exists


def test_packages_are_of_one_version(host: Host, version: str) -> None:
    assert {host.package(name).version for name in DRIVER} == {f"{version}-1"}
    assert not host.package("nvidia-kernel-dkms").is_installed


def test_the_branch_is_pinned(host: Host, version: str) -> None:
    assert host.package(f"nvidia-driver-pinning-{version.partition('.')[0]}").is_installed
    # An upgrade of the whole host keeps to the branch, though the repository has a higher one.
    assert "nvidia" not in host.check_output("apt-get --simulate --quiet upgrade | grep ^Inst || true")


def test_the_repository_trusts_its_own_key_only(host: Host) -> None:
    text = host.file("/etc/apt/sources.list.d/nvidia-cuda.sources").content_string
    assert "URIs: file:///srv/lab-driver/debian12/x86_64" in text
    assert "Signed-By: /etc/apt/keyrings/nvidia-cuda.asc" in text


def test_what_the_last_side_effect_asked_for(host: Host, version: str) -> None:
    held = set(host.check_output("apt-mark showhold").split())
    manager = host.package("nvidia-fabricmanager")
    if version.startswith("580"):
        assert (held, manager.is_installed) == (set(), False)
    else:
        assert held == {*DRIVER, "nvidia-fabricmanager"}
        assert manager.version == f"{version}-1"
        assert host.service("nvidia-fabricmanager.service").is_running
        assert host.service("nvidia-fabricmanager.service").is_enabled
