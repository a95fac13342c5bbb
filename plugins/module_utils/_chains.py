# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The chains of the host's firewall in which servers have their rules (`allowed_networks`)."""

from __future__ import annotations

import hashlib
import shlex

from ansible_collections.llmops.serving.plugins.module_utils._command import MissingError, run

OURS = "LLMOPS-"
# Longest name of a chain of iptables.
_LONGEST = 28
_IPTABLES = ["iptables", "--wait"]


def chain_of(name: str) -> str:
    """Name the chain of a server's rules, which iptables wants short."""
    chain = OURS + name
    return chain if len(chain) <= _LONGEST else OURS + hashlib.sha256(name.encode()).hexdigest()[:16]


def chains() -> list[str]:
    """List the chains of servers that the firewall has; none without iptables.

    Raises:
        CommandError: The firewall cannot be asked.
    """
    return [words[1] for words in _rules() if words[0] == "-N" and words[1].startswith(OURS)]


def remove_chain(chain: str) -> None:
    """Remove a chain, its rules, and the rules that lead to it.

    Args:
        chain: Its name, one of `chains`.

    Raises:
        CommandError: The firewall refuses.
    """
    for words in _rules():
        if words[0] == "-A" and words[-2:] == ["-j", chain]:
            run([*_IPTABLES, "-D", *words[1:]])
    run([*_IPTABLES, "-F", chain])
    run([*_IPTABLES, "-X", chain])


def _rules() -> list[list[str]]:
    try:
        lines = run([*_IPTABLES, "-S"]).out.splitlines()
    except MissingError:
        return []
    return [words for words in map(shlex.split, lines) if len(words) > 1]
