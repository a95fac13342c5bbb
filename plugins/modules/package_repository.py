#!/usr/bin/python
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: a signed package repository whose key is pinned."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: package_repository
short_description: Add a signed package repository whose key is pinned
version_added: 0.1.0
description:
  - Fetches the key of a repository, refuses it unless its fingerprint is the wanted one, and lets the package manager
    itself prove, in directories of its own, that the repository is signed by this key and has the wanted packages.
  - Only then anything on the host is changed, so a wrong address, key or version is told before any change, in check
    mode too.
  - Needs neither gpg nor Python bindings of the package manager.
author:
  - llmops.serving contributors (@llmops-serving)
attributes:
  check_mode:
    description: Asks the repository as without it, and writes nothing.
    support: full
  diff_mode:
    description: Shows the files that change.
    support: full
  platform:
    description: Runs on Linux hosts with apt, dnf or zypper.
    platforms: linux
    support: full
options:
  name:
    description: The name of the repository, and of its files.
    type: str
    required: true
  manager:
    description: The package manager of the host.
    type: str
    choices: [apt, dnf, zypper]
    required: true
  url:
    description:
      - The address of the repository.
      - The package manager's own variables such as C($(ARCH)) of apt or C($basearch) of dnf may be in it.
    type: str
    required: true
  suite:
    description: The suite, for apt. One that ends with a slash is a directory of a flat repository.
    type: str
    default: /
  components:
    description: The components, for apt. A flat repository has none.
    type: list
    elements: str
    default: []
  key_url:
    description: Where the key is, at an address that begins with V(https://), V(http://) or V(file://).
    type: str
    required: true
  fingerprint:
    description:
      - The fingerprint of the primary key. Another key is refused.
      - Of a file with several keys only this one is taken.
    type: str
    required: true
  packages:
    description: Packages that the repository must have.
    type: list
    elements: str
    default: []
  version:
    description: The exact version that it must have of each of O(packages). Any by default.
    type: str
    default: ""
  signed:
    description:
      - What of the repository is signed, for dnf and zypper. With V(metadata) alone the packages are still proven, by
        their checksums in the signed metadata.
      - With apt it is always the metadata.
    type: list
    elements: str
    choices: [metadata, packages]
    default: [metadata, packages]
  conflicts:
    description:
      - Entries of apt's other sources that hold these letters are disabled, because apt refuses all its sources when
        two entries name one repository with different keys.
      - Other entries of the same files stay as they are.
    type: str
    default: ""
  variables:
    description:
      - Which variable a message about O(url), O(key_url), O(fingerprint), O(version) or O(packages) shall name.
    type: dict
    default: {}
  state:
    description: Whether the host shall have the repository. With V(absent) its files are removed, nobody is asked.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Have NVIDIA's repository of the Container Toolkit
  llmops.serving.package_repository:
    name: nvidia-container-toolkit
    manager: apt
    url: https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH)
    key_url: https://nvidia.github.io/libnvidia-container/gpgkey
    fingerprint: C95B321B61E88C1809C4F759DDCAE044F796ECB0
    packages: [nvidia-container-toolkit]
    version: 1.20.0-1
    conflicts: nvidia.github.io/libnvidia-container

- name: Remove it
  llmops.serving.package_repository:
    name: nvidia-container-toolkit
    manager: apt
    url: https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH)
    key_url: https://nvidia.github.io/libnvidia-container/gpgkey
    fingerprint: C95B321B61E88C1809C4F759DDCAE044F796ECB0
    state: absent
"""

RETURN = r"""
files:
  description: The files that were changed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [/etc/apt/keyrings/nvidia-container-toolkit.asc, /etc/apt/sources.list.d/nvidia-container-toolkit.sources]
problems:
  description: One line for each problem, with the variable and the remedy.
  returned: failure
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._repository import ensure
from ansible_collections.llmops.serving.plugins.module_utils._repository_spec import (
    MANAGERS,
    SIGNED,
    Repository,
    RepositoryError,
)

ARGUMENTS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "manager": {"type": "str", "choices": list(MANAGERS), "required": True},
    "url": {"type": "str", "required": True},
    "suite": {"type": "str", "default": "/"},
    "components": {"type": "list", "elements": "str", "default": []},
    "key_url": {"type": "str", "required": True, "no_log": False},
    "fingerprint": {"type": "str", "required": True},
    "packages": {"type": "list", "elements": "str", "default": []},
    "version": {"type": "str", "default": ""},
    "signed": {"type": "list", "elements": "str", "choices": list(SIGNED), "default": list(SIGNED)},
    "conflicts": {"type": "str", "default": ""},
    "variables": {"type": "dict", "default": {}},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    parameters = dict(module.params)
    state, conflicts = parameters.pop("state"), parameters.pop("conflicts")
    try:
        result = ensure(Repository(**parameters), state, conflicts, module.check_mode)
    except RepositoryError as exc:
        module.fail_json(msg=str(exc), problems=exc.problems)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
