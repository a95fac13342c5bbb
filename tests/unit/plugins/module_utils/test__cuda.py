# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _cuda

# What NVIDIA's own base images say: cuda 12.9, cuda 13.1 (shortened to three brands).
CUDA_12 = "cuda>=12.9 brand=unknown,driver>=535,driver<536 brand=tesla,driver>=550,driver<551"
CUDA_13 = "cuda>=13.1 brand=unknown,driver>=535,driver<536 brand=tesla,driver>=570,driver<571"


@pytest.mark.parametrize(
    ("version", "than", "expected"),
    [
        ("550.163.01", "580", True),
        ("580.65.06", "580", False),
        ("580.65.06", "580.95.05", True),
        ("590.44.01", "580.95.05", False),
        ("525.60.13", "525", False),
        ("570", "570.26", True),
    ],
)
def test_older(version: str, than: str, expected: bool) -> None:
    assert _cuda.older(version, than) is expected


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [("550.163.01", "12.4"), ("580.65.06", "13.0"), ("570.124.06", "12.8"), ("525.60.13", "12.0"), ("470.1", "")],
)
def test_newest_cuda_of_a_driver(driver: str, cuda: str) -> None:
    assert _cuda.cuda_of(driver) == cuda


@pytest.mark.parametrize(
    ("requires", "driver", "expected"),
    [
        # CUDA 12.9 on a driver of 12.4: minor version compatibility.
        (CUDA_12, "550.163.01", True),
        (CUDA_12, "525.60.13", True),
        (CUDA_12, "470.256.02", False),
        (CUDA_13, "580.65.06", True),
        (CUDA_13, "590.44.01", True),
        (CUDA_13, "560.35.03", False),
        # Drivers with which the image's compatibility libraries work, data centre GPUs only.
        (CUDA_13, "535.104.05", True),
        (CUDA_13, "570.124.06", True),
        ("cuda>=13.0", "550.163.01", False),
        ("driver>=570.26", "570.20", False),
        ("driver>=570.26", "570.124.06", True),
        ("driver>550,driver<=560.35", "560.35", True),
        ("driver=550", "550.1", False),
        ("", "470", True),
        ("brand=tesla", "470", True),
    ],
)
def test_requirement_of_an_image(requires: str, driver: str, expected: bool) -> None:
    assert _cuda.suits(requires, driver) is expected


@pytest.mark.parametrize(("requires", "floor"), [(CUDA_12, "525"), (CUDA_13, "580"), ("cuda>=14.0", ""), ("", "")])
def test_floor_of_an_image(requires: str, floor: str) -> None:
    assert _cuda.floor_of(requires) == floor


def test_the_tables_agree_with_each_other() -> None:
    majors = {int(cuda.partition(".")[0]) for cuda, _driver in _cuda.TOOLKIT_DRIVERS}
    assert majors <= _cuda.DRIVER_FLOORS.keys() == _cuda.CAPABILITY_FLOORS.keys()
    for cuda, driver in _cuda.TOOLKIT_DRIVERS:
        assert not _cuda.older(driver, _cuda.DRIVER_FLOORS[int(cuda.partition(".")[0])])
        assert _cuda.cuda_of(driver) == cuda
