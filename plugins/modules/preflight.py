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
  description: What the user should know although nothing is wrong, as it was given.
  returned: always
  type: list
  elements: str
host:
  description: The facts of the host, as the module M(llmops.serving.host_info) returns them.
  returned: always
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._host import host_facts
from ansible_collections.llmops.serving.plugins.module_utils._model_plan import ModelPlan, plan_models
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.module_utils._preflight import (
    DiskNeed,
    disk_problems,
    file_problems,
    host_problems,
    image_needs,
    port_problems,
)

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
        },
    },
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
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    for notice in params["notices"]:
        module.warn(notice)
    host = host_facts(model_dir=params["model_dir"])
    problems = [*host_problems(host), *port_problems(params["servers"], host["ports"])]
    plans: dict[str, ModelPlan] = {}
    try:
        plans = plan_models(
            params["models"], path=params["model_dir"], hub_url=params["hub_url"], token=params["token"] or ""
        )
    except ModelError as exc:
        problems.append(str(exc))
    problems += [plan.problem for plan in plans.values() if plan.problem]
    problems += file_problems(params["needs"], {name: plan.files for name, plan in plans.items()})
    image_lines, needs = image_needs(params["servers"], host["docker"]["root_dir"])
    needs += [DiskNeed(params["model_dir"], name, plan.bytes) for name, plan in plans.items() if plan.bytes]
    problems += [*image_lines, *disk_problems(needs, host["disk"])]
    # A hub that does not answer is the same problem for each of its models.
    module.exit_json(changed=False, problems=list(dict.fromkeys(problems)), notices=params["notices"], host=host)


if __name__ == "__main__":
    main()
