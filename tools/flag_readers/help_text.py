# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flags of a program that only its help tells, in the shape of llama.cpp's."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from tools.flag_readers.table import Flag, Rows, table

if t.TYPE_CHECKING:
    from collections.abc import Iterator

# -kvo,  --kv-offload, -nkvo, --no-kv-offload
#                                         whether to enable KV cache offloading (default: enabled)
#                                         (env: LLAMA_ARG_KV_OFFLOAD)
# --rope-scaling {none,linear,yarn}       RoPE frequency scaling method, defaults to linear
_SPELLING = r"--?[a-zA-Z0-9][\w.-]*"
# Spellings, then perhaps what a value is like after one blank, then perhaps a description after several.
_HEAD = re.compile(rf"(?P<spellings>{_SPELLING}(?:,\s+{_SPELLING})*)(?: (?P<hint>\S.*?))?(?:\s{{2,}}(?P<text>\S.*))?")
_CLOSED = re.compile(
    r"\[(?P<bar>[\w.-]+(?:\|[\w.-]+)+)\]|<(?P<angle>\w+(?:\|\w+)+)>|\{(?P<brace>[\w.-]+(?:,[\w.-]+)+)\}"
)
_ALLOWED = re.compile(r"allowed values: (?P<values>\w+(?:, \w+)+)")
_ENV = re.compile(r"\(env: (?P<name>\w+)\)")
# Still named by the help, refused by the parser.
_REMOVED = "the argument has been removed"


@dataclass(frozen=True)
class _Entry:
    spellings: list[str]
    hint: str
    text: str


def read(text: str) -> Rows:
    """Find the flags that a help introduces. None may be given twice: llama.cpp uses the last one only."""
    return table(_flag(entry) for entry in _entries(text) if not entry.text.startswith(_REMOVED))


def _entries(text: str) -> Iterator[_Entry]:
    spellings, hint, lines = "", "", list[str]()
    for line in [*text.splitlines(), "-"]:
        # A flag begins at the left edge; what is further right goes on with the description.
        if line.startswith("-"):
            if spellings:
                yield _Entry(re.split(r",\s+", spellings), hint, " ".join(lines).strip())
            match = _HEAD.fullmatch(line.rstrip())
            spellings, hint, begun = match.groups("") if match else ("", "", "")
            lines = [begun]
        else:
            lines.append(line.strip())


def _flag(entry: _Entry) -> Flag:
    on, off = _sides(entry.spellings)
    several = re.fullmatch(r"[A-Z]+(?: [A-Z]+)+", entry.hint)
    env = _ENV.search(entry.text)
    return Flag(
        on=on,
        off=off,
        value="many" if several else "one" if entry.hint else "none",
        choices=_choices(entry),
        env=env["name"] if env else None,
    )


def _sides(spellings: list[str]) -> tuple[list[str], list[str]]:
    """Part what gives a flag from what switches it off, whose short spellings stand between both long ones."""
    positive = [at for at, word in enumerate(spellings) if word.startswith("--") and not word.startswith("--no-")]
    if not positive or not any(word.startswith("--no-") for word in spellings):
        return spellings, []
    return spellings[: positive[-1] + 1], spellings[positive[-1] + 1 :]


def _choices(entry: _Entry) -> list[str]:
    if match := _CLOSED.fullmatch(entry.hint):
        return re.split(r"[|,]", match["bar"] or match["angle"] or match["brace"])
    match = _ALLOWED.search(entry.text) if entry.hint else None
    return match["values"].split(", ") if match else []
