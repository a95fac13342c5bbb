# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say what a run did, for people: a table of servers and probes, then what went wrong and what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from llmops_serving.bench_report import report
from llmops_serving.diagnose_report import besides, findings
from llmops_serving.drift_report import drift_summary, drifts, locks
from llmops_serving.generations_report import aftermath, amount, histories, waves, went_back
from llmops_serving.models_report import amounts, stores
from llmops_serving.removal import removals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from llmops_serving.results import HostResult, Probe, RunResult, Server

# What the module says it did, said of what it would do.
_PLANNED = {
    "created": "create",
    "updated": "update",
    "restarted": "restart",
    "rolled_back": "roll back",
    "removed": "remove",
    "unchanged": "keep",
}
_FIT_STYLES = {"fits": "green", "fits with": "yellow", "does not fit": "bold red", "unknown": "dim"}
_SAMPLE = 200
_LOG_LINES = 8


def render(result: RunResult) -> RenderableType:
    """Lay out the results of a run.

    Args:
        result: The results.

    Returns:
        Something that rich can print at any width from 60 columns.
    """
    if result.command == "diagnose":
        return Group(*_diagnosis(result), *_notices(result), *_failures(besides(result)), summary(result))
    if result.command == "drift":
        return Group(*drifts(result), *_notices(result), *_failures(result), drift_summary(result))
    parts: list[RenderableType] = []
    reports = [one for host in result.hosts for one in host.reports]
    # Where something was measured, that is what people want to see, and that the servers serve goes without saying.
    if result.servers and not (reports and result.ok):
        parts.append(server_table(result))
    parts += [part for one in reports for part in report(one)]
    if _about_models(result):
        parts += stores(result)
    parts += histories(result)
    parts += removals(result)
    parts += locks(result)
    # What fits is of interest before it is done, and afterwards only where it did not.
    if result.check or not result.ok:
        parts += _fits(result)
    if result.command in {"plan", "apply"} and any(host.differs for host in result.hosts):
        parts += drifts(result)
    if result.check and result.changed and not _about_models(result) and result.command != "remove":
        parts += _would_change(result)
    parts += _notices(result)
    parts += _failures(result)
    parts += waves(result)
    parts.append(summary(result))
    return Group(*parts)


def server_table(result: RunResult) -> Table:
    """Lay out servers and, below each, its probes.

    Args:
        result: The results.

    Returns:
        A table: a row for each server (host, server, engine, URL, seconds), a row for each of its probes (kind and
        verdict, model, a sample of the answer, seconds). Models that no probe names stand below the engine.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("host", "server", "engine, model"):
        table.add_column(title, overflow="fold")
    table.add_column("URL, answer", overflow="fold", ratio=1)
    table.add_column("seconds", justify="right", no_wrap=True)
    for host in result.hosts:
        for position, server in enumerate(host.servers):
            table.add_row(*_server_row(host, server, first=position == 0, planned=result.check))
            for probe in server.probes:
                table.add_row(*_probe_row(probe, server))
    return table


def _server_row(host: HostResult, server: Server, *, first: bool, planned: bool) -> list[Text]:
    action = _PLANNED.get(server.action, server.action) if planned else server.action.replace("_", " ")
    place = Text(server.url)
    if action and action not in {"unchanged", "keep", "failed"}:
        place.append(f"  {action}", style="yellow")
    if server.ok and (away := server.seconds.get("away")):
        place.append(f"  away {away:.1f} s", style="dim")
    if not server.ok:
        place.append("  failed", style="bold red")
    if server.state and server.state not in {"active", "running"}:
        place.append(f"  {server.state}", style="red")
    place.append("".join(f"\n{line}" for line in went_back(server)), style="dim")
    probed = {probe.model for probe in server.probes}
    # The rows below name the models that were probed.
    unprobed = [model for model in server.models if model not in probed]
    total = server.seconds.get("total")
    return [
        Text(host.name if first else "", style="bold"),
        Text(server.name, style="bold"),
        Text("\n".join([server.engine, *unprobed])),
        place,
        Text("" if total is None else f"{total:.1f}"),
    ]


def _probe_row(probe: Probe, server: Server) -> list[Text]:
    verdict = Text("  ok ", style="green") if probe.ok else Text("  FAIL ", style="bold red")
    verdict.append(probe.probe, style="")
    answer = probe.sample if probe.ok else probe.msg or probe.sample
    return [
        Text(""),
        verdict,
        Text(probe.model or ("" if len(server.models) != 1 else server.models[0])),
        Text(_shorten(answer), style="dim" if probe.ok else "red"),
        Text("" if probe.latency_ms is None else f"{probe.latency_ms / 1000:.1f}"),
    ]


def _shorten(text: str) -> str:
    # An answer comes from a model: line breaks would tear the table, and escape codes could draw outside of it.
    clean = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text).split())
    return clean if len(clean) <= _SAMPLE else clean[: _SAMPLE - 1] + "…"


def _fits(result: RunResult) -> Iterator[RenderableType]:
    for host in result.hosts:
        if not host.fits:
            continue
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for title in ("host", "server", "memory"):
            table.add_column(title, overflow="fold")
        table.add_column("sum", overflow="fold", ratio=1)
        for position, fit in enumerate(host.fits):
            said = Text(fit.line)
            if fit.remedy:
                said.append(f"\n{fit.remedy}", style="yellow")
            name = Text(host.name if position == 0 else "", style="bold")
            verdict = Text(fit.verdict, style=_FIT_STYLES.get(fit.verdict, ""))
            table.add_row(name, Text(fit.server, style="bold"), verdict, said)
        yield Text("")
        yield table


def _would_change(result: RunResult) -> Iterator[RenderableType]:
    for host in result.hosts:
        steps = list(dict.fromkeys(step.label for step in host.steps if step.status == "changed"))
        if steps:
            yield Text(f"\n{host.name} would change:", style="bold yellow")
            yield from (Text(f"  {step}") for step in steps)


def _notices(result: RunResult) -> Iterator[RenderableType]:
    for host in result.hosts:
        yield from (Text(f"\n{host.name} note: {notice}", style="yellow") for notice in host.notices)


def _failures(result: RunResult) -> Iterator[RenderableType]:
    for error in result.errors:
        yield Text(f"\n{error}", style="red")
    for host in result.hosts:
        if host.unreachable:
            yield _heading(host.name, "unreachable")
            yield from _facts(("cause", host.error or ""), ("remedy", _reach(host.name)))
        elif host.error:
            yield _heading(host.name, "failed")
            yield Text(f"  {host.error}")
        if host.problems:
            untouched = "" if host.changed else ", nothing was changed"
            yield _heading(host.name, f"{_count(len(host.problems), 'problem')}{untouched}")
            yield from _facts(*(("-", problem) for problem in host.problems))
        for server in host.servers:
            if not server.ok:
                yield from _server_failure(host.name, server)


def _server_failure(host: str, server: Server) -> Iterator[RenderableType]:
    yield _heading(f"{host} {server.name}", "failed")
    failed = [probe for probe in server.probes if not probe.ok]
    check = server.failed_check or ", ".join(f"{probe.probe} ({probe.model})" for probe in failed)
    cause = server.cause or server.msg or "; ".join(probe.msg for probe in failed)
    yield from _facts(("check", check), ("cause", cause), ("remedy", server.remedy), *aftermath(server))
    yield from _log_end(server.log.strip().splitlines()[-_LOG_LINES:])


def _diagnosis(result: RunResult) -> Iterator[RenderableType]:
    for finding in findings(result):
        yield finding.head
        yield from _facts(*finding.facts)
        yield from _log_end(finding.log)


def _log_end(log: Sequence[str]) -> Iterator[RenderableType]:
    if log:
        yield Text("  the end of its log:", style="dim")
        yield Text("\n".join(f"    {line}" for line in log), style="dim")


def _facts(*facts: tuple[str, str]) -> Iterator[RenderableType]:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        if value:
            grid.add_row(Text(f"  {name}", style="dim"), Text(value))
    yield grid


def _heading(where: str, what: str) -> Text:
    return Text.assemble("\n", (where, "bold"), " ", (what, "bold red"))


def _reach(host: str) -> str:
    return f"try `ansible -m ansible.builtin.ping {host}` with the same inventory; check ansible_host and ansible_user"


def summary(result: RunResult) -> Text:
    """Sum up a run in one line.

    Args:
        result: The results.

    Returns:
        The line, with an empty one above.
    """
    probes = result.probes
    good = sum(probe.ok for probe in probes)
    changes = sum(step.status == "changed" for host in result.hosts for step in host.steps)
    said = [_count(len(result.hosts), "host")]
    if _about_models(result):
        said += amounts(result)
    else:
        said.append(amount(result) if result.command == "history" else _count(len(result.servers), "server"))
    if probes:
        said.append(f"{good} of {_count(len(probes), 'probe')} good")
    said.append(_count(changes, "change") if changes or result.changed else "no changes")
    verdict, style = _verdict(result)
    return Text.assemble("\n", (verdict, style), f": {', '.join(said)}, {result.seconds:.1f} s")


def _about_models(result: RunResult) -> bool:
    return result.command.startswith("models ")


def _verdict(result: RunResult) -> tuple[str, str]:
    if result.interrupted:
        return "interrupted", "bold red"
    if not result.ok:
        return "failed", "bold red"
    if result.check and result.changed:
        return "would change", "bold yellow"
    return ("nothing to do", "bold green") if result.check else ("done", "bold green")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
