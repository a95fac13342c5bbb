# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from tools import words_doc

CHECKOUT = Path(__file__).parents[3]


def test_the_page_is_what_the_script_writes() -> None:
    written = (CHECKOUT / "docs/words.md").read_text(encoding="utf-8")
    assert written == words_doc.document(), "docs/words.md is old: run tools/words_doc.py"


def test_every_engine_has_a_part() -> None:
    text = words_doc.document()
    for path in CHECKOUT.glob("roles/*/engine.yml"):
        assert f"\n## {path.parent.name}\n" in text


RULES: list[tuple[dict[str, t.Any], str]] = [
    ({"flag": "--a"}, "`--a`"),
    ({"env": "A"}, "`A`"),
    ({"flag": "--a", "times": "parallel"}, "`--a` times parallel"),
    ({"flag": "--a", "scale": 2, "default": 4}, "`--a` times 2 (default 4)"),
    ({"flag": "--a", "with": ["--b"]}, "`--b` `--a`"),
    ({"flag": "--a", "also": [{"flag": "--c", "times": "parallel"}]}, "`--a` `--c` times parallel"),
    ({"flag": "--a", "values": {"half": "float16"}}, "`--a` half → float16"),
    ({"flag": "--a", "dropped": {"gguf": "llama_cpp"}}, "`--a` not gguf"),
    ({}, "nothing to pass: the engine sees it in the model"),
]


@pytest.mark.parametrize(("rule", "cell"), RULES)
def test_a_cell_says_all_of_a_rule(rule: dict[str, t.Any], cell: str) -> None:
    assert words_doc._rule(rule) == cell
