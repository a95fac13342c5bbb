# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from testinfra.host import Host

KEY_FILE = "/var/lib/llmops/servers/chat/current/client-key"
ASK = "curl --silent --max-time 3 --output /dev/null --write-out '%{http_code}'"
TIMED_OUT = 28


def addresses(host: Host) -> list[str]:
    """The host's own addresses, as the neighbours reach them."""
    return [str(host.interface("eth0").addresses[0]), "10.77.1.1"]


@pytest.mark.parametrize("number", [0, 1])
def test_an_allowed_network_reaches_the_server_and_needs_its_key(host: Host, number: int) -> None:
    url = f"http://{addresses(host)[number]}:8001/v1/models"
    friend = f"ip netns exec friend {ASK}"
    assert host.check_output(f"{friend} {url}") == "401"
    assert host.check_output(f'{friend} --header "Authorization: Bearer $(cat {KEY_FILE})" {url}') == "200"


@pytest.mark.parametrize("number", [0, 1])
def test_nobody_else_does(host: Host, number: int) -> None:
    url = f"http://{addresses(host)[number]}:8001/v1/models"
    done = host.run(f'ip netns exec stranger {ASK} --header "Authorization: Bearer $(cat {KEY_FILE})" {url}')
    assert (done.rc, done.stdout) == (TIMED_OUT, "000")


def test_what_keeps_a_stranger_out_is_that_rule(host: Host) -> None:
    assert host.run(f"ip netns exec stranger bash -c '</dev/tcp/{addresses(host)[0]}/22'").rc == 0


def test_the_host_itself_reaches_it(host: Host) -> None:
    assert host.check_output(f"{ASK} http://{addresses(host)[0]}:8001/health") == "200"


def test_the_rules_are_there_once(host: Host) -> None:
    rules = host.check_output("iptables-save").splitlines()
    assert rules.count("-A DOCKER-USER -j LLMOPS-chat") == 1
    own = [rule.split() for rule in rules if rule.startswith("-A LLMOPS-chat ")]
    assert [words[-1] for words in own] == ["RETURN", "RETURN", "DROP"]
    assert [words[words.index("-s") + 1] for words in own[:2]] == ["10.77.1.0/24", "192.0.2.7/32"]
