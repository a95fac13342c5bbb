# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: drift_lines
short_description: Say what differs on a host
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Puts what M(llmops.serving.drift_info) and, in check mode, M(llmops.serving.server) found into one list for people.
options:
  _input:
    description: The result of M(llmops.serving.drift_info).
    type: dict
    required: true
  servers:
    description: Results of M(llmops.serving.server) in check mode.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Tell what differs
  ansible.builtin.debug:
    msg: "{{ looked | llmops.serving.drift_lines(served.results) }}"
"""

RETURN = r"""
_value:
  description: A line for each difference.
  type: list
  elements: str
"""

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._drift_words import differences, line
from ansible_collections.llmops.serving.plugins.plugin_utils._plain import plain

if t.TYPE_CHECKING:
    from collections.abc import Callable


def drift_lines(looked: dict[str, t.Any], servers: list[dict[str, t.Any]] | None = None) -> list[str]:
    """Say what differs."""
    # Of a loop's item that was skipped nothing is known.
    return [line(one) for one in differences(plain(servers or []), plain(looked).get("differs") or [])]


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Name the filters."""
        return {"drift_lines": drift_lines}
