# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: with_changes
short_description: Lay changes over the servers of an inventory
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Gives the servers of an inventory with the words that C(serving_changes) says, as a tournament or a tuning
    recommends them.
options:
  _input:
    description: The servers of one host, as in C(serving_servers).
    type: list
    elements: dict
    required: true
  changes:
    description: By the server's name, words that win over its own. Null takes a word away.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the servers as they will run
  ansible.builtin.debug:
    msg: "{{ serving_servers | llmops.serving.with_changes({'chat': {'engine': 'sglang', 'options': none}}) }}"
"""

RETURN = r"""
_value:
  description: The servers, changed.
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._changes import with_changes

if t.TYPE_CHECKING:
    from collections.abc import Callable


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Name the filters."""
        return {"with_changes": with_changes}
