#!/usr/bin/python
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: prove that containers see the GPUs of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gpu_proof
short_description: Prove that containers see the GPUs of a host
version_added: 0.1.0
description:
  - Starts a small container, as hardened as the servers are, that lists the GPUs it sees, and compares them with those
    of the host.
  - Fails with the cause and what to change when it sees none, or not all.
  - Writes down what the proof rests on (this boot of the host, the versions of driver, toolkit and Docker, the way, the
    GPUs). As long as none of that changes, nothing is started again.
author:
  - llmops.serving contributors (@llmops-serving)
attributes:
  check_mode:
    description: Says whether a container would be started, and starts none.
    support: full
  diff_mode:
    description: Shows what the proof rests on, before and after.
    support: full
  platform:
    description: Runs on Linux hosts with Docker.
    platforms: linux
    support: full
options:
  way:
    description: How the container gets the GPUs.
    type: str
    choices: [cdi, runtime, gpus]
    required: true
  image:
    description:
      - The full name of a small image with the GNU C library, which nvidia-smi needs. Fetched if the host lacks it.
      - Nothing of NVIDIA needs to be in it; C(nvidia-smi) comes from the host.
    type: str
    required: true
  force:
    description: Whether to start the container although the proof still holds.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Prove that containers see all GPUs
  llmops.serving.gpu_proof:
    way: cdi
    image: docker.io/library/debian:12.12-slim
"""

RETURN = r"""
gpus:
  description: The UUIDs of the GPUs that a container sees.
  returned: success
  type: list
  elements: str
  sample: [GPU-01000100-0000-0000-0000-000000000000]
command:
  description: The command that proves it, to be repeated by hand.
  returned: always
  type: str
cause:
  description: Why containers do not see the GPUs.
  returned: failure
  type: str
remedy:
  description: What to change.
  returned: failure
  type: str
log:
  description: The last lines that the container and Docker wrote.
  returned: failure
  type: list
  elements: str
"""

import shlex
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._gpu_proof import (
    ProofError,
    command,
    ground,
    prove,
    remember,
    remembered,
)
from ansible_collections.llmops.serving.plugins.module_utils._gpu_words import WAYS
from ansible_collections.llmops.serving.plugins.module_utils._host import host_facts

ARGUMENTS: dict[str, t.Any] = {
    "way": {"type": "str", "choices": list(WAYS), "required": True},
    "image": {"type": "str", "required": True},
    "force": {"type": "bool", "default": False},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    way, image = module.params["way"], module.params["image"]
    # Asked anew, for the tasks before may have changed any of it.
    after = ground(host_facts(), way)
    before = remembered()
    told: dict[str, t.Any] = {"command": shlex.join(command(way, image)), "gpus": after["gpus"]}
    needed = module.params["force"] or before != after
    if needed and not module.check_mode:
        try:
            told["gpus"] = prove(way, image, after["gpus"])
        except ProofError as exc:
            words = exc.diagnosis
            module.fail_json(
                msg=str(exc), cause=words.cause, remedy=words.remedy, log=exc.log[-20:], command=told["command"]
            )
        remember(after)
    module.exit_json(changed=needed, diff={"before": before, "after": after}, **told)


if __name__ == "__main__":
    main()
