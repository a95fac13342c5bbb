# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's processor is and how fast it runs, for reports of measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import read_text

if TYPE_CHECKING:
    from pathlib import Path

# The first holds on x86 and POWER, the second on s390x; ARM names none.
_MODEL = ("model name", "processor 0")


def cpu_facts(root: Path) -> dict[str, Any]:
    """Tell the processor's name, clock and governor.

    Args:
        root: The root of the file tree to look at.

    Returns:
        model (empty where the kernel names none), mhz (of the first processor now, None if unknown) and governor (of
        its frequency, empty where the kernel does not choose it, as in most virtual machines).
    """
    rows: dict[str, str] = {}
    for line in (read_text(root / "proc/cpuinfo") or "").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            rows.setdefault(name.strip(), value.strip())
    try:
        mhz = float(rows["cpu MHz"])
    except (KeyError, ValueError):
        mhz = None
    return {
        "model": next((rows[name] for name in _MODEL if name in rows), ""),
        "mhz": mhz,
        "governor": read_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "",
    }
