# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge options into Docker's daemon.json without losing what others wrote into it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# What a running daemon takes over on SIGHUP, from 20.10 on (moby, daemon/reload.go). `features` is reloaded too, but
# features.cdi is only read at the start, so a change of it needs a restart.
RELOADABLE = frozenset(
    {
        "debug",
        "default-runtime",
        "insecure-registries",
        "labels",
        "live-restore",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
        "registry-mirrors",
        "runtimes",
        "shutdown-timeout",
    }
)


class DaemonJsonError(ValueError):
    """daemon.json cannot be merged into; the message is one line with cause and remedy."""


@dataclass(frozen=True)
class Merged:
    """The outcome of a merge.

    Attributes:
        content: The text to write; the present text, byte for byte, when nothing changes.
        changed: Whether content differs in meaning from what is there.
        keys: The top-level keys whose value changes, sorted.
        restart: Whether a running daemon has to be restarted; otherwise a reload does.
    """

    content: str
    changed: bool
    keys: tuple[str, ...]
    restart: bool


def merge(current: str | None, options: Mapping[str, Any], path: str = "/etc/docker/daemon.json") -> Merged:
    """Merge options into the text of daemon.json.

    Mappings are merged at every depth, lists get the missing entries at their end, any other value is replaced. A key
    that options do not name is never touched. A value of None takes the key out.

    Args:
        current: The text of daemon.json, None without the file.
        options: The wanted options, named as in daemon.json.
        path: The file's name for messages.

    Returns:
        The outcome.

    Raises:
        DaemonJsonError: The present text is not a JSON object, or an option meets a value of another kind.
    """
    present = _parsed(current, path)
    result = _deep(present, options, path, ())
    keys = tuple(sorted(key for key in present.keys() | result.keys() if _differ(present.get(key), result.get(key))))
    if not keys:
        return Merged(current or "", changed=False, keys=(), restart=False)
    content = json.dumps(result, indent=4, ensure_ascii=False) + "\n"
    return Merged(content, changed=True, keys=keys, restart=not set(keys) <= RELOADABLE)


def without(current: str | None, options: Mapping[str, Any], path: str = "/etc/docker/daemon.json") -> Merged:
    """Take options out of the text of daemon.json again, as far as they are there with the values of a merge.

    Args:
        current: The text of daemon.json, None without the file.
        options: The options, named as in daemon.json.
        path: The file's name for messages.

    Returns:
        The outcome.

    Raises:
        DaemonJsonError: The present text is not a JSON object.
    """
    present = _parsed(current, path)
    result = _without(present, options)
    keys = tuple(sorted(key for key in present if key not in result or _differ(present[key], result[key])))
    if not keys:
        return Merged(current or "", changed=False, keys=(), restart=False)
    content = json.dumps(result, indent=4, ensure_ascii=False) + "\n"
    return Merged(content, changed=True, keys=keys, restart=not set(keys) <= RELOADABLE)


def _without(present: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(present)
    for key, option in options.items():
        there = result.get(key)
        left: Any = there
        if isinstance(option, dict) and isinstance(there, dict):
            left = _without(there, option) or None
        elif isinstance(option, list) and isinstance(there, list):
            left = [entry for entry in there if entry not in option] or None
        elif there is not None and not _differ(there, option):
            left = None
        if left is None:
            result.pop(key, None)
        else:
            result[key] = left
    return result


def _parsed(current: str | None, path: str) -> dict[str, Any]:
    if current is None or not current.strip():
        return {}
    try:
        present = json.loads(current)
    except ValueError as error:
        # Not ours to repair: whoever wrote it meant something, and Docker itself refuses to start with it.
        message = f"{path} is not valid JSON ({error}); it is left untouched: correct it by hand, or remove it"
        raise DaemonJsonError(message) from error
    if not isinstance(present, dict):
        message = f"{path} holds {_kind(present)} instead of an object; it is left untouched: correct it by hand"
        raise DaemonJsonError(message)
    return present


def _deep(present: Mapping[str, Any], options: Mapping[str, Any], path: str, trail: tuple[str, ...]) -> dict[str, Any]:
    result = dict(present)
    for key, wanted in options.items():
        here = (*trail, key)
        there = result.get(key)
        if wanted is None:
            result.pop(key, None)
        elif there is None:
            result[key] = wanted
        elif isinstance(wanted, dict) and isinstance(there, dict):
            result[key] = _deep(there, wanted, path, here)
        elif isinstance(wanted, list) and isinstance(there, list):
            result[key] = there + [entry for entry in wanted if entry not in there]
        elif isinstance(wanted, dict | list) or isinstance(there, dict | list):
            message = (
                f"docker_daemon_options: {'.'.join(here)} is {_kind(wanted)}, but {path} has {_kind(there)} there; "
                "it is left untouched: give both the same kind"
            )
            raise DaemonJsonError(message)
        else:
            result[key] = wanted
    return result


def _differ(one: Any, other: Any) -> bool:
    # JSON's true is not 1: Python's == would take them for equal.
    return json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True)


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
    return kinds.get(type(value), "a number")
