# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: systemd_quote
short_description: Quote a command line for a systemd unit
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Joins words so that systemd passes each of them on as it is. P(ansible.builtin.quote#filter) is for shells, and
    systemd eats the backslashes it leaves.
options:
  _input:
    description: The words of the command line.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show a line of a unit
  ansible.builtin.debug:
    msg: "ExecStart=/usr/bin/echo {{ ['100%', '$HOME', 'a b'] | llmops.serving.systemd_quote }}"
"""

RETURN = r"""
_value:
  description: One line.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.serving.plugins.plugin_utils._systemd import quote

if t.TYPE_CHECKING:
    from collections.abc import Callable


def systemd_quote(words: list[str]) -> str:
    """Quote words for systemd."""
    try:
        return quote(words)
    except ValueError as exc:
        raise AnsibleFilterError(f"systemd_quote: {exc}") from exc


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Name the filters."""
        return {"systemd_quote": systemd_quote}
