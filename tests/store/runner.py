# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module `model` as a function in a process of its own, which tests may kill: JSON in, JSON out.

In: {"params": the module's, "check_mode": bool, "retry_base": seconds of the first pause when a server does not say
how long to wait, "lock_wait": seconds to wait for another run, null for the module's own, "file_limit": bytes of the
largest file, 0 for none, "dies_at_manifest": number of the manifest before which it is killed, 0 for never}.
Out: {"result": the module's, "memory": peak in bytes}.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from ansible_collections.llmops.serving.plugins.module_utils import _model_transfer
from ansible_collections.llmops.serving.plugins.module_utils._model_http import Retry
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest
from ansible_collections.llmops.serving.plugins.module_utils._model_run import ARGUMENTS, run
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store


def main(task: dict[str, Any]) -> dict[str, Any]:
    """Do a task."""
    hurry(task["retry_base"])
    if task["lock_wait"] is not None:
        Store.lock.__wrapped__.__defaults__ = (task["lock_wait"], time.sleep)  # type: ignore[attr-defined]
    if task["file_limit"]:
        # A write beyond it fails as on a full disk: Python ignores the signal.
        resource.setrlimit(resource.RLIMIT_FSIZE, (task["file_limit"], resource.RLIM_INFINITY))
    if task["dies_at_manifest"]:
        die_at_manifest(task["dies_at_manifest"])
    defaults = {name: option.get("default") for name, option in ARGUMENTS.items()}
    result = run({**defaults, **task["params"]}, task["check_mode"], shutil.which("git"))
    return {"result": result, "memory": peak_memory()}


def hurry(base: float) -> None:
    """Shorten the pauses after which a failed request is tried again; those that a server asks for stay."""
    given = {field.name: field.default for field in fields(Retry)}
    Retry.__init__.__defaults__ = tuple({**given, "base": base}.values())
    # This one is made already, and bound where it is used.
    object.__setattr__(_model_transfer.RETRY, "base", base)


def die_at_manifest(number: int) -> None:
    """Have this process killed where a tree is whole, and before the store knows it."""
    save, left = Manifest.save, [number]

    def save_or_die(self: Manifest, path: Path) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        save(self, path)

    Manifest.save = save_or_die  # type: ignore[method-assign]


def peak_memory() -> int:
    """The most memory that this process had, in bytes; getrusage would count its parent's, from before exec."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    json.dump(main(json.load(sys.stdin)), sys.stdout)
