# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flags of a program that parses with click, or with typer, which makes click commands."""

from __future__ import annotations

import typing as t

from tools.flag_readers.table import Flag, Rows, table

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def read(parameters: Iterable[Mapping[str, t.Any]]) -> Rows:
    """Turn the parameters that `in_image.click_parameters` lists into rows."""
    return table(
        Flag(
            on=parameter["spellings"],
            off=parameter["off"],
            value="none" if parameter["flag"] else "one" if parameter["nargs"] == 1 else "many",
            repeat=parameter["multiple"],
            choices=parameter["choices"],
            env=_variable(parameter["env"]),
        )
        for parameter in parameters
    )


def _variable(names: str | list[str] | None) -> str | None:
    first = names[0] if isinstance(names, list) else names
    # infinity writes the name in backticks, for the help alone, and reads the variable by itself.
    return first.strip("`") if first else None
