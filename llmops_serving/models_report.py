# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say what the model stores of the hosts hold, for people: what there is, whether it is whole, what went and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ansible_collections.llmops.serving.plugins.module_utils._model_files import human

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import RenderableType

    from llmops_serving.models_result import ModelStore, ModelVersion
    from llmops_serving.results import RunResult


def stores(result: RunResult) -> Iterator[RenderableType]:
    """Lay out the model stores of a run.

    Args:
        result: The results of one of the commands `llmops models`.

    Yields:
        A table with a row for each version and for what each unfinished fetch left: host, model, version, size, and
        who needs it and where it came from (list), whether it is whole (verify), or what became of it and why (prune).
    """
    found = [(host.name, host.store) for host in result.hosts if host.store]
    rows = [(host, row) for host, store in found for row in _rows(store, planned=result.check)]
    if not rows:
        yield from (Text(f"{host}: no models in {store.path}") for host, store in found)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("host", "model"):
        table.add_column(title, overflow="fold")
    table.add_column("version", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column(_title(store for _host, store in found), overflow="fold", ratio=1)
    told = ""
    for host, (version, said) in rows:
        name = Text(version.name)
        if version.unfinished:
            name.append("  unfinished", style="yellow")
        table.add_row(Text("" if host == told else host, style="bold"), name, version.key, human(version.size), said)
        told = host
    yield table


def amounts(result: RunResult) -> list[str]:
    """Sum up the model stores of a run.

    Args:
        result: The results of one of the commands `llmops models`.

    Returns:
        How many versions there are and what they take, and what was freed.
    """
    found = [host.store for host in result.hosts if host.store]
    versions = sum(len(store.versions) for store in found)
    said = [f"{versions} version{'' if versions == 1 else 's'} of models, {human(sum(store.size for store in found))}"]
    if any(store.removed is not None for store in found):
        said.append(f"{human(sum(store.freed for store in found))} {'to free' if result.check else 'freed'}")
    return said


def _title(found: Iterable[ModelStore]) -> str:
    for store in found:
        if store.removed is not None:
            return "what became of it"
        if any(version.damaged is not None for version in store.versions):
            return "whole"
    return "needed by, source"


def _rows(store: ModelStore, *, planned: bool) -> Iterator[tuple[ModelVersion, Text]]:
    if store.removed is not None:
        verb = "would be removed" if planned else "removed"
        yield from ((version, Text(verb, style="yellow")) for version in store.removed)
        yield from ((version, Text(f"kept: {'; '.join(version.reasons)}")) for version in store.kept)
        return
    for version in store.versions:
        yield version, _needed(version) if version.damaged is None else _whole(version)
    for left in store.leftovers:
        yield left, Text("the next fetch goes on with it" if left.wanted else "needed by nobody", style="dim")


def _whole(version: ModelVersion) -> Text:
    if version.damaged:
        return Text(f"damaged: {', '.join(version.damaged)}", style="bold red")
    if not version.complete:
        return Text("no manifest says what it should hold: llmops models prune removes it", style="yellow")
    return Text("ok", style="green")


def _needed(version: ModelVersion) -> Text:
    who = [*version.used_by, *(["the inventory"] if version.wanted else [])]
    said = Text(", ".join(who)) if who else Text("nobody", style="yellow")
    if not version.complete:
        said.append("  incomplete", style="bold red")
    licence = f", licence in {version.licence}" if version.licence else ""
    if version.source:
        files = f"{version.files} file{'' if version.files == 1 else 's'}"
        said.append(f"\n{files} from {version.source} at {version.fetched_at}{licence}", style="dim")
    return said
