# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real programs."""

from __future__ import annotations

import time

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, Completed, MissingError, run


def shell(script: str) -> list[str]:
    return ["sh", "-c", script, "name-of-the-script"]


def test_gives_what_a_program_leaves_behind() -> None:
    assert run(shell("echo out; echo err >&2")) == Completed(0, "out\n", "err\n")


def test_passes_words_on_as_they_are() -> None:
    assert run(["printf", "%s|", "a b", "$HOME", "*"]).out == "a b|$HOME|*|"


def test_speaks_english_and_hears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    monkeypatch.setenv("SOME_WORD", "kept")
    # `cat` would wait for ever for an input that is not closed.
    assert run(shell('cat; echo "$LC_ALL $LANGUAGE $SOME_WORD"'), timeout=10).out == "C C kept\n"


def test_bytes_that_are_no_text_are_no_reason_to_fail() -> None:
    assert run(["printf", r"a\377b"]).out == "a\ufffdb"


# What a program says, and what the error says of it.
FAILURES = [
    ("echo first >&2; echo last >&2; echo out; exit 3", "last"),
    ("echo 'only out'; exit 1", "only out"),
    ("exit 1", "no message"),
    ("kill -9 $$", "no message"),
]


@pytest.mark.parametrize(("script", "words"), FAILURES)
def test_a_failure_ends_with_the_programs_last_words(script: str, words: str) -> None:
    with pytest.raises(CommandError) as caught:
        run(shell(script))
    message = str(caught.value)
    assert message.startswith("sh -c ")
    assert message.endswith(f": {words}")
    # Only the first words: a command line may be long.
    assert "name-of-the-script" not in message


def test_a_failure_that_is_expected_is_an_answer() -> None:
    assert run(shell("echo no >&2; exit 4"), check=False) == Completed(4, "", "no\n")


@pytest.mark.parametrize("check", [True, False])
def test_says_which_program_is_missing(check: bool) -> None:
    with pytest.raises(MissingError, match=r"^no-such-program is not installed$"):
        run(["no-such-program", "--help"], check=check)


@pytest.mark.parametrize("check", [True, False])
def test_ends_what_takes_too_long(check: bool) -> None:
    began = time.monotonic()
    with pytest.raises(CommandError, match=r"^sleep 30 took more than 0.2 s$"):
        run(["sleep", "30"], timeout=0.2, check=check)
    assert time.monotonic() - began < 10
