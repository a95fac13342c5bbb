# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Put together what differs on a host, for people: what the modules `server` and `drift_info` found."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# What the module `server` would do, where it names no difference.
_WOULD: t.Final = {
    "created": "is not on the host",
    "updated": "is another than the inventory says",
    "restarted": "does not run",
    "removed": "is on the host",
}


def differences(servers: Sequence[Mapping[str, t.Any]], looked: Sequence[Mapping[str, t.Any]]) -> list[dict[str, str]]:
    """List what differs on a host.

    Args:
        servers: Results of the module `server` in check mode, each with `name`, `action`, `changed` and `differs`.
        looked: What `drift_info` lists under `differs`.

    Returns:
        `about`, `name` and `what` of each difference: servers first, then the rest as it was found.
    """
    found = [
        {"about": "server", "name": str(server.get("name", "")), "what": what}
        for server in servers
        for what in _of_server(server)
    ]
    found += [{word: str(one.get(word, "")) for word in ("about", "name", "what")} for one in looked]
    # A server that is not there differs in nothing else.
    return list({tuple(one.values()): one for one in found}.values())


def _of_server(server: Mapping[str, t.Any]) -> Iterator[str]:
    told = [str(line) for line in server.get("differs") or []]
    yield from told
    if told or not server.get("changed"):
        return
    action = str(server.get("action", ""))
    if action in _WOULD:
        yield _WOULD[action]
    elif server.get("agent"):
        yield "the agent that looks after it is of another version of the collection"
    else:
        yield "would be changed"


def line(difference: Mapping[str, str]) -> str:
    """Say one difference in a line."""
    return ": ".join(
        part for part in (f"{difference['about']} {difference['name']}".strip(), difference["what"]) if part
    )
