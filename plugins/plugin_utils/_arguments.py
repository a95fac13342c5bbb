# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Map the inventory's words and a server's own options to one engine's command line."""

from __future__ import annotations

import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._flags import Flag, FlagTable, listed, text

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import Definition

# The words of a server's entry that are not mapped to flags by the definition's table `options`.
STRUCTURE: t.Final = frozenset(
    {
        "accept_open_routes",
        "allowed_networks",
        "api_key",
        "bind",
        "engine",
        "environment",
        "fit",
        "gate",
        "gpus",
        "image",
        "load_timeout",
        "model",
        "models",
        "name",
        "options",
        "port",
        "served_model_name",
        "unchecked_options",
        "variant",
        "watchdog",
    },
)
# What a shell does more to than to split at it.
_GLOB: t.Final = frozenset("*?[")


class Command(t.NamedTuple):
    """What an engine is started with: the words after its own name, and environment variables."""

    words: list[str]
    environment: dict[str, str]


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
        definition: The definition of its engine, as it stands for the server's image.
        engines: All definitions, to name those that can do it.

    Yields:
        One line a problem, beginning with the word at fault.
    """
    for word, value in common_words(server).items():
        rule = definition["options"].get(word)
        if rule is not None:
            yield from _value_problems(word, value, rule, definition, engines)
        elif word in definition["lacks"]:
            yield f"{word}: {definition['title']} has no such option: {definition['lacks'][word]}"
        else:
            others = sorted(name for name, other in engines.items() if word in other["options"])
            instead = f"; engines that have it: {', '.join(others)}" if others else ""
            yield f"{word}: {definition['title']} has no such option: remove it{instead}"
    for name, value in (server.get("options") or {}).items():
        yield from _option_problems(str(name), value, server, definition)
    for name, value in (server.get("unchecked_options") or {}).items():
        yield from _unchecked_problems(str(name), value, definition)


def arguments(
    server: Mapping[str, t.Any],
    models: Sequence[tuple[str, str]],
    tasks: Sequence[str],
    files: Mapping[str, str],
    definition: Definition,
) -> Command:
    """Build what the engine receives after its own name.

    Args:
        server: One entry of `serving_servers`, without problems.
        models: Served name and path in the container of each model, in order.
        tasks: The tasks of those models, such as `chat`.
        files: By word of the server, the path in the container of the file that the word stands for.
        definition: The definition of the engine, as it stands for the server's image.

    Returns:
        The argument list without the engine's program, and variables that stand for flags.
    """
    words = [*definition["command"]]
    for name, path in models:
        place, label = definition["models"].get("path_flag"), definition["models"].get("name_flag")
        words += [*([place] if place else []), path, *([label, name] if label else [])]
    for task in dict.fromkeys(tasks):
        words += definition["tasks"][task]
    common, options = _common(server, files, definition), _options(server, definition)
    return Command(
        [*words, *common.words, *options.words, *_unchecked(server)],
        common.environment | options.environment | with_key(server, definition, "environment"),
    )


def _common(server: Mapping[str, t.Any], files: Mapping[str, str], definition: Definition) -> Command:
    """Say the common words in the engine's flags and variables."""
    table: FlagTable = definition["flags"]
    command = Command([], {})
    for word, rule in definition["options"].items():
        value = files.get(word, server.get(word))
        value = rule.get("default") if value is None else value
        if value is None:
            continue
        command.words.extend(rule.get("with", []))
        for part in [rule, *rule.get("also", [])]:
            meant = _as_meant(value, part, server, definition)
            if "env" in part:
                command.environment[part["env"]] = text(meant)
            if "flag" in part:
                command.words.extend(table.words(table.get(part["flag"]), meant))
    return command


def _options(server: Mapping[str, t.Any], definition: Definition) -> Command:
    """Lay the server's own options over what the definition always passes."""
    table: FlagTable = definition["flags"]
    command = Command([], {})
    forced, passed = with_key(server, definition, "arguments"), table.merged(definition["arguments"])
    for name, value in table.merged(definition["arguments"], server.get("options") or {}, forced).items():
        flag = table.get(name)
        if value is False and flag.value != "none" and passed.get(name) not in {None, False}:
            continue  # takes away what the definition passes, for a flag that nothing switches off
        if definition["splits_arguments"] and flag.env and not isinstance(value, list) and _is_split(value):
            command.environment[flag.env] = text(value)
        else:
            command.words.extend(table.words(flag, value))
    return command


def _unchecked(server: Mapping[str, t.Any]) -> Iterator[str]:
    for name, value in (server.get("unchecked_options") or {}).items():
        for item in value if isinstance(value, list) else [value]:
            yield f"--{name}"
            if item is not True:
                yield text(item)


def with_key(server: Mapping[str, t.Any], definition: Definition, what: str) -> dict[str, t.Any]:
    """Give the `arguments` or the `environment` without which an engine would show its key."""
    found: dict[str, t.Any] = definition["secrets"]["api_key"].get(what, {}) if server.get("api_key") else {}
    return found


def _as_meant(value: t.Any, rule: Mapping[str, t.Any], server: Mapping[str, t.Any], definition: Definition) -> t.Any:
    """Turn the common meaning of a word into the engine's: other names, units, and factors."""
    if "values" in rule:
        value = rule["values"].get(text(value), value)
    if "scale" in rule:
        value = int(value * rule["scale"])
    if (factor := rule.get("times")) is None:
        return value
    other = server.get(factor)
    return value * (definition["options"][factor].get("default", 1) if other is None else other)


def _value_problems(
    word: str, value: t.Any, rule: Mapping[str, t.Any], definition: Definition, engines: Mapping[str, Definition]
) -> Iterator[str]:
    title, dropped = definition["title"], rule.get("dropped", {})
    if value in ("True", "False"):
        # What becomes of a truth value where a name is wanted.
        yield f"{word}: {value.lower()} is no name: write one, or leave the word out"
        return
    if value in dropped:
        instead = engines[dropped[value]]["title"]
        yield f"{word}: {title} no longer carries {value}: serve such a model with {instead} (engine: {dropped[value]})"
        return
    if isinstance(value, str) and "values" in rule:
        flag = definition["flags"].get(rule["flag"]) if "flag" in rule else Flag("")
        known = [*rule["values"], *flag.choices]
        if known and value not in known:
            yield f"{word}: {title} does not take {value!r}: choose {listed(dict.fromkeys(known))}"
    elif "flag" in rule and "scale" not in rule and (problem := definition["flags"].problem(rule["flag"], value)):
        yield f"{word}: {problem}"
    if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
        yield f"{word}: {value} is too little: give more than 0"


def _option_problems(name: str, value: t.Any, server: Mapping[str, t.Any], definition: Definition) -> Iterator[str]:
    table: FlagTable = definition["flags"]
    spelling = f"--{name}"
    if name.startswith("-"):
        yield f"options.{name}: write the flag without its leading dashes: {name.lstrip('-')}"
        return
    if (found := table.find(spelling)) is None:
        near = table.near(spelling)
        hint = f": did you mean {' or '.join(near)}?" if near else ": remove it"
        yield (
            f"options.{name}: {definition['title']} has no flag {spelling}{hint}; unchecked_options passes any as it is"
        )
        return
    flag = found[0].name.removeprefix("--")
    forced = with_key(server, definition, "arguments")
    if flag in definition["owned"]:
        yield f"options.{name}: this flag belongs to the collection: use {definition['owned'][flag]}"
    elif flag in forced:
        yield f"options.{name}: with api_key it stays {forced[flag]}: {definition['secrets']['api_key']['why']}"
    elif value is False and found[0].name in table.merged(definition["arguments"]):
        return  # takes away what the definition passes
    elif problem := table.problem(spelling, value):
        yield f"options.{name}: {problem}"
    elif definition["splits_arguments"] and "\n" in text(value):
        yield (
            f"options.{name}: holds a line break, and the entrypoint of {definition['title']} splits its arguments: "
            "write it in one line"
        )
    elif definition["splits_arguments"] and (isinstance(value, list) or not found[0].env) and _is_split(value):
        yield f"options.{name}: the entrypoint of {definition['title']} splits {text(value)!r}: write it without blanks"


def _unchecked_problems(name: str, value: t.Any, definition: Definition) -> Iterator[str]:
    if name.startswith("-"):
        yield f"unchecked_options.{name}: write the flag without its leading dashes: {name.lstrip('-')}"
    elif definition["flags"].find(f"--{name}"):
        # So that nothing which belongs to the collection comes in through the back door.
        yield f"unchecked_options.{name}: {definition['title']} is known to have this flag: move it to options"
    elif value is None or value is False:
        yield f"unchecked_options.{name}: has no value: true gives the bare flag"
    elif definition["splits_arguments"] and value is not True and _is_split(value):
        title = definition["title"]
        yield f"unchecked_options.{name}: the entrypoint of {title} splits {text(value)!r}: write it without blanks"


def _is_split(value: t.Any) -> bool:
    """Whether a shell that leaves its arguments unquoted makes something else of a value."""
    if isinstance(value, list):
        return any(_is_split(item) for item in value)
    written = text(value)
    return not written or any(char.isspace() or char in _GLOB for char in written)
