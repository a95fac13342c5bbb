# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Look at what a removal has left: nothing, if it did what it says."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._docker import image_digest
from ansible_collections.llmops.serving.plugins.module_utils._host import DEFAULT_MODEL_DIR
from ansible_collections.llmops.serving.plugins.module_utils._image_record import brought_images
from ansible_collections.llmops.serving.plugins.module_utils._model_files import human
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store as ModelStore
from ansible_collections.llmops.serving.plugins.module_utils._model_versions import Leftover, Version
from ansible_collections.llmops.serving.plugins.module_utils._model_versions import look as look_at_models
from ansible_collections.llmops.serving.plugins.module_utils._traces import (
    Found,
    Trace,
    container_traces,
    containers,
    file_traces,
    held_locks,
    rule_traces,
    servers_here,
    unit_traces,
    user_traces,
)

ASK_DOCKER = "so containers and images cannot be looked at: start Docker, and run again"
ASK_FIREWALL = "so the firewall's rules cannot be looked at: see that iptables works on the host"


class Scope(t.NamedTuple):
    """What shall be gone.

    Attributes:
        servers: Names of servers; None for all that the host has.
        models: Whether the models too: with all servers the whole store, otherwise what a removal says it removed.
        images: Whether the images that the collection brought too, likewise.
        model_dir: The model store.
    """

    servers: tuple[str, ...] | None = None
    models: bool = False
    images: bool = False
    model_dir: str = DEFAULT_MODEL_DIR

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> Scope:
        """Give what a module's parameters ask for: `servers`, `models`, `images` and `path`."""
        names = params["servers"]
        return cls(None if names is None else tuple(names), params["models"], params["images"], params["path"])

    def has(self, server: str) -> bool:
        """Whether a server is among those that shall be gone."""
        return self.servers is None or server in self.servers


class Look(t.NamedTuple):
    """What a host has.

    Attributes:
        left: What shall be gone and is there.
        kept: What the collection made and was not asked to be gone, for people.
        foreign: What looks like it and is somebody else's.
        problems: What could not be looked at, with cause and remedy; then nothing is proven.
        servers: The servers that the host has anything of.
        ours: All that the collection made, whether it shall be gone or not.
        others: Servers that stay, and locks that somebody holds: as long as there are some, what all share stays.
    """

    left: list[Trace]
    kept: list[Trace]
    foreign: list[Trace]
    problems: list[str]
    servers: list[str]
    ours: list[Trace]
    others: list[str]


def look(scope: Scope) -> Look:
    """Look at everything that the collection makes anywhere on a host. Changes nothing.

    Args:
        scope: What shall be gone.

    Raises:
        ModelError: The model store cannot be read.
        OSError: A file cannot be read.
    """
    problems: list[str] = []
    boxes = _ask(containers, problems, ASK_DOCKER)
    here = servers_here(boxes)
    busy = held_locks()
    others = sorted({name for name in [*here, *busy] if not scope.has(name)} | set(busy))
    found = [unit_traces(), container_traces(boxes), file_traces(busy)]
    names = sorted({*here, *(scope.servers or ())})
    found.append(Found(_ask(lambda: rule_traces(names), problems, ASK_FIREWALL), user_traces()))
    left: list[Trace] = []
    kept: list[Trace] = []
    for trace in [trace for part in found for trace in part.ours]:
        gone = scope.has(trace.server) if trace.server else not others
        if gone:
            left.append(trace)
        elif trace.server:
            kept.append(trace)
    for traces, asked in ((image_traces(), scope.images), (model_traces(scope.model_dir), scope.models)):
        everything = asked and scope.servers is None and not others
        (left if everything else kept).extend(traces)
    foreign = [trace for part in found for trace in part.foreign]
    return Look(left, _summed(kept), foreign, problems, here, [*left, *kept], others)


def words_of(found: Look) -> dict[str, t.Any]:
    """Give a look as the words of a module's result: left, kept, foreign, servers, and a line for each problem."""
    return {
        "left": [trace.words() for trace in found.left],
        "kept": [trace.words() for trace in found.kept],
        "foreign": [trace.words() for trace in found.foreign],
        "servers": found.servers,
        "problems": [*found.problems, *(f"left: {trace.line}" for trace in found.left)],
    }


def image_traces() -> list[Trace]:
    """List the images that the collection brought and the host still has, and what is written down about them."""
    return [
        Trace("image", brought.asked, about="" if is_here(brought.asked, brought.images) else "only its record")
        for brought in brought_images()
    ]


def is_here(asked: str, images: t.Sequence[str]) -> bool:
    """Whether the host has any image that was pulled under a name."""
    return any(image_digest(reference) for reference in [*images, asked])


def model_traces(model_dir: str) -> list[Trace]:
    """List the models of a store, what unfinished fetches left there, and the store's own folder.

    Args:
        model_dir: The store.
    """
    store = ModelStore(model_dir)
    if not store.root.is_dir():
        return []
    versions, leftovers = look_at_models(store, ())
    entries: list[Version | Leftover] = [*versions, *leftovers]
    found = [Trace("model", str(entry.path), about="; ".join(entry.reasons), bytes=entry.bytes) for entry in entries]
    # As long as models stay, so does what keeps them.
    if not found:
        found += [Trace("lock", str(path), about="of the models") for path in (store.root / ".lock",) if path.exists()]
        found += [Trace("folder", str(path)) for path in (store.partial,) if path.is_dir()]
        # Only the default place is ours as a folder; another one was there, or may be a disk of its own.
        if str(store.root) == DEFAULT_MODEL_DIR and not any(store.root.iterdir()):
            found.append(Trace("folder", str(store.root), about="of the models"))
    return found


def _ask(ask: t.Callable[[], list[t.Any]], problems: list[str], consequence: str) -> list[t.Any]:
    try:
        return ask()
    except CommandError as exc:
        problems.append(f"{exc}, {consequence}")
        return []


def _summed(kept: t.Sequence[Trace]) -> list[Trace]:
    """Tell what stays in few lines: of a server its name alone, of the models their number and size."""
    names = sorted({trace.server for trace in kept if trace.server})
    found = [Trace("server", name) for name in names]
    models = [trace for trace in kept if trace.kind == "model"]
    if models:
        size = sum(trace.bytes for trace in models)
        about = f"{_count(len(models), 'version')}, {human(size)}"
        found.append(Trace("models", str(Path(models[0].name).parents[1]), about=about, bytes=size))
    found += [trace for trace in kept if trace.kind == "image" and not trace.about]
    return found


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
