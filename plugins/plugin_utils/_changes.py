# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Lay `serving_changes` over `serving_servers`: what a tournament recommends, without writing the servers anew."""

from __future__ import annotations

import typing as t


def with_changes(servers: t.Any, changes: t.Any) -> t.Any:
    """Give servers with some of their words changed.

    Args:
        servers: The value of `serving_servers`, whatever it is.
        changes: The value of `serving_changes`: by the server's name, words that win over its own; null takes a word
            away.

    Returns:
        The servers. What is no list of dicts, or no dict of dicts, is left to those who look for problems.
    """
    if not isinstance(servers, list) or not isinstance(changes, dict):
        return servers
    return [_changed(server, changes.get(server.get("name"))) if isinstance(server, dict) else server
            for server in servers]  # fmt: skip


def _changed(server: dict[str, t.Any], words: t.Any) -> dict[str, t.Any]:
    if not isinstance(words, dict):
        return server
    return {word: value for word, value in {**server, **words}.items() if value is not None}


def change_problems(servers: t.Any, changes: t.Any) -> list[str]:
    """List what is wrong with `serving_changes` itself; what it makes of a server is judged with the server.

    Args:
        servers: The value of `serving_servers`, whatever it is.
        changes: The value of `serving_changes`, whatever it is.

    Returns:
        One line a problem.
    """
    if not isinstance(changes, dict):
        return ["serving_changes: must be a dict of words by the server's name: {chat: {parallel: 4}}"]
    names = [server.get("name") for server in servers if isinstance(server, dict)] if isinstance(servers, list) else []
    have = ", ".join(str(name) for name in names) or "none"
    problems = [
        f"serving_changes: this host has no server {name!r}: choose among {have}, or limit the run to its host"
        for name in changes
        if name not in names
    ]
    for name, words in changes.items():
        if not isinstance(words, dict):
            problems.append(f"serving_changes[{name!r}]: must be a dict of words, such as {{parallel: 4}}")
        else:
            problems += [
                f"serving_changes[{name!r}].{word}: belongs in serving_servers, remove it here"
                for word in ("name", "api_key")
                if word in words
            ]
    return problems
