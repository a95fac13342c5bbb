# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Say who reaches a server, what answers him without a key, and keep others out by the host's firewall."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._chains import chain_of
from ansible_collections.llmops.serving.plugins.module_utils._security import GRAVE, accepted

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import Definition

LOOPBACK: t.Final = "127.0.0.1"
# Docker's own chain for rules of others: what is forwarded passes it first, and Docker never empties it.
_CHAIN: t.Final = "DOCKER-USER"
# A unit needs the path; it is this one on every host of the collection.
_IPTABLES: t.Final = "/usr/sbin/iptables --wait"


def is_exposed(server: Mapping[str, t.Any]) -> bool | None:
    """Tell whether other hosts reach a server; None if its `bind` is no address."""
    try:
        return not ipaddress.ip_address(server.get("bind") or LOOPBACK).is_loopback
    except ValueError:
        return None


def routes_of(definition: Definition) -> list[dict[str, t.Any]]:
    """List the routes of an engine, one by one.

    Args:
        definition: An engine's definition, in whose `routes` those of a kind stand together.

    Returns:
        Of each `path`, `method`, `kind` and `open`.
    """
    return [
        {"path": path, "method": method.upper(), "kind": group["kind"], "open": bool(group.get("open"))}
        for group in definition["routes"]
        for method in ("post", "get")
        for path in group.get(method, [])
    ]


def open_routes(definition: Definition, keyed: bool, accept: t.Sequence[str]) -> list[str]:
    """Find what an engine would compute, or let be changed, for everybody who reaches it.

    Args:
        definition: An engine's definition.
        keyed: Whether its server has a key.
        accept: Paths that may be open, with what lies below them.

    Returns:
        Paths, each once. Those that only exist where options open them are left to the probe of the running server.
    """
    groups = [group for group in definition["routes"] if "only_with" not in group]
    found = [
        route["path"]
        for route in routes_of({"routes": groups})
        if route["kind"] in GRAVE and (route["open"] or not keyed) and not accepted(route["path"], accept)
    ]
    return list(dict.fromkeys(found))


def exposure_problems(server: Mapping[str, t.Any], definition: Definition) -> Iterator[str]:
    """Find what is wrong with who reaches a server.

    Args:
        server: One entry of `serving_servers`.
        definition: Its engine's definition.

    Yields:
        One line a problem.
    """
    exposed, accept = is_exposed(server), server.get("accept_open_routes") or []
    keyed = server.get("api_key") is not None
    bind = server.get("bind") or LOOPBACK
    if wrong := [path for path in accept if not path.startswith("/") or not path.strip("/")]:
        yield f"accept_open_routes: {wrong[0]!r} is no path of a route: write it from its first slash, such as /rerank"
    elif accept and exposed is False:
        yield f"accept_open_routes: bind is {bind}, where no other host is answered: remove it"
    elif keyed and "refused" in definition["secrets"]["api_key"]:
        pass  # told already, and without it everything is open
    elif exposed and (left := open_routes(definition, keyed, accept)):
        # Nobody names all routes of an engine to say that he wants no key.
        if not keyed and not accept:
            yield f"bind: {bind} is public and api_key is not set: set api_key, or bind 127.0.0.1"
        else:
            which = "its key" if keyed else "a key"
            yield (
                f"bind: {bind} is public, and {definition['title']} answers {', '.join(left)} without {which}: bind "
                "127.0.0.1 and let a reverse proxy pass /v1 alone, or name them in accept_open_routes"
            )
    yield from _network_problems(server, exposed)


def _network_problems(server: Mapping[str, t.Any], exposed: bool | None) -> Iterator[str]:
    networks, bind = server.get("allowed_networks"), server.get("bind") or LOOPBACK
    if networks is None or exposed is None:
        return
    if not networks:
        yield "allowed_networks: is empty, so nobody could reach the server: name networks, or remove it"
    elif not exposed:
        yield f"allowed_networks: bind is {bind}, which no network reaches: remove it, or bind an address of the host"
    elif ":" in bind:
        yield f"allowed_networks: bind is {bind}, and Docker's proxy takes IPv6 past its firewall: bind an IPv4 address"
    for network in networks:
        try:
            ipaddress.IPv4Network(network)
        except ValueError as exc:
            yield f"allowed_networks: {network!r} is no IPv4 network ({exc}): write it as 10.0.0.0/8 or 10.0.0.5"


def firewall(server: Mapping[str, t.Any]) -> dict[str, list[list[str]]]:
    """Write the commands that let only `allowed_networks` reach a server.

    The unit runs them, so that no container is ever published without its rules, after a restart of Docker and of the
    host too. A host whose Docker has no such chain starts no server: closed rather than open.

    Args:
        server: One entry of `serving_servers`, without problems.

    Returns:
        `before` the container starts and `after` it ended, command lines of the unit in words; the first of them may
        begin with the dash by which systemd lets a command fail.
    """
    chain = chain_of(server["name"])
    # The rule that leads to the chain is the same whatever the port, and every unit takes it back: systemd stops a
    # service by the unit of the moment, which need not be the one that started it.
    jump = f"{_CHAIN} --jump {chain}"
    away = [f"--delete {jump}", f"--flush {chain}", f"--delete-chain {chain}"]
    after = [["-/bin/sh", "-c", "; ".join(["exec 2>/dev/null", *(f"{_IPTABLES} {words}" for words in away)])]]
    networks = server.get("allowed_networks")
    if not networks:
        return {"before": [], "after": after}
    bind = server.get("bind") or LOOPBACK
    # After Docker's translation only the kernel's memory of the connection knows the port that was asked; what other
    # containers ask of other hosts at that port is not translated.
    match = f"--protocol tcp --match conntrack --ctstate DNAT --ctdir ORIGINAL --ctorigdstport {server['port']}"
    match += "" if ipaddress.ip_address(bind).is_unspecified else f" --ctorigdst {bind}"
    rules = [*(f"--source {network} --jump RETURN" for network in networks), "--jump DROP"]
    return {
        "before": [
            _either(f"--new-chain {chain}", f"--flush {chain}"),
            *(f"{_IPTABLES} --append {chain} {match} {rule}".split() for rule in rules),
            _either(f"--check {jump}", f"--insert {jump}"),
        ],
        "after": after,
    }


def _either(first: str, second: str) -> list[str]:
    """The second command where the first one fails, which it does without a word in the journal."""
    return ["/bin/sh", "-c", f"{_IPTABLES} {first} 2>/dev/null || exec {_IPTABLES} {second}"]
