#!/usr/bin/python
#
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: benchmark_client
short_description: Give a host the HTTP library of the load client
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Brings aiohttp from the controller to a host that shall put load on its own servers. It lies in a directory of
    its own, and
    nothing is installed.
  - Where controller and host have the same Python, what is installed on the controller is taken. Otherwise pip
    fetches it there
    for the host's Python.
options:
  state:
    description: Whether the library is there.
    type: str
    choices:
      - present
      - absent
    default: present
  path:
    description: Where it lies on the host.
    type: path
    default: /var/lib/llmops/benchmark
  archive:
    description: A tar file on the host to unpack. Set by the action that runs on the controller.
    type: path
attributes:
  check_mode:
    description: Says whether something would change.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Bring the load client's library
  llmops.serving.benchmark_client:
"""

RETURN = r"""
path:
  description: Where the library lies.
  returned: always
  type: str
python:
  description: The host's C(version) of Python, its C(machine) and C(libc).
  returned: always
  type: dict
there:
  description: Whether the library is there.
  returned: always
  type: bool
"""

import os
import platform
import shutil
import sys
import tarfile
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

_DONE = ".complete"


def unpack(archive: Path, place: Path) -> None:
    """Unpack an archive so that the place counts as complete only when it is.

    Args:
        archive: A tar file from the controller.
        place: Where its content shall lie.
    """
    shutil.rmtree(str(place), ignore_errors=True)
    place.mkdir(parents=True)
    with tarfile.open(str(archive)) as tar:
        for member in tar.getmembers():
            inside = (place / member.name).resolve()
            # It comes from the controller, but an archive must not write beside its place all the same.
            # It belongs to whoever runs this, and not to a user of the same number as one of the controller.
            member.uid = member.gid = os.getuid()
            member.uname = member.gname = ""
            if (member.isfile() or member.isdir()) and (inside == place or place in inside.parents):
                tar.extract(member, str(place))
    (place / _DONE).touch()


def main() -> None:
    """Run the module."""
    arguments: dict[str, t.Any] = {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "path": {"type": "path", "default": "/var/lib/llmops/benchmark"},
        "archive": {"type": "path"},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    place = Path(module.params["path"]).resolve()
    there, changed = (place / _DONE).is_file(), False
    try:
        if module.params["state"] == "absent" and place.is_dir():
            changed = True
            if not module.check_mode:
                shutil.rmtree(str(place))
        elif module.params["state"] == "present" and module.params["archive"] and not there:
            changed = True
            if not module.check_mode:
                unpack(Path(module.params["archive"]), place)
    except (OSError, tarfile.TarError) as exc:
        module.fail_json(msg=f"{place}: {exc}: free some space there, or set benchmark_from to controller")
    python = {
        "version": "{}.{}".format(*sys.version_info[:2]),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()),
    }
    module.exit_json(changed=changed, path=str(place), python=python, there=(place / _DONE).is_file())


if __name__ == "__main__":
    main()
