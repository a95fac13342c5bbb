# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say for people which generations of a server are kept, what became of a change that failed, and how waves went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from llmops_serving.generations_result import Generation
    from llmops_serving.results import RunResult, Server

_STYLES = {"current": "bold green", "kept": "", "failed": "bold red", "interrupted": "yellow"}
_DIGEST = len("sha256:") + 12


def histories(result: RunResult) -> Iterator[RenderableType]:
    """Lay out the generations that hosts have kept.

    Args:
        result: The results of `llmops history`.

    Yields:
        A table with a row for each generation, the newest first: host, server, number and state, since when it was
        good, and what it runs and changed.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("host", "server"):
        table.add_column(title, overflow="fold")
    table.add_column("generation", no_wrap=True)
    table.add_column("good since (UTC)", no_wrap=True)
    table.add_column("what it runs, and what it changed", overflow="fold", ratio=1)
    for host in result.hosts:
        place = host.name
        for history in host.histories:
            server = history.name
            for one in reversed(history.generations):
                state = Text.assemble(str(one.number), "  ", (one.state, _STYLES.get(one.state, "")))
                since = one.gated.replace("T", " ").rstrip("Z") or "-"
                table.add_row(Text(place, style="bold"), Text(server, style="bold"), state, since, _what(one))
                place = server = ""
            if history.pending:
                table.add_row("", "", "", "", Text(history.pending, style="yellow"))
    if table.row_count:
        yield table
    if result.command == "history":
        yield from (Text(f"{host.name}: no servers") for host in result.hosts if host.ok and not host.histories)


def amount(result: RunResult) -> str:
    """Count the servers and generations of a run of `llmops history`."""
    found = [history for host in result.hosts for history in host.histories]
    kept = sum(len(history.generations) for history in found)
    servers = f"{len(found)} server{'' if len(found) == 1 else 's'}"
    return f"{servers}, {kept} generation{'' if kept == 1 else 's'}"


def aftermath(server: Server) -> Iterator[tuple[str, str]]:
    """Say what a change that failed has left: what serves now, for how long nothing did, and what is kept.

    Args:
        server: A server that failed.

    Yields:
        Pairs of a word and what there is to say under it.
    """
    if server.second:
        yield "then", f"the generation before fails too: {server.second.get('check')}: {server.second.get('cause')}"
    away = f", the service was away for {server.away_s:.1f} s" if server.away_s else ""
    # The remedy of the module `server` ends with it, for those who read that alone.
    if server.rolled_back and "serves again" not in server.remedy:
        yield "now", f"the previous generation serves again{away}"
    elif server.second:
        yield "now", f"nothing serves{away}; both generations are kept, and nothing of them is deleted"
    if server.kept_failed is not None:
        yield "kept", f"generation {server.kept_failed} for inspection: `llmops history {server.host} {server.name}`"


def went_back(server: Server) -> Iterator[str]:
    """Say what a rollback changed, or would change.

    Args:
        server: A server.

    Yields:
        A line for each; nothing where none was rolled back.
    """
    data = server.data
    if server.ok and "from_generation" in data and data.get("generation") != data["from_generation"]:
        yield f"generation {data['generation']}, after {data['from_generation']}"
        yield from (str(line) for line in data.get("changes") or [])


def waves(result: RunResult) -> Iterator[RenderableType]:
    """Say which hosts the waves of a run did not get to.

    Args:
        result: The results.

    Yields:
        A line for those that were stopped on the way, and one for those that were not touched.
    """
    if result.waves is None:
        return
    for host in result.hosts:
        if host.name in result.waves.cut_short:
            last = host.steps[-1].label if host.steps else "its first step"
            yield Text(
                f"\n{host.name} was stopped after `{last}`, when another host of its wave failed", style="yellow"
            )
    if rest := result.waves.not_reached:
        wave = len(result.waves.begun)
        yield Text(f"\nnot touched, because wave {wave} was the last one to begin: {', '.join(rest)}", style="yellow")


def _what(one: Generation) -> Text:
    digest = one.image.partition("@")[2][:_DIGEST]
    name = one.image_name.partition("@")[0]
    said = Text(f"{one.engine}, {', '.join(one.models)}")
    said.append(f"\n{name} ({digest})" if digest else f"\n{name}", style="dim")
    said.append("".join(f"\n{line}" for line in one.changes))
    if one.failed:
        said.append(f"\n{one.failed}", style="red")
    said.append("".join(f"\n{line}" for line in one.missing), style="yellow")
    return said
