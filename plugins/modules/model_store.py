#!/usr/bin/python
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: list, verify and prune a host's model store."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: model_store
short_description: List, verify and prune the model store of a host
version_added: 0.1.0
description:
  - Tells which versions of which models a host has, where they came from, and who needs them.
  - Needed is what O(models) want at their pinned revision, and what a server refers to, with the generation that serves
    or with one that is kept to go back to, and what a running container mounts.
  - Reads every byte of the store again, several files at a time, and names what is damaged. A check that takes longer
    than two seconds prints how far it has come, as M(llmops.serving.model) does.
  - Removes what nobody needs, and what unfinished fetches of versions that nobody wants have left; nothing where a
    Docker that is installed does not tell which containers run.
author:
  - llmops.serving contributors (@llmops-serving)
attributes:
  check_mode:
    description: Tells what O(action=prune) would remove, and removes nothing.
    support: full
  diff_mode:
    description: Shows what was in the store before and after O(action=prune).
    support: full
  platform:
    description: Runs on Linux hosts.
    platforms: linux
    support: full
options:
  action:
    description:
      - V(list) tells what there is, V(verify) reads it all and fails where something is damaged, and V(prune) removes
        what nobody needs, while nobody else works in the store.
    type: str
    choices: [list, verify, prune]
    default: list
  path:
    description: The folder of the model store.
    type: path
    default: /var/lib/llmops/models
  models:
    description: The models that the inventory wants, by name, as M(llmops.serving.model) takes them.
    type: dict
    default: {}
  names:
    description: Only these models, whether the inventory wants them or not. All by default.
    type: list
    elements: str
    default: []
  job:
    description: A name for a check, as the one of M(llmops.serving.model); the action plugin sets it.
    type: str
"""

EXAMPLES = r"""
- name: See what there is and who needs it
  llmops.serving.model_store:
    models: "{{ serving_models }}"
  register: store

- name: Read every byte again
  llmops.serving.model_store:
    action: verify
    models: "{{ serving_models }}"

- name: Remove what nobody needs
  llmops.serving.model_store:
    action: prune
    models: "{{ serving_models }}"
"""

RETURN = r"""
store:
  description: The folder of the model store.
  returned: success
  type: str
versions:
  description: The versions that are there; after O(action=prune) those that were kept.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The model's name.
      type: str
    key:
      description: The name of the version's folder.
      type: str
      sample: c9745ed1d9f2
    path:
      description: The version's folder.
      type: str
    complete:
      description: Whether it has both its folder and its manifest.
      type: bool
    source:
      description: Where it came from.
      type: str
    revision:
      description: The pinned commit, empty for a URL.
      type: str
    files:
      description: How many files it has.
      type: int
    bytes:
      description: Bytes of all its files.
      type: int
    licence:
      description: Path of its licence file inside the folder, or empty.
      type: str
    fetched_at:
      description: When it was fetched, UTC.
      type: str
      sample: "2026-01-31T12:00:00Z"
    wanted:
      description: Whether O(models) want just this version.
      type: bool
    used_by:
      description: Who refers to it, such as C(server chat), C(server chat (kept generation 2)) or C(container debug).
      type: list
      elements: str
    damaged:
      description: Files that are not what they should be, with O(action=verify) only.
      type: list
      elements: str
leftovers:
  description:
    - What unfinished fetches have left, with C(name), C(key), C(path), C(bytes) on the disk, and whether just this
      version is C(wanted), so that the next fetch goes on with it; after O(action=prune) those that were kept.
  returned: success
  type: list
  elements: dict
bytes:
  description: Bytes of all of these.
  returned: success
  type: int
removed:
  description: What was removed, or would be, with C(name), C(key), C(path), C(bytes) and whether it was C(unfinished).
  returned: with O(action=prune)
  type: list
  elements: dict
kept:
  description: What was not, with the same words and the C(reasons).
  returned: with O(action=prune)
  type: list
  elements: dict
freed:
  description: Bytes of what was removed, or would be.
  returned: with O(action=prune)
  type: int
lines:
  description: All of this for people, a line each.
  returned: success
  type: list
  elements: str
problems:
  description: One line for each damaged file, or for what hindered the action, with variable, cause and remedy.
  returned: failure
  type: list
  elements: str
job:
  description: How far the check has come, as M(llmops.serving.model_job) tells it; no task returns this.
  returned: when the check goes on
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._model_job import start
from ansible_collections.llmops.serving.plugins.module_utils._model_store_run import ARGUMENTS, run


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    if params["job"]:
        result = start(params["job"], params["path"], lambda progress: run(params, module.check_mode, progress))
    else:
        result = run(params, module.check_mode)
    for warning in result.pop("warnings"):
        module.warn(warning)
    if result.get("msg"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
