# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs on a host, in one list."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._drift_words import differences, line

# By case: what the module `server` returned, and what is told of it.
SERVERS: dict[str, tuple[dict[str, t.Any], list[str]]] = {
    "as asked": ({"action": "unchanged", "changed": False, "differs": []}, []),
    "told": ({"action": "updated", "changed": True, "differs": ["options: x", "unit: y"]}, ["options: x", "unit: y"]),
    "not changed and told": ({"action": "unchanged", "changed": False, "differs": ["image: x"]}, ["image: x"]),
    "created, of few words": ({"action": "created", "changed": True}, ["is not on the host"]),
    "down, of few words": ({"action": "restarted", "changed": True, "differs": []}, ["does not run"]),
    "agent": (
        {"action": "unchanged", "changed": True, "differs": [], "agent": True},
        ["the agent that looks after it is of another version of the collection"],
    ),
    "for no reason that is known": ({"action": "unchanged", "changed": True}, ["would be changed"]),
}  # fmt: skip


@pytest.mark.parametrize("case", SERVERS)
def test_what_a_server_tells(case: str) -> None:
    result, told = SERVERS[case]
    assert differences([{"name": "chat", **result}], []) == [
        {"about": "server", "name": "chat", "what": what} for what in told
    ]


def test_servers_come_first_and_nothing_comes_twice() -> None:
    looked = [{"about": "docker", "name": "", "what": "is not installed"}] * 2
    found = differences([{"name": "chat", "changed": True, "action": "created"}], looked)
    assert [line(one) for one in found] == ["server chat: is not on the host", "docker: is not installed"]
