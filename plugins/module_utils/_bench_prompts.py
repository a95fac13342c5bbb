# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prompts of a benchmark: of a set length in tokens without a tokenizer, seeded, and each of them unique.

The server itself says how many tokens each word of a fixed pool takes. Words are then strung together until the sum is
exact, so every engine that serves the same model gets the same prompts, letter for letter.
"""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Short, frequent words: most vocabularies have each of them, with its space, as one token.
POOL = (
    "water", "house", "time", "light", "music", "paper", "story", "world", "river", "table",
    "green", "small", "open", "early", "simple", "strong", "quiet", "north", "winter", "summer",
    "family", "garden", "letter", "market", "money", "morning", "number", "office", "people", "picture",
    "school", "second", "street", "train", "village", "window", "year", "book", "friend", "a", "in", "on",
)  # fmt: skip
#: Stands before the words of every prompt, since a template may strip the space of the first one.
OPENING = "Text:"
#: How often a word is repeated to learn what it takes.
REPEATS = 16
#: The question to a reranker; its documents are what has the set length.
QUERY = "Which text tells of a morning by the river?"
# Fewer words than this make prompts that resemble each other.
_FEWEST = 8
# How often a prompt is made anew before the room for different ones counts as used up.
_TRIES = 200


class BenchError(Exception):
    """A benchmark that cannot go on.

    Attributes:
        seen: What is wrong, one line.
        remedy: What to do about it, one line without "; ".
    """

    def __init__(self, seen: str, remedy: str) -> None:
        """Joins both to one line."""
        self.seen = seen
        self.remedy = remedy
        super().__init__(f"{seen}; {remedy}")


def repeated(word: str) -> str:
    """The prompt that tells what a word takes."""
    return OPENING + (" " + word) * REPEATS


def tokens_of(counts: Mapping[str, int], base: int) -> dict[str, int]:
    """What each word takes.

    Args:
        counts: By word, the prompt tokens of `repeated(word)`.
        base: Prompt tokens of the opening alone.

    Returns:
        By word, its tokens; without the words whose number depends on their neighbours.

    Raises:
        BenchError: Too few words are left.
    """
    words = {
        word: (count - base) // REPEATS
        for word, count in counts.items()
        if count > base and (count - base) % REPEATS == 0
    }
    if len(words) < _FEWEST:
        raise BenchError(
            f"only {len(words)} of {len(counts)} words take the same number of tokens wherever they stand, so no "
            "prompt of a set length can be made",
            "give fixed texts as work.prompts",
        )
    return words


class Lengths:
    """Which sums of tokens the words can make, and random rows of words with a given sum."""

    def __init__(self, words: Mapping[str, int], most: int) -> None:
        """Finds the sums.

        Args:
            words: By word, its tokens.
            most: Largest sum that will be asked for.
        """
        # Sorted, since a mapping that went through JSON may come in any order.
        by_size: dict[int, list[str]] = {}
        for word in sorted(words):
            by_size.setdefault(words[word], []).append(word)
        self._words = words
        self._by_size = by_size
        self._possible = [True] + [False] * most
        for total in range(1, most + 1):
            self._possible[total] = any(size <= total and self._possible[total - size] for size in by_size)

    def possible(self, total: int) -> bool:
        """Whether some words add up to `total` tokens."""
        return 0 <= total < len(self._possible) and self._possible[total]

    def row(self, total: int, rng: random.Random) -> list[str]:
        """Random words that add up to exactly `total` tokens, which must be possible."""
        largest = max(self._by_size)
        everything = [word for size in sorted(self._by_size) for word in self._by_size[size]]
        row = []
        while total > 0:
            word = rng.choice(everything)
            size = self._words[word]
            if size > total or not self._possible[total - size]:
                fitting = [size for size in range(1, min(largest, total) + 1) if self._fits(size, total)]
                size = rng.choice(fitting)
                word = rng.choice(self._by_size[size])
            row.append(word)
            total -= size
        return row

    def _fits(self, size: int, total: int) -> bool:
        return size in self._by_size and self._possible[total - size]


class Prompts:
    """Makes the prompts of one step in order; the same seed and step give the same ones."""

    def __init__(self, seed: int, step: str, words: Mapping[str, int], room: int, shared: int = 0) -> None:
        """Prepares the lengths.

        Args:
            seed: Of the whole run.
            step: What tells this step from every other of the run.
            words: By word, its tokens.
            room: Tokens that the words of a prompt shall take, those of the shared beginning included.
            shared: Tokens of a beginning that all prompts of the run have in common.

        Raises:
            BenchError: No words add up to that.
        """
        if not words:
            raise BenchError("words is empty", "set words to what benchmark_prepare returned")
        self._seed, self._step = seed, step
        self._lengths = Lengths(words, max(room, 1))
        self._beginning: list[str] = []
        own = room
        if shared:
            while shared > 0 and not (self._lengths.possible(shared) and self._lengths.possible(room - shared)):
                shared -= 1
            self._beginning = self._lengths.row(shared, random.Random(f"{seed}/shared"))  # noqa: S311  # no secret
            own = room - shared
        if own < 1 or not self._lengths.possible(own):
            raise BenchError(
                f"no words add up to the {own} tokens that are left of work.input_tokens for a prompt of its own",
                "raise work.input_tokens by a few tokens, or lower work.shared_tokens",
            )
        self._own = own
        self._made: set[str] = set()

    def make(self, index: int) -> str:
        """The prompt of a request, different from all made before.

        Raises:
            BenchError: There are no more different ones of this length.
        """
        for attempt in range(_TRIES):
            again = f"/{attempt}" if attempt else ""
            rng = random.Random(f"{self._seed}/{self._step}/{index}{again}")  # noqa: S311  # no secret
            row = self._beginning + self._lengths.row(self._own, rng)
            text = " ".join([OPENING, *row])
            if text not in self._made:
                self._made.add(text)
                return text
        raise BenchError(
            f"{self._own} tokens are too few for {len(self._made) + 1} different prompts",
            "raise work.input_tokens",
        )


def texts(seed: int, step: str, index: int, batch: int, length: int) -> list[str]:
    """The texts of one request for embeddings or a ranking.

    Args:
        seed: Of the whole run.
        step: What tells this step from every other.
        index: Of the request.
        batch: How many texts.
        length: Words of one text.
    """
    rng = random.Random(f"{seed}/{step}/{index}")  # noqa: S311  # no secret
    return [" ".join(rng.choice(POOL) for _word in range(length)) for _text in range(batch)]


def digest(prompts: Iterable[Sequence[str]]) -> str:
    """SHA-256 over all texts in order, as hexadecimal."""
    hasher = hashlib.sha256()
    for prompt in prompts:
        for text in prompt:
            # A byte that no text holds keeps ["ab"] and ["a", "b"] apart.
            hasher.update(text.encode("utf-8") + b"\0")
    return hasher.hexdigest()
