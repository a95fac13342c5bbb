# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: lock_words
short_description: Put together what a lock file says of a host
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Gives to each image the name that the inventory has for it, for M(llmops.serving.lock_file).
options:
  _input:
    description: What M(llmops.serving.drift_info) returns as C(found).
    type: dict
    required: true
  plans:
    description: The servers, as P(llmops.serving.server_plans#filter) plans them without mirrors and lock file.
    type: dict
    required: true
  some:
    description: Whether these are some of the host's servers only, so that only their models count.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Put together what serves
  ansible.builtin.set_fact:
    told: "{{ looked.found | llmops.serving.lock_words(plans) }}"
  vars:
    plans: "{{ serving_servers | llmops.serving.server_plans(serving_models, '/srv/models') }}"
"""

RETURN = r"""
_value:
  description: C(images), C(models) and C(versions).
  type: dict
"""

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._plain import plain

if t.TYPE_CHECKING:
    from collections.abc import Callable


def lock_words(found: dict[str, t.Any], plans: dict[str, dict[str, t.Any]], some: bool = False) -> dict[str, t.Any]:
    """Put together what a lock file says of a host."""
    found, plans = plain(found), plain(plans)
    served = {model for plan in plans.values() for model in plan["unit_words"]["models"]}
    return {
        "images": {
            plan["image"]: found["servers"][name]["image"]
            for name, plan in plans.items()
            # A digest is its own lock.
            if "@" not in plan["image"] and name in found["servers"]
        },
        "models": {name: said for name, said in found["models"].items() if not some or name in served},
        "versions": found["versions"],
    }


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Name the filters."""
        return {"lock_words": lock_words}
