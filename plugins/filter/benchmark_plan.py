# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: benchmark_plan
short_description: Plan a load for the servers of an inventory
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Chooses a profile for each model that can be measured, and lists its steps.

options:
  _input:
    description: The servers of one host, as in C(serving_servers).
    type: list
    elements: dict
    required: true
  site:
    description:
      - What the servers share, C(models), C(model_dir), C(registries), C(accelerator), C(images) and C(variants), as
        the filter
        P(llmops.serving.server_plans#filter) takes them.
    type: dict
    required: true
  asked:
    description: The variables of the role P(llmops.serving.benchmark#role) without their prefix.
    type: dict
    required: true
  only:
    description: Names of the servers. None means all.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show the steps
  ansible.builtin.debug:
    msg: "{{ serving_servers | llmops.serving.benchmark_plan(site=benchmark_site, asked=benchmark_asked) }}"
"""

RETURN = r"""
_value:
  description:
    - C(problems), one line each, with the variable at fault and what to write instead.
    - C(runs), each with C(name), C(server), C(asks), C(url), C(profile), C(steps), C(candidate) and C(inventory).
  type: dict
"""

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_plan import benchmark_plan as plan
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._plain import plain
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site

if t.TYPE_CHECKING:
    from collections.abc import Callable


def benchmark_plan(
    servers: list[dict[str, t.Any]],
    site: dict[str, t.Any],
    asked: dict[str, t.Any],
    only: list[str] | None = None,
) -> dict[str, t.Any]:
    """Plan a load for each server of a host."""
    return plan(plain(servers), Site(engines=definitions(), **plain(site)), plain(asked), plain(only or []))


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Name the filters."""
        return {"benchmark_plan": benchmark_plan}
