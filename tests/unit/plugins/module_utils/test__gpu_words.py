# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import csv

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._gpu_words import WAYS, gpu_words, is_detached_by_reload
from ansible_collections.llmops.serving.plugins.plugin_utils._systemd import quote


@pytest.mark.parametrize("way", WAYS)
def test_no_gpus_no_words(way: str) -> None:
    assert gpu_words(way, []) == []


@pytest.mark.parametrize(
    ("way", "gpus", "expected"),
    [
        ("cdi", ["all"], ["--device", "nvidia.com/gpu=all"]),
        ("cdi", ["0", "GPU-1"], ["--device", "nvidia.com/gpu=0", "--device", "nvidia.com/gpu=GPU-1"]),
        ("cdi", ["0:1"], ["--device", "nvidia.com/gpu=0:1"]),
        ("runtime", ["0", "2"], ["--runtime", "nvidia", "--env", "NVIDIA_VISIBLE_DEVICES=0,2"]),
        ("gpus", ["all"], ["--gpus", "all"]),
        ("gpus", ["0", "2"], ["--gpus", '"device=0,2"']),
    ],
)
def test_words(way: str, gpus: list[str], expected: list[str]) -> None:
    words = gpu_words(way, gpus)
    assert words[: len(expected)] == expected
    # What makes the image's libraries and nvidia-smi appear, where the specification of CDI does not say it.
    assert ("NVIDIA_DRIVER_CAPABILITIES=compute,utility" in words) is (way != "cdi")


def test_docker_reads_several_devices_as_one_field() -> None:
    # docker/cli, opts/gpus.go: the value is one line of CSV.
    assert next(csv.reader([gpu_words("gpus", ["0", "2"])[1]])) == ["device=0,2"]


@pytest.mark.parametrize(
    ("way", "toolkit", "detached"),
    [
        ("cdi", None, False),
        ("cdi", "1.17.9", False),
        ("gpus", "1.20.0", True),
        ("runtime", "1.20.0", False),
        ("runtime", "1.18.0", False),
        # Before, NVIDIA's runtime called the hook.
        ("runtime", "1.17.9", True),
    ],
)
@pytest.mark.parametrize("gpus", [["all"], ["0", "2"]])
def test_what_a_reload_undoes(way: str, toolkit: str | None, gpus: list[str], detached: bool) -> None:
    unit = f"ExecStart=/usr/bin/docker run {quote(['--rm', *gpu_words(way, gpus), 'image'])}\n"
    assert is_detached_by_reload(unit, toolkit) is detached
