# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""One engine's flags as its own parser knows them: which there are, what they take, how they are written."""

from __future__ import annotations

import difflib
import json
import re
import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NUMBER: t.Final = re.compile(r"-\d+(\.\d+)?")
_NEAREST: t.Final = 3
_SHOWN_CHOICES: t.Final = 12


@dataclass(frozen=True)
class Flag:
    """One flag.

    Attributes:
        name: Its first long spelling, with dashes.
        value: `one`, `none` (a bare flag), `optional`, or `many` (several words after one flag).
        repeat: Whether it may be given several times.
        off: The spelling that switches it off.
        choices: The values it takes, empty for any.
        env: The environment variable that stands for it.
    """

    name: str
    value: str = "one"
    repeat: bool = False
    off: str | None = None
    choices: tuple[str, ...] = ()
    env: str | None = None
    aliases: tuple[str, ...] = ()
    off_aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class FlagTable:
    """All flags of one engine.

    Attributes:
        flags: By their first long spelling.
        kind: How the engine parses, `parser.kind` of its definition.
    """

    flags: Mapping[str, Flag]
    kind: str = "argparse"
    _spellings: dict[str, tuple[Flag, bool]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Index every spelling."""
        for flag in self.flags.values():
            self._spellings.update(dict.fromkeys((flag.name, *flag.aliases), (flag, False)))
            self._spellings.update({spelling: (flag, True) for spelling in (flag.off, *flag.off_aliases) if spelling})

    def find(self, spelling: str) -> tuple[Flag, bool] | None:
        """Find a flag by any spelling with dashes, and whether that spelling switches it off; None for no flag."""
        return self._spellings.get(spelling)

    def get(self, spelling: str) -> Flag:
        """Find a flag that there is.

        Raises:
            KeyError: There is none of that spelling.
        """
        return self._spellings[spelling][0]

    def near(self, spelling: str) -> list[str]:
        """List the names most like a misspelt one, without dashes, the nearest first."""
        return [word.lstrip("-") for word in difflib.get_close_matches(spelling, self._spellings, n=_NEAREST)]

    def merged(self, *tables: Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Lay options over each other, whichever spelling each uses.

        Args:
            tables: Options by any spelling without dashes; later ones take the place of earlier ones.

        Returns:
            The options by the flag's name with dashes; `no-x: true` has become `--x: False`.
        """
        found: dict[str, t.Any] = {}
        for name, value in (item for table in tables for item in table.items()):
            flag, negative = self._spellings[f"--{name}"]
            found[flag.name] = not value if negative and isinstance(value, bool) else value
        return found

    def problem(self, spelling: str, value: t.Any) -> str | None:
        """Tell why a flag does not take a value, or None where it does."""
        flag, negative = self._spellings[spelling]
        if value is None:
            return "has no value: true gives the bare flag"
        if negative or flag.value == "none":
            items = value if isinstance(value, list) and flag.repeat and not negative else [value]
            return next(filter(None, (_bare_problem(flag, spelling, negative, item) for item in items)), None)
        if isinstance(value, list) and not (flag.repeat or flag.value == "many"):
            return f"{flag.name} takes one value, not a list"
        return self._value_problem(flag, value)

    def _value_problem(self, flag: Flag, value: t.Any) -> str | None:
        values = value if isinstance(value, list) else [value]
        if any(isinstance(item, bool) for item in values) and flag.value == "one" and "true" not in flag.choices:
            return f"{flag.name} takes a value" + (f": {listed(flag.choices)}" if flag.choices else "")
        strange = [text(item) for item in values if flag.choices and text(item) not in flag.choices]
        if strange and not (flag.value == "optional" and isinstance(value, bool)):
            return f"{flag.name} does not take {strange[0]!r}: choose {listed(flag.choices)}"
        # Python's argparse ends a list at such a word, and drops a lone pair of dashes.
        dashed = [text(item) for item in values if _looks_like_a_flag(text(item))] if self.kind == "argparse" else []
        if dashed and (flag.value == "many" or dashed[0] == "--"):
            return f"{flag.name}: {dashed[0]!r} would be taken for a flag: write it without the dash"
        return None

    def words(self, flag: Flag, value: t.Any) -> list[str]:
        """Write a flag with its value.

        Args:
            flag: A flag of this table.
            value: What it shall have; true is the bare flag, a list several values, a dict JSON.

        Returns:
            Its words on a command line; none for false where nothing switches the flag off.
        """
        if flag.value == "none":
            spellings = [flag.name if item else flag.off for item in (value if isinstance(value, list) else [value])]
            return [spelling for spelling in spellings if spelling]
        if flag.value == "optional" and value is True:
            return [flag.name]
        values = [text(item) for item in value] if isinstance(value, list) else [text(value)]
        if flag.value == "many":
            return [flag.name, *values]
        return [word for item in values for word in self._one(flag, item)]

    def _one(self, flag: Flag, value: str) -> list[str]:
        # A parser of llama.cpp's own making takes the next word whatever it looks like, and knows no `=`.
        return [f"{flag.name}={value}"] if self.kind != "help" and _looks_like_a_flag(value) else [flag.name, value]


def read_table(listing: Mapping[str, t.Any], kind: str) -> FlagTable:
    """Take a table out of a role's `flags.json`.

    Args:
        listing: The content of the file.
        kind: How the engine parses, `parser.kind` of its definition.
    """
    flags = {name: Flag(name=name, **_tuples(row)) for name, row in listing["flags"].items()}
    return FlagTable(flags, kind)


def _tuples(row: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


def text(value: t.Any) -> str:
    """Write a value of the inventory as a program takes it: JSON for dicts, `true` and `false` for booleans."""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _looks_like_a_flag(value: str) -> bool:
    return value.startswith("-") and value != "-" and not _NUMBER.fullmatch(value)


def _bare_problem(flag: Flag, spelling: str, negative: bool, value: t.Any) -> str | None:
    if not isinstance(value, bool):
        return f"{spelling} takes no value: write true"
    if value is False and not negative and not flag.off:
        return f"there is no flag that switches {flag.name} off: leave the option out"
    return None


def listed(names: Iterable[str]) -> str:
    """Name the choices that a user has, not more than can be read."""
    names = list(names)
    shown = ", ".join(names[:_SHOWN_CHOICES])
    return f"{shown}, … ({len(names)} in all)" if len(names) > _SHOWN_CHOICES else shown
