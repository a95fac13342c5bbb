#!/usr/bin/python
#
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: purge
short_description: Remove servers with all that the collection made for them
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Stops servers and removes their units, containers, generations, secrets, caches, locks and rules of the firewall;
    on request also the models and images that nobody else uses.
  - With the host's last server goes what all share - the watchdog, the agent, records, the load client.
  - Removes only what the collection made, as M(llmops.serving.leftovers_info) tells it, and looks afterwards.
  - A removal that was cut off goes on at the next run. One that has nothing to do changes nothing.
options:
  servers:
    description: The servers to remove. All that the host has by default, also those of which no inventory knows.
    type: list
    elements: str
  known:
    description: The servers of the inventory. One of O(servers) that neither it nor the host has is not told of.
    type: list
    elements: str
    default: []
  models:
    description:
      - Whether to remove their models too, those that no other server and no container uses. Where all servers go, that
        is the whole store, with what unfinished fetches left.
    type: bool
    default: false
  images:
    description: Whether to remove their images too, those that the collection pulled and that nothing else uses.
    type: bool
    default: false
  path:
    description: The folder of the model store.
    type: path
    default: /var/lib/llmops/models
attributes:
  check_mode:
    description: Says what would be removed, and removes nothing.
    support: full
  diff_mode:
    description: Shows what would be removed, and what was.
    support: full
"""

EXAMPLES = r"""
- name: Remove one server with its model
  llmops.serving.purge:
    servers: [chat]
    models: true

- name: Remove everything that the collection made
  llmops.serving.purge:
    models: true
    images: true
"""

RETURN = r"""
servers:
  description:
    - Each server with C(name), C(engine), C(models), C(action) (V(removed), V(unchanged) or V(failed)), C(changed),
      C(ok), C(seconds), and C(failed_check), C(cause) and C(remedy) where it could not be removed.
  returned: always
  type: list
  elements: dict
removed:
  description: All that was removed, or would be, as in RV(left).
  returned: always
  type: list
  elements: dict
notes:
  description: What stays although it was asked for, and why, such as a model that another server uses.
  returned: always
  type: list
  elements: str
neighbours:
  description: Other servers of the host that were asked a real question afterwards, as M(llmops.serving.server) does.
  returned: always
  type: list
  elements: dict
left:
  description: What shall be gone and is there, as M(llmops.serving.leftovers_info) tells it.
  returned: always
  type: list
  elements: dict
kept:
  description: What the collection made and is not asked to be gone.
  returned: always
  type: list
  elements: dict
foreign:
  description: What bears such a name and is somebody else's. It is never touched.
  returned: always
  type: list
  elements: dict
problems:
  description: What hindered the removal besides what RV(servers) say, a line each, with cause and remedy.
  returned: failure
  type: list
  elements: str
"""

import signal
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._leftovers import Look, Scope, words_of
from ansible_collections.llmops.serving.plugins.module_utils._lock import LockError
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.module_utils._purge import Purge

ARGUMENTS: dict[str, t.Any] = {
    "servers": {"type": "list", "elements": "str"},
    "known": {"type": "list", "elements": "str", "default": []},
    "models": {"type": "bool", "default": False},
    "images": {"type": "bool", "default": False},
    "path": {"type": "path", "default": "/var/lib/llmops/models"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    purge = Purge(Scope.of(module.params), module.params["known"], dry=module.check_mode)
    # A connection that is lost, or Ctrl-C on the controller, must not end it half-way.
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    after: Look | None = None
    try:
        after = purge.run()
    except (CommandError, LockError, ModelError, OSError) as exc:
        purge.problems.append(f"{exc}; see that root can write there and that systemd runs, and run again")
    result = result_of(purge, after)
    if purge.failures:
        module.fail_json(msg="; ".join(purge.failures), **{**result, "problems": purge.problems})
    module.exit_json(**result)


def result_of(purge: Purge, after: Look | None) -> dict[str, t.Any]:
    """Give the words of the module's result.

    Args:
        purge: The removal.
        after: What the host has afterwards, if it could be looked at.
    """
    removed = [trace.words() for trace in purge.removed]
    found = words_of(after) if after else {}
    return {
        "changed": bool(removed),
        "servers": list(purge.entries.values()),
        "removed": removed,
        "notes": purge.notes,
        "neighbours": purge.neighbours,
        "diff": {"before": "".join(trace["line"] + "\n" for trace in removed), "after": ""},
        **{word: found.get(word, []) for word in ("left", "kept", "foreign")},
    }


if __name__ == "__main__":
    main()
