# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Choose who fetches what for all hosts of a play, so that the hub sends each byte once."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class _Want(t.NamedTuple):
    """A model's version, and by what it is known on a host."""

    content: str
    name: str
    key: str


def model_seeds(hosts: Mapping[str, t.Any], batch: Sequence[str], earlier: Sequence[str] = ()) -> dict[str, t.Any]:
    """Choose who fetches and who gives.

    A model that some host has is given by that host. One that nobody has, and several lack, is fetched by one of them
    first. One that a single host lacks and nobody has needs no help: that host fetches it anyway.

    Args:
        hosts: What `model_info` said on each host, by its name; hosts that said nothing take no part.
        batch: The hosts that the play is at work on now.
        earlier: Hosts of the same play that have got their models before, in an earlier batch of `serial`.

    Returns:
        `fetch`: names of the models that each host fetches for all. `share`: by each host that gives, its `versions`
        (key by name), `addresses` and `path`. `start`: which of them each host of the batch sets going; a host of the
        batch does so itself. `clients`: addresses of all hosts of the batch.
    """
    told = {host: hosts[host] for host in (*earlier, *batch) if _told(hosts.get(host))}
    here = [host for host in batch if host in told]
    have: dict[str, list[tuple[str, _Want]]] = {}
    lack: dict[str, list[tuple[str, _Want]]] = {}
    for host, info in told.items():
        for name, model in info["models"].items():
            want = _Want(str(model["content"]), str(name), str(model["key"]))
            there = model["complete"] or host not in here
            (have if there else lack).setdefault(want.content, []).append((host, want))
    fetch: dict[str, list[str]] = {}
    versions: dict[str, dict[str, str]] = {}
    burden = dict.fromkeys(told, 0)
    for content, lacking in sorted(lack.items(), key=lambda item: _order(item[1], here)):
        # Who cannot be reached by anybody is no help.
        givers = [(host, want) for host, want in have.get(content, []) if told[host]["addresses"]]
        fetching = not givers
        if fetching:
            givers = [(host, want) for host, want in lacking if told[host]["addresses"]]
            if not givers or len(lacking) == 1:
                continue
        host, want = min(givers, key=lambda giver: burden[giver[0]])
        # Fetching it and giving it to the others is as much work as there are hosts that need it.
        burden[host] += len(lacking)
        versions.setdefault(host, {})[want.name] = want.key
        if fetching:
            fetch.setdefault(host, []).append(want.name)
    return {
        "fetch": fetch,
        "share": {
            host: {"versions": found, "addresses": told[host]["addresses"], "path": told[host]["store"]}
            for host, found in versions.items()
        },
        "start": _starts(versions, here),
        "clients": sorted({address for host in here for address in told[host]["clients"]}),
    }


def _told(info: t.Any) -> bool:
    return isinstance(info, dict) and "models" in info and "addresses" in info


def _order(lacking: Sequence[tuple[str, _Want]], here: Sequence[str]) -> tuple[int, str]:
    """Models that most hosts need come first, so that the others can even out the work."""
    return -len(lacking), min(f"{here.index(host):06} {want.name}" for host, want in lacking)


def _starts(givers: Mapping[str, t.Any], here: Sequence[str]) -> dict[str, list[str]]:
    """Let each host of the batch set its own offer going, and share out those of others."""
    starts: dict[str, list[str]] = {}
    others = 0
    for giver in givers:
        if giver not in here:
            starts.setdefault(here[others % len(here)], []).append(giver)
            others += 1
        else:
            starts.setdefault(giver, []).append(giver)
    return starts
