#!/usr/bin/python
#
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server_rollback
short_description: Let an earlier generation of a server serve again
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Puts unit, image, models, files and secrets of a kept generation in place, restarts the server, and judges real
    answers, as any change is judged. When it does not pass, the generation of before serves again.
  - The inventory stays as it is, so the next apply makes true again what it says.
options:
  name:
    description: Name of the server.
    type: str
    required: true
  generation:
    description:
      - Number of the generation, as M(llmops.serving.server_history_info) tells it. Without one it is the newest that
        was good and does not serve. The one that serves is judged, and nothing is changed.
    type: int
attributes:
  check_mode:
    description: Says which generation would serve and what would change, and changes nothing.
    support: full
  diff_mode:
    description: Shows the unit before and after. Secrets are named, not shown.
    support: full
seealso:
  - module: llmops.serving.server_history_info
  - module: llmops.serving.server
"""

EXAMPLES = r"""
- name: Back to what served before
  llmops.serving.server_rollback:
    name: chat

- name: Back to what served a week ago
  llmops.serving.server_rollback:
    name: chat
    generation: 3
"""

RETURN = r"""
name:
  description: Name of the server.
  returned: always
  type: str
  sample: chat
action:
  description:
    - What was done, one of V(rolled_back), V(unchanged) and V(restarted) where the generation served already, and
      V(failed). With RV(rolled_back) it is that of before that serves again.
  returned: always
  type: str
  sample: rolled_back
generation:
  description: Number of the generation that serves, or that would.
  returned: when there is such a generation
  type: int
  sample: 3
from_generation:
  description: Number of the generation that served before.
  returned: when one did
  type: int
  sample: 4
changes:
  description: What it has otherwise than the one of before, a line each.
  returned: when there is such a generation
  type: list
  elements: str
  sample: ["option --ctx-size: 1024, was 512"]
engine:
  description: Name of the engine.
  returned: always
  type: str
  sample: llama_cpp
url:
  description: Base URL of the server on its host.
  returned: always
  type: str
  sample: http://127.0.0.1:8001/v1
bind:
  description: Address that the server is published on.
  returned: always
  type: str
  sample: 127.0.0.1
port:
  description: Port that the server is published on.
  returned: always
  type: int
  sample: 8001
models:
  description: Names of the models served.
  returned: always
  type: list
  elements: str
  sample: [qwen2.5-0.5b-q4]
image:
  description: The image by digest.
  returned: when there is such a generation
  type: str
  sample: ghcr.io/ggml-org/llama.cpp@sha256:2f1c
probes:
  description: What each probe found, as the probe modules return it.
  returned: when the server was judged
  type: list
  elements: dict
seconds:
  description: Seconds spent in the phases of the change, as M(llmops.serving.server) tells them.
  returned: always
  type: dict
neighbours:
  description: Servers of the host that were looked after, as M(llmops.serving.server) tells them.
  returned: always
  type: list
  elements: dict
rolled_back:
  description: Whether the generation of before serves again.
  returned: on failure
  type: bool
failed_check:
  description: The step or probe that failed.
  returned: on failure
  type: str
  sample: chat probe of tiny-chat
cause:
  description: Why.
  returned: on failure
  type: str
remedy:
  description: What to change.
  returned: on failure
  type: str
log:
  description: The last lines of the engine.
  returned: on failure
  type: list
  elements: str
second:
  description: C(check) and C(cause) of the failure of the generation of before, where that does not serve any more.
  returned: on failure
  type: dict
evidence:
  description: What was seen on the host when it failed, as M(llmops.serving.server) tells it.
  returned: on failure
  type: dict
kept_failed:
  description: Number of the generation that failed, where it is kept for inspection.
  returned: on failure
  type: int
away_s:
  description: Seconds in which nothing answered.
  returned: on failure
  type: float
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._generation_words import differences
from ansible_collections.llmops.serving.plugins.module_utils._generations import Secrets, Store
from ansible_collections.llmops.serving.plugins.module_utils._rollback import choose, demand_back
from ansible_collections.llmops.serving.plugins.module_utils._server import Server
from ansible_collections.llmops.serving.plugins.module_utils._transaction import described, run_transaction

ARGUMENTS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "generation": {"type": "int"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    name = module.params["name"]
    current = Store(name).current()
    server = Server.of(name, current) if current else Server(name, {}, Secrets({}, None, (0, 0)))
    run_transaction(module, server, lambda result: act(module, server, result), what="rolling back")


def act(module: AnsibleModule, server: Server, result: dict[str, t.Any]) -> None:
    """Go back, or in check mode say how.

    Args:
        module: The module.
        server: The server as it serves.
        result: The module's result, which is written into.

    Raises:
        ServerError: There is no such generation, or it does not serve.
    """
    current = server.store.current()
    target = choose(server.name, module.params["generation"])
    result.update(described(target.asked))
    result.update(
        generation=target.number,
        from_generation=current.number if current else None,
        image=target.image,
        changes=differences(current, target) if current else [],
        probes=[],
    )
    demand_back(server.name, target)
    is_current = current is not None and current.number == target.number
    if module._diff and not is_current:
        result["diff"] = Server.of(server.name, target).diff(current)
    if module.check_mode:
        result.update(action="unchanged" if is_current else "rolled_back", changed=not is_current)
        return
    # Nothing new is made, so nothing old has to go.
    server.keep = len(server.store.numbers())
    result.update(server.rollback(target))
    if not is_current:
        module.warn(
            f"the inventory stays as it is: an apply brings {server.name} back to what it says, so change it there too"
        )


if __name__ == "__main__":
    main()
