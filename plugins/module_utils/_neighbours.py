# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Look after the servers beside the one that is changed, from which a reload of systemd may have taken their GPUs.

A container that got its GPUs through the toolkit's hook loses them at a `systemctl daemon-reload`, when systemd writes
the device rules of its control group anew, and says "Failed to initialize NVML: Unknown Error" from then on
(NVIDIA/nvidia-container-toolkit#48). Every change of a unit needs such a reload.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._generations import Store, server_names
from ansible_collections.llmops.serving.plugins.module_utils._gpu_words import is_detached_by_reload
from ansible_collections.llmops.serving.plugins.module_utils._host import run_command
from ansible_collections.llmops.serving.plugins.module_utils._host_toolkit import toolkit_facts
from ansible_collections.llmops.serving.plugins.module_utils._lock import LockError, server_lock
from ansible_collections.llmops.serving.plugins.module_utils._server import Server
from ansible_collections.llmops.serving.plugins.module_utils._server_error import ServerError
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit


def endangered(besides: str = "") -> list[str]:
    """List the running servers whose GPUs a reload of systemd may take away.

    Args:
        besides: A server to leave out, say because it is being changed.

    Returns:
        Their names.
    """
    names = []
    toolkit = toolkit_facts(Path("/"), run_command)["version"]
    for name in server_names():
        current = None if name == besides else Store(name).current()
        if current and is_detached_by_reload(current.unit, toolkit) and Unit(name).state().running:
            names.append(name)
    return names


def look_after(names: t.Iterable[str]) -> list[dict[str, str]]:
    """Ask servers a real question after a reload, and start those anew that cannot answer any more.

    Args:
        names: Servers that served before the reload.

    Returns:
        For each, `name`, `action` (unchanged, restarted, failed, or skipped where somebody else is changing it) and
        `cause`, why it failed.
    """
    return [_look_after(name) for name in names]


def _look_after(name: str) -> dict[str, str]:
    current = Store(name).current()
    if current is None:
        return {"name": name, "action": "skipped", "cause": ""}
    try:
        with server_lock(name, patience=0, what="looking after"):
            outcome = Server.of(name, current).confirm(current)
    except LockError:
        return {"name": name, "action": "skipped", "cause": ""}
    except (ServerError, CommandError) as exc:
        return {"name": name, "action": "failed", "cause": str(exc)}
    return {"name": name, "action": outcome["action"], "cause": ""}
