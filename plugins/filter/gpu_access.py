# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter around plugin_utils/_gpu_access.py."""

from __future__ import annotations

DOCUMENTATION = r"""
name: gpu_access
short_description: Decide how containers of a host get its GPUs
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Tells from the facts about a host whether the NVIDIA Container Toolkit must be installed, in which way Docker hands
    GPUs to containers, what C(daemon.json) needs for it, and where the CDI specification comes from.
  - Asks and changes nothing.
positional: version, way, repository_url, image, registries, planning
options:
  _input:
    description: The facts, as M(llmops.serving.host_info) returns them in RV(llmops.serving.host_info#module:host).
    type: dict
    required: true
  version:
    description: The wanted version of the toolkit, such as V(1.20.0).
    type: str
    required: true
  way:
    description: One of V(cdi), V(runtime) and V(gpus), or V(auto) for the best that needs no restart of Docker.
    type: str
    default: auto
  repository_url:
    description: The address of NVIDIA's repository or a mirror of it.
    type: str
    default: https://nvidia.github.io/libnvidia-container/stable
  image:
    description: The image that proves it, with a tag or a digest.
    type: str
    default: ""
  registries:
    description: Mirrors of container registries, by the prefix of names that they stand for.
    type: dict
    default: {}
  planning:
    description: Whether nothing can be installed now, so that a driver or a Docker that is missing may still come.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Say how containers get GPUs
  ansible.builtin.debug:
    msg: "{{ (asked.host | llmops.serving.gpu_access('1.20.0')).why }}"
"""

RETURN = r"""
_value:
  description: What is to be done.
  type: dict
  contains:
    present:
      description: Whether the host has NVIDIA GPUs. Without any, all else is empty.
      type: bool
    way:
      description: V(cdi), V(runtime) or V(gpus).
      type: str
    why:
      description: Why this one.
      type: str
    installed:
      description: The version of the toolkit that is installed, empty without one.
      type: str
    wanted:
      description: The version that it shall have.
      type: str
    install:
      description: Whether packages must change.
      type: bool
    downgrade:
      description: Whether to an older version.
      type: bool
    manager:
      description: V(apt), V(dnf) or V(zypper). Empty for an unknown distribution.
      type: str
    repository:
      description: The address of the package repository.
      type: str
    names:
      description: The packages' names.
      type: list
      elements: str
    packages:
      description: The packages with their versions, as the package manager takes them.
      type: list
      elements: str
    daemon_options:
      description: What C(daemon.json) must hold besides what it holds.
      type: dict
    restart:
      description: Whether Docker must be restarted after the packages.
      type: bool
    spec:
      description: Where the CDI specification comes from. RV(_value.spec.remove) are those that are one too many.
      type: dict
      sample: {how: refresh, path: /run/cdi/nvidia.yaml, current: false, remove: []}
    uuids:
      description: The UUIDs of the GPUs that a container must see.
      type: list
      elements: str
    problems:
      description: One line for each problem, with the variable and the remedy.
      type: list
      elements: str
    expected:
      description: What cannot be known yet and was assumed.
      type: list
      elements: str
    image:
      description: The image that proves it, by the name of its mirror.
      type: str
"""

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.serving.plugins.module_utils._gpu_words import WAYS
from ansible_collections.llmops.serving.plugins.plugin_utils._gpu_access import Wanted, access

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def gpu_access(  # noqa: PLR0913, PLR0917  a filter's options
    host: Mapping[str, Any],
    version: str,
    way: str = "auto",
    repository_url: str = "https://nvidia.github.io/libnvidia-container/stable",
    image: str = "",
    registries: Mapping[str, str] | None = None,
    planning: bool = False,
) -> dict[str, Any]:
    """Decide how containers of a host get its GPUs.

    Args:
        host: The facts about it.
        version: The wanted version of the toolkit.
        way: `auto`, `cdi`, `runtime` or `gpus`.
        repository_url: The address of NVIDIA's repository.
        image: The image that proves it.
        registries: Mirrors of container registries.
        planning: Whether nothing can be installed now.

    Returns:
        What is to be done, as documented above.

    Raises:
        AnsibleFilterError: The way is unknown, or the facts are those of an older host_info.
    """
    if way not in ("auto", *WAYS):
        message = f"nvidia_container_toolkit_way: {way!r} is unknown: choose one of auto, {', '.join(WAYS)}"
        raise AnsibleFilterError(message)
    try:
        wanted = Wanted(version, way, repository_url, image, registries or {})
        return access(host, wanted, planning).plain()
    except KeyError as error:
        message = f"gpu_access: the facts lack {error}: let llmops.serving.host_info ask the host again"
        raise AnsibleFilterError(message) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name the filters."""
        return {"gpu_access": gpu_access}
