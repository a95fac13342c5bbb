# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A reader of command lines by an engine's table of flags, for engines whose own parser cannot be asked.

It goes by the rules of clap and of llama.cpp's parser, and is written apart from the code that makes the words.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import ROLES

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Row = dict[str, t.Any]


class WordError(Exception):
    """The engine would not take this command line."""


def rows(engine: str) -> dict[str, Row]:
    """Read an engine's table as it is in its file."""
    listing = json.loads((ROLES / engine / "flags.json").read_text(encoding="utf-8"))
    return t.cast("dict[str, Row]", listing["flags"])


def read_words(
    table: Mapping[str, Row], words: Sequence[str], environment: Mapping[str, str] | None = None, *, clap: bool = True
) -> dict[str, t.Any]:
    """Understand a command line.

    Args:
        table: The engine's flags.
        words: What it is started with after its own name.
        environment: Its environment, where variables stand for flags; a flag goes before its variable.
        clap: Whether its parser is clap: it takes `--flag=value`, and no value that begins with a dash otherwise.

    Returns:
        By the name of the flag its value: text, a list where it may be given several times, true or false.

    Raises:
        WordError: It is not taken.
    """
    spellings = _spellings(table)
    found = _from_environment(table, environment or {}) if clap else {}
    given: set[str] = set()
    left = list(words)
    while left:
        word, joined, text = left.pop(0).partition("=") if clap and left[0].startswith("--") else (left.pop(0), "", "")
        if word not in spellings:
            raise WordError(f"unexpected argument {word!r}")
        name, on = spellings[word]
        row = table[name]
        if name in given and not row.get("repeat"):
            raise WordError(f"{name} is given twice")
        value: t.Any = on if row.get("value") == "none" or not on else None
        if joined and value is not None:
            raise WordError(f"{name} takes no value")
        if value is None:
            value = _checked(name, row, text) if joined else _next_value(name, row, left, clap=clap)
        found[name] = [*(found[name] if name in given else []), value] if row.get("repeat") else value
        given.add(name)
    return found


def _spellings(table: Mapping[str, Row]) -> dict[str, tuple[str, bool]]:
    found = {word: (name, True) for name, row in table.items() for word in (name, *row.get("aliases", []))}
    for name, row in table.items():
        offs = [word for word in (row.get("off"), *row.get("off_aliases", [])) if word]
        found.update(dict.fromkeys(offs, (name, False)))
    return found


def _from_environment(table: Mapping[str, Row], environment: Mapping[str, str]) -> dict[str, t.Any]:
    texts = {name: environment[row["env"]] for name, row in table.items() if row.get("env") in environment}
    return {
        name: text == "true" if table[name].get("value") == "none" else _checked(name, table[name], text)
        for name, text in texts.items()
    }


def _next_value(name: str, row: Row, left: list[str], *, clap: bool) -> str | bool:
    if row.get("value") == "optional" and (not left or left[0].startswith("-")):
        return True
    if not left or (clap and left[0].startswith("-")):
        raise WordError(f"{name} has no value")
    return _checked(name, row, left.pop(0))


def _checked(name: str, row: Row, text: str) -> str:
    if row.get("choices") and text not in row["choices"]:
        raise WordError(f"{name} does not take {text!r}")
    return text
