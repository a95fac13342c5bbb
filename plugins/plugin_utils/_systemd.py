# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Quote command lines for systemd, whose rules are not those of a shell."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable

# systemd.service(5), "Command lines", and systemd.syntax(7), "Quoting": C escapes inside double quotes; % starts a
# specifier and $ a variable even there. shlex.join is wrong for systemd: it leaves backslashes to be eaten.
_ESCAPES: t.Final = str.maketrans(
    {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "%": "%%", "$": "$$"},
)


def quote(words: Iterable[str]) -> str:
    """Join words into one command line of a unit.

    Args:
        words: The words as the program shall receive them. A NUL cannot be passed to any program.

    Returns:
        One line; words that need no quotes are left as they are, for readable units.

    Raises:
        ValueError: A word holds a NUL character.
    """
    return " ".join(_word(word) for word in words)


def _word(word: str) -> str:
    if "\0" in word:
        raise ValueError(f"a command line cannot hold a NUL character: {word!r}")
    if word and all(char.isalnum() or char in "-_./:=@,+" for char in word):
        return word
    return f'"{word.translate(_ESCAPES)}"'
