#!/usr/bin/python
#
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: leftovers_info
short_description: Look at what a removal has left on a host
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Looks everywhere that the collection makes something on a host - units and what systemd remembers of them, timers,
    containers, images, files, folders, locks, rules of the firewall, users, models - and lists what is there.
  - Tells what is the collection's from what only bears such a name, by the first line of a unit, the label of a
    container, the record of the images that the collection pulled, and the collection's own folders.
  - Never changes anything.
options:
  servers:
    description: The servers that shall be gone. All that the host has by default, and with them all that they share.
    type: list
    elements: str
  models:
    description: Whether the models shall be gone too, where all servers shall.
    type: bool
    default: false
  images:
    description: Whether the images that the collection pulled shall be gone too, where all servers shall.
    type: bool
    default: false
  path:
    description: The folder of the model store.
    type: path
    default: /var/lib/llmops/models
  demand:
    description: Whether to fail where something is left, or cannot be looked at.
    type: bool
    default: false
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: N/A
"""

EXAMPLES = r"""
- name: Nothing of the collection is on this host
  llmops.serving.leftovers_info:
    models: true
    images: true
    demand: true
"""

RETURN = r"""
left:
  description:
    - What shall be gone and is there, each with C(kind), C(name), C(server) (empty where all share it), C(about),
      C(bytes) of the disk where that is worth telling, and all of this for people in C(line).
  returned: always
  type: list
  elements: dict
  sample:
    - about: generations and secrets
      bytes: 0
      kind: folder
      line: "folder /var/lib/llmops/servers/chat: generations and secrets"
      name: /var/lib/llmops/servers/chat
      server: chat
kept:
  description: What the collection made and is not asked to be gone, with the same words.
  returned: always
  type: list
  elements: dict
foreign:
  description: What bears such a name and is somebody else's, with the same words.
  returned: always
  type: list
  elements: dict
servers:
  description: The servers that the host has anything of.
  returned: always
  type: list
  elements: str
problems:
  description: A line for each thing that is left, and for what cannot be looked at, with cause and remedy.
  returned: always
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._leftovers import Scope, look, words_of
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError

ARGUMENTS: dict[str, t.Any] = {
    "servers": {"type": "list", "elements": "str"},
    "models": {"type": "bool", "default": False},
    "images": {"type": "bool", "default": False},
    "path": {"type": "path", "default": "/var/lib/llmops/models"},
    "demand": {"type": "bool", "default": False},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        found = look(Scope.of(params))
    except (CommandError, ModelError, OSError) as exc:
        module.fail_json(msg=f"the host cannot be looked at: {exc}; run it as root, where systemd runs")
    result = words_of(found)
    if params["demand"] and result["problems"]:
        module.fail_json(msg="; ".join(result["problems"]), changed=False, **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
