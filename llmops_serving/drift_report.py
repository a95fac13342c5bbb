# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say what on the hosts is not as the inventory says, and what became of a lock file, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from llmops_serving.results import RunResult


def drifts(result: RunResult) -> Iterator[RenderableType]:
    """Lay out what differs on the hosts.

    Args:
        result: The results of `llmops drift`, or of a plan, whose tasks are told elsewhere.

    Yields:
        A table with a row for each difference: host, what it is about, what differs. Hosts that are as they shall be
        have one row, which says so.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("host", "about"):
        table.add_column(title, overflow="fold")
    table.add_column("what differs", overflow="fold", ratio=1)
    for host in result.hosts:
        if host.ok and not host.differs:
            table.add_row(Text(host.name, style="bold"), Text(""), Text("nothing", style="green"))
        told, about = "", ""
        for one in host.differs:
            if one.about == "task" and result.command != "drift":
                continue
            named = f"{one.about} {one.name}".strip()
            table.add_row(
                Text("" if told else host.name, style="bold"),
                Text("" if named == about else named),
                Text(one.what, style="yellow"),
            )
            told, about = host.name, named
    if table.row_count:
        yield table


def locks(result: RunResult) -> Iterator[RenderableType]:
    """Say what was written into lock files.

    Args:
        result: The results of `llmops lock`.

    Yields:
        For each file what is new in it, and what it holds.
    """
    for written in [one for host in result.hosts for one in host.locks]:
        if written.lines:
            yield Text(f"\nnew in {written.path}:", style="bold")
            yield from (Text(f"  {line}") for line in written.lines)
        verb = ("would be written" if result.check else "written") if written.changed else "says so already"
        held = ", ".join(
            f"{number} {noun}{'' if number == 1 else 's'}"
            for number, noun in ((written.images, "image"), (written.models, "model"), (written.hosts, "host"))
        )
        yield Text(f"\n{written.path}: {verb}, {held}")


def drift_summary(result: RunResult) -> Text:
    """Sum up a look for differences in one line.

    Args:
        result: The results of `llmops drift`.

    Returns:
        The line, with an empty one above.
    """
    number = sum(len(host.differs) for host in result.hosts)
    verdict, style = ("differs", "bold yellow") if number else ("nothing differs", "bold green")
    if not result.ok or result.interrupted:
        verdict, style = ("interrupted" if result.interrupted else "failed", "bold red")
    said = [
        f"{count} {noun}{'' if count == 1 else 's'}"
        for count, noun in ((len(result.hosts), "host"), (len(result.servers), "server"), (number, "difference"))
    ]
    return Text.assemble("\n", (verdict, style), f": {', '.join(said)}, {result.seconds:.1f} s")
