# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import (
    BenchError,
    Key,
    key_order,
    label,
    names_of,
    number,
    one_line,
    read,
    written,
)
from tests.unit.plugins.bench_documents import VLLM, document, measured

NUMBERS = [
    (0, "0"),
    (0.0123, "0.012"),
    (0.5, "0.500"),
    (2, "2"),
    (1.234, "1.23"),
    (12.34, "12.3"),
    (123.4, "123"),
    (9999.4, "9999"),
    (12345.6, "12\u202f346"),
    (-4.5, "-4.50"),
]


@pytest.mark.parametrize(("value", "text"), NUMBERS)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (Key(4, None, None), "4 at once"),
        (Key(None, 2.5, None), "2.50 requests/s"),
        (Key(1, None, 8), "1 at once, batch 8"),
    ],
)
def test_levels_have_names(key: Key, text: str) -> None:
    assert key.text == text


def test_levels_have_an_order() -> None:
    keys = [Key(None, 2.0, None), Key(16, None, None), Key(2, None, None), Key(1, None, 8), Key(4, None, 1)]
    assert sorted(keys, key=key_order) == [keys[2], keys[1], keys[0], keys[4], keys[3]]


def test_names() -> None:
    said = [names_of("abcdefg"[:count]) for count in (1, 2, 3, 4, 5, 7)]
    assert said == ["a", "a and b", "a, b and c", "a, b, c and d", "a, b, c and 2 others", "a, b, c and 4 others"]


def test_lines_hold_no_breaks_and_no_hidden_characters() -> None:
    assert one_line("a\n\tb\x1b[31m \u202ec  d") == "a b [31m c d"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([("vllm", "vllm", "vLLM"), ("sglang", "sglang", "SGLang")], ["vLLM", "SGLang"]),
        ([("chat", "vllm", "vLLM")], ["chat (vLLM)"]),
        ([("own", "vllm", "vLLM"), ("parallel=8", "vllm", "vLLM")], ["own", "parallel=8"]),
        ([("a=1, b=2", "vllm", "vLLM"), ("a=1", "vllm", "vLLM")], ["a=1 + b=2", "a=1"]),
        ([("vllm", "vllm", "")], ["vllm"]),
    ],
)
def test_candidates_are_named_so_that_they_can_be_told_apart(
    names: list[tuple[str, str, str]], expected: list[str]
) -> None:
    candidates = [{"name": name, "engine": engine, "title": title} for name, engine, title in names]
    assert [label(candidate, {"candidates": candidates}) for candidate in candidates] == expected


def test_a_document_is_read_as_it_was_written() -> None:
    given = document([measured(VLLM, levels=(1,), repetitions=1)])
    assert read(json.dumps(given)) == given


# What a file holds, and what must be said of it.
WRONG: list[tuple[t.Any, str]] = [
    ("{", "this is no JSON"),
    ([], "this is no document of a benchmark"),
    ({"format": "other"}, "its format is not 'llmops-benchmark'"),
    ({"version": 2, "tools": {"llmops.serving": "0.9.0"}}, "version 2, this collection reads up to 1.*to 0.9.0"),
    ({"version": 2, "tools": None}, "a newer version"),
    ({"version": "1"}, "version is '1'"),
    ({"kind": "race"}, "kind is 'race': it must be one of benchmark, tournament, tune"),
    ({"candidates": None}, "'candidates' is missing or no list"),
    ({"seed": "x"}, "'seed' is missing or no int"),
    ({"candidates": [{}]}, r"candidates\[0\] has no name or no steps"),
    ({"candidates": [{"name": "a", "steps": 3}]}, r"candidates\[0\] has no name or no steps"),
]


@pytest.mark.parametrize(("given", "said"), WRONG)
def test_what_is_no_document_is_refused_in_one_line(given: t.Any, said: str) -> None:
    whole = document([]) | given if isinstance(given, dict) else given
    with pytest.raises(BenchError, match=said) as caught:
        read(given if isinstance(given, str) else json.dumps(whole))
    assert "\n" not in str(caught.value)
    assert ": " in str(caught.value)


def test_what_is_written_is_read_as_it_was_with_numbers_in_one_line() -> None:
    odd = {"text": "[ 1, 2 ]\n[\n 3\n]", "numbers": [1, -2.5, None, 1e-9], "one": [7], "none": [], "mixed": [1, "a"]}
    text = written(odd)
    assert json.loads(text) == odd
    assert '"numbers": [1, -2.5, null, 1e-09]' in text
    assert '"one": [7]' in text
    assert len(text.splitlines()) == 10
