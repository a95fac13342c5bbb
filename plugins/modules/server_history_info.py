#!/usr/bin/python
#
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server_history_info
short_description: Tell the generations that are kept of the servers of a host
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Each change of a server that passes its gate is a generation, and the last ones are kept with all that they need.
    This module tells which there are, what each changed, and whether it can be gone back to.
  - Never changes anything.
options:
  names:
    description: The servers to look at. All there are by default. One that is not there is a failure.
    type: list
    elements: str
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: N/A
seealso:
  - module: llmops.serving.server_rollback
"""

EXAMPLES = r"""
- name: What did the chat server run with before?
  llmops.serving.server_history_info:
    names: [chat]
"""

RETURN = r"""
servers:
  description:
    - Each server with C(name), C(engine), the number of its C(current) generation, C(pending), a change that began and
      did not end (C(since), C(before), C(to), C(step)), and its C(generations), oldest first.
    - Each generation has C(number), C(current), C(state) (V(current), V(kept), V(failed), V(interrupted)), the UTC
      times C(made) and C(gated), C(failed) with C(check), C(cause), C(remedy) and C(at) where it did not pass its gate,
      C(engine), C(image) by digest, C(image_name), C(port), C(models) (C(name), C(served_as), C(version), C(path),
      C(revision), C(source)), C(changes) against the last good one before it, and C(missing), what the host has no
      more.
  returned: always
  type: list
  elements: dict
lines:
  description: The same for people, the newest first.
  returned: always
  type: list
  elements: str
  sample:
    - "chat generation 2: current, since 2026-01-31T12:00:00Z"
    - "  option --ctx-size: 512, was 1024"
    - "chat generation 1: kept, good at 2026-01-30T12:00:00Z"
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._generations import Store, server_names
from ansible_collections.llmops.serving.plugins.module_utils._history import history, lines


def main() -> None:
    """Run the module."""
    arguments: dict[str, t.Any] = {"names": {"type": "list", "elements": "str"}}
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    there = [name for name in server_names() if Store(name).numbers()]
    names = there if module.params["names"] is None else module.params["names"]
    unknown = [name for name in names if name not in there]
    try:
        servers = [history(name) for name in names if name in there]
    except OSError as exc:
        module.fail_json(msg=f"the generations cannot be read: {exc}; read them as root")
    said = [line for server in servers for line in lines(server)]
    if unknown:
        have = "it has " + ", ".join(there) if there else "it has none"
        msg = "no server named {} on this host; {}".format(", ".join(unknown), have)
        module.fail_json(msg=msg, servers=servers, lines=said)
    module.exit_json(changed=False, servers=servers, lines=said)


if __name__ == "__main__":
    main()
