# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""What modules that change a server do around the change: signals, the lock, the neighbours, the failure's words."""

from __future__ import annotations

import signal
import time
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._gate import server_url
from ansible_collections.llmops.serving.plugins.module_utils._lock import LockError, server_lock
from ansible_collections.llmops.serving.plugins.module_utils._neighbours import endangered, look_after
from ansible_collections.llmops.serving.plugins.module_utils._server_error import ServerError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    from ansible_collections.llmops.serving.plugins.module_utils._server import Server


def run_transaction(
    module: AnsibleModule,
    server: Server,
    act: t.Callable[[dict[str, t.Any]], None],
    what: str = "changing",
) -> t.NoReturn:
    """Change a server under its lock, and end the module with what came of it.

    Args:
        module: The module; in check mode nothing is locked, and no neighbour is looked after.
        server: The server.
        act: Makes the change, and writes into the result as it learns. It may raise `ServerError`.
        what: What is done with the server, for whoever comes meanwhile.
    """
    began = time.monotonic()
    result: dict[str, t.Any] = {"name": server.name, "neighbours": [], **described(server.asked)}
    # A connection that is lost, or Ctrl-C on the controller, must not end the transaction half-way.
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    try:
        with server_lock(server.name, wait=not module.check_mode, what=what):
            neighbours = [] if module.check_mode else endangered(besides=server.name)
            try:
                act(result)
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
    # For those who read types: it does not return.
    raise SystemExit


def described(asked: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give the words of a result that say what a server is."""
    bind, port = asked.get("bind"), asked.get("port")
    return {
        "engine": asked.get("engine"),
        "bind": bind,
        "port": port,
        "url": server_url(bind, port) + "/v1" if bind and port else None,
        "models": [model["name"] for model in asked.get("models") or []],
    }


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
        "second": error.second,
        "evidence": error.evidence,
        "kept_failed": error.kept_failed,
        "away_s": server.seconds.get("away", 0.0),
        "seconds": dict(server.seconds, total=time.monotonic() - began),
    }
    module.fail_json(msg=str(error), **{**result, **words})
    raise SystemExit
