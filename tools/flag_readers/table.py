# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table `roles/<engine>/flags.json`: how it is written, and what differs between two of them."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

#: What the file says of one flag; a key that is not there has the value that most flags have.
Row = dict[str, t.Any]
Rows = dict[str, Row]

# They end the program, so no server has them.
_ENDING: t.Final = frozenset({"--help", "--version"})


@dataclass(frozen=True)
class Flag:
    """One flag as a parser knows it.

    Attributes:
        on: What gives the flag, with dashes, in the parser's order.
        off: What switches it off.
        value: `one`, `none` (a bare flag), `optional`, or `many` (several words after one flag).
        repeat: Whether it may be given several times.
        choices: The values it takes, if that is a closed set.
        env: The environment variable that stands for it.
    """

    on: Sequence[str]
    off: Sequence[str] = ()
    value: str = "one"
    repeat: bool = False
    choices: Sequence[str] | None = None
    env: str | None = None


def table(flags: Iterable[Flag]) -> Rows:
    """Give the rows of flags, without those that no server has: no long spelling, or one that ends the program."""
    return {name: row for flag in flags if (name := _name(flag)) and (row := _row(flag, name)) is not None}


def _name(flag: Flag) -> str | None:
    return next((spelling for spelling in flag.on if spelling.startswith("--")), None)


def _row(flag: Flag, name: str) -> Row | None:
    if name in _ENDING:
        return None
    off = sorted(flag.off, key=lambda spelling: not spelling.startswith("--"))
    found: Row = {
        "aliases": [spelling for spelling in flag.on if spelling != name],
        "choices": flag.choices,
        "env": flag.env,
        "off": off[0] if off else None,
        "off_aliases": off[1:],
        "repeat": flag.repeat,
        "value": None if flag.value == "one" else flag.value,
    }
    return {key: content for key, content in found.items() if content}


def render(source: str, version: str, rows: Mapping[str, Row]) -> str:
    """Write a table, one line a flag, so that `git diff` shows what a release changed."""
    head = f'{{\n  "source": {json.dumps(source)},\n  "version": {json.dumps(version)},\n  "flags": {{\n'
    lines = [
        f"    {json.dumps(name)}: {json.dumps(rows[name], ensure_ascii=False, sort_keys=True)}" for name in sorted(rows)
    ]
    return head + ",\n".join(lines) + "\n  }\n}\n"


def differences(old: Mapping[str, Row], new: Mapping[str, Row]) -> Iterator[str]:
    """Tell what a table has that another had not, one line a flag."""
    yield from (f"added {name}" for name in sorted(new.keys() - old.keys()))
    yield from (f"removed {name}" for name in sorted(old.keys() - new.keys()))
    for name in sorted(old.keys() & new.keys()):
        keys = sorted(old[name].keys() | new[name].keys())
        changes = [
            f"{key}: {json.dumps(old[name].get(key))} -> {json.dumps(new[name].get(key))}"
            for key in keys
            if old[name].get(key) != new[name].get(key)
        ]
        if changes:
            yield f"changed {name}: {', '.join(changes)}"
