# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flags of a program that parses with Python's argparse."""

from __future__ import annotations

import typing as t

from tools.flag_readers.table import Flag, Rows, table

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# By argparse's nargs; a number, + and * stand for several words.
_VALUES: t.Final = {None: "one", 0: "none", 1: "one", "?": "optional"}


def read(actions: Iterable[Mapping[str, t.Any]]) -> Rows:
    """Turn the actions that `in_image.argparse_actions` lists into rows."""
    return table(_flag(action) for action in actions)


def _flag(action: Mapping[str, t.Any]) -> Flag:
    spellings = list(action["spellings"])
    # argparse.BooleanOptionalAction makes --no-x of --x; a --no-x of its own is no negative.
    off = [word for word in spellings if word.startswith("--no-") and f"--{word.removeprefix('--no-')}" in spellings]
    return Flag(
        on=[word for word in spellings if word not in off],
        off=off,
        value=_VALUES.get(action["nargs"], "many"),
        repeat="Append" in action["kind"] or "Extend" in action["kind"],
        choices=action["choices"],
    )
