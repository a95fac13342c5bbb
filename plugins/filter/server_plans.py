# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: server_plans
short_description: Turn the servers of an inventory into what the module server makes true
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Maps the common words of each server to its engine's command line, by the engine's definition.
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
  model_dir:
    description: The model store on the host.
    type: path
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
  variants:
    description: By server, the one of its engine's images that suits the host's driver where the server names none.
    type: dict
    default: {}
  gpu_way:
    description: How containers get GPUs, V(cdi), V(runtime) or V(gpus).
    type: str
    default: cdi
  lock:
    description: The lock file on the controller, whose images are used and no others. Empty for none.
    type: path
    default: ""
"""

EXAMPLES = r"""
- name: Show how each server will be run
  ansible.builtin.debug:
    msg: "{{ serving_servers | llmops.serving.server_plans(models=serving_models, model_dir='/srv/models') }}"
"""

RETURN = r"""
_value:
  description: By the server's name, the parameters of the module M(llmops.serving.server) but its C(secrets).
  type: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._locked import lock_problems
from ansible_collections.llmops.serving.plugins.plugin_utils._lockfile import LockFileError, read_lock
from ansible_collections.llmops.serving.plugins.plugin_utils._plain import plain
from ansible_collections.llmops.serving.plugins.plugin_utils._plan import server_plan
from ansible_collections.llmops.serving.plugins.plugin_utils._problems import inventory_problems
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site

if t.TYPE_CHECKING:
    from collections.abc import Callable


def server_plans(  # noqa: PLR0913, PLR0917  one for each option of the filter
    servers: list[dict[str, t.Any]],
    models: dict[str, t.Any],
    model_dir: str,
    registries: dict[str, str] | None = None,
    accelerator: str = "cpu",
    images: dict[str, str] | None = None,
    search: list[str] | None = None,
    variants: dict[str, str] | None = None,
    gpu_way: str = "cdi",
    lock: str = "",
) -> dict[str, dict[str, t.Any]]:
    """Plan each server of a host."""
    servers = plain(servers)
    try:
        locked = read_lock(lock)
    except LockFileError as exc:
        raise AnsibleFilterError(str(exc)) from exc
    site = Site(
        models=plain(models),
        model_dir=model_dir,
        registries=registries or {},
        accelerator=accelerator,
        engines=definitions(),
        images=images or {},
        search=search or (),
        variants=variants or {},
        gpu_way=gpu_way,
        lock=locked,
    )
    if problems := inventory_problems(servers, site) or lock_problems(servers, site):
        raise AnsibleFilterError("; ".join(problems))
    return {server["name"]: server_plan(server, site) for server in servers}


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Name the filters."""
        return {"server_plans": server_plans}
