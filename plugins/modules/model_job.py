#!/usr/bin/python
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: follow and stop the fetches that go on in the background of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: model_job
short_description: Follow or stop the fetches of models that go on in the background of a host
version_added: 0.1.0
description:
  - A fetch of M(llmops.serving.model), or a check of M(llmops.serving.model_store), that takes longer than two seconds
    goes on in a process of its own on the host, and the tasks with these modules ask this module how far it has come.
  - Where the connection to a host is lost, or the controller dies, the fetch goes on to its end. A later run waits for
    it and shows its progress. This module stops such a fetch.
  - What a stopped fetch has brought stays in the store, and the next run goes on with it.
author:
  - llmops.serving contributors (@llmops-serving)
attributes:
  check_mode:
    description: Stops nothing, and tells what it would stop.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: N/A
  platform:
    description: Runs on Linux hosts.
    platforms: linux
    support: full
options:
  job:
    description:
      - The job's name. Without it all jobs of the user who runs the module.
    type: str
  wait:
    description:
      - Seconds to wait for the end of O(job).
    type: float
    default: 0
  state:
    description:
      - V(followed) tells how far the jobs have come, and V(stopped) ends them.
    type: str
    choices: [followed, stopped]
    default: followed
"""

EXAMPLES = r"""
- name: See what is being fetched in the background
  llmops.serving.model_job:
  become: true

- name: Stop it
  llmops.serving.model_job:
    state: stopped
  become: true
"""

RETURN = r"""
jobs:
  description: The jobs that were asked about, or that were stopped.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The job's name.
      type: str
    running:
      description: Whether it ran when the module looked.
      type: bool
    pid:
      description: Its process.
      type: int
    store:
      description: The folder of the model store that it works in.
      type: str
    since:
      description: When it began.
      type: str
      sample: "2026-01-31T12:00:00Z"
    progress:
      description:
        - How far it has come; null before its first byte.
        - C(models), by name C(doing), C(total), C(kept) and C(done) in bytes, and C(finished); C(rate) in bytes per
          second, C(seconds) since it began, C(left) in seconds, and C(closed).
      type: dict
    waits_for:
      description: Another run in the same store that it waits for, with C(pid), C(since) and C(progress), or null.
      type: dict
result:
  description: What the module returned that O(job) was begun by. It is told once.
  returned: when O(job) is given and has ended
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._model_job import follow, jobs, stop
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError

ARGUMENTS = {
    "job": {"type": "str"},
    "wait": {"type": "float", "default": 0},
    "state": {"type": "str", "choices": ["followed", "stopped"], "default": "followed"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    name = module.params["job"]
    if module.params["state"] == "stopped":
        running = [job for job in jobs() if name in (None, job["name"])]
        stopped = [job for job in running if stop(job["name"], module.check_mode)]
        module.exit_json(changed=bool(stopped), jobs=stopped)
    if name is None:
        module.exit_json(changed=False, jobs=jobs())
    try:
        told = follow(name, module.params["wait"])
    except ModelError as error:
        module.fail_json(msg=str(error), jobs=[])
    result = {} if told["result"] is None else {"result": told["result"]}
    module.exit_json(changed=False, jobs=[told["job"]], **result)


if __name__ == "__main__":
    main()
