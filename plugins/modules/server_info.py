#!/usr/bin/python
#
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server_info
short_description: Judge the servers of a host by real requests
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Reads which servers the collection runs on the host, how their units stand, and sends each the requests of its gate.
  - Never changes anything, and fails when a server does not answer sensibly.
options:
  names:
    description: The servers to look at. All there are by default. One that is not there is a failure.
    type: list
    elements: str
  gate:
    description: Whether to send requests.
    type: bool
    default: true
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: N/A
"""

EXAMPLES = r"""
- name: Ask every server of the host a real question
  llmops.serving.server_info:
"""

RETURN = r"""
servers:
  description:
    - Each server with C(name), C(engine), C(ok), C(state), C(url), C(bind), C(port), C(models), C(generation),
      C(image), C(probes), C(seconds), and C(msg), C(failed_check), C(cause) and C(remedy) where something is wrong.
  returned: always
  type: list
  elements: dict
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._gate import Gate, GateError, server_url
from ansible_collections.llmops.serving.plugins.module_utils._generations import Store, server_names
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit


def look(name: str, gate: bool) -> dict[str, t.Any]:
    """Look at one server.

    Args:
        name: Its name.
        gate: Whether to send requests.

    Returns:
        One entry of the module's `servers`.
    """
    began, current, unit = time.monotonic(), Store(name).current(), Unit(name)
    if current is None:
        msg = f"server {name} is not on this host: apply the inventory first"
        return {"name": name, "ok": False, "state": "absent", "models": [], "probes": [], "msg": msg}
    asked, state = current.asked, unit.state()
    found: dict[str, t.Any] = {
        "name": name,
        "engine": asked.get("engine"),
        "ok": state.running,
        "state": state.active,
        "url": server_url(asked["bind"], asked["port"]) + "/v1",
        "bind": asked["bind"],
        "port": asked["port"],
        "models": [model["name"] for model in asked["models"]],
        "generation": current.number,
        "image": current.image,
        "probes": [],
        "msg": "" if state.running else f"its unit {unit.name} is {state.active}: systemctl status {unit.name}",
    }
    if gate and state.running:
        try:
            found["probes"] = Gate(asked, current.client_key(), unit, state.restarts).run()
        except GateError as exc:
            words = {"failed_check": exc.check, "cause": exc.cause, "remedy": exc.remedy, "probes": exc.probes}
            found.update(words, ok=False, msg=str(exc))
    found["seconds"] = {"total": time.monotonic() - began}
    return found


def main() -> None:
    """Run the module."""
    arguments: dict[str, t.Any] = {
        "names": {"type": "list", "elements": "str"},
        "gate": {"type": "bool", "default": True},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    names = module.params["names"]
    try:
        servers = [look(name, module.params["gate"]) for name in (server_names() if names is None else names)]
    except CommandError as exc:
        module.fail_json(msg=f"the host cannot be asked: {exc}; see whether systemd runs there")
    bad = ["{}: {}".format(server["name"], server["msg"]) for server in servers if not server["ok"]]
    if bad:
        module.fail_json(msg="; ".join(bad), changed=False, servers=servers)
    module.exit_json(changed=False, servers=servers)


if __name__ == "__main__":
    main()
