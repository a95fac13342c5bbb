#!/usr/bin/python
#
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: benchmark_watch
short_description: Watch what a server takes of its host while it is under load
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Looks once a second at the memory of a server's container and of the host, and at memory and power of the GPUs,
    as long as
    a file is there. To be run with C(async), for it ends no sooner.
options:
  name:
    description: The server.
    type: str
    required: true
  seconds:
    description: The longest time to watch.
    type: float
    default: 7200
  lease:
    description: A file that is there as long as the watch shall go on.
    type: path
    required: true
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Watch the server
  llmops.serving.benchmark_watch:
    name: chat
    lease: /run/llmops-benchmark
  async: 7300
  poll: 0
"""

RETURN = r"""
memory:
  description:
    - The highest C(container_peak), without file cache that can be let go, C(host_peak) of the whole host and
      C(gpu_peak) of
      all GPUs together, in bytes. Null for what cannot be seen.
  returned: always
  type: dict
  sample: {container_peak: 1825361100, host_peak: 3825361100, gpu_peak: null}
power_w:
  description: C(mean) and C(max) of all GPUs together in watts. Null where nvidia-smi tells none.
  returned: always
  type: dict
argv:
  description: The command line of the engine, as its container has it.
  returned: always
  type: list
  elements: str
gpus:
  description: Of each GPU the highest C(clock_mhz) and the C(power_limit_w), null for what nvidia-smi does not tell.
  returned: always
  type: list
  elements: dict
samples:
  description: How often was looked.
  returned: always
  type: int
"""

import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._watch import Watch, watch_while


def main() -> None:
    """Run the module."""
    arguments: dict[str, t.Any] = {
        "name": {"type": "str", "required": True},
        "seconds": {"type": "float", "default": 7200},
        "lease": {"type": "path", "required": True},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    params = module.params
    watch = Watch("llmops-{}".format(params["name"]))
    module.exit_json(changed=False, **watch_while(watch, Path(params["lease"]), params["seconds"]))


if __name__ == "__main__":
    main()
