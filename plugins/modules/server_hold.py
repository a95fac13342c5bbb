#!/usr/bin/python
#
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server_hold
short_description: Stop the servers of a host for a while, and start them again as they were
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - V(held) stops every server of the collection that runs, so that others can have the host, and writes down which
    they were.
  - V(released) removes those others, starts what ran before, and asks each a real question. What is held stays
    written down
    until all of them serve, so a release can be repeated, also after a reboot.
options:
  state:
    description: Whether the servers are held.
    type: str
    choices:
      - held
      - released
    default: held
  purpose:
    description: What for, told to whoever finds the servers held.
    type: str
    default: tournament
  guests:
    description: Names of the servers that will run meanwhile. The release removes them.
    type: list
    elements: str
    default: []
  owner:
    description:
      - Who holds the servers. With O(state=released) only what this one holds is released; empty releases whatever is
        held.
    type: str
    default: ""
attributes:
  check_mode:
    description: Says whether something would change.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Make room
  llmops.serving.server_hold:
    guests: [tournament-vllm]

- name: Put the servers back
  llmops.serving.server_hold:
    state: released
"""

RETURN = r"""
held:
  description: Names of the servers that are held.
  returned: with O(state=held)
  type: list
  elements: str
servers:
  description:
    - Each server that was to be started, with C(name), C(engine), C(ok), C(url), C(models), C(action), C(probes),
      C(seconds),
      and C(failed_check), C(cause) and C(remedy) where it does not serve.
  returned: with O(state=released)
  type: list
  elements: dict
"""

import signal
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._hold import HoldError, hold, read_held, release


def main() -> None:
    """Run the module."""
    arguments: dict[str, t.Any] = {
        "state": {"type": "str", "choices": ["held", "released"], "default": "held"},
        "purpose": {"type": "str", "default": "tournament"},
        "guests": {"type": "list", "elements": "str", "default": []},
        "owner": {"type": "str", "default": ""},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    params = module.params
    # A connection that is lost, or Ctrl-C on the controller, must not leave half of the servers stopped.
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    try:
        if params["state"] == "held":
            if module.check_mode:
                module.exit_json(changed=read_held() is None, held=[])
            module.exit_json(changed=True, held=hold(params["purpose"], params["guests"], params["owner"]))
        there = read_held() is not None
        servers = release(params["owner"]) if there and not module.check_mode else []
    except (HoldError, CommandError, OSError) as exc:
        module.fail_json(msg=str(exc))
    bad = [
        "{}: {}; {}".format(server["name"], server["cause"], server["remedy"]) for server in servers if not server["ok"]
    ]
    if bad:
        module.fail_json(msg="not all servers serve again: " + "; ".join(bad), changed=there, servers=servers)
    module.exit_json(changed=there, servers=servers)


if __name__ == "__main__":
    main()
