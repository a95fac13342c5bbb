#!/usr/bin/python
#
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Find what would fail on a host before anything is changed
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Looks at the host, and asks hub and registries for what the host does not have yet. A host that has everything asks
    nobody.
  - Never fails because of what it finds; it lists all of it, for the role P(llmops.serving.preflight#role) to refuse.
options:
  servers:
    description: The servers that the host shall run.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the server.
        type: str
        required: true
      bind:
        description: Address that the server will be published on.
        type: str
        default: 127.0.0.1
      port:
        description: Port that the server will be published on.
        type: int
        required: true
      image:
        description: Full name of the image.
        type: str
        required: true
      alternatives:
        description:
          - Images that it may be served from, the best first, each with C(variant), C(image), and the oldest C(driver)
            and compute C(capability) that it runs on. The first that suits the host takes the place of
            O(servers[].image).
        type: list
        elements: dict
        default: []
      demand:
        description: What it asks of memory and GPUs, as P(llmops.serving.preflight_questions#filter) makes it.
        type: dict
        default: {}
  accelerator:
    description: What the servers compute on.
    type: str
    choices:
      - cpu
      - cuda
    default: cpu
  driver_follows:
    description: Whether a driver for the GPUs will be installed after this look, so that none is missing yet.
    type: bool
    default: false
  driver_changes:
    description:
      - Whether a driver of another branch will be installed after this look, so that an image which needs a newer one
        than the present is no problem yet.
    type: bool
    default: false
  hardware:
    description:
      - What C(nvidia-smi) says on another machine, to judge whether the servers would fit there. Nothing but memory,
        driver and GPUs is judged then.
      - The answer to C(nvidia-smi --format=csv,noheader,nounits) with C(--query-gpu=) index, uuid, name, memory.total,
        memory.free, compute_cap, driver_version and mig.mode.current, in this order.
    type: str
    default: ""
  needs:
    description: Files that models must have for their engine to load them.
    type: list
    elements: dict
    default: []
    suboptions:
      model:
        description: Name of the model.
        type: str
        required: true
      files:
        description: Regular expression that the path of one of its files must match.
        type: str
        required: true
      problem:
        description: The problem to report otherwise.
        type: str
        required: true
  notices:
    description: What the user should know of servers without problems, shown as warnings.
    type: list
    elements: str
    default: []
  models:
    description: The models that the host shall have, by name, as the module M(llmops.serving.model) takes them.
    type: dict
    default: {}
  model_dir:
    description: The model store on the host.
    type: path
    default: /var/lib/llmops/models
  hub_url:
    description: Where repositories of models are.
    type: str
    default: https://huggingface.co
  token:
    description: Token for the hub.
    type: str
  ca:
    description: Certificates, PEM, to trust at the hub instead of the system's, and at registries besides them.
    type: str
    default: ""
  extra:
    description: Whether to look for servers on the host that O(servers) do not have.
    type: bool
    default: false
  prune:
    description: Whether those will be removed before the servers start, so that their ports are free then.
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
- name: Look at the host
  llmops.serving.preflight:
    servers:
      - name: chat
        port: 8001
        image: ghcr.io/ggml-org/llama.cpp:server-b11243
  register: answer
"""

RETURN = r"""
problems:
  description: One line a problem, with the variable at fault and what to write instead.
  returned: always
  type: list
  elements: str
notices:
  description: What the user should know although nothing is wrong, as it was given and as it was found.
  returned: always
  type: list
  elements: str
variants:
  description: By server, the one of its engine's images that suits the host, where that is not the newest.
  returned: always
  type: dict
  sample: {chat: cuda12}
fits:
  description:
    - What each server needs of the memory that is free now, and whether it has it. Empty where the GPUs cannot be
      asked.
    - C(verdict) is V(fits), V(fits with) what C(remedy) says, V(does not fit), or V(unknown). C(line) is the sum in
      GiB, C(sum) its parts in bytes, C(need) and C(have) bytes of each GPU or of the host's memory.
  returned: always
  type: list
  elements: dict
extra:
  description: Names of servers on the host that O(servers) do not have, with O(extra=true).
  returned: always
  type: list
  elements: str
awaited:
  description: Whether the driver that is to be installed decides something, so that a second look is due then.
  returned: always
  type: bool
host:
  description: The facts of the host, as the module M(llmops.serving.host_info) returns them.
  returned: always
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._look import Look

ARGUMENTS: dict[str, t.Any] = {
    "servers": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "bind": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "required": True},
            "image": {"type": "str", "required": True},
            "alternatives": {"type": "list", "elements": "dict", "default": []},
            "demand": {"type": "dict", "default": {}},
        },
    },
    "accelerator": {"type": "str", "choices": ["cpu", "cuda"], "default": "cpu"},
    "driver_follows": {"type": "bool", "default": False},
    "driver_changes": {"type": "bool", "default": False},
    "hardware": {"type": "str", "default": ""},
    "needs": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "model": {"type": "str", "required": True},
            "files": {"type": "str", "required": True},
            "problem": {"type": "str", "required": True},
        },
    },
    "notices": {"type": "list", "elements": "str", "default": []},
    "models": {"type": "dict", "default": {}},
    "model_dir": {"type": "path", "default": "/var/lib/llmops/models"},
    "hub_url": {"type": "str", "default": "https://huggingface.co"},
    "token": {"type": "str", "no_log": True},
    "ca": {"type": "str", "default": ""},
    "extra": {"type": "bool", "default": False},
    "prune": {"type": "bool", "default": False},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    result = Look(module.params).run()
    for notice in result["notices"]:
        module.warn(notice)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
