# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the YAML that tools write, on a host whose Python has no parser for it.

Read are block and flow style, plain and quoted words, and comments. Every word stays text: ``0:1`` is no number, ``no``
no truth. Not read are anchors, tags and several documents; of a text of several lines the first one is taken.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

_STRING = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'"
_QUOTED = re.compile(_STRING)
_KEY = re.compile(rf"(?P<key>{_STRING}|[^\s\"'\[{{].*?)\s*:(?:\s+(?P<rest>.*))?$")
# In flow style a plain word ends at a bracket, a comma, or a colon that does not stand inside of it.
_TOKEN = re.compile(
    rf"\s*(?:{_STRING}|(?P<sign>[\[\]{{}},]|:(?=[\s\[\]{{}},]|$))|(?:[^\[\]{{}},:]|:(?=[^\s\[\]{{}},]))+)"
)


class _Line(NamedTuple):
    indent: int
    text: str

    @property
    def is_item(self) -> bool:
        return self.text == "-" or self.text.startswith("- ")


def read_yaml(text: str) -> Any:
    """Read a document.

    Args:
        text: The document.

    Returns:
        Dicts, lists and text; None where there is nothing.

    Raises:
        ValueError: A bracket is not closed.
    """
    lines = []
    for line in text.splitlines():
        bare = _without_comment(line).rstrip()
        if bare.strip() and bare not in ("---", "..."):
            lines.append(_Line(len(bare) - len(bare.lstrip()), bare.lstrip()))
    return _Block(lines).read(lines[0].indent) if lines else None


def _without_comment(line: str) -> str:
    quote = ""
    for position, sign in enumerate(line):
        before = line[position - 1 : position]
        if quote:
            quote = "" if sign == quote and (quote, before) != ('"', "\\") else quote
        elif sign in "\"'" and before in ("", *" [{,'"):  # the last, for one inside of quotes is written twice
            quote = sign
        elif sign == "#" and before in ("", *" \t"):
            return line[:position]
    return line


class _Block:
    """Takes lines from the front, each method those of what it reads."""

    def __init__(self, lines: list[_Line]) -> None:
        self._lines = lines
        self._at = 0

    def read(self, indent: int) -> Any:
        line = self._lines[self._at]
        if line.is_item:
            return self._list(indent)
        if line.text[0] not in "[{" and _KEY.match(line.text):
            return self._mapping(indent)
        self._at += 1
        return self._value(line.text)

    def _here(self, indent: int) -> _Line | None:
        """Give the next line that stands at `indent`, over those of a text that goes on further to the right."""
        while self._at < len(self._lines) and self._lines[self._at].indent > indent:
            self._at += 1
        if self._at < len(self._lines) and self._lines[self._at].indent == indent:
            return self._lines[self._at]
        return None

    def _below(self, indent: int) -> Any:
        """Read what stands further to the right than `indent`; None where nothing does."""
        if self._at < len(self._lines) and self._lines[self._at].indent > indent:
            return self.read(self._lines[self._at].indent)
        return None

    def _list(self, indent: int) -> list[Any]:
        items = []
        line = self._here(indent)
        while line is not None and line.is_item:
            rest = line.text[1:].lstrip()
            if rest:
                # It is read as if it stood on a line of its own, where it stands.
                inner = indent + len(line.text) - len(rest)
                self._lines[self._at] = _Line(inner, rest)
                items.append(self.read(inner))
            else:
                self._at += 1
                items.append(self._below(indent))
            line = self._here(indent)
        return items

    def _mapping(self, indent: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        line = self._here(indent)
        while line is not None and not line.is_item:
            match = _KEY.match(line.text)
            self._at += 1
            if match:
                found[_unquoted(match.group("key"))] = self._of_key(match.group("rest") or "", indent)
            line = self._here(indent)
        return found

    def _of_key(self, rest: str, indent: int) -> Any:
        if rest:
            return self._value(rest)
        following = self._lines[self._at] if self._at < len(self._lines) else None
        if following is not None and following.is_item and following.indent == indent:
            return self._list(indent)  # a list may stand as far to the left as its key
        return self._below(indent)

    def _value(self, text: str) -> Any:
        if text[0] not in "[{":
            return _unquoted(text)
        while _depth(text) > 0 and self._at < len(self._lines):
            text += " " + self._lines[self._at].text
            self._at += 1
        return _flow(text)


def _depth(text: str) -> int:
    bare = _QUOTED.sub("", text)
    return sum(bare.count(sign) for sign in "[{") - sum(bare.count(sign) for sign in "]}")


def _flow(text: str) -> Any:
    try:
        # JSON is YAML, and the one form of it where no blank is needed behind a colon.
        return json.loads(text, parse_int=str, parse_float=str)
    except ValueError:
        pass
    tokens = [(match.group("sign") or "", _unquoted(match.group().strip())) for match in _TOKEN.finditer(text)]
    tokens = [token for token in reversed(tokens) if token != ("", "")]
    try:
        return _flow_value(tokens)
    except IndexError:
        raise ValueError(f"a bracket is not closed: {text}") from None


def _flow_value(tokens: list[tuple[str, str]]) -> Any:
    """Take a value from the end of `tokens`, which are pairs of a sign and a word."""
    sign, word = tokens.pop()
    if sign == "[":
        items = []
        while tokens[-1][0] != "]":
            items.append(_flow_value(tokens))
            _drop(tokens, ",")
        tokens.pop()
        return items
    if sign == "{":
        found = {}
        while tokens[-1][0] != "}":
            key = str(_flow_value(tokens))
            has_value = _drop(tokens, ":") and tokens[-1][0] not in (",", "}")
            found[key] = _flow_value(tokens) if has_value else None
            _drop(tokens, ",")
        tokens.pop()
        return found
    return word


def _drop(tokens: list[tuple[str, str]], sign: str) -> bool:
    if tokens[-1][0] != sign:
        return False
    tokens.pop()
    return True


def _unquoted(word: str) -> str:
    if word[:1] == "'":
        return word[1:-1].replace("''", "'")
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word[:1] == '"' else word
