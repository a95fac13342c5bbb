# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts of an exact length, the same for the same seed, all different."""

from __future__ import annotations

import random

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._bench_prompts import (
    OPENING,
    POOL,
    BenchError,
    Lengths,
    Prompts,
    digest,
    repeated,
    texts,
    tokens_of,
)

# Tokenizers: one token a word; a small vocabulary; one without any word of one token.
EVEN = dict.fromkeys(POOL, 1)
SMALL = {word: min(len(word), 4) for word in POOL}
COARSE = {word: 2 + place % 3 for place, word in enumerate(POOL)}
TOKENIZERS = {"even": EVEN, "small": SMALL, "coarse": COARSE}


def measured(prompt: str, words: dict[str, int]) -> int:
    opening, *rest = prompt.split(" ")
    assert opening == OPENING
    return sum(words[word] for word in rest)


def test_the_pool_is_words_each_once() -> None:
    assert 32 <= len(POOL) <= 48
    assert len(set(POOL)) == len(POOL)
    assert all(word.isascii() and word.islower() and word.isalpha() for word in POOL)


@pytest.mark.parametrize("room", [5, 17, 243, 2000])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_every_prompt_has_the_exact_length(name: str, room: int) -> None:
    words = TOKENIZERS[name]
    prompts = Prompts(1, "1/4", words, room)
    made = [prompts.make(index) for index in range(20)]
    assert {measured(prompt, words) for prompt in made} == {room}
    assert len(set(made)) == 20


def test_the_order_of_the_words_does_not_matter() -> None:
    backwards = dict(sorted(SMALL.items(), reverse=True))
    assert Prompts(1, "1/4", SMALL, 90).make(3) == Prompts(1, "1/4", backwards, 90).make(3)


def test_prompts_do_not_depend_on_those_before() -> None:
    one, other = Prompts(1, "1/4", SMALL, 90), Prompts(1, "1/4", SMALL, 90)
    one.make(0)
    assert one.make(1) == other.make(1)


def test_prompts_of_a_run_are_all_different() -> None:
    made = [
        Prompts(1, f"{repetition}/{load}", SMALL, 60).make(index)
        for repetition in range(3)
        for load in (1, 2, 4)
        for index in range(100)
    ]
    assert len(set(made)) == 900
    # No two begin with the same three words, so no block of a prefix cache fits.
    assert len({prompt.split(" ")[1] for prompt in made}) > 20


def test_a_shared_beginning_is_shared_and_within_the_length() -> None:
    made = [Prompts(1, step, COARSE, 200, 120).make(index) for step in ("1/1", "2/8") for index in range(5)]
    assert {measured(prompt, COARSE) for prompt in made} == {200}
    split = [prompt.split(" ") for prompt in made]
    shared = 0
    while len({row[shared] for row in split}) == 1:
        shared += 1
    assert sum(COARSE[word] for word in split[0][1:shared]) >= 120
    assert len(set(made)) == 10


@pytest.mark.parametrize(
    ("words", "room", "shared", "said"),
    [
        (COARSE, 1, 0, "no words add up to the 1 tokens that are left of work.input_tokens"),
        (EVEN, 50, 50, "no words add up to the 0 tokens"),
        ({}, 50, 0, "words is empty; set words to what benchmark_prepare returned"),
    ],
)
def test_impossible_lengths_are_said(words: dict[str, int], room: int, shared: int, said: str) -> None:
    with pytest.raises(BenchError, match=said):
        Prompts(1, "1/1", words, room, shared)


def test_too_short_prompts_run_out() -> None:
    prompts = Prompts(1, "1/1", EVEN, 1)
    with pytest.raises(BenchError, match=r"1 tokens are too few for \d+ different prompts; raise work.input_tokens"):
        list(map(prompts.make, range(len(POOL) + 1)))


def test_words_whose_length_depends_on_neighbours_are_dropped() -> None:
    counts = {word: 10 + 16 * (1 + place % 2) for place, word in enumerate(POOL)}
    counts["water"] = 10 + 17
    found = tokens_of(counts, 10)
    assert "water" not in found
    assert set(found.values()) == {1, 2}
    assert len(found) == len(POOL) - 1


def test_too_few_words_are_said() -> None:
    with pytest.raises(BenchError, match=r"only 0 of \d+ words take the same number of tokens"):
        tokens_of(dict.fromkeys(POOL, 10 + 17), 10)


def test_a_repeated_word_has_a_space_before_each() -> None:
    assert repeated("a") == OPENING + " a" * 16


@pytest.mark.parametrize("total", range(1, 30))
def test_a_row_adds_up_whenever_it_can(total: int) -> None:
    words = {"xxx": 3, "fffff": 5, "wwwwwwwww": 9}
    lengths = Lengths(words, 30)
    assert lengths.possible(total) == (total not in (1, 2, 4, 7))
    if lengths.possible(total):
        assert sum(words[word] for word in lengths.row(total, random.Random(total))) == total  # noqa: S311  # no secret


def test_texts_have_their_number_of_words() -> None:
    made = texts(1, "1/4", 0, 3, 12)
    assert [len(text.split()) for text in made] == [12] * 3
    assert made == texts(1, "1/4", 0, 3, 12)
    assert made != texts(1, "1/4", 1, 3, 12)


def test_the_digest_tells_texts_apart() -> None:
    assert digest([["ab"]]) == digest([("ab",)])
    assert len({digest([["ab"]]), digest([["a", "b"]]), digest([["b", "a"]]), digest([])}) == 4
