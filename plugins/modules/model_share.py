#!/usr/bin/python
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: offer a host's models to the other hosts of a play, for a while."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: model_share
short_description: Offer a host's models to the other hosts of a play, for a while
version_added: 0.1.0
description:
  - Serves complete models of the host's store over HTTPS, with ranges, so that other hosts need not fetch them from
    the hub. The result's C(peer) is what M(llmops.serving.model) takes as one of its C(peers).
  - Only the files of the named versions can be had, by their sha256. Whoever asks must come from an address in
    O(clients), and say the token that was made for this task and that only its result holds.
  - What prevents an offer is a warning and no failure, for there is the hub.
  - The process has no files of its own, keeps no rights that it does not need, and ends by itself when nobody asked
    anything for O(idle) seconds, so that none is left when the play is cut off. Hosts that fetch say that they are
    still there.
author:
  - llmops.serving contributors (@llmops-serving)
attributes:
  check_mode:
    description: Says whether something would be offered, and starts nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  platform:
    description: Runs on Linux hosts.
    platforms: linux
    support: full
options:
  state:
    description: Whether the models are offered.
    type: str
    choices: [started, stopped]
    default: started
  versions:
    description: The versions to offer, key of the folder by name of the model. What is not there is left out.
    type: dict
    default: {}
  path:
    description: The folder of the model store.
    type: path
    default: /var/lib/llmops/models
  addresses:
    description:
      - Addresses or names by which the others reach this host, the likeliest first.
      - It listens at those that are the host's own, and at all of its own when none is, as behind NAT.
    type: list
    elements: str
    default: []
  port:
    description: The port at which to listen; V(0) takes one that is free.
    type: int
    default: 0
  clients:
    description: Addresses of the hosts that may ask. Empty leaves it to the token.
    type: list
    elements: str
    default: []
  idle:
    description: Seconds without a request after which it ends by itself.
    type: int
    default: 300
  process:
    description: What RV(process) of the start was; required to stop.
    type: dict
  certificate:
    description: Certificate, PEM. Set by the action that runs on the controller.
    type: str
  key:
    description: The certificate's key, PEM, which never is in a file. Set by the action that runs on the controller.
    type: str
  token:
    description: What clients must say. Set by the action that runs on the controller.
    type: str
"""

EXAMPLES = r"""
- name: Offer a model to the other host
  llmops.serving.model_share:
    versions:
      small: 9217f5db79a2
    addresses: [10.0.0.11]
    clients: [10.0.0.12]
  register: shared

- name: Offer it no more
  llmops.serving.model_share:
    state: stopped
    process: "{{ shared.process }}"
"""

RETURN = r"""
peer:
  description:
    - What M(llmops.serving.model) needs to know on the other hosts, with a token; therefore the whole result is never
      shown. It is missing when there is nothing to offer.
  returned: when something is offered
  type: dict
manifests:
  description: The manifests of what is offered, by name of the model.
  returned: with O(state=started)
  type: dict
port:
  description: The port at which it listens, 0 when nothing is offered.
  returned: with O(state=started)
  type: int
process:
  description: C(host), where it runs, C(pid) of the process, and C(began), its start time in ticks since boot.
  returned: when something is offered
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._model_share_run import ARGUMENTS, run


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS, supports_check_mode=True, required_if=[("state", "stopped", ("process",))]
    )
    result = run(module.params, module.check_mode)
    if result.get("msg"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
