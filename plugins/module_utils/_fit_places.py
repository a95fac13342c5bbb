# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The memory of a host: what is free of its GPUs and of its RAM, what servers take of it, and who else holds it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.llmops.serving.plugins.module_utils._gpu_preflight import chosen_gpus


@dataclass
class Place:
    """Memory that servers share: a GPU's, or the host's.

    Attributes:
        key: The GPU's UUID, or ``RAM``.
        label: Its name for people.
        total: Bytes there are.
        free: Bytes that the servers in question may take together.
        taken: Bytes that those before took, by server.
        strangers: What others hold there, in words and bytes, the most first.
    """

    key: str
    label: str
    total: int
    free: int
    taken: dict[str, int] = field(default_factory=dict)
    strangers: list[tuple[str, int]] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Bytes that are left for the next server."""
        return self.free - sum(self.taken.values())


class Places:
    """The memory of a host."""

    def __init__(self, gpus: list[dict[str, t.Any]], by_key: dict[str, Place]) -> None:
        """Take the facts of the GPUs, and the places by key."""
        self.gpus = gpus
        self.by_key = by_key

    @classmethod
    def of(cls, host: t.Mapping[str, t.Any], servers: t.Sequence[str]) -> Places:
        """Read the facts of a host.

        Args:
            host: The facts of `host_facts`.
            servers: Those whose memory counts as free, because they are started anew or counted by their own demand.

        Returns:
            The places with nothing taken.
        """
        held = [entry for name, entry in (host.get("held") or {}).items() if name in servers]
        # Virtual GPUs, WSL and other namespaces of processes do not tell who holds what: then all but what is known of
        # others counts as ours, so that a server is not refused for what it holds itself.
        untold = any(not entry["gpus"] for entry in held)
        memory = host["memory"]
        ram = min(memory["available"] + sum(entry["memory"] for entry in held), memory["total"])
        found = {"RAM": Place("RAM", "RAM", memory["total"], ram)}
        for gpu in host["gpus"]:
            # One without numbers shares the host's memory (GB10, Jetson).
            if gpu.get("uuid") and gpu.get("memory_total") and gpu.get("memory_free") is not None:
                back = sum(entry["gpus"].get(gpu["uuid"], 0) for entry in held)
                label = f"GPU {gpu['index']} ({gpu['name']})"
                strangers = _strangers(gpu, servers)
                free = min(gpu["memory_free"] + back, gpu["memory_total"])
                if untold:
                    free = max(free, gpu["memory_total"] - sum(size for _name, size in strangers))
                found[gpu["uuid"]] = Place(gpu["uuid"], label, gpu["memory_total"], free, strangers=strangers)
        return cls(list(host["gpus"]), found)

    def chosen(self, demand: t.Mapping[str, t.Any]) -> list[Place]:
        """List the places that a server may use, one for each of its GPUs."""
        if demand["accelerator"] == "cpu":
            return [self.by_key["RAM"]]
        gpus = chosen_gpus(demand["gpus"], {"gpus": self.gpus})
        return [self.by_key.get(gpu["uuid"] or "", self.by_key["RAM"]) for gpu in gpus]

    def take(self, server: str, takes: t.Mapping[str, int]) -> None:
        """Count what a server takes, in bytes by the places' keys."""
        for key, size in takes.items():
            self.by_key[key].taken[server] = size


def _strangers(gpu: t.Mapping[str, t.Any], servers: t.Sequence[str]) -> list[tuple[str, int]]:
    """List what holds memory of a GPU and is none of the servers in question."""
    found = [
        process for process in gpu.get("processes") or [] if process["memory"] and process["server"] not in servers
    ]
    found.sort(key=lambda process: -process["memory"])
    return [
        (
            f"server {process['server']}" if process["server"] else f"process {process['pid']} ({process['name']})",
            process["memory"],
        )
        for process in found
    ]
