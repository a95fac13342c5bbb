# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# mypy: ignore-errors
# It runs in the benchmark's container.
"""The module `model` without Ansible around it, in a fresh Python process.

Usage: ours.py PARAMETERS, the module's parameters as JSON; those it does not have are left out, so that older states
of the collection can be measured too. The last line of the output is JSON: `verified`, the monotonic clock when all
bytes were there and right, and only the disk and the final name were missing; and `synced`, the seconds that its
threads waited for the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time

sys.path.insert(0, "/run/collection.zip")

from ansible_collections.llmops.serving.plugins.module_utils import _model_run, _model_store

verified: list[float] = []
synced: list[float] = []


def _timed(sync: object) -> object:
    def timed(descriptor: int) -> None:
        began = time.monotonic()
        sync(descriptor)
        synced.append(time.monotonic() - began)

    return timed


def _marked(sync: object) -> object:
    def marked(descriptor: int) -> None:
        verified.append(time.monotonic())
        sync(descriptor)

    return marked


def main() -> None:
    """Run the module's function with its defaults, as Ansible does."""
    given = json.loads(sys.argv[1])
    parameters = {name: option.get("default") for name, option in _model_run.ARGUMENTS.items()}
    parameters.update({name: value for name, value in given.items() if name in parameters})
    # A file that is whole and right is written out at once; states of before did so when they published the model.
    os.fdatasync = _marked(_timed(os.fdatasync))
    os.fsync = _timed(os.fsync)
    publish = _model_store.Store.publish

    def published(*arguments: object, **more: object) -> object:
        if not verified:
            verified.append(time.monotonic())
        return publish(*arguments, **more)

    _model_store.Store.publish = published
    result = _model_run.run(parameters, False, shutil.which("git"))
    if result.get("msg"):
        sys.exit(result["msg"])
    sys.stdout.write(json.dumps({"verified": max(verified, default=None), "synced": sum(synced)}) + "\n")


if __name__ == "__main__":
    main()
