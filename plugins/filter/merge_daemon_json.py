# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter around plugin_utils/_daemon_json.py."""

from __future__ import annotations

DOCUMENTATION = r"""
name: merge_daemon_json
short_description: Merge options into the text of Docker's daemon.json
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Mappings are merged at every depth, lists get the missing entries at their end, any other value is replaced.
  - A key that O(options) do not name is never touched. A value of V(null) takes the key out.
  - Raises nothing for a text that is broken. The result carries RV(_value.problem) then, so that a play can refuse it.
positional: options, take_out
options:
  _input:
    description: The text of daemon.json, V(null) without the file.
    type: str
    required: true
  options:
    description: The wanted options, named as in daemon.json.
    type: dict
    required: true
  take_out:
    description:
      - Take O(options) out instead, as far as they are there with these values. What else there is stays.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show what would be written
  ansible.builtin.debug:
    msg: "{{ docker_host.docker.daemon_json | llmops.serving.merge_daemon_json({'live-restore': true}) }}"
"""

RETURN = r"""
_value:
  description: The outcome.
  type: dict
  contains:
    content:
      description: The text to write.
      type: str
    changed:
      description: Whether it differs in meaning from what is there.
      type: bool
    keys:
      description: The top-level keys whose value changes.
      type: list
      elements: str
    restart:
      description: Whether a running daemon has to be restarted. Otherwise a reload does.
      type: bool
    problem:
      description: Why nothing can be merged, in one line. Empty when all is well.
      type: str
"""


from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.serving.plugins.plugin_utils._daemon_json import DaemonJsonError, merge, without

if TYPE_CHECKING:
    from collections.abc import Callable


def merge_daemon_json(
    current: str | None,
    options: Mapping[str, Any],
    take_out: bool = False,
) -> dict[str, Any]:
    """Merge options into the text of daemon.json.

    Args:
        current: The text of daemon.json, None without the file.
        options: The wanted options, named as in daemon.json.
        take_out: Take them out instead.

    Returns:
        content, changed, keys, restart and problem as documented above.

    Raises:
        AnsibleFilterError: The arguments have the wrong types.
    """
    if current is not None and not isinstance(current, str):
        message = f"merge_daemon_json: the input is {type(current).__name__} instead of text"
        raise AnsibleFilterError(message)
    if not isinstance(options, Mapping):
        message = f"merge_daemon_json: the options are {type(options).__name__} instead of a mapping"
        raise AnsibleFilterError(message)
    try:
        merged = (without if take_out else merge)(current, options)
    except DaemonJsonError as error:
        return {"content": current or "", "changed": False, "keys": [], "restart": False, "problem": str(error)}
    return {
        "content": merged.content,
        "changed": merged.changed,
        "keys": list(merged.keys),
        "restart": merged.restart,
        "problem": "",
    }


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {"merge_daemon_json": merge_daemon_json}
