# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say for people what a diagnosis found: of each server how it fares, why, what to do, and what it rests on."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.text import Text

from ansible_collections.llmops.serving.plugins.module_utils._model_files import human

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llmops_serving.results import Probe, RunResult, Server

_STYLES = {"serving": "bold green", "loading": "bold yellow", "changing": "bold yellow"}
_LOG_LINES = 15


class Finding(NamedTuple):
    """What is to be shown of one server: its head line, facts by name, and the end of its log."""

    head: Text
    facts: list[tuple[str, str]]
    log: list[str]


def findings(result: RunResult) -> Iterator[Finding]:
    """Lay out what a diagnosis found.

    Args:
        result: The results of `llmops diagnose`.

    Yields:
        What is to be shown of each server.
    """
    for host in result.hosts:
        for server in host.servers:
            log = [] if server.ok else server.log.splitlines()[-_LOG_LINES:]
            yield Finding(_head(host.name, server), list(_facts(server)), log)


def besides(result: RunResult) -> RunResult:
    """Give the same results without what `findings` shows: hosts that were not reached, or failed for another reason.

    Args:
        result: The results of `llmops diagnose`.
    """
    hosts = [replace(host, servers=(), error=None if host.servers else host.error) for host in result.hosts]
    return replace(result, hosts=tuple(hosts))


def _head(host: str, server: Server) -> Text:
    style = _STYLES.get(server.state, "bold red")
    head = Text.assemble("\n", (f"{host} {server.name}", "bold"), "  ", (server.state, style))
    said = [server.engine, ", ".join(server.models), server.url]
    if generation := server.data.get("generation"):
        said.append(f"generation {generation}")
    return head.append("".join(f"  {word}" for word in said if word), style="dim")


def _facts(server: Server) -> Iterator[tuple[str, str]]:
    data, evidence = server.data, server.data.get("evidence") or {}
    yield "check", server.failed_check
    yield "cause" if not server.ok else "now", server.cause
    yield "remedy", server.remedy
    yield "seen", str(data.get("line") or "")
    yield "known by", ", ".join(filter(None, (str(data.get("rule") or ""), str(data.get("source") or ""))))
    yield from (("probe", _probe(probe)) for probe in server.probes)
    if not server.ok:
        yield "unit", _unit(evidence.get("unit") or {})
        yield "host", _host(evidence)
    yield from (("note", str(note)) for note in data.get("notes") or [])


def _probe(probe: Probe) -> str:
    who = f"{probe.probe} of {probe.model}" if probe.model else probe.probe
    # An answer comes from a model: escape codes could draw outside of its line.
    said = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", probe.sample if probe.ok else probe.msg).split())
    return f"{who}: {said}"


def _unit(unit: Mapping[str, Any]) -> str:
    if not unit:
        return ""
    said = [f"{unit.get('active')} ({unit.get('sub')}) since {unit.get('changed') or 'never'}"]
    if unit.get("exit_code") is not None:
        said.append(f"last exit code {unit['exit_code']}")
    return ", ".join(said)


def _host(evidence: Mapping[str, Any]) -> str:
    memory = evidence.get("memory")
    said = [f"memory {human(memory['available'])} of {human(memory['total'])} free"] if memory else []
    said += [
        f"GPU {gpu['index']} {human(gpu['memory_free'])} of {human(gpu['memory_total'])} free"
        for gpu in evidence.get("gpus") or []
        if gpu.get("memory_total")
    ]
    said += [f"{disk['path']} {human(disk['free'])} free" for disk in evidence.get("disks") or []]
    return ", ".join(said)
