# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._changes import change_problems, with_changes

SERVERS = [
    {"name": "chat", "engine": "vllm", "dtype": "half", "api_key": ["k"]},
    {"name": "embed", "engine": "infinity"},
]


def test_words_win_and_null_takes_away() -> None:
    changed = with_changes(SERVERS, {"chat": {"engine": "llama_cpp", "dtype": None, "parallel": 4}})
    assert changed == [{"name": "chat", "engine": "llama_cpp", "api_key": ["k"], "parallel": 4}, SERVERS[1]]
    assert SERVERS[0]["dtype"] == "half", "the inventory's own are left as they are"


@pytest.mark.parametrize(
    ("servers", "changes"), [("nonsense", {"chat": {}}), (SERVERS, "nonsense"), (SERVERS, {}), (SERVERS, {"chat": "x"})]
)
def test_nonsense_changes_nothing(servers: t.Any, changes: t.Any) -> None:
    assert with_changes(servers, changes) == servers


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chatt": {}}, "serving_changes: this host has no server 'chatt': choose among chat, embed"),
        ("x", "serving_changes: must be a dict"),
        ({"chat": "x"}, "serving_changes['chat']: must be a dict of words"),
        ({"chat": {"api_key": ["s3cret"]}}, "serving_changes['chat'].api_key: belongs in serving_servers"),
        ({"chat": {"name": "other"}}, "serving_changes['chat'].name: belongs in serving_servers"),
    ],
)
def test_problems_are_one_line_each(changes: t.Any, said: str) -> None:
    (problem,) = change_problems(SERVERS, changes)
    assert problem.startswith(said)
    assert "s3cret" not in problem


def test_sound_changes_have_none() -> None:
    assert change_problems(SERVERS, {"chat": {"parallel": 2}}) == []
