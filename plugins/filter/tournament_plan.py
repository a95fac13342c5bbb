# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: tournament_plan
short_description: Plan a tournament between engines
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Says for each engine which server it would run with the same weights, or why it cannot.

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
  models:
    description: The same weights, by the name of each of their formats in C(serving_models).
    type: list
    elements: str
    required: true
  engines:
    description: Which engines take part.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show the candidates
  ansible.builtin.debug:
    msg: >-
      {{ serving_servers | llmops.serving.tournament_plan(site=benchmark_site, asked=benchmark_asked,
                                                          models=['qwen2'], engines=['vllm', 'sglang']) }}
"""

RETURN = r"""
_value:
  description:
    - C(problems), one line each, with the variable at fault and what to write instead.
    - C(profile), C(inventory), C(asks) and C(candidates), those that can take part with C(server), C(url) and
      C(length).
  type: dict
"""

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._plain import plain
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site
from ansible_collections.llmops.serving.plugins.plugin_utils._tournament import tournament_plan as plan

if t.TYPE_CHECKING:
    from collections.abc import Callable


def tournament_plan(
    servers: list[dict[str, t.Any]],
    site: dict[str, t.Any],
    asked: dict[str, t.Any],
    models: list[str],
    engines: list[str],
) -> dict[str, t.Any]:
    """Plan a tournament on a host."""
    shared = Site(engines=definitions(), **plain(site))
    return plan(plain(servers), shared, plain(asked), plain(models), plain(engines))


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Name the filters."""
        return {"tournament_plan": tournament_plan}
