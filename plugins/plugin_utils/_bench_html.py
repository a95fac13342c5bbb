# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Make HTML and SVG in which no text can be anything but text."""

from __future__ import annotations

import html
import typing as t
from unicodedata import category

Attribute = str | int | float | None


class Html(str):
    """Markup: what is not of this type is escaped where it is put into an element."""

    __slots__ = ()


# Elements of HTML without an end (HTML Living Standard, 13.1.2 "Elements", void elements).
_VOID: t.Final = frozenset({"meta", "link", "br", "hr"})


def element(_name: str, *children: str, **attributes: Attribute) -> Html:
    """Make an element.

    Args:
        children: Markup, or texts that are escaped.
        attributes: By name, an underscore for a dash and one at the end for a word of Python; None leaves one out.

    Returns:
        The element.
    """
    said = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(_value(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if _name in _VOID:
        return Html(f"<{_name}{said}>")
    return Html(f"<{_name}{said}>{join(*children)}</{_name}>")


def join(*children: str) -> Html:
    """Put markup and texts one after another."""
    return Html("".join(child if isinstance(child, Html) else html.escape(visible(child)) for child in children))


def visible(text: str) -> str:
    """Show what would be invisible: control characters, and marks that turn the direction of writing."""
    return "".join(char if char in "\n\t" or category(char)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for char in text)


def _value(value: str | float) -> str:
    # Two decimals of a pixel are enough, and a page of curves is half as large.
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else visible(str(value))
