# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`llmops remove`: what to ask the playbook for, and what was removed, stays and is left, as the modules tell it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ansible_collections.llmops.serving.plugins.module_utils._model_files import human
from llmops_serving.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from llmops_serving.results import RunResult

_WORDS = ("removed", "left", "kept", "foreign")
# What tells a person nothing that the server's own line does not.
_PARTS_OF_A_SERVER = ("unit", "container", "folder", "file", "lock", "rule")


@dataclass(frozen=True)
class Trace:
    """Something on a host that the collection made, or that looks like it.

    Attributes:
        kind: unit, container, file, folder, image, model, lock, rule, user; or server, models for a summary.
        name: How the host calls it.
        server: The server that it belongs to, empty where all share it.
        about: What it is, or why it is told.
        size: Bytes of the disk, 0 where that is not worth telling.
        line: All of this for people.
    """

    kind: str
    name: str
    server: str = ""
    about: str = ""
    size: int = 0
    line: str = ""


@dataclass(frozen=True)
class Removal:
    """What a removal did to a host.

    Attributes:
        removed: What was removed, or would be (check mode).
        left: What should be gone and is there.
        kept: What the collection made and nobody asked to be gone.
        foreign: What only looks like it. It is never touched.
        data: What the modules returned of these.
    """

    removed: tuple[Trace, ...] = ()
    left: tuple[Trace, ...] = ()
    kept: tuple[Trace, ...] = ()
    foreign: tuple[Trace, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)


def removal_of(result: Mapping[str, Any], before: Removal | None = None) -> Removal | None:
    """Read the result of the module `purge` or `leftovers_info`.

    Args:
        result: The module's result.
        before: What an earlier task of the same run told; the later look counts, and what was removed is kept.

    Returns:
        The removal, `before` where the module could not look.
    """
    if "left" not in result:
        return before
    data = {**(before.data if before else {}), **{word: result[word] for word in _WORDS if word in result}}
    return Removal(**{word: tuple(map(_trace_of, data.get(word) or [])) for word in _WORDS}, data=data)


def add_remove_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `llmops remove` to its parser.

    Args:
        command: The parser, which has the options of every command.
    """
    command.add_argument(
        "--all",
        action="store_true",
        help="everything that the collection made on the hosts, also servers that the inventory does not have any more",
    )
    command.add_argument("--models", action="store_true", help="their models too, those that nobody else uses")
    command.add_argument("--images", action="store_true", help="their images too, those that nobody else uses")
    command.add_argument(
        "--docker",
        action="store_true",
        help="with --all --images, Docker and the container toolkit, if nothing else uses it",
    )


def remove_variables(
    servers: Sequence[str], *, everything: bool, models: bool, images: bool, docker: bool = False
) -> dict[str, bool]:
    """Give the variables of the playbook `remove`.

    Args:
        servers: Names of servers to remove.
        everything: Remove all servers that the hosts have.
        models: Remove models.
        images: Remove images.
        docker: Remove Docker and the container toolkit.

    Raises:
        UsageError: Some servers and all servers were asked for, or Docker is to go and what is in it is not.
    """
    if servers and everything:
        msg = f"--all removes every server, and --server {servers[0]} names one: give one of the two"
        raise UsageError(msg)
    if docker and not (everything and images):
        msg = "--docker takes away what servers and images need: add --all and --images"
        raise UsageError(msg)
    return {"remove_all": everything, "remove_models": models, "remove_images": images, "remove_docker": docker}


def removals(result: RunResult) -> Iterator[RenderableType]:
    """Lay out what a run removed and what is left.

    Args:
        result: The results of `remove`.

    Yields:
        For each host its lines.
    """
    for host in result.hosts:
        removal = host.removal
        if removal is None:
            continue
        verb = "would be removed" if result.check else "removed"
        yield from _listed(f"\n{host.name} {verb} besides", _besides(removal.removed), "yellow")
        # In check mode all is there still.
        gone = {(trace.kind, trace.name) for trace in removal.removed}
        kept = [trace for trace in removal.kept if (trace.kind, trace.name) not in gone]
        yield from _listed(f"\n{host.name} keeps", kept, "dim")
        yield from _listed(f"\n{host.name} has what is not the collection's, untouched", removal.foreign, "dim")
        if not result.check and not removal.left and not host.problems:
            yield Text(f"\n{host.name} has nothing left of it", style="green")


def _besides(removed: Sequence[Trace]) -> list[Trace]:
    """Leave out what goes without saying once a server is removed."""
    return [t for t in removed if t.kind != "lock" and not (t.server and t.kind in _PARTS_OF_A_SERVER)]


def _listed(title: str, traces: Iterable[Trace], style: str) -> Iterator[Text]:
    lines = [
        trace.line + (f", {human(trace.size)}" if trace.size and trace.kind != "models" else "") for trace in traces
    ]
    if lines:
        yield Text(f"{title}:", style=style)
        yield from (Text(f"  {line}") for line in lines)


def _trace_of(entry: Mapping[str, Any]) -> Trace:
    words = {word: str(entry.get(word) or "") for word in ("kind", "name", "server", "about", "line")}
    return Trace(**words, size=int(entry.get("bytes") or 0))
