#!/usr/bin/python
#
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server_diagnosis
short_description: Say how the servers of a host fare, and what to do about those that are ill
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Reads what the host knows about each server (unit, exit code, the engine's log, Docker, the kernel's messages on
    memory and GPUs, memory, disks), sends it the requests of its gate, and names cause and remedy by the rules of its
    engine's definition.
  - Does not wait for a server that loads, and never changes anything. Fails when a server is ill.
  - A server's keys are covered in every line.
options:
  names:
    description: The servers to examine. By default all that the host has, and those of O(wanted).
    type: list
    elements: str
  wanted:
    description: Names of the servers that the inventory has, so that one which the host lacks is told.
    type: list
    elements: str
    default: []
  gate:
    description: Whether to send requests.
    type: bool
    default: true
  lines:
    description: How many of the last lines of each log are returned.
    type: int
    default: 60
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: N/A
"""

EXAMPLES = r"""
- name: Examine every server of the host
  llmops.serving.server_diagnosis:

- name: Read what is known of one without asking it
  llmops.serving.server_diagnosis:
    names: [chat]
    gate: false
"""

RETURN = r"""
servers:
  description:
    - Each server with C(name), C(engine), C(ok), C(state) (V(serving), V(loading), V(changing), V(ill), V(stopped),
      V(held), V(cut off) or V(absent)), C(url), C(bind), C(port), C(models), C(generation), C(image), C(probes) and
      C(seconds).
    - Of one that is ill C(msg), C(failed_check), C(cause) and C(remedy), and where a rule knew it C(rule), C(source)
      and the C(line) that it fitted. They are empty otherwise; C(cause) also says what a server waits for.
    - C(log), the last lines of the engine, and C(evidence) with C(unit), C(container), C(log), C(kernel), C(docker),
      C(systemd), C(told), C(memory), C(disks), C(gpus) and C(unread).
    - C(change), a change that was cut off or is under way, with C(since), C(before), C(to) and C(step); C(lock), who
      changes it now; C(failed_generations), those that are kept for inspection; C(watchdog), why the watchdog started
      it anew; and C(notes), lines about what is worth knowing besides.
  returned: always
  type: list
  elements: dict
lines:
  description: The same for people, a line for each server and each of its notes.
  returned: always
  type: list
  elements: str
  sample:
    - "chat: serving"
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._diagnosis import examine
from ansible_collections.llmops.serving.plugins.module_utils._generations import server_names

ARGUMENTS: dict[str, t.Any] = {
    "names": {"type": "list", "elements": "str"},
    "wanted": {"type": "list", "elements": "str", "default": []},
    "gate": {"type": "bool", "default": True},
    "lines": {"type": "int", "default": 60},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    names = params["names"]
    if names is None:
        names = sorted({*server_names(), *params["wanted"]})
    lines, wanted = max(params["lines"], 0), set(params["wanted"])
    try:
        servers = [examine(name, params["gate"], lines, not wanted or name in wanted) for name in names]
    except CommandError as exc:
        module.fail_json(msg=f"the host cannot be asked: {exc}; see whether systemd runs there")
    said = [line for server in servers for line in told(server)]
    result: dict[str, t.Any] = {"changed": False, "servers": servers, "lines": said}
    ill = ["{}: {}".format(server["name"], server["msg"]) for server in servers if not server["ok"]]
    if ill:
        module.fail_json(msg="; ".join(ill), **result)
    module.exit_json(**result)


def told(server: dict[str, t.Any]) -> t.Iterator[str]:
    """Say of a server what people want to read.

    Args:
        server: One entry of the module's `servers`.

    Yields:
        Lines.
    """
    words = server["msg"] or server["cause"]
    yield "{}: {}{}".format(server["name"], server["state"], f": {words}" if words else "")
    if server["line"]:
        yield "{}: seen: {}".format(server["name"], server["line"])
    for note in server["notes"]:
        yield "{}: note: {}".format(server["name"], note)


if __name__ == "__main__":
    main()
