# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say what a benchmark found, for people: a table of candidates, the verdict, and what to be careful about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import interval, number
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_table import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from ansible_collections.llmops.serving.plugins.plugin_utils._bench_compare import Comparison
    from llmops_serving.results import Report

_STYLES = {"better": "green", "worse": "bold red"}


def report(found: Report) -> Iterator[RenderableType]:
    """Lay out one report.

    Args:
        found: The report.

    Yields:
        A heading, the table, the verdict, cautions, and where the files are.
    """
    document = found.document
    profile, verdict = document["profile"], document["verdict"]
    yield Text.assemble(
        "\n",
        (f"{document['host']['name']} {document['inventory']['server']}", "bold"),
        f"  {document['kind']}, profile {profile['name']}, load from the {profile['from']}",
        f", decided by {verdict['decided_by']}",
    )
    yield _table(found)
    yield Text("")
    yield from (Text(line, style="bold") for line in verdict["lines"])
    yield from (Text(f"note: {line}", style="yellow") for line in verdict["cautions"])
    if verdict.get("course"):
        yield from (Text(line, style="yellow") for line in verdict["course"]["why"])
    yield Text(f"report: {found.page}", style="dim")
    if found.recommended and document["kind"] != "benchmark":
        host = document["host"]["name"]
        yield Text(f"to apply what is recommended: llmops apply -i … -l {host} -e @{found.recommended}", style="dim")


def _table(found: Report) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    laid_out = rows(found.document)
    unit = next((row.unit for row in laid_out if row.unit), "")
    table.add_column("candidate", overflow="fold")
    table.add_column("level", overflow="fold")
    table.add_column(f"{unit} (95 %)", justify="right", overflow="fold")
    chat = any(row.ttft for row in laid_out)
    for title in ("TTFT ms p50 / p99", "TPOT ms p50 / p99") if chat else ():
        table.add_column(title, justify="right", overflow="fold")
    table.add_column("E2EL ms p50", justify="right", overflow="fold")
    table.add_column("load s", justify="right")
    table.add_column("memory", overflow="fold")
    table.add_column("", overflow="fold", ratio=1)
    before = ""
    for row in laid_out:
        first = row.candidate != before
        before = row.candidate
        times = [row.ttft, row.tpot] if chat else []
        marks = Text(", ".join(row.marks), style="" if row.marks[:1] == ["winner"] else "yellow")
        own = (row.label, row.load, row.memory) if first else ("", "", "")
        table.add_row(Text(own[0], style="bold"), row.level, row.throughput, *times, row.e2el, own[1], own[2], marks)
    return table


def comparison(found: Comparison) -> RenderableType:
    """Lay out what two reports say side by side.

    Args:
        found: The comparison.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("candidate", "level", "measure"):
        table.add_column(title, overflow="fold")
    for title in ("before", "after", "ratio"):
        table.add_column(title, justify="right", overflow="fold")
    table.add_column("verdict", overflow="fold")
    for change in found.changes:
        said = change.verdict + (", a regression" if change.regression else "")
        table.add_row(
            change.candidate,
            change.level,
            change.metric,
            f"{number(change.before)} ({interval(*change.before_ci)})",
            f"{number(change.after)} ({interval(*change.after_ci)})",
            "" if change.ratio is None else f"{change.ratio:.3f}",
            Text(said, style=_STYLES.get(change.verdict, "dim")),
        )
    parts: list[RenderableType] = [table]
    if found.conditions:
        parts.append(Text("\nnot measured under the same conditions:", style="bold yellow"))
        parts += [Text(f"  {line}", style="yellow") for line in found.conditions]
    parts += [Text(line, style="yellow") for line in (*found.only_before, *found.only_after)]
    parts += [Text(line, style="bold red") for line in found.lost]
    count = len(found.regressions) + len(found.lost)
    verdict = (
        Text(f"{count} regression{'s' if count > 1 else ''}", style="bold red")
        if count
        else Text("no regression", style="bold green")
    )
    parts.append(Text.assemble("\n", verdict, f": worse by more than {found.threshold:.0%}, beyond both intervals"))
    return Group(*parts)
