# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Chains of a firewall, as iptables 1.8 lists them."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _chains
from ansible_collections.llmops.serving.plugins.module_utils._chains import chain_of, chains, remove_chain
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, Completed, MissingError

RULES = """-P INPUT ACCEPT
-N DOCKER-USER
-N LLMOPS-chat
-A DOCKER-USER -p tcp -m comment --comment "two words" -m conntrack --ctorigdstport 8001 -j LLMOPS-chat
-A DOCKER-USER -j RETURN
-A LLMOPS-chat -s 10.0.0.0/8 -j RETURN
-A LLMOPS-chat -j DROP
"""


def play(monkeypatch: pytest.MonkeyPatch, answer: str | CommandError) -> list[list[str]]:
    asked: list[list[str]] = []

    def run(argv: list[str]) -> Completed:
        asked.append(argv)
        if isinstance(answer, CommandError):
            raise answer
        return Completed(0, answer, "")

    monkeypatch.setattr(_chains, "run", run)
    return asked


def test_only_chains_of_servers_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, RULES)
    assert chains() == ["LLMOPS-chat"]


def test_a_chain_goes_with_the_rules_that_lead_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = play(monkeypatch, RULES)
    remove_chain("LLMOPS-chat")
    jump = "DOCKER-USER|-p|tcp|-m|comment|--comment|two words|-m|conntrack|--ctorigdstport|8001|-j|LLMOPS-chat"
    assert asked[1:] == [
        ["iptables", "--wait", "-D", *jump.split("|")],
        ["iptables", "--wait", "-F", "LLMOPS-chat"],
        ["iptables", "--wait", "-X", "LLMOPS-chat"],
    ]


def test_a_host_without_a_firewall_has_no_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, MissingError("iptables is not installed"))
    assert chains() == []


def test_a_firewall_that_does_not_answer_is_no_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, CommandError("iptables --wait -S: Permission denied"))
    with pytest.raises(CommandError, match="Permission denied"):
        chains()


@pytest.mark.parametrize("name", ["chat", "a" * 21, "a" * 22, "a" * 60])
def test_names_of_chains_are_as_long_as_iptables_allows(name: str) -> None:
    assert len(chain_of(name)) <= 28
    assert (chain_of(name) == "LLMOPS-" + name) is (len(name) <= 21)
