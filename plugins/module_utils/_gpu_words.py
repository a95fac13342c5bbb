# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The words with which `docker run` is told to give a container GPUs, for each way there is."""

from __future__ import annotations

import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import version_tuple

# Best first. CDI survives the `systemctl daemon-reload` that every change of a unit needs; the runtime does so from
# version 1.18 of the toolkit on; what `--gpus` gives through the toolkit's hook is taken away by it.
WAYS = ("cdi", "runtime", "gpus")
# From this version on the runtime edits containers as CDI does (engines before lost their devices too).
_RUNTIME_AS_CDI = (1, 18)
# Both other ways ask the image's NVIDIA_REQUIRE_CUDA, which knows nothing of CUDA's minor version compatibility; the
# preflight has judged that. What CDI gives is what these capabilities name: libraries and nvidia-smi, no displays.
_ENVIRONMENT = {"NVIDIA_DRIVER_CAPABILITIES": "compute,utility", "NVIDIA_DISABLE_REQUIRE": "true"}


def gpu_words(way: str, gpus: t.Sequence[str]) -> list[str]:
    """Write the options of `docker run`.

    Args:
        way: One of WAYS.
        gpus: Indices, UUIDs or MIG devices; ``all`` alone for all.

    Returns:
        The words, none where there are no GPUs to give.
    """
    if not gpus:
        return []
    names = ",".join(gpus)
    if way == "cdi":
        return [word for gpu in gpus for word in ("--device", f"nvidia.com/gpu={gpu}")]
    environment = [word for name, value in _ENVIRONMENT.items() for word in ("--env", f"{name}={value}")]
    if way == "runtime":
        return ["--runtime", "nvidia", "--env", f"NVIDIA_VISIBLE_DEVICES={names}", *environment]
    # Docker reads the value as a line of CSV, so a comma inside of it needs quotes that arrive there.
    return ["--gpus", "all" if names == "all" else f'"device={names}"', *environment]


def is_detached_by_reload(unit: str, toolkit: str | None) -> bool:
    """Whether a server's unit gives it GPUs in the way that a `systemctl daemon-reload` takes back.

    Args:
        unit: The unit's text.
        toolkit: The version of the container toolkit, None without it.
    """
    return " --gpus " in unit or (" --runtime nvidia " in unit and version_tuple(toolkit) < _RUNTIME_AS_CDI)
