#!/usr/bin/python
#
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lock_file
short_description: Write the lock file of an inventory on the controller
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Writes which images, models and versions hosts serve with, so that a later apply uses these and nothing else.
  - An action that runs on the controller alone.
options:
  path:
    description: The file.
    type: path
    required: true
  told:
    description:
      - By host C(images), by an image's own name what serves as C(name@sha256:…), and C(models) and C(versions) as
        M(llmops.serving.drift_info) finds them.
    type: dict
    required: true
  whole:
    description: Whether all hosts and servers of the inventory were asked. Otherwise the file keeps what others have.
    type: bool
    default: true
attributes:
  check_mode:
    description: Says what would change, and writes nothing.
    support: full
  diff_mode:
    description: Shows the file before and after.
    support: full
"""

EXAMPLES = r"""
- name: Write the lock file
  llmops.serving.lock_file:
    path: "{{ inventory_dir }}/.llmops.lock.yml"
    told: "{{ {inventory_hostname: lock_told} }}"
  run_once: true
"""

RETURN = r"""
path:
  description: The file.
  returned: always
  type: str
lines:
  description: What it says that it did not say before, a line each.
  returned: success
  type: list
  elements: str
images:
  description: How many images are in it.
  returned: success
  type: int
models:
  description: How many versions of models are in it.
  returned: success
  type: int
hosts:
  description: How many hosts are in it.
  returned: success
  type: int
"""
