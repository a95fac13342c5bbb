# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: tune_plan
short_description: Plan a search for the best settings of a server
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Says which server would be tried with other settings in the place of its own, or why it cannot be.

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
  name:
    description: The server.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what would be tried
  ansible.builtin.debug:
    msg: "{{ serving_servers | llmops.serving.tune_plan(site=benchmark_site, asked=benchmark_asked, name='chat') }}"
"""

RETURN = r"""
_value:
  description:
    - C(problems), one line each, with the variable at fault and what to write instead.
    - C(profile), C(inventory), C(asks), C(url), C(length), C(server) and C(candidates).
  type: dict
"""

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._plain import plain
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site
from ansible_collections.llmops.serving.plugins.plugin_utils._tune import tune_plan as plan

if t.TYPE_CHECKING:
    from collections.abc import Callable


def tune_plan(
    servers: list[dict[str, t.Any]], site: dict[str, t.Any], asked: dict[str, t.Any], name: str
) -> dict[str, t.Any]:
    """Plan a search on a host."""
    return plan(plain(servers), Site(engines=definitions(), **plain(site)), plain(asked), name)


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Name the filters."""
        return {"tune_plan": tune_plan}
