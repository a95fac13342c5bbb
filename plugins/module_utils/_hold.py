# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Stop the servers of a host for a while, and start them again as they were.

What is held is written down before anything stops, so that whoever comes next can put it back, also after a reboot or
when the one who held it was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._gate import server_url
from ansible_collections.llmops.serving.plugins.module_utils._generations import Secrets, Store, server_names
from ansible_collections.llmops.serving.plugins.module_utils._lock import LockError, server_lock
from ansible_collections.llmops.serving.plugins.module_utils._server import Server
from ansible_collections.llmops.serving.plugins.module_utils._server_error import ServerError
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit, write_atomically

RECORD = Path("/var/lib/llmops/held.json")
# Seconds to wait for somebody who is at work on a server, say pulling its image.
_PATIENCE_S = 900


class HoldError(Exception):
    """The servers cannot be held, or not be released; the message says what to do."""


class Held(t.NamedTuple):
    """What is held: since when, what for, the servers that ran, those that run in their place, and whose it is."""

    since: str
    purpose: str
    servers: list[str]
    guests: list[str]
    owner: str


def read_held(record: Path | None = None) -> Held | None:
    """Read what is held on this host; None if nothing is.

    Args:
        record: Where it is written down, `RECORD` by default.
    """
    try:
        words = json.loads((record or RECORD).read_text(encoding="utf-8"))
        return Held(*(words[name] for name in Held._fields))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as exc:
        raise HoldError(f"{record or RECORD} cannot be read: {exc}; remove it, and apply the inventory") from exc


def held_notice(names: t.Sequence[str] = (), record: Path | None = None) -> str:
    """Say what is held; nothing if nothing is.

    Args:
        names: Servers that are about to be changed. Where they are guests, the one who holds asks.
        record: Where it is written down, `RECORD` by default.
    """
    try:
        held = read_held(record)
    except HoldError as exc:
        return str(exc)
    if held is None or set(names) & set(held.guests):
        return ""
    return (
        f"a {held.purpose} that began at {held.since} holds {_names(held.servers)}: if it does not run any more, "
        "llmops tournament HOST --restore puts the servers back"
    )


def hold(purpose: str, guests: list[str], owner: str = "", record: Path | None = None) -> list[str]:
    """Stop every server that runs, and write down which.

    Args:
        purpose: Who wants it, such as `tournament`.
        guests: Servers that will run meanwhile, and are removed at the release.
        owner: Who holds them, and alone may release them unless somebody insists.
        record: Where it is written down, `RECORD` by default.

    Returns:
        The names of the servers that were stopped.

    Raises:
        HoldError: They are held already, or a server is being changed.
        CommandError: systemd does not answer.
    """
    path = record or RECORD
    words = held_notice(record=path)
    if words:
        raise HoldError(words)
    taken = [name for name in guests if Store(name).current() or Unit(name).read()]
    if taken:
        raise HoldError(f"this host has a server {taken[0]} already: remove it (llmops remove --server {taken[0]})")
    # One that is between two starts takes its part of the host too.
    running = [name for name in server_names() if Unit(name).state().active not in ("inactive", "failed")]
    held = Held(time.strftime("%Y-%m-%d %H:%M:%S"), purpose, running, guests, owner)
    _write_first(path, json.dumps(held._asdict()))
    try:
        for name in running:
            with server_lock(name, what=f"holding, for a {purpose},"):
                Unit(name).stop()
    except (LockError, CommandError) as exc:
        release(owner, path)
        raise HoldError(f"{exc}: wait for it, and run again") from exc
    return running


def release(owner: str = "", record: Path | None = None) -> list[dict[str, t.Any]]:
    """Remove the guests, start what ran before, and ask it a real question.

    Args:
        owner: Whose hold it must be; empty to release whatever is held.
        record: Where it is written down, `RECORD` by default.

    Returns:
        For each server `name`, `engine`, `url`, `models`, `action` (unchanged, restarted, failed, gone), `ok`,
        `probes`, `seconds`, `cause` and `remedy`. What is held is forgotten once all of them serve.

    Raises:
        HoldError: What is held cannot be read, or guests are left. What ran before was started all the same.
    """
    path = record or RECORD
    # Another release, whose connection was lost, may still be at work: then there is nothing left to do.
    with _one_at_a_time():
        held = read_held(path)
        if held is None or (owner and held.owner != owner):
            return []
        left = [line for line in map(_remove, held.guests) if line]
        results = [_start(name) for name in held.servers]
        if left:
            raise HoldError("; ".join(left) + ": run again")
        if all(result["ok"] for result in results) and path.exists():
            path.unlink()
    return results


@contextlib.contextmanager
def _one_at_a_time() -> t.Iterator[None]:
    try:
        with server_lock("held", patience=_PATIENCE_S):
            yield
    except LockError as exc:
        raise HoldError(f"{exc}: wait for it, and run again") from exc


def _write_first(path: Path, text: str) -> None:
    """Write a file that must not be there yet, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    write_atomically(draft, text, 0o644)
    try:
        os.link(str(draft), str(path))
    except FileExistsError as exc:
        raise HoldError(held_notice(record=path)) from exc
    finally:
        draft.unlink()


def _remove(name: str) -> str:
    """Remove a guest; tell why it could not be, nothing if it was."""
    server = Server(name, {}, Secrets({}, None, (0, 0)))
    try:
        # Whoever waits for it to be ready holds its lock, sees it stop, and gives up.
        server.unit.stop()
        with server_lock(name, patience=_PATIENCE_S):
            server.remove()
    except (LockError, CommandError) as exc:
        return f"{name} could not be removed: {exc}"
    return ""


def _start(name: str) -> dict[str, t.Any]:
    current = Store(name).current()
    if current is None:
        # Removed meanwhile by somebody who meant it.
        return {"name": name, "action": "gone", "ok": True, "probes": [], "models": [], "seconds": {}}
    began, asked = time.monotonic(), current.asked
    told: dict[str, t.Any] = {
        "name": name,
        "engine": asked.get("engine"),
        "url": server_url(asked["bind"], asked["port"]) + "/v1",
        "models": [model["name"] for model in asked["models"]],
        "probes": [],
        "ok": False,
        "action": "failed",
    }
    server = Server.of(name, current)
    try:
        with server_lock(name):
            outcome = server.confirm(current)
        told.update(ok=True, action=outcome["action"], probes=outcome["probes"])
    except ServerError as exc:
        told.update(failed_check=exc.check, cause=exc.cause, remedy=exc.remedy, probes=exc.probes)
    except (LockError, CommandError) as exc:
        told.update(failed_check="start", cause=str(exc), remedy=f"read journalctl -u {server.unit.name} on the host")
    told["seconds"] = dict(server.seconds, total=time.monotonic() - began)
    return told


def _names(names: list[str]) -> str:
    return "the servers " + ", ".join(names) if names else "no server"
