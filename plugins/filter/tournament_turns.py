# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: tournament_turns
short_description: Say which candidate of a tournament is measured when
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Candidates that can stay loaded side by side take turns after each repetition. The others are started twice each.

options:
  _input:
    description: Names of the candidates.
    type: list
    elements: str
    required: true
  profile:
    description: The load, from P(llmops.serving.tournament_plan#filter).
    type: dict
    required: true
  together:
    description: Whether all of them can stay loaded.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show the turns
  ansible.builtin.debug:
    msg: "{{ ['vllm', 'sglang'] | llmops.serving.tournament_turns(profile=tournament_plan.profile) }}"
"""

RETURN = r"""
_value:
  description: Dicts of C(candidate), C(start), C(steps) and C(stop).
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._plain import plain
from ansible_collections.llmops.serving.plugins.plugin_utils._tournament import turns

if t.TYPE_CHECKING:
    from collections.abc import Callable


def tournament_turns(names: list[str], profile: dict[str, t.Any], together: bool = False) -> list[dict[str, t.Any]]:
    """List the turns of a tournament."""
    return turns(plain(names), plain(profile), together=together)


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Name the filters."""
        return {"tournament_turns": tournament_turns}
