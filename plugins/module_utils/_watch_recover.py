# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""Put right what a change of a server left that was cut off: its process was killed, or the host went down."""

from __future__ import annotations

import time
import typing as t
from datetime import datetime

from ansible_collections.llmops.serving.plugins.module_utils._change import pending, recover
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, run
from ansible_collections.llmops.serving.plugins.module_utils._generations import Store, server_names
from ansible_collections.llmops.serving.plugins.module_utils._hold import HoldError, read_held
from ansible_collections.llmops.serving.plugins.module_utils._lock import LockError, server_lock
from ansible_collections.llmops.serving.plugins.module_utils._neighbours import endangered, look_after
from ansible_collections.llmops.serving.plugins.module_utils._server import Server
from ansible_collections.llmops.serving.plugins.module_utils._server_error import ServerError
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit

if t.TYPE_CHECKING:
    from ansible_collections.llmops.serving.plugins.module_utils._change import Change
    from ansible_collections.llmops.serving.plugins.module_utils._generations import Generation


class Told(t.NamedTuple):
    """What was done for a server, in lines; none if nothing was to be done."""

    name: str
    ok: bool
    lines: list[str]


def put_back_all() -> list[Told]:
    """At boot: put the units of the last good generations back, before systemd starts them. Starts nothing."""
    return [_put_back(name) for name in server_names() if pending(name)]


def _put_back(name: str) -> Told:
    try:
        with server_lock(name, patience=0, what="putting back"):
            words = recover(name)
            _clear(name)
    except (CommandError, LockError, OSError) as exc:
        return Told(name, False, [f"what a change left cannot be put back: {exc}"])
    return Told(name, True, [words] if words else [])


def put_right(name: str) -> Told:
    """Put one server's last good generation back, start it unless it runs on, and ask it real questions.

    Args:
        name: The server's name.

    Returns:
        What was done.
    """
    lines: list[str] = []
    try:
        with server_lock(name, patience=0, what="putting back"):
            change, current = pending(name), Store(name).current()
            if change is not None and current is not None:
                _put_right(name, change, current, lines)
    except LockError:
        # Somebody came meanwhile, and goes on or goes back.
        return Told(name, True, lines)
    except ServerError as exc:
        return Told(name, False, [*lines, f"it does not serve: {exc}"])
    except (CommandError, OSError) as exc:
        return Told(name, False, [*lines, f"what a change left cannot be put right: {exc}"])
    return Told(name, True, lines)


def _put_right(name: str, change: Change, current: Generation, lines: list[str]) -> None:
    unit, held = Unit(name), is_held(name)
    runs_on = current.number == change.to or _ran_before(unit, change)
    neighbours = endangered(besides=name)
    # Before the change is forgotten, so that this too may be cut off, and what runs is what the unit says.
    unit.write(current.unit)
    if not runs_on and not held:
        unit.restart()
    lines.append(recover(name) or f"a change that began at {change.since} had come to its end")
    _clear(name)
    if held:
        return
    outcome = Server.of(name, current).confirm(current)
    lines.append("generation {} serves ({})".format(current.number, outcome["action"]))
    # The reload of systemd may have taken their GPUs.
    lost = [entry["name"] for entry in look_after(neighbours) if entry["action"] == "failed"]
    if lost:
        lines.append("these lost their GPUs, and do not serve: " + ", ".join(lost))


def _clear(name: str) -> None:
    """Forget what the change had written of a generation that was never judged."""
    store = Store(name)
    if store.current() is not None:
        store.drop_leftovers()


def is_held(name: str) -> bool:
    """Whether a server is stopped for a while, or runs in place of such; whoever holds it looks after it."""
    try:
        held = read_held()
    except HoldError:
        # What is held cannot be told, so nothing may be started that may have to be down.
        return True
    return held is not None and name in (*held.servers, *held.guests)


def _ran_before(unit: Unit, change: Change) -> bool:
    """Whether what runs was started before the change began, and so is what it was to replace."""
    done = run(["systemctl", "show", "--property", "ActiveState,ActiveEnterTimestampMonotonic", unit.name])
    words = dict(line.partition("=")[::2] for line in done.out.splitlines())
    if words.get("ActiveState") != "active":
        return False
    try:
        began = datetime.strptime(change.since, "%Y-%m-%d %H:%M:%S %z").timestamp()
    except ValueError:
        return False
    age = time.clock_gettime(time.CLOCK_MONOTONIC) - int(words.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    # Written to the second.
    return time.time() - age < began
