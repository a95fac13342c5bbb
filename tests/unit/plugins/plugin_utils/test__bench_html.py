# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_html import Html, element, join


def test_texts_are_escaped_and_markup_is_not() -> None:
    inner = element("b", "<i>&\"'")
    assert inner == "<b>&lt;i&gt;&amp;&quot;&#x27;</b>"
    assert element("p", inner, " <u>") == f"<p>{inner} &lt;u&gt;</p>"
    assert join("<", Html("<br>")) == "&lt;<br>"


def test_attributes_are_escaped_and_named_as_in_html() -> None:
    made = element("a", class_="x", aria_label='"><script>', data_x=None, tabindex=0, y=1.005, x=2.50)
    assert made == '<a class="x" aria-label="&quot;&gt;&lt;script&gt;" tabindex="0" y="1" x="2.5"></a>'


def test_elements_without_an_end() -> None:
    assert element("meta", charset="utf-8") == '<meta charset="utf-8">'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[1m", "a\ufffd[1m"),
        ("\u202eb", "\ufffdb"),
        ("a\n\tb", "a\n\tb"),
        ("1\u202f000 \u4e2d", "1\u202f000 \u4e2d"),
    ],
)
def test_what_is_hidden_is_shown(text: str, shown: str) -> None:
    assert element("p", text) == f"<p>{shown}</p>"
