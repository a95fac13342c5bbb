# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._flags import listed, read_table

LISTING: dict[str, t.Any] = {
    "flags": {
        "--alias": {"aliases": ["-a"]},
        "--bare": {"value": "none"},
        "--ui": {"value": "none", "off": "--no-ui", "aliases": ["--webui"], "off_aliases": ["--no-webui"]},
        "--mode": {"choices": ["on", "off", "auto"]},
        "--truncate": {"value": "optional"},
        "--names": {"value": "many"},
        "--model": {"repeat": True},
        "--number": {"env": "NUMBER"},
        "--each": {"value": "none", "repeat": True, "off": "--no-each"},
    }
}
TABLE = read_table(LISTING, "argparse")

WORDS: list[tuple[str, t.Any, list[str]]] = [
    ("--alias", "a b", ["--alias", "a b"]),
    ("--alias", "-x", ["--alias=-x"]),
    ("--number", -1, ["--number", "-1"]),
    ("--alias", {"b": 1, "a": "ü"}, ["--alias", '{"a": "ü", "b": 1}']),
    ("--bare", True, ["--bare"]),
    ("--bare", False, []),
    ("--ui", False, ["--no-ui"]),
    ("--truncate", True, ["--truncate"]),
    ("--truncate", False, ["--truncate", "false"]),
    ("--names", ["a", "b"], ["--names", "a", "b"]),
    ("--each", [True, False], ["--each", "--no-each"]),
    ("--model", ["a", "b"], ["--model", "a", "--model", "b"]),
]


@pytest.mark.parametrize(("flag", "value", "words"), WORDS)
def test_writes_a_flag_with_its_value(flag: str, value: t.Any, words: list[str]) -> None:
    assert TABLE.words(TABLE.get(flag), value) == words


def test_a_parser_that_takes_any_next_word_is_given_it() -> None:
    table = read_table(LISTING, "help")
    assert table.words(table.get("--alias"), "-x") == ["--alias", "-x"]


PROBLEMS: list[tuple[str, t.Any, str | None]] = [
    ("--alias", "x", None),
    ("--alias", None, "has no value"),
    ("--alias", True, "--alias takes a value"),
    ("--alias", ["a"], "--alias takes one value, not a list"),
    ("--bare", True, None),
    ("--bare", "yes", "--bare takes no value: write true"),
    ("--bare", False, "there is no flag that switches --bare off"),
    ("--no-ui", True, None),
    ("--no-ui", False, None),
    ("--mode", "on", None),
    ("--mode", "maybe", "--mode does not take 'maybe': choose on, off, auto"),
    ("--mode", True, "--mode takes a value: on, off, auto"),
    ("--truncate", False, None),
    ("--model", ["a", "b"], None),
    ("--names", ["a", "b"], None),
    # Python's argparse takes only the last of several, and drops a lone pair of dashes.
    ("--names", ["a", "--b"], "'--b' would be taken for a flag"),
    ("--alias", "-x", None),
    ("--alias", "--", "'--' would be taken for a flag"),
    ("--each", [True, False], None),
    ("--each", [True, "x"], "--each takes no value"),
    ("--bare", [True], "--bare takes no value"),
]


@pytest.mark.parametrize(("spelling", "value", "words"), PROBLEMS)
def test_tells_what_a_flag_does_not_take(spelling: str, value: t.Any, words: str | None) -> None:
    problem = TABLE.problem(spelling, value)
    assert problem is None if words is None else words in (problem or "")


def test_options_by_any_spelling_are_laid_over_each_other() -> None:
    merged = TABLE.merged({"no-ui": True, "alias": "a"}, {"webui": True}, {"alias": "b"})
    assert merged == {"--ui": True, "--alias": "b"}
    assert TABLE.merged({"ui": True}, {"no-webui": True}) == {"--ui": False}


def test_names_the_nearest() -> None:
    assert TABLE.near("--webu")[0] == "webui"
    assert TABLE.find("--webu") is None


def test_many_choices_are_not_all_said() -> None:
    assert listed(map(str, range(20))).endswith("10, 11, … (20 in all)")
