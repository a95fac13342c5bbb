#!/usr/bin/python
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `security_probe`."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: security_probe
short_description: Prove that a server answers nobody who has not its key
version_added: 0.1.0
description:
  - Asks every route of a server without a key, with a wrong key, and with its key in other capitals, and fails when one
    answers that should not.
  - A route is closed when it answers 401 or 403. One that the server has not (404 or 405) is not open.
  - With a key, everything must be closed but what O(routes) says is open and is neither inference nor administration.
    Without one, inference and administration must be.
  - Requests have an empty body, and routes that change the server are asked by a method that they do not have, so
    nothing is computed and nothing changes.
  - It asks from where it runs. To ask as another host does, run it there (C(delegate_to)).
options:
  url:
    description: Address of the server without a path, for instance V(http://10.0.0.5:8000). Required with O(routes).
    type: str
  api_key:
    description:
      - The server's key. It is never sent as it is; a wrong one is made of it.
      - Leave it and O(api_key_file) out for a server without one.
    type: str
  api_key_file:
    description: File on the host that holds the key and nothing else.
    type: path
  routes:
    description:
      - The engine's routes. Those of a server that the collection made are in its record (see the examples).
      - One of O(routes) and O(closed_at) is required.
    type: list
    elements: dict
    suboptions:
      path:
        description: Path from the root. Braces stand for a part that may be anything.
        type: str
        required: true
      method:
        description: Method of HTTP.
        type: str
        choices: [GET, POST, PUT]
        default: POST
      kind:
        description: What it is for.
        type: str
        choices: [inference, admin, info, health, metrics]
        default: inference
      open:
        description: Whether the engine answers it without its key.
        type: bool
        default: false
  accept_open_routes:
    description: Paths that may answer all the same, each with what lies below it.
    type: list
    elements: str
    default: []
  closed_at:
    description:
      - Addresses as V(10.0.0.5:8000) at which nothing may be reached from where the module runs, such as the host's
        other addresses for a server bound to one of them, or the server itself from a network that is not allowed.
    type: list
    elements: str
  timeout:
    description: Seconds for each request, and for each address of O(closed_at).
    type: float
    default: 10.0
  ca_path:
    description: PEM file, or directory prepared by C(c_rehash), of further certificate authorities to trust.
    type: path
  validate_certs:
    description: Whether the server's certificate must be valid. Set it to V(false) only for a test.
    type: bool
    default: true
attributes:
  check_mode:
    description: Can run in check mode; a probe only asks, so it does the same then.
    support: full
  diff_mode:
    description: Changes nothing, so there is nothing to show.
    support: none
  platform:
    description: Target systems.
    support: full
    platforms: posix
notes:
  - No proxy from the environment is used and no redirect followed.
author:
  - llmops.serving contributors (@llmops-serving)
"""

EXAMPLES = r"""
- name: Read what the server was asked to be
  ansible.builtin.slurp:
    path: /var/lib/llmops/servers/chat/current/server.json
  register: record

- name: Is it closed, by its own address and from this host?
  llmops.serving.security_probe:
    url: "http://{{ ansible_host }}:{{ asked.port }}"
    api_key_file: /var/lib/llmops/servers/chat/current/client-key
    routes: "{{ asked.routes }}"
    accept_open_routes: "{{ asked.accept_open_routes }}"
  vars:
    asked: "{{ (record.content | b64decode | from_json).asked }}"

- name: Is it out of reach from a host outside of its allowed networks?
  llmops.serving.security_probe:
    closed_at: ["10.0.0.5:8000"]
  delegate_to: other-host
"""

RETURN = r"""
findings:
  description: What should not be, in the order of the routes.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: The route; empty for a finding of the server as a whole.
      type: str
      sample: /rerank
    method:
      description: Its method.
      type: str
      sample: POST
    kind:
      description: What it is for.
      type: str
      sample: inference
    sent:
      description: What was sent, V(no key), V(a wrong key) or V(the key in other capitals).
      type: str
      sample: no key
    status:
      description: Status of the answer; null if none came.
      type: int
      sample: 200
    seen:
      description: What happened, in words.
      type: str
      sample: POST /rerank answers 400 with no key
refused:
  description: Routes that refused whoever has not the key.
  returned: always
  type: list
  elements: str
answering:
  description: Routes that answered without it.
  returned: always
  type: list
  elements: str
absent:
  description: Routes that the server has not.
  returned: always
  type: list
  elements: str
msg:
  description: The verdict in one line; for a failure what was found and what to do.
  returned: always
  type: str
  sample: "closed: 41 routes refuse strangers, 9 answer as they may, 30 are not there, 0 addresses out of reach"
"""


from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._security_run import ARGUMENTS, run_module


def main() -> None:
    """Entry point of the module."""
    run_module(
        AnsibleModule(
            argument_spec=ARGUMENTS,
            mutually_exclusive=[["api_key", "api_key_file"]],
            required_one_of=[["routes", "closed_at"]],
            required_by={"routes": "url"},
            supports_check_mode=True,
        )
    )


if __name__ == "__main__":
    main()
