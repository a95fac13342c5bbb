# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the lock file of an inventory on the controller."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import typing as t
from pathlib import Path

from ansible.plugins.action import ActionBase

from ansible_collections.llmops.serving.plugins.plugin_utils._lockfile import (
    Lock,
    LockFileError,
    changes,
    collect,
    lock_text,
    read_lock,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._plain import plain

ARGUMENTS: dict[str, t.Any] = {
    "path": {"type": "path", "required": True},
    "told": {"type": "dict", "required": True},
    "whole": {"type": "bool", "default": True},
}


class ActionModule(ActionBase):
    """The action; its options are documented in the module of the same name."""

    # Nothing is done on the host.
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Run the action."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, words = self.validate_argument_spec(argument_spec=ARGUMENTS)  # type: ignore[no-untyped-call]
        place = Path(words["path"]).expanduser().absolute()
        # Texts that Ansible has marked with where they came from are none that YAML writes.
        told = json.loads(json.dumps(plain(words["told"])))
        try:
            return result | lock(place, told, whole=words["whole"], dry=self._task.check_mode)
        except LockFileError as exc:
            return result | {"failed": True, "msg": str(exc), "path": str(place)}


def lock(place: Path, told: dict[str, t.Any], *, whole: bool, dry: bool) -> dict[str, t.Any]:
    """Write the file, or tell what it would be.

    Args:
        place: The file.
        told: What each host serves.
        whole: Whether the file keeps nothing of what it said before.
        dry: Write nothing.

    Returns:
        The action's result.

    Raises:
        LockFileError: Hosts contradict each other, the file of before is needed and broken, or it cannot be written.
    """
    before = _earlier(place, whole=whole)
    after = collect(str(place), told, None if whole else before)
    old = place.read_text(encoding="utf-8", errors="replace") if place.is_file() else ""
    new = lock_text(after)
    if new != old and not dry:
        _write(place, new)
    return {
        "changed": new != old,
        "path": str(place),
        "lines": changes(before, after),
        "images": len(after.images),
        "models": sum(len(versions) for versions in after.models.values()),
        "hosts": len(after.hosts),
        "diff": {"before": old, "after": new, "before_header": str(place), "after_header": str(place)},
    }


def _earlier(place: Path, *, whole: bool) -> Lock | None:
    if not place.is_file():
        return None
    try:
        return read_lock(str(place))
    except LockFileError:
        # All of it is written anew, so what was wrong with it does not matter.
        if whole:
            return None
        raise


def _write(place: Path, text: str) -> None:
    draft = None
    try:
        handle, draft = tempfile.mkstemp(dir=str(place.parent), prefix=f"{place.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        # As any file that the user writes: mkstemp keeps others out, and nothing here is secret.
        mask = os.umask(0)
        os.umask(mask)
        Path(draft).chmod(0o666 & ~mask)
        Path(draft).replace(place)
    except OSError as exc:
        if draft:
            with contextlib.suppress(OSError):
                Path(draft).unlink()
        msg = (
            f"serving_lock_file: {place} cannot be written: {exc.strerror or exc}; name another file with "
            "-e serving_lock_file=PATH"
        )
        raise LockFileError(msg) from exc
