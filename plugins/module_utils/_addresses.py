# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The IP addresses of this host, read from the kernel: no program is run and no packet is sent."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]  # noqa: UP007 - the operator came with Python 3.10

# Addresses that the internet will never have (RFC 5737, RFC 3849): the way to them is the default route's.
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
_ANY_PORT = 9


def own_addresses(proc: Path = Path("/proc")) -> list[str]:
    """Give all addresses by which this host may talk to another one, sorted; not those of loopback and link.

    Args:
        proc: Where the kernel tells about the network, proc(5).
    """
    found = {*_own_v4(proc), *_own_v6(proc)}
    return [
        str(address) for address in sorted(found, key=lambda each: (each.version, int(each))) if _leads_out(address)
    ]


def default_addresses() -> list[str]:
    """Give the addresses from which this host talks to the rest of the world: one of IPv4, one of IPv6, or fewer."""
    found = []
    for family, place in _ELSEWHERE:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Connecting a datagram socket only chooses a route.
            probe.connect((place, _ANY_PORT))
            found.append(str(probe.getsockname()[0]).partition("%")[0])
    return [text for text in found if _leads_out(ipaddress.ip_address(text))]


def is_loopback(name: str) -> bool:
    """Whether a name or an address can only mean the host itself."""
    if name.lower().rstrip(".") in ("localhost", "localhost.localdomain", "ip6-localhost"):
        return True
    address = parse(name)
    return address is not None and (address.is_loopback or address.is_unspecified)


def parse(text: str) -> Address | None:
    """Read an address, with or without brackets and zone; None for a name. IPv4 inside IPv6 counts as IPv4."""
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    inside = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return inside or address


def candidates(names: Sequence[str]) -> list[str]:
    """Choose by which names others may reach this host: those given, without what means the host itself, once each.

    Names that cannot be names of the DNS, as an inventory may give to hosts, are left out too.
    """
    return list(dict.fromkeys(name.strip("[]") for name in names if _is_name(name) and not is_loopback(name)))


def _is_name(text: str) -> bool:
    try:
        return bool(text.encode("idna"))
    except UnicodeError:
        return False


def _leads_out(address: Address) -> bool:
    return not (address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast)


def _own_v4(proc: Path) -> Iterator[Address]:
    """Read the kernel's table of routes: an address of its own is a leaf that is followed by "/32 host LOCAL"."""
    leaf = ""
    for line in _lines(proc / "net/fib_trie"):
        words = line.split()
        if words[:1] == ["|--"] and len(words) > 1:
            leaf = words[1]
        elif words == ["/32", "host", "LOCAL"]:
            yield ipaddress.IPv4Address(leaf)


def _own_v6(proc: Path) -> Iterator[Address]:
    for line in _lines(proc / "net/if_inet6"):
        digits = line.partition(" ")[0]
        yield ipaddress.IPv6Address(int(digits, 16))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []  # a kernel without IPv6 has no such file
