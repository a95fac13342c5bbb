# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: model_seeds
short_description: Choose which host fetches which models for all hosts of a play
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - A model that a host has is given to the others by that host. One that several lack and nobody has is fetched by
    one of them first, and the fetches are spread over the hosts. One that a single host lacks is left to it.

options:
  _input:
    description: What M(llmops.serving.model_info) said on each host, by the host's name.
    type: dict
    required: true
  batch:
    description: The hosts that the play is at work on, usually C(ansible_play_batch).
    type: list
    elements: str
    required: true
  earlier:
    description: Hosts of the play that have got their models already, in an earlier batch.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Choose
  ansible.builtin.set_fact:
    site: "{{ infos | llmops.serving.model_seeds(batch=ansible_play_batch) }}"
"""

RETURN = r"""
_value:
  description:
    - C(fetch) has the names of the models that each host fetches for all.
    - C(share) has by each host that gives C(versions), C(addresses) and C(path) for M(llmops.serving.model_share).
    - C(start) says which hosts' offers each host of the batch sets going.
    - C(clients) has the addresses of all hosts of the batch.
  type: dict
"""

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._model_seeds import model_seeds as choose
from ansible_collections.llmops.serving.plugins.plugin_utils._plain import plain

if t.TYPE_CHECKING:
    from collections.abc import Callable


def model_seeds(hosts: dict[str, t.Any], batch: list[str], earlier: list[str] | None = None) -> dict[str, t.Any]:
    """Choose who fetches what."""
    return choose(plain(hosts), plain(batch), plain(earlier or []))


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Name the filters."""
        return {"model_seeds": model_seeds}
