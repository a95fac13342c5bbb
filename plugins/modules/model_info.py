#!/usr/bin/python
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: tell which models a host has, and how others reach it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: model_info
short_description: Tell which models a host has, and how others reach it
version_added: 0.1.0
description:
  - Looks whether wanted models are complete in the host's store, by size and time of their files, and which addresses
    the host has. It asks nobody. P(llmops.serving.model_seeds#filter) chooses from it who fetches what for all hosts.
author:
  - llmops.serving contributors (@llmops-serving)
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  platform:
    description: Runs on Linux hosts.
    platforms: linux
    support: full
options:
  models:
    description: The wanted models, by name, as M(llmops.serving.model) takes them.
    type: dict
    required: true
  path:
    description: The folder of the model store.
    type: path
    default: /var/lib/llmops/models
  address:
    description: The address by which other hosts reach this one. Empty leaves it to the host's routes and O(names).
    type: str
    default: ""
  names:
    description: By what the controller knows this host. What means the host itself, such as V(127.0.0.1), is left out.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: See what the host has
  llmops.serving.model_info:
    models: "{{ serving_models }}"
    names: ["{{ ansible_host | default(inventory_hostname) }}"]
"""

RETURN = r"""
models:
  description:
    - By name of the model the C(key) of its version's folder, C(content), which is the same on hosts that want the same
      files, and whether it is C(complete). Models with a wrong description are left out.
  returned: always
  type: dict
addresses:
  description: By what other hosts may reach this one, the likeliest first.
  returned: always
  type: list
  elements: str
clients:
  description: All addresses from which this host may come when it asks another one.
  returned: always
  type: list
  elements: str
store:
  description: The folder of the model store.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._model_info import ARGUMENTS, look


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        found = look(module.params)
    except OSError as error:
        module.fail_json(
            msg=f"serving_model_dir: {error.filename or module.params['path']}: {error.strerror or error}; see that "
            "root can read there"
        )
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
