# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._host_toolkit import PACKAGES, toolkit_facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def package(name: str, version: str, status: str = "install ok installed") -> str:
    return f"Package: {name}\nStatus: {status}\nArchitecture: amd64\nVersion: {version}\nDescription: x\n a\n .\n b\n"


STATUS = "\n".join([package("a", "1"), *(package(name, "1.20.0-1") for name in PACKAGES), package("z", "2")])


def write(root: Path, name: str, text: str = "") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def silent(argv: Sequence[str], timeout: float) -> str | None:
    raise AssertionError(f"{argv} needs nobody to run it within {timeout} s")


def test_without_it(tmp_path: Path) -> None:
    assert toolkit_facts(tmp_path, silent) == {
        "version": None, "packages": {}, "ctk": None, "hook": False, "refresh": False, "refresh_enabled": False,
    }  # fmt: skip


def test_from_dpkg(tmp_path: Path) -> None:
    write(tmp_path, "var/lib/dpkg/status", STATUS)
    write(tmp_path, "var/lib/dpkg/info/libnvidia-container1:amd64.list")
    for name in ("usr/bin/nvidia-ctk", "usr/bin/nvidia-container-runtime-hook"):
        write(tmp_path, name)
    write(tmp_path, "lib/systemd/system/nvidia-cdi-refresh.service")
    write(tmp_path, "etc/systemd/system/multi-user.target.wants/nvidia-cdi-refresh.path")
    assert toolkit_facts(tmp_path, silent) == {
        "version": "1.20.0",
        "packages": dict.fromkeys(PACKAGES, "1.20.0-1"),
        "ctk": "/usr/bin/nvidia-ctk",
        "hook": True,
        "refresh": True,
        "refresh_enabled": True,
    }


@pytest.mark.parametrize("status", ["deinstall ok config-files", "install ok half-configured"])
def test_what_was_removed_or_is_half_there_does_not_count(tmp_path: Path, status: str) -> None:
    write(tmp_path, "var/lib/dpkg/info/nvidia-container-toolkit.list")
    write(tmp_path, "var/lib/dpkg/status", package("nvidia-container-toolkit", "1.17.9-1", status))
    assert toolkit_facts(tmp_path, silent)["packages"] == {}


def test_a_long_list_without_the_toolkit_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, "var/lib/dpkg/status", STATUS)  # which tells of it, so that reading it would show
    write(tmp_path, "var/lib/dpkg/info/nvidia-container-toolkitty.list")
    assert toolkit_facts(tmp_path, silent)["packages"] == {}


def test_from_itself_where_there_is_no_manager_of_packages(tmp_path: Path) -> None:
    write(tmp_path, "usr/local/bin/nvidia-ctk")
    facts = toolkit_facts(tmp_path, lambda _argv, _timeout: "NVIDIA Container Toolkit CLI version 1.20.0\n")
    assert (facts["version"], facts["packages"], facts["ctk"]) == ("1.20.0", {}, "/usr/local/bin/nvidia-ctk")


@pytest.mark.parametrize(
    ("answers", "version", "packages"),
    [
        ({"nvidia-container-toolkit-base": "1.20.0-1"}, "1.20.0", {"nvidia-container-toolkit-base": "1.20.0-1"}),
        ({}, "1.19.1", {}),
    ],
)
def test_from_rpm_and_from_itself(
    tmp_path: Path, answers: dict[str, str], version: str, packages: dict[str, str]
) -> None:
    write(tmp_path, "usr/bin/nvidia-ctk")
    write(tmp_path, "usr/bin/rpm")

    def run(argv: Sequence[str], timeout: float) -> str | None:
        assert timeout > 0
        if argv[0] == "rpm":
            return answers.get(argv[-1])
        return "NVIDIA Container Toolkit CLI version 1.19.1\ncommit: d34b3046\n"

    facts = toolkit_facts(tmp_path, run)
    assert (facts["version"], facts["packages"]) == (version, packages)
