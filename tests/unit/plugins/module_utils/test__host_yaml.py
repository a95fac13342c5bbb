# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reader of YAML, compared with PyYAML over what the toolkit wrote and over small documents."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils._host_yaml import read_yaml

RECORDED = (Path(__file__).parents[3] / "fixtures/host/cdi/8xh100.yaml").read_text(encoding="utf-8")


def as_text(text: str) -> Any:
    """Read with PyYAML, every word as text."""
    return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506  the loader that makes nothing but text


def test_what_the_toolkit_wrote() -> None:
    assert read_yaml(RECORDED) == as_text(RECORDED)


@pytest.mark.parametrize("style", [False, None, True])
@pytest.mark.parametrize("indent", [2, 4])
@pytest.mark.parametrize("width", [80, 100_000])
@pytest.mark.parametrize("ordered", [False, True])
def test_the_same_in_other_styles(style: bool | None, indent: int, width: int, ordered: bool) -> None:
    content = as_text(RECORDED)
    text = yaml.dump(content, default_flow_style=style, indent=indent, width=width, sort_keys=ordered)
    assert text != RECORDED
    assert read_yaml(text) == content


@pytest.mark.parametrize("options", [{}, {"indent": 2}, {"separators": (",", ":")}])
def test_json_is_yaml(options: dict[str, Any]) -> None:
    content = as_text(RECORDED)
    assert read_yaml(json.dumps(content, **options)) == content


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\n",
        "a:\n",
        "a: b c  # not this\n",
        "a: b#c\n",
        "# only\n  # comments\n",
        "---\n- a\n- b: c\n  d: e\n-\n  f: g\n- - h\n  - i\n",
        "a:\n- b\n- c\nd: e\n",
        "a:\n  - b:\n    - c\n    d: e\n  - f\n",
        "'a b': \"c: d\"\n",
        "a: 'it''s # one'\n",
        'a: "say \\"x\\" # now"\n',
        "a: http://x:80/y\n",
        "a: 0:1\nb: no\nc: ~x\n",
        "- --folder=/usr/lib64:/usr/lib\n- -v\n- a=b:c\n",
        "a: {b: c, d: [e, f g, 'h, i'], j: {}}\n",
        "a: [\n  b, # first\n  {c: d},\n]\ne: f\n",
        '{"a":"b","c":["d"]}\n',
        "[]\n",
        "a: []\nb: {}\n",
        "word\n",
        "a: [http://x/y, b:c]\n",
    ],
)
def test_small_documents(text: str) -> None:
    expected = as_text(text)
    # PyYAML says "" for no value and None for no document.
    assert _empty_as_none(read_yaml(text)) == _empty_as_none(expected)


def _empty_as_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _empty_as_none(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_empty_as_none(entry) for entry in value]
    return None if value == "" else value


def test_text_of_several_lines_does_not_hide_what_follows() -> None:
    read = read_yaml("a: one\n   two: three\nb: |\n  four: five\n  - six\nc: seven\n")
    assert (read["a"], read["c"]) == ("one", "seven")


@pytest.mark.parametrize("text", ["a: [b, c", "a: {b: [c}", "{a: b"])
def test_brackets_must_close(text: str) -> None:
    with pytest.raises(ValueError, match="bracket"):
        read_yaml(text)


def test_it_ends_whatever_it_is_given() -> None:
    dice = random.Random(7)  # noqa: S311  no secret
    pieces = ["- ", "a", ": ", ":", "\n", "  ", "[", "]", "{", "}", ",", "'", '"', "#", " ", "-", "b: c\n", "- d: e\n"]
    for _ in range(3000):
        text = "".join(dice.choices(pieces, k=dice.randint(1, 25)))
        try:
            read_yaml(text)
        except ValueError as error:
            assert "bracket" in str(error)  # noqa: PT017  either outcome is right
