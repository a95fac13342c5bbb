# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter around plugin_utils/_driver.py."""

from __future__ import annotations

DOCUMENTATION = r"""
name: driver_plan
short_description: Tell what a host needs for a working NVIDIA driver
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Chooses the driver's branch, the flavour of its kernel modules, its packages and their source by the host's GPUs
    and distribution, and tells whether the host must reboot.
  - A driver that works is left alone, unless O(branch) or O(version) name a higher one. It is never exchanged for a
    lower one.
  - Raises nothing for a host that cannot have the driver. The result carries RV(_value.problems) then, so that a play
    can refuse it.
options:
  _input:
    description: The facts of the host, as M(llmops.serving.host_info) tells them.
    type: dict
    required: true
  branch:
    description: The driver's branch. V(auto) is the branch with long-term support that suits the host.
    type: str
    default: auto
  version:
    description: The driver's exact version. Empty for the newest of the branch.
    type: str
    default: ""
  kernel_module:
    description: The flavour of the kernel modules.
    type: str
    choices: [auto, open, proprietary]
    default: auto
  packages:
    description: Packages instead of those known for the distribution.
    type: list
    elements: str
    default: []
  repository_url:
    description: The address of NVIDIA's package repositories or of a mirror.
    type: str
    default: https://developer.download.nvidia.com/compute/cuda/repos
  key_url:
    description: The address of the repository's key. Empty for the one inside the repository.
    type: str
    default: ""
  key_fingerprint:
    description: The fingerprint of this key. Empty for the one that is known.
    type: str
    default: ""
  looked:
    description: What the role nvidia_driver printed when it looked at the host.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show what would be installed
  ansible.builtin.debug:
    msg: "{{ (preflight_answer.host | llmops.serving.driver_plan(branch='580')).packages }}"
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
  contains:
    action:
      description: V(none), V(load) for a driver that is there but not at work, V(install), V(change) to a higher one.
      type: str
    why:
      description: What is wrong now. Empty when nothing is.
      type: str
    branch:
      description: The branch to install.
      type: str
    version:
      description: The exact version to install, without the revision of packages. Empty for the newest.
      type: str
    kernel_module:
      description: V(open) or V(proprietary).
      type: str
    kernel_module_why:
      description: Why this flavour.
      type: str
    manager:
      description: V(apt) or V(dnf).
      type: str
    repository:
      description: The parameters of M(llmops.serving.package_repository), null for the distribution's own packages.
      type: dict
    first:
      description: Packages to install before the others, among them those that pin the branch.
      type: list
      elements: str
    stream:
      description: The stream of dnf's module to enable.
      type: str
    lock:
      description: The pattern for C(dnf versionlock).
      type: str
    lock_tools:
      description: The packages that C(dnf versionlock) needs.
      type: list
      elements: str
    packages:
      description: The packages to install.
      type: list
      elements: str
    latest:
      description: Whether installed packages are brought to their newest version.
      type: bool
    services:
      description: Services to start.
      type: list
      elements: str
    reboot:
      description: Whether only a reboot puts the driver to work.
      type: bool
    reboot_why:
      description: Why.
      type: str
    servers:
      description: Servers that a reboot stops.
      type: list
      elements: str
    notices:
      description: Lines for people.
      type: list
      elements: str
    problems:
      description: Why it cannot be done, with the variable and the remedy. Empty when all is well.
      type: list
      elements: str
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.serving.plugins.plugin_utils._driver import Wanted, parse_looked
from ansible_collections.llmops.serving.plugins.plugin_utils._driver import driver_plan as plan
from ansible_collections.llmops.serving.plugins.plugin_utils._driver_tables import AUTO, REPOSITORIES
from ansible_collections.llmops.serving.plugins.plugin_utils._plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def driver_plan(  # noqa: PLR0913, PLR0917  one for each option of the filter
    host: Mapping[str, Any],
    branch: str = AUTO,
    version: str = "",
    kernel_module: str = AUTO,
    packages: Sequence[str] = (),
    repository_url: str = REPOSITORIES,
    key_url: str = "",
    key_fingerprint: str = "",
    looked: str = "",
) -> dict[str, Any]:
    """Tell what a host needs for a working driver.

    Args:
        host: The host's facts.
        branch: The driver's branch, or ``auto``.
        version: The exact version, empty for the newest of the branch.
        kernel_module: The flavour of the kernel modules, or ``auto``.
        packages: Packages instead of the known ones.
        repository_url: The address of NVIDIA's repositories or of a mirror.
        key_url: The address of the key, empty for the one inside the repository.
        key_fingerprint: Its fingerprint, empty for the known one.
        looked: What the role printed when it looked at the host.

    Returns:
        The plan as documented above.

    Raises:
        AnsibleFilterError: The input is no host's facts.
    """
    if not isinstance(host, Mapping) or not {"gpus", "nvidia", "distribution"} <= set(host):
        message = "driver_plan: the input is not what llmops.serving.host_info tells of a host"
        raise AnsibleFilterError(message)
    # Without quotes YAML takes a branch for a number, and the role's specification allows that.
    wanted = Wanted(str(branch), str(version), kernel_module, plain(packages), repository_url, key_url, key_fingerprint)
    found = dataclasses.asdict(plan(plain(host), wanted, parse_looked(looked)))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {"driver_plan": driver_plan}
