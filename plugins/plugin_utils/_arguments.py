# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Map the inventory's words and a server's own options to one engine's command line."""

from __future__ import annotations

import difflib
import json
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import Definition

# The words of a server's entry that are not mapped to flags by the definition's table `options`.
STRUCTURE: t.Final = frozenset(
    {
        "api_key",
        "bind",
        "engine",
        "environment",
        "gate",
        "image",
        "load_timeout",
        "model",
        "models",
        "name",
        "options",
        "port",
    },
)


def common_words(server: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Pick the words of the common vocabulary that a server's entry sets.

    Args:
        server: One entry of `serving_servers`.

    Returns:
        The words that each engine's definition maps to flags, by name, without those left out or null.
    """
    return {word: value for word, value in server.items() if word not in STRUCTURE and value is not None}


def word_problems(
    server: Mapping[str, t.Any], definition: Definition, engines: Mapping[str, Definition]
) -> Iterator[str]:
    """Find what a server asks of its engine in vain.

    Args:
        server: One entry of `serving_servers`.
        definition: The definition of its engine.
        engines: All definitions, to name those that can do it.

    Yields:
        One line a problem, beginning with the word at fault.
    """
    for word in common_words(server).keys() - definition["options"].keys():
        others = sorted(name for name, other in engines.items() if word in other["options"])
        instead = f"; engines that have it: {', '.join(others)}" if others else ""
        yield f"{word}: {definition['title']} has no such option: remove it{instead}"
    for name, value in (server.get("options") or {}).items():
        yield from _option_problems(str(name), value, definition)


def arguments(
    server: Mapping[str, t.Any],
    models: Sequence[tuple[str, str]],
    tasks: Sequence[str],
    variant: Mapping[str, t.Any],
    definition: Definition,
) -> list[str]:
    """Build the words that the engine receives after its own name.

    Args:
        server: One entry of `serving_servers`, without problems.
        models: Name and path in the container of each model, in order.
        tasks: The tasks of those models, such as `chat`.
        variant: The entry of the definition's `images` that is used.
        definition: The definition of the engine.

    Returns:
        The argument list, without the engine's program.
    """
    words = [*definition["command"]]
    for name, path in models:
        words += [definition["models"]["path_flag"], path, definition["models"]["name_flag"], name]
    for task in dict.fromkeys(tasks):
        words += definition["tasks"][task]
    for word, rule in definition["options"].items():
        value = server.get(word)
        value = rule.get("default") if value is None else value
        if value is not None:
            words += [rule["flag"], _text(_multiplied(value, rule, server, definition))]
    flags = definition["arguments"] | variant.get("arguments", {}) | (server.get("options") or {})
    for flag, value in flags.items():
        words += _flag_words(f"--{flag}", value, definition)
    return words


def _multiplied(value: t.Any, rule: Mapping[str, t.Any], server: Mapping[str, t.Any], definition: Definition) -> t.Any:
    if (factor := rule.get("times")) is None:
        return value
    other = server.get(factor)
    return value * (definition["options"][factor].get("default", 1) if other is None else other)


def _option_problems(name: str, value: t.Any, definition: Definition) -> Iterator[str]:
    flag, known = f"--{name}", definition["flags"]
    if name.startswith("-"):
        yield f"options.{name}: write the flag without its leading dashes: {name.lstrip('-')}"
    elif name in definition["owned"]:
        yield f"options.{name}: this flag belongs to the collection: use {definition['owned'][name]}"
    elif flag not in known:
        near = [word.lstrip("-") for word in difflib.get_close_matches(flag, known, n=3)]
        hint = f": did you mean {' or '.join(near)}?" if near else ": remove it"
        yield f"options.{name}: {definition['title']} has no flag {flag}{hint}"
    elif value is None:
        yield f"options.{name}: has no value: true gives the bare flag"
    elif value is False and f"--no-{name}" not in known:
        yield f"options.{name}: {definition['title']} has no flag --no-{name}: leave the option out"


def _flag_words(flag: str, value: t.Any, definition: Definition) -> list[str]:
    if value is True:
        return [flag]
    if value is False:
        return [f"--no-{flag.removeprefix('--')}"] if f"--no-{flag.removeprefix('--')}" in definition["flags"] else []
    if isinstance(value, list):
        return [word for item in value for word in (flag, _text(item))]
    return [flag, _text(value)]


def _text(value: t.Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
