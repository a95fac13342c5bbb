# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: read_lock
short_description: Read the lock file of an inventory
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Reads the file that C(llmops lock) writes, on the controller, and fails where it is broken.
options:
  _input:
    description: The file. Empty for none.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Show what is locked
  ansible.builtin.debug:
    msg: "{{ (inventory_dir ~ '/.llmops.lock.yml') | llmops.serving.read_lock }}"
"""

RETURN = r"""
_value:
  description: C(images), C(models) and C(hosts) of the file, empty without one.
  type: dict
"""

import dataclasses
import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.serving.plugins.plugin_utils._lockfile import Lock, LockFileError
from ansible_collections.llmops.serving.plugins.plugin_utils._lockfile import read_lock as read

if t.TYPE_CHECKING:
    from collections.abc import Callable


def read_lock(path: str) -> dict[str, t.Any]:
    """Read a lock file."""
    try:
        lock = read(path) or Lock("")
    except LockFileError as exc:
        raise AnsibleFilterError(str(exc)) from exc
    return {word: value for word, value in dataclasses.asdict(lock).items() if word != "path"}


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Name the filters."""
        return {"read_lock": read_lock}
