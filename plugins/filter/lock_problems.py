# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: lock_problems
short_description: List what an inventory asks for that its lock file does not have
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - For servers in which P(llmops.serving.preflight_questions#filter) finds nothing.
options:
  _input:
    description: The servers of one host, as in C(serving_servers).
    type: list
    elements: dict
    required: true
  models:
    description: The models of the host, as in C(serving_models).
    type: dict
    required: true
  lock:
    description: The lock file on the controller. Empty for none.
    type: path
    default: ""
  accelerator:
    description: What the servers compute on.
    type: str
    default: cpu
  images:
    description: By engine, the image of its servers that name none themselves.
    type: dict
    default: {}
  variants:
    description: By server, the one of its engine's images that suits the host's driver where the server names none.
    type: dict
    default: {}
  only:
    description: Names of the servers to act on. None means all.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Refuse what is not locked
  ansible.builtin.assert:
    that: (serving_servers | llmops.serving.lock_problems(models=serving_models, lock='.llmops.lock.yml')) == []
"""

RETURN = r"""
_value:
  description: One line a problem, with the variable at fault and what to write instead. Nothing without a lock file.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._locked import lock_problems as problems_of
from ansible_collections.llmops.serving.plugins.plugin_utils._lockfile import LockFileError, read_lock
from ansible_collections.llmops.serving.plugins.plugin_utils._plain import plain
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site

if t.TYPE_CHECKING:
    from collections.abc import Callable


def lock_problems(  # noqa: PLR0913, PLR0917  one for each option of the filter
    servers: list[dict[str, t.Any]],
    models: dict[str, t.Any],
    lock: str = "",
    accelerator: str = "cpu",
    images: dict[str, str] | None = None,
    variants: dict[str, str] | None = None,
    only: list[str] | None = None,
) -> list[str]:
    """Hold an inventory against its lock file."""
    try:
        read = read_lock(lock)
    except LockFileError as exc:
        raise AnsibleFilterError(str(exc)) from exc
    site = Site(
        models=plain(models),
        model_dir="",
        registries={},
        accelerator=accelerator,
        engines=definitions() if read else {},
        images=images or {},
        variants=variants or {},
        lock=read,
    )
    return problems_of(plain(servers), site, only or ())


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Name the filters."""
        return {"lock_problems": lock_problems}
