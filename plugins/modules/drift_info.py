#!/usr/bin/python
#
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drift_info
short_description: Find what on a host is not as the inventory says
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Finds servers that the inventory does not have, models that are missing or not as they were fetched, and other
    versions of Docker, driver and toolkit than those that are wanted. It asks neither hub nor registry.
  - How a server itself differs is told by M(llmops.serving.server) in check mode.
  - Tells also what the host has, for a lock file.
options:
  servers:
    description:
      - Names of the servers that the inventory has. Others on the host are a difference. Without this option nobody
        looks for others.
    type: list
    elements: str
  models:
    description: The wanted models, by name, as M(llmops.serving.model) takes them.
    type: dict
    default: {}
  path:
    description: The folder of the model store.
    type: path
    default: /var/lib/llmops/models
  verify:
    description: Read every byte of the models. Otherwise only files are read whose size or time is another than before.
    type: bool
    default: false
  locked:
    description: The part C(models) of the lock file. Files with another sha256 than there are a difference.
    type: dict
    default: {}
  versions:
    description: What the lock file says of this host, any of C(docker), C(driver) and C(toolkit).
    type: dict
    default: {}
  toolkit:
    description: The version of the NVIDIA Container Toolkit that the inventory asks for. Empty for none.
    type: str
    default: ""
  host:
    description: Whether to look at Docker, driver and toolkit.
    type: bool
    default: true
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Look for what differs
  llmops.serving.drift_info:
    servers: "{{ serving_servers | map(attribute='name') }}"
    models: "{{ serving_models }}"
  register: looked

- name: Tell it
  ansible.builtin.debug:
    msg: "{{ looked | llmops.serving.drift_lines }}"
"""

RETURN = r"""
differs:
  description:
    - Everything that differs. C(about) is V(server), V(model), V(docker), V(driver) or V(toolkit), C(name) that of the
      server or the model, C(what) says it in words.
  returned: success
  type: list
  elements: dict
  sample:
    - {about: model, name: tiny-chat, what: "tiny-chat.gguf: its bytes are not those that were fetched"}
extra:
  description: Names of servers that the inventory does not have.
  returned: success
  type: list
  elements: str
unlocked:
  description: One line for each file that is another than the lock file's, with the variable.
  returned: success
  type: list
  elements: str
found:
  description:
    - What the host has. C(servers) by name, each with the C(image) by digest and the name that was C(asked) for,
      C(models) by name with C(key), C(source), C(revision) and the sha256 of their C(files), and C(versions).
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._drift import ARGUMENTS, look


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        found = look(module.params)
    except OSError as error:
        where = error.filename or module.params["path"]
        module.fail_json(msg=f"{where} cannot be read: {error.strerror or error}; see that root can read it")
    except CommandError as error:
        module.fail_json(msg=f"the host cannot be asked: {error}; see that this program answers there")
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
