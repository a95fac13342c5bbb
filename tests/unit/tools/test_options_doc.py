# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from types import ModuleType

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def options_doc() -> ModuleType:
    """The script, which is no module of a package."""
    spec = importlib.util.spec_from_file_location("options_doc", CHECKOUT / "tools/options_doc.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_script_writes(options_doc: ModuleType) -> None:
    written = (CHECKOUT / "docs/options.md").read_text(encoding="utf-8")
    assert written == options_doc.document(), "docs/options.md is old: run tools/options_doc.py"


def test_every_role_has_a_part(options_doc: ModuleType) -> None:
    assert set(options_doc.ROLES) == {path.parents[1].name for path in CHECKOUT.glob("roles/*/meta/argument_specs.yml")}


def test_every_option_has_a_row(options_doc: ModuleType) -> None:
    text = options_doc.document()
    for role in options_doc.ROLES:
        specs = yaml.safe_load((CHECKOUT / "roles" / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
        for name in specs["argument_specs"]["main"]["options"]:
            assert f"| `{name}` |" in text


# An option of a specification, and its row.
ROWS: list[tuple[dict[str, Any], str]] = [
    ({"type": "int", "default": 0, "description": "A number."}, "| `x` | int | `0` | A number. |"),
    ({"description": ["Two", "parts."], "required": True}, "| `x` | str | required | Two parts. |"),
    ({"type": "list", "elements": "str", "default": [], "description": "L."}, "| `x` | list of str | `[]` | L. |"),
    ({"choices": ["a", "b"], "description": "C."}, "| `x` | str |  | C. One of a, b. |"),
    # A bar would end the cell.
    ({"default": "a|b", "description": "One | two."}, r"| `x` | str | `a\|b` | One \| two. |"),
    ({"description": "See V(true), O(a.b) and C(f(x))."}, "| `x` | str |  | See `true`, `a.b` and `f(x)`. |"),
]


@pytest.mark.parametrize(("option", "row"), ROWS)
def test_a_row_says_all_of_an_option(options_doc: ModuleType, option: dict[str, Any], row: str) -> None:
    assert options_doc._rows({"x": option}, "") == [row]


def test_words_inside_an_option_have_rows_of_their_own(options_doc: ModuleType) -> None:
    inside = {"port": {"type": "int", "required": True, "description": "P."}}
    rows = options_doc._rows({"servers": {"type": "list", "description": "S.", "options": inside}}, "")
    assert rows == ["| `servers` | list |  | S. |", "| `servers[].port` | int | required | P. |"]
