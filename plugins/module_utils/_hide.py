# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Take a server's secrets out of text that is kept or shown: some engines write their keys into their log."""

from __future__ import annotations

import json
import shlex
import typing as t
from urllib.parse import quote

from ansible_collections.llmops.serving.plugins.module_utils import _generations

if t.TYPE_CHECKING:
    from pathlib import Path

HIDDEN = "[hidden]"


class Veil:
    """What must not be seen of a server, and how to cover it."""

    def __init__(self, secrets: t.Iterable[str]) -> None:
        """Take the secrets, as they are kept in files: a key in each line, JSON, or `NAME=key` as a shell reads it."""
        words = {form for text in secrets for word in _words(text) for form in _forms(word)}
        # The longest first: a key may begin with another one.
        self._words = sorted(words, key=lambda word: (-len(word), word))

    def cover(self, text: str) -> str:
        """Give a text in which each secret is covered."""
        for word in self._words:
            text = text.replace(word, HIDDEN)
        return text


def veil_of_host(state_dir: Path | None = None) -> Veil:
    """Know the secrets of all servers, those of every generation that the host keeps.

    Not of one server alone: a client may send one server's key to another, which may write it down.

    Args:
        state_dir: Where all servers' generations lie.
    """
    # Not through server.json: a generation that is half written has its secrets already.
    folder = state_dir or _generations.STATE_DIR
    paths = [*folder.glob("*/[0-9]*/client-key"), *folder.glob("*/[0-9]*/secrets/*")]
    return Veil(filter(None, map(_read, paths)))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        # Gone in between; or not ours to read, and neither is the log then.
        return ""


def _words(text: str) -> t.Iterator[str]:
    for line in filter(None, map(str.strip, text.splitlines())):
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if isinstance(found, (dict, list)):
            yield from _leaves(found)
            continue
        yield line
        name, equals, value = line.partition("=")
        if equals and name.isidentifier():
            try:
                yield from shlex.split(value)
            except ValueError:
                yield value


def _leaves(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    elif isinstance(value, str) and value:
        yield value


def _forms(word: str) -> tuple[str, ...]:
    """Give a secret as it stands in plain text, in JSON or Python's notation, and in a URL."""
    return word, json.dumps(word)[1:-1], repr(word)[1:-1], quote(word, safe="")
