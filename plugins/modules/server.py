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
  description: Seconds spent in C(pull), C(start), C(wait) and C(gate), C(away) while nothing answered, and in C(total).
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

import signal
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._gate import server_url
from ansible_collections.llmops.serving.plugins.module_utils._generations import Secrets
from ansible_collections.llmops.serving.plugins.module_utils._lock import LockError, server_lock
from ansible_collections.llmops.serving.plugins.module_utils._neighbours import endangered, look_after
from ansible_collections.llmops.serving.plugins.module_utils._server import Server, ServerError

ASKED = (
    "engine", "unit", "image", "bind", "port", "models", "files", "cache", "readiness", "guarded", "gate", "load",
    "doctor", "healthy_but",
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
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[("state", "present", ("unit", "image", "port"))],
        supports_check_mode=True,
    )
    params, began = module.params, time.monotonic()
    user, _colon, group = params["user"].partition(":")
    secrets = Secrets(
        params["secrets"].get("files") or {}, params["secrets"].get("client_key"), (int(user), int(group or user))
    )
    server = Server(params["name"], {word: params[word] for word in ASKED}, secrets)
    result: dict[str, t.Any] = {
        "name": params["name"],
        "engine": params["engine"],
        "bind": params["bind"],
        "port": params["port"],
        "url": server_url(params["bind"], params["port"]) + "/v1" if params["port"] else None,
        "models": [model["name"] for model in params["models"]],
        "neighbours": [],
    }
    # A connection that is lost, or Ctrl-C on the controller, must not end the transaction half-way.
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    try:
        with server_lock(params["name"], wait=not module.check_mode):
            neighbours = [] if module.check_mode else endangered(besides=params["name"])
            try:
                result.update(act(server, params["state"], module.check_mode, module._diff))
            finally:
                # After a failure too: what is put back is a unit that systemd has to read.
                result["neighbours"] = look_after(neighbours) if server.unit.reloaded else []
            demand_neighbours(result["neighbours"])
    except ServerError as exc:
        fail(module, server, began, exc, result)
    except LockError as exc:
        fail(module, server, began, ServerError("lock", str(exc), "wait for it, and run again"), result)
    except (CommandError, OSError) as exc:
        remedy = f"read journalctl -u {server.unit.name} on the host, and run again"
        fail(module, server, began, ServerError("host", str(exc), remedy), result)
    result["seconds"] = dict(server.seconds, total=time.monotonic() - began)
    module.exit_json(**result)


def demand_neighbours(neighbours: list[dict[str, str]]) -> None:
    """Fail where a neighbour did not survive the reload of systemd that the change needed.

    Args:
        neighbours: What `look_after` returned.

    Raises:
        ServerError: One does not serve any more; the server itself does.
    """
    for entry in neighbours:
        if entry["action"] == "failed":
            raise ServerError(
                "neighbour {}".format(entry["name"]),
                "it lost its GPUs when systemd read the changed unit, and does not serve after a new start: "
                + entry["cause"],
                "set nvidia_container_toolkit_way to cdi, which such a reload does not touch, and run again",
            )


def fail(
    module: AnsibleModule, server: Server, began: float, error: ServerError, result: dict[str, t.Any]
) -> t.NoReturn:
    """End the module with a failure, whose result has all the words that are documented."""
    words: dict[str, t.Any] = {
        "action": "rolled_back" if error.rolled_back else "failed",
        "failed_check": error.check,
        "cause": error.cause,
        "remedy": error.remedy,
        "log": error.log,
        "probes": error.probes,
        "rolled_back": error.rolled_back,
        "seconds": dict(server.seconds, total=time.monotonic() - began),
    }
    module.fail_json(msg=str(error), **{**result, **words})


def act(server: Server, state: str, check_mode: bool, diff: bool) -> dict[str, t.Any]:
    """Do what is asked, or in check mode say it.

    Args:
        server: The server.
        state: `present` or `absent`.
        check_mode: Change nothing.
        diff: Show what changes.

    Returns:
        The words of the module's result that depend on it.
    """
    current = server.store.current()
    if state == "absent":
        there = server.exists() if check_mode else server.remove()
        return {"action": "removed" if there else "unchanged", "changed": there, "probes": []}
    shown = {"diff": server.diff(current)} if diff and not server.same(current) else {}
    if not check_mode:
        return dict(server.apply(), **shown)
    if server.same(current):
        running = server.unit.state().running
        return {"action": "unchanged" if running else "restarted", "changed": not running, "probes": []}
    return dict(shown, action="updated" if current else "created", changed=True, probes=[])


if __name__ == "__main__":
    main()
