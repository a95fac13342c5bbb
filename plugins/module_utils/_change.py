# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Write down that a server is being changed, so that whoever comes after a crash or a reboot can put it right.

A change is written down before the unit of the generation before is replaced, and forgotten once one of the two serves.
What is found afterwards was cut off: the process was killed, or the host went down.
"""

from __future__ import annotations

import json
import time
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._generations import Store
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit, write_atomically

if t.TYPE_CHECKING:
    from pathlib import Path


class Change(t.NamedTuple):
    """A change that began and did not end: since when, from which generation to which, and what was being done."""

    since: str
    before: int | None
    to: int
    step: str


def begin(name: str, before: int | None, to: int, step: str) -> None:
    """Write down that a change has come to a step.

    Args:
        name: The server's name.
        before: The generation that serves; None if none does.
        to: The generation that shall.
        step: What is about to be done.

    Raises:
        OSError: It cannot be written; then nothing may be touched.
    """
    found = pending(name)
    since = found.since if found and found.to == to else time.strftime("%Y-%m-%d %H:%M:%S %z")
    write_atomically(_path(name), json.dumps(Change(since, before, to, step)._asdict()), 0o644)


def end(name: str) -> None:
    """Forget a change: one complete generation is in place."""
    path = _path(name)
    if path.exists():
        path.unlink()


def pending(name: str) -> Change | None:
    """Give the change that began and did not end; None if there is none.

    Args:
        name: The server's name.
    """
    try:
        words = json.loads(_path(name).read_text(encoding="utf-8"))
        return Change(*(words[field] for field in Change._fields))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def recover(name: str) -> str:
    """Put the unit of the last good generation back where a change was cut off. Starts nothing.

    A server that had none before is left as it is: nothing worked that could be lost, and the next run goes on.

    Args:
        name: The server's name.

    Returns:
        What was done, empty if nothing.

    Raises:
        CommandError: systemd does not answer.
        OSError: The unit cannot be written.
    """
    change, current = pending(name), Store(name).current()
    if change is None or current is None:
        return ""
    Unit(name).write(current.unit)
    end(name)
    if current.number == change.to:
        return ""
    return (
        f"a change of server {name} to generation {change.to} that began at {change.since} was cut off "
        f"({change.step}): generation {current.number} is back in place"
    )


def _path(name: str) -> Path:
    return Store(name).directory / "change.json"
