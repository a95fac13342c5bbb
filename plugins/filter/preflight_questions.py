# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: preflight_questions
short_description: List what is wrong with an inventory, and what the host must be asked
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Looks at the servers and models of one host as the inventory says them, all at once, without asking the host.
  - What is sound goes on to the module M(llmops.serving.preflight), which asks the host, the hub and the registries.
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
  registries:
    description: Mirrors of container registries.
    type: dict
    default: {}
  accelerator:
    description: What the servers compute on.
    type: str
    default: cpu
  images:
    description: By engine, the image of its servers that name none themselves.
    type: dict
    default: {}
  search:
    description: Directories on the controller in which the files are that servers name.
    type: list
    elements: path
    default: []
  only:
    description: Names of the servers to act on. Each must be among the servers.
    type: list
    elements: str
    default: []
  variants:
    description: By server, the one of its engine's images that suits the host's driver where the server names none.
    type: dict
    default: {}
  lock:
    description: The lock file on the controller, whose images are asked about. Empty for none.
    type: path
    default: ""
  changes:
    description: What was laid over the servers, C(serving_changes). Its names are judged.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Refuse what cannot work
  ansible.builtin.assert:
    that: (serving_servers | llmops.serving.preflight_questions(models=serving_models)).problems == []
"""

RETURN = r"""
_value:
  description:
    - C(problems), one line each, with the variable at fault and what to write instead. No line holds a secret.
    - C(servers) and C(models) without problems, as the module M(llmops.serving.preflight) takes them.
    - C(notices), one line each, what the user should know of servers without problems.
  type: dict
"""

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._changes import change_problems
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._lockfile import LockFileError, read_lock
from ansible_collections.llmops.serving.plugins.plugin_utils._plain import plain
from ansible_collections.llmops.serving.plugins.plugin_utils._problems import (
    choice_problems,
    inventory_problems,
    questions,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site

if t.TYPE_CHECKING:
    from collections.abc import Callable


def preflight_questions(  # noqa: PLR0913, PLR0917  one for each option of the filter
    servers: t.Any,
    models: t.Any,
    registries: dict[str, str] | None = None,
    accelerator: str = "cpu",
    images: dict[str, str] | None = None,
    search: list[str] | None = None,
    only: list[str] | None = None,
    variants: dict[str, str] | None = None,
    changes: t.Any = None,
    lock: str = "",
) -> dict[str, t.Any]:
    """Judge a host's inventory, and prepare what the host is asked."""
    servers, models = plain(servers), plain(models)
    broken: list[str] = []
    locked = None
    try:
        locked = read_lock(lock)
    except LockFileError as exc:
        broken.append(str(exc))
    site = Site(
        models=models,
        model_dir="",
        registries=registries or {},
        accelerator=accelerator,
        engines=definitions(),
        images=images or {},
        search=search or (),
        variants=variants or {},
        lock=locked,
    )
    problems = [
        *broken,
        *inventory_problems(servers, site),
        *choice_problems(servers, only or []),
        *change_problems(servers, plain(changes) if changes else {}),
    ]
    return {"problems": problems, **questions(servers, site)}


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Name the filters."""
        return {"preflight_questions": preflight_questions}
