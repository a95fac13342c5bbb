#!/usr/bin/python
#
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server
short_description: Make one inference server true as one transaction
version_added: 0.1.0
author:
  - llmops.serving contributors (@llmops-serving)
description:
  - Compares what the host has with what is asked for. When they differ, pulls the image, writes unit and secrets as a
    new generation, restarts the unit, waits until the engine has loaded, and judges real answers.
  - Keeps the generation when every probe is good. Otherwise it puts the previous generation back, judges that too, and
    fails with the cause and the variable to change.
  - A server that is as asked is judged as well, and started anew once when it is down or does not answer.
  - Its parameters come from P(llmops.serving.server_plans#filter), as in the role P(llmops.serving.engine#role).
options:
  name:
    description: Name of the server. Its unit is C(llmops-<name>.service), its container C(llmops-<name>).
    type: str
    required: true
  state:
    description: Whether the server is to be V(present) or V(absent).
    type: str
    choices:
      - present
      - absent
    default: present
  engine:
    description: Name of the engine, for the report.
    type: str
  unit:
    description:
      - Text of the unit. The module puts the directory of the generation in for C(@GENERATION@), and the image by
        digest for C(@IMAGE@).
    type: str
  image:
    description: Full name of the image, with a tag or a digest. A tag is resolved once, when it is first asked for.
    type: str
  bind:
    description: Address on the host that the server is published on.
    type: str
    default: 127.0.0.1
  port:
    description: Port on the host.
    type: int
  models:
    description: The models that are served.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the model.
        type: str
        required: true
      task:
        description: What the model is for.
        type: str
        required: true
      path:
        description: Directory of the model on the host.
        type: path
        required: true
  files:
    description: Contents of the files below C(@GENERATION@/files), by name, such as a chat template.
    type: dict
    default: {}
  cache:
    description: Directory on the host that the container writes to and keeps between starts. It goes with the server.
    type: path
  secrets:
    description: What must not be seen.
    type: dict
    default: {}
    suboptions:
      files:
        description: Contents of the files below C(@GENERATION@/secrets), by name.
        type: dict
        default: {}
      client_key:
        description: The key that the probes send. A request without it must be refused.
        type: str
  user:
    description: User and group id of the container, the owner of the secrets and of the cache.
    type: str
    default: "0:0"
  readiness:
    description: Path that answers 200 when the engine has loaded.
    type: str
    default: /health
  guarded:
    description: Path that refuses a request without the key.
    type: str
    default: /v1/models
  gate:
    description: The probes that must be good, each with C(task), C(model) and the options of that task's probe module.
    type: list
    elements: dict
    default: []
  load:
    description: How long loading may take, C(seconds) and C(seconds_per_gib) of the models, or C(timeout) alone.
    type: dict
    default:
      seconds: 120
      seconds_per_gib: 60
  doctor:
    description:
      - Rules that name the cause of a failure, each with C(pattern), C(cause) and C(remedy).
      - One with C(measure) may also speak of C({free_gib}), C({total_gib}) and C({fits}), the share that leaves its
        C(reserve_gib) free, as they are at that moment.
    type: list
    elements: dict
    default: []
  healthy_but:
    description: Rules of the same kind for lines of the log that a server must not have written although it is ready.
    type: list
    elements: dict
    default: []
  watchdog:
    description:
      - What the watchdog of the host reads of this engine, as in the section C(watchdog) of its definition. Empty for
        a server that nobody watches.
    type: dict
    default: {}
  routes:
    description: The engine's routes, each with C(path), C(method), C(kind) and C(open), for O(exposed=true).
    type: list
    elements: dict
    default: []
  exposed:
    description:
      - Whether others than the host itself reach the server, so that its routes must refuse whoever has no key.
    type: bool
    default: false
  accept_open_routes:
    description: Paths that may answer without a key although they are not meant to.
    type: list
    elements: str
    default: []
  keep_failed:
    description:
      - Whether a generation that fails is kept for inspection, with the engine's last words in its file C(log). A
        first one that fails is then left in place.
    type: bool
    default: false
  generations:
    description: How many generations are kept, the one that serves among them.
    type: int
    default: 3
attributes:
  check_mode:
    description: Says what would change, and changes nothing. It does not judge the server.
    support: full
  diff_mode:
    description: Shows the unit before and after. Secrets are named, not shown.
    support: full
"""

EXAMPLES = r"""
- name: Remove a server
  llmops.serving.server:
    name: chat
    state: absent
"""

RETURN = r"""
name:
  description: Name of the server.
  returned: always
  type: str
  sample: chat
engine:
  description: Name of the engine.
  returned: always
  type: str
  sample: llama_cpp
action:
  description:
    - What was done, one of V(unchanged), V(created), V(updated), V(restarted), V(rolled_back), V(failed) and
      V(removed).
  returned: always
  type: str
  sample: updated
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
  sample:
    - qwen2.5-0.5b-q4
generation:
  description: Number of the generation that serves.
  returned: when the server serves
  type: int
  sample: 3
image:
  description: The image by digest.
  returned: when the server serves
  type: str
  sample: ghcr.io/ggml-org/llama.cpp@sha256:2f1c
probes:
  description: What each probe found, as the probe modules return it.
  returned: when the server was judged
  type: list
  elements: dict
seconds:
  description:
    - Seconds spent in C(pull), C(stop), C(start), C(wait) and C(gate), in C(back) for putting the previous generation
      back, in C(total), and C(away) while nothing answered.
  returned: always
  type: dict
neighbours:
  description:
    - Servers of the host that got their GPUs in a way which the reload of systemd takes back, each with C(name),
      C(action) and C(cause). They were asked a real question afterwards, and started anew when they could not answer.
  returned: always
  type: list
  elements: dict
  sample:
    - {name: embed, action: restarted, cause: ""}
differs:
  description: What of the host is another thing than what is asked for, a line each.
  returned: in check mode
  type: list
  elements: str
  sample:
    - "option --ctx-size: 1024, was 512"
second:
  description: C(check) and C(cause) of the failure of the previous generation, where that does not serve any more.
  returned: on failure
  type: dict
evidence:
  description: What the host knows about the failure, as in M(llmops.serving.server_diagnosis). Secrets are covered.
  returned: on failure
  type: dict
kept_failed:
  description: Number of the generation that failed, where it is kept for inspection.
  returned: on failure
  type: int
away_s:
  description: Seconds in which nothing answered, from the stop of the old engine until one was ready again.
  returned: on failure
  type: float
agent:
  description: Whether the agent on the host, which looks after its servers, was put there, renewed or taken away.
  returned: when the server serves, or was removed
  type: bool
rolled_back:
  description: Whether the previous generation serves again.
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
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils import _agent
from ansible_collections.llmops.serving.plugins.module_utils._generations import Secrets, server_names
from ansible_collections.llmops.serving.plugins.module_utils._server import Server
from ansible_collections.llmops.serving.plugins.module_utils._transaction import run_transaction

ASKED = (
    "engine", "unit", "image", "bind", "port", "models", "files", "cache", "readiness", "guarded", "gate", "load",
    "doctor", "healthy_but", "watchdog", "routes", "exposed", "accept_open_routes",
)  # fmt: skip

ARGUMENTS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "engine": {"type": "str"},
    "unit": {"type": "str"},
    "image": {"type": "str"},
    "bind": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int"},
    "models": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "task": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
        },
    },
    "files": {"type": "dict", "default": {}},
    "cache": {"type": "path"},
    "secrets": {
        "type": "dict",
        "default": {},
        "no_log": True,
        "options": {
            "files": {"type": "dict", "default": {}, "no_log": True},
            "client_key": {"type": "str", "no_log": True},
        },
    },
    "user": {"type": "str", "default": "0:0"},
    "readiness": {"type": "str", "default": "/health"},
    "guarded": {"type": "str", "default": "/v1/models"},
    "gate": {"type": "list", "elements": "dict", "default": []},
    "load": {"type": "dict", "default": {"seconds": 120, "seconds_per_gib": 60}},
    "doctor": {"type": "list", "elements": "dict", "default": []},
    "healthy_but": {"type": "list", "elements": "dict", "default": []},
    "watchdog": {"type": "dict", "default": {}},
    "routes": {"type": "list", "elements": "dict", "default": []},
    "exposed": {"type": "bool", "default": False},
    "accept_open_routes": {"type": "list", "elements": "str", "default": []},
    "keep_failed": {"type": "bool", "default": False},
    "generations": {"type": "int", "default": 3},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[("state", "present", ("unit", "image", "port"))],
        supports_check_mode=True,
    )
    params = module.params
    user, _colon, group = params["user"].partition(":")
    secrets = Secrets(
        params["secrets"].get("files") or {}, params["secrets"].get("client_key"), (int(user), int(group or user))
    )
    server = Server(
        params["name"],
        {word: params[word] for word in ASKED},
        secrets,
        keep_failed=params["keep_failed"],
        keep=params["generations"],
    )
    act = absent if params["state"] == "absent" else present
    run_transaction(module, server, lambda result: act(module, server, result))


def present(module: AnsibleModule, server: Server, result: dict[str, t.Any]) -> None:
    """Make the host have a server, or in check mode say what would change.

    Args:
        module: The module.
        server: The server.
        result: Takes what came of it.
    """
    # First, so that a change which is cut off is put right by the host itself.
    agent = _agent.ensure(dry=module.check_mode)
    # It may have had systemd read its units anew.
    server.unit.reloaded = agent and not module.check_mode
    current = server.store.current()
    same = server.same(current)
    if module._diff and not same:
        result["diff"] = server.diff(current)
    if not module.check_mode:
        result.update(server.apply())
    else:
        running = same and server.unit.state().running
        action = "unchanged" if running else "restarted" if same else "updated" if current else "created"
        result.update(action=action, changed=not running, probes=[], differs=server.differs(current))
    result.update(agent=agent, changed=result["changed"] or agent)


def absent(module: AnsibleModule, server: Server, result: dict[str, t.Any]) -> None:
    """Make the host not have a server, or in check mode say whether it has.

    Args:
        module: The module.
        server: The server.
        result: Takes what came of it.
    """
    there = server.exists() if module.check_mode else server.remove()
    # With the last server goes who looked after them.
    agent = not module.check_mode and not server_names() and bool(_agent.remove())
    result.update(action="removed" if there else "unchanged", changed=there or agent, probes=[], agent=agent)


if __name__ == "__main__":
    main()
