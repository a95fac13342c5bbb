# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The generations of a server, as the module `server_history_info` describes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Generation:
    """One state of a server that is kept.

    Attributes:
        number: Its number on its host.
        state: current, kept, failed or interrupted.
        made: When it was written, UTC; empty if that is not known.
        gated: When it passed its gate, UTC; empty if it did not, or nobody knows.
        engine: The engine.
        image: The image by digest.
        image_name: The image as it was asked for.
        models: Each model with its version, such as `tiny-chat 1a2b3c4d5e6f`.
        changes: What it has otherwise than the last good one before it.
        missing: What it needs and the host has no more.
        failed: Check and cause where it did not pass its gate.
    """

    number: int
    state: str
    made: str = ""
    gated: str = ""
    engine: str = ""
    image: str = ""
    image_name: str = ""
    models: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    failed: str = ""


@dataclass(frozen=True)
class History:
    """The generations of one server.

    Attributes:
        name: The server's name.
        current: The generation that serves, None if none does.
        generations: All that are kept, oldest first.
        pending: A change that began and did not end, in words; empty if there is none.
        data: Everything that the module returned.
    """

    name: str
    current: int | None = None
    generations: tuple[Generation, ...] = ()
    pending: str = ""
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)


def history_of(entry: Mapping[str, Any]) -> History:
    """Read an entry of `servers` in the result of the module `server_history_info`.

    Args:
        entry: The entry.

    Returns:
        The server's history.
    """
    change = entry.get("pending")
    words = "a change to generation {to} that began at {since} is under way, or was cut off ({step})"
    return History(
        name=str(entry.get("name", "")),
        current=entry.get("current"),
        generations=tuple(_generation(one) for one in entry.get("generations") or []),
        pending=words.format(**change) if change else "",
        data=dict(entry),
    )


def _generation(entry: Mapping[str, Any]) -> Generation:
    failed = entry.get("failed") or {}
    return Generation(
        number=int(entry["number"]),
        state=str(entry.get("state", "")),
        made=str(entry.get("made") or ""),
        gated=str(entry.get("gated") or ""),
        engine=str(entry.get("engine") or ""),
        image=str(entry.get("image") or ""),
        image_name=str(entry.get("image_name") or ""),
        models=tuple(f"{model.get('name')} {model.get('version')}" for model in entry.get("models") or []),
        changes=tuple(str(line) for line in entry.get("changes") or []),
        missing=tuple(str(line) for line in entry.get("missing") or []),
        failed=f"{failed.get('check')}: {failed.get('cause')}" if failed else "",
    )
