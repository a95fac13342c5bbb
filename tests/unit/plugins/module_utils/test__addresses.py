# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of this host, out of what kernels write, and of the machine that runs the tests."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._addresses import (
    candidates,
    default_addresses,
    is_loopback,
    own_addresses,
    parse,
)

if TYPE_CHECKING:
    from pathlib import Path

# As Linux 6.1 writes it: each address twice, for the tables main and local; networks and broadcasts are none of them.
FIB_TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.0.0.0/24 2 0 2
        +-- 10.0.0.0/28 2 0 2
           |-- 10.0.0.0
              /24 link UNICAST
           |-- 10.0.0.11
              /32 host LOCAL
        |-- 10.0.0.255
           /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
        |-- 169.254.7.1
           /32 host LOCAL
Local:
     |-- 9.9.9.2
        /32 host LOCAL
     |-- 10.0.0.11
        /32 host LOCAL
"""
IF_INET6 = """00000000000000000000000000000001 01 80 10 80       lo
fd000000000000000000000000000002 02 40 00 80     eth0
fe8000000000000000fc00fffe000001 02 40 20 80     eth0
"""


def test_own_addresses_are_those_that_lead_out(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/fib_trie").write_text(FIB_TRIE, encoding="ascii")
    (tmp_path / "net/if_inet6").write_text(IF_INET6, encoding="ascii")
    assert own_addresses(tmp_path) == ["9.9.9.2", "10.0.0.11", "fd00::2"]


def test_a_kernel_without_ipv6(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/fib_trie").write_text(FIB_TRIE, encoding="ascii")
    assert own_addresses(tmp_path) == ["9.9.9.2", "10.0.0.11"]


def test_the_addresses_of_this_machine_are_its_own() -> None:
    for address in own_addresses():
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as here:
            here.bind((address, 0))  # an error for an address of another host
    assert set(default_addresses()) <= set(own_addresses())


@pytest.mark.parametrize(
    ("name", "itself"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True),  # noqa: S104 - as a name
        ("localhost", True),
        ("LocalHost.", True),
        ("10.0.0.1", False),
        ("fd00::1", False),
        ("localhost.example.org", False),
        ("host1", False),
    ],
)
def test_what_means_the_host_itself(name: str, itself: bool) -> None:
    assert is_loopback(name) is itself


def test_candidates_are_what_others_can_use_once_each() -> None:
    given = ["10.0.0.1", "localhost", "host1", "", "127.0.0.1", "10.0.0.1", "[fd00::1]"]
    assert candidates(given) == ["10.0.0.1", "host1", "fd00::1"]


@pytest.mark.parametrize(("name", "good"), [("gpu_1.lab", True), ("é.lab", True), ("a..b", False), ("x" * 64, False)])
def test_what_cannot_be_a_name_is_none(name: str, good: bool) -> None:
    assert (candidates(["10.0.0.1", name]) == ["10.0.0.1", name]) is good


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fd00::0:1]", "fd00::1"),
        ("host1", "None"),
        ("", "None"),
    ],
)
def test_parse(text: str, found: str) -> None:
    assert str(parse(text)) == found
