# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Measure the memory that engines compute in, as it is now."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, run
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import SMI_COMMAND, parse_smi

_GIB = 1 << 30
_KIB = 1 << 10


class Memory(t.NamedTuple):
    """Bytes there are, and bytes that are free."""

    total: int
    free: int


def measure(meminfo: Path = Path("/proc/meminfo")) -> Memory:
    """Measure the GPU with the least free memory; a host without GPUs computes in its own memory.

    Args:
        meminfo: The kernel's account, proc_meminfo(5).

    Returns:
        The memory of one GPU, or of the host.
    """
    gpus = [Memory(gpu["memory_total"], gpu["memory_free"]) for gpu in _gpus() if gpu["memory_total"]]
    if gpus:
        return min(gpus, key=lambda gpu: gpu.free / gpu.total)
    rows = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines() if ":" in line)
    return Memory(*(int(rows[name].split()[0]) * _KIB for name in ("MemTotal", "MemAvailable")))


def memory_words(reserve_gib: float) -> dict[str, str]:
    """Put the memory in words for a diagnosis.

    Args:
        reserve_gib: GiB that an engine needs outside the share it is told to take.

    Returns:
        `free_gib` and `total_gib`, and in `fits` the largest share of the whole, two digits, that leaves the reserve.
    """
    memory = measure()
    fits = max(0.0, (memory.free - reserve_gib * _GIB) / memory.total)
    return {
        "free_gib": f"{memory.free / _GIB:.1f}",
        "total_gib": f"{memory.total / _GIB:.1f}",
        # Rounded down: up would not fit.
        "fits": f"{int(fits * 100) / 100:.2f}",
    }


def _gpus() -> list[dict[str, t.Any]]:
    if shutil.which(SMI_COMMAND[0]) is None:
        return []
    try:
        return parse_smi(run(list(SMI_COMMAND)).out)
    except CommandError:
        return []
