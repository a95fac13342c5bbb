# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host facts over made-up file trees."""

from __future__ import annotations

import json
import os
import platform
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _host

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OS_RELEASES: dict[str, str] = {
    "bookworm": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n',
    "bullseye": 'PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\nVERSION_ID="11"\nVERSION_CODENAME=bullseye\nID=debian\n',
    "forky": 'PRETTY_NAME="Debian GNU/Linux forky/sid"\nVERSION_CODENAME=forky\nID=debian\n',
    "noble": 'NAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n',
    "focal": 'NAME="Ubuntu"\nVERSION_ID="20.04"\nID=ubuntu\nID_LIKE=debian\n',
    "rocky": 'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n',
    "alma8": 'ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="8.10"\n',
    "fedora": "ID=fedora\nVERSION_ID=43\n",
    "mint": 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"\n',
    "arch": "ID=arch\n# a comment\nBROKEN='never closed\n",
    "none": "",
}


def write(root: Path, name: str, text: str) -> None:
    """Write a file of the made-up tree."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("bookworm", ("debian", "12", "debian", True)),
        ("bullseye", ("debian", "11", "debian", False)),
        ("forky", ("debian", "", "debian", True)),
        ("noble", ("ubuntu", "24.04", "debian", True)),
        ("focal", ("ubuntu", "20.04", "debian", False)),
        ("rocky", ("rocky", "9.4", "redhat", True)),
        ("alma8", ("almalinux", "8.10", "redhat", False)),
        ("fedora", ("fedora", "43", "redhat", True)),
        ("mint", ("linuxmint", "22", "debian", False)),
        ("arch", ("arch", "", "other", False)),
        ("none", ("", "", "other", False)),
    ],
)
def test_distribution(tmp_path: Path, release: str, expected: tuple[str, str, str, bool]) -> None:
    write(tmp_path, "etc/os-release", OS_RELEASES[release])
    facts = _host.distribution_facts(tmp_path)
    assert (facts["id"], facts["version"], facts["family"], facts["supported"]) == expected
    assert facts["name"]


def test_os_release_in_its_second_place(tmp_path: Path) -> None:
    write(tmp_path, "usr/lib/os-release", OS_RELEASES["noble"])
    assert _host.distribution_facts(tmp_path)["codename"] == "noble"


@pytest.mark.parametrize(("online", "cores"), [("0\n", 1), ("0-1\n", 2), ("0-3,8,10-11\n", 7)])
def test_cores(tmp_path: Path, online: str, cores: int) -> None:
    write(tmp_path, "sys/devices/system/cpu/online", online)
    assert _host.core_count(tmp_path) == cores


def test_memory(tmp_path: Path) -> None:
    write(tmp_path, "proc/meminfo", "MemTotal:       32716560 kB\nMemFree:  1 kB\nMemAvailable:   29360128 kB\n")
    assert _host.memory_facts(tmp_path) == {"total": 32716560 * 1024, "available": 29360128 * 1024}
    assert _host.memory_facts(tmp_path / "empty") == {"total": 0, "available": 0}


def test_disk_uses_the_nearest_existing_parent_and_its_mount(tmp_path: Path) -> None:
    (tmp_path / "srv/my models").mkdir(parents=True)
    write(
        tmp_path,
        "proc/self/mounts",
        "/dev/vda1 / ext4 rw 0 0\n/dev/vdb1 /srv ext4 rw 0 0\n"
        "/dev/vdc1 /srv/my\\040models xfs rw 0 0\ntmpfs /srvx tmpfs rw 0 0\n",
    )
    disks = _host.disk_facts(tmp_path, ["/srv/my models/a/b", "/srv/docker", "/srvy/models"])
    assert [(disks[path]["mount"], disks[path]["measured"]) for path in disks] == [
        ("/srv/my models", "/srv/my models"),
        ("/srv", "/srv"),
        ("/", "/"),
    ]
    space = os.statvfs(tmp_path)
    assert disks["/srv/docker"]["total"] == space.f_blocks * space.f_frsize
    assert 0 < disks["/srv/docker"]["free"] <= disks["/srv/docker"]["total"]


@pytest.mark.parametrize(
    ("library", "version"),
    [
        ("usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so", 252),
        ("usr/lib/systemd/libsystemd-shared-257-9.el10.so", 257),
    ],
)
def test_systemd(tmp_path: Path, library: str, version: int) -> None:
    assert _host.systemd_facts(tmp_path) == {"running": False, "version": None}
    write(tmp_path, library, "")
    assert _host.systemd_facts(tmp_path) == {"running": False, "version": version}
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert _host.systemd_facts(tmp_path)["running"] is True


def test_host_facts_of_a_bare_tree(tmp_path: Path) -> None:
    facts = _host.host_facts(str(tmp_path))
    assert facts["docker"]["installed"] is False
    assert facts["docker"]["daemon_json"] is None
    assert (facts["git"], facts["gpus"], facts["ports"]) == (False, [], [])
    assert set(facts["disk"]) == {"/var/lib/docker", _host.DEFAULT_MODEL_DIR}
    assert facts["architecture"] == platform.machine()
    json.dumps(facts)


def test_host_facts_of_a_full_tree(tmp_path: Path) -> None:
    write(tmp_path, "etc/os-release", OS_RELEASES["bookworm"])
    write(tmp_path, "proc/sys/kernel/hostname", "lab1\n")
    write(tmp_path, "proc/sys/kernel/osrelease", "6.1.0-28-amd64\n")
    write(tmp_path, "usr/bin/git", "")
    write(tmp_path, "usr/bin/nvidia-smi", "")
    write(tmp_path, "usr/sbin/dockerd", "")
    write(tmp_path, "etc/docker/daemon.json", '{"data-root": "/srv/docker"}')
    asked: list[Sequence[str]] = []

    def run(argv: Sequence[str], timeout: float) -> str | None:
        assert timeout > 0
        asked.append(argv)
        return None

    facts = _host.host_facts(str(tmp_path), model_dir="/srv/models", paths=["/tmp"], run=run)  # noqa: S108  a name only
    assert (facts["hostname"], facts["kernel"], facts["git"]) == ("lab1", "6.1.0-28-amd64", True)
    assert list(facts["disk"]) == ["/srv/docker", "/srv/models", "/tmp"]  # noqa: S108  a name only
    # Without systemd nobody asks systemctl; the two programs that are there are asked once each.
    assert [argv[0] for argv in asked] == ["/usr/sbin/dockerd", "nvidia-smi"]


def test_this_machine() -> None:
    facts = _host.host_facts()
    assert facts["memory"]["total"] > facts["memory"]["available"] > 0
    assert facts["python"] == platform.python_version()
    assert facts["cores"] >= 1


def test_run_command_gives_up_quietly() -> None:
    assert _host.run_command([sys.executable, "-c", "print('x')"], 20) == "x\n"
    assert _host.run_command([sys.executable, "-c", "raise SystemExit(9)"], 20) is None
    assert _host.run_command([sys.executable, "-c", "import time; time.sleep(60)"], 0.2) is None
    assert _host.run_command(["/no/such/program"], 1) is None


def test_values_are_plain(tmp_path: Path) -> None:
    def plain(value: Any) -> bool:
        if isinstance(value, dict):
            return all(isinstance(key, str) and plain(entry) for key, entry in value.items())
        if isinstance(value, list):
            return all(plain(entry) for entry in value)
        return value is None or isinstance(value, str | int | bool)

    assert plain(_host.host_facts(str(tmp_path)))
