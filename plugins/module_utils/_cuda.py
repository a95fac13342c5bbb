# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Which drivers and GPUs an image's CUDA runs on.

Sources: CUDA Compatibility (docs.nvidia.com/deploy/cuda-compatibility, minor version compatibility), the release notes
of CUDA 12.0 to 13.1 (table "CUDA Toolkit and Corresponding Driver Versions", and what 13.0 removed).
"""

from __future__ import annotations

import re

from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import version_tuple

# CUDA's major version -> the oldest driver on which its programs run.
DRIVER_FLOORS: dict[int, str] = {11: "450", 12: "525", 13: "580"}
# CUDA's major version -> the oldest compute capability for which its compilers and libraries still make programs.
CAPABILITY_FLOORS: dict[int, str] = {11: "3.5", 12: "5.0", 13: "7.5"}
# The driver that came with a version, newest first: what `nvidia-smi` prints as "CUDA Version" of that driver.
TOOLKIT_DRIVERS: tuple[tuple[str, str], ...] = (
    ("13.1", "590.44.01"),
    ("13.0", "580.65.06"),
    ("12.9", "575.51.03"),
    ("12.8", "570.26"),
    ("12.6", "560.28.03"),
    ("12.5", "555.42.02"),
    ("12.4", "550.54.14"),
    ("12.3", "545.23.06"),
    ("12.2", "535.54.03"),
    ("12.1", "530.30.02"),
    ("12.0", "525.60.13"),
)
_CONDITION = re.compile(r"(cuda|driver)(>=|<=|>|<|=)(\d+(?:\.\d+)*)")


def cuda_of(driver: str) -> str:
    """Name the newest CUDA that a driver came with, "" for one older than CUDA 12."""
    return next((cuda for cuda, shipped in TOOLKIT_DRIVERS if not older(driver, shipped)), "")


def older(version: str, than: str) -> bool:
    """Whether a version is lower than another one, compared as far as the other is written: 580.65 is not below 580."""
    floor = version_tuple(than)
    return version_tuple(version)[: len(floor)] < floor


def floor_of(requires: str) -> str:
    """Give the oldest driver that suits what an image says of itself.

    Args:
        requires: The image's variable NVIDIA_REQUIRE_CUDA, such as ``cuda>=12.9 brand=tesla,driver>=535,driver<536``:
            alternatives with blanks between them, each of conditions with commas (libnvidia-container, README). Brands
            are not looked at, so an image is never refused for one.

    Returns:
        A driver's version; "" where the image says nothing about it.
    """
    found = re.search(r"\bcuda>=?(\d+)", requires)
    return DRIVER_FLOORS.get(int(found.group(1)), "") if found else ""


def suits(requires: str, driver: str) -> bool:
    """Whether a driver satisfies one of the alternatives in an image's NVIDIA_REQUIRE_CUDA.

    CUDA's major version decides and not its minor one, for programs of one major version run on every driver of that
    major version.

    Args:
        requires: As for `floor_of`.
        driver: The driver's version.

    Returns:
        True also where nothing is required.
    """
    alternatives = [_CONDITION.findall(alternative) for alternative in requires.split()]
    return not any(alternatives) or any(
        all(_holds(what, sign, version, driver) for what, sign, version in conditions)
        for conditions in alternatives
        if conditions
    )


def _holds(what: str, sign: str, version: str, driver: str) -> bool:
    if what == "cuda":
        return not older(driver, DRIVER_FLOORS.get(version_tuple(version)[0], version))
    have, want = version_tuple(driver), version_tuple(version)
    length = max(len(have), len(want))
    one, other = have + (0,) * (length - len(have)), want + (0,) * (length - len(want))
    return {">=": one >= other, "<=": one <= other, ">": one > other, "<": one < other, "=": one == other}[sign]
