# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who refers to which version of which model: servers, the generations they keep, units and running containers."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, MissingError, run
from ansible_collections.llmops.serving.plugins.module_utils._generations import Store, server_names
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Version = tuple[str, str]

# The source of a mount, as the unit of a server names it: up to the comma, blanks and all, and escaped for systemd.
_SOURCE = re.compile(r"\bsrc=([^,\n]+)")
_ESCAPED = re.compile(r'\\([\\"])|([%$])\2')


def references(store_root: str | Path, careful: bool = False) -> dict[Version, list[str]]:
    """Find who refers to the versions of a store.

    Reads some small files and asks Docker once.

    Args:
        store_root: The folder of the model store.
        careful: Whether to raise where a Docker that is installed does not tell what runs, as before a removal.
            Otherwise what it runs is left out.

    Returns:
        By name and key of the version who refers to it, such as ``server chat``, ``server chat (kept generation 2)``
        or ``container debug``; versions that nobody refers to are left out.

    Raises:
        ModelError: Docker does not answer, and `careful` is set: containers may run all the same.
    """
    root = Path(os.path.realpath(str(store_root)))
    found: dict[Version, list[str]] = {}
    for server in server_names():
        for version, who in _of_server(server, root):
            found.setdefault(version, []).append(who)
    for who, sources in [*_units(), *_containers(careful)]:
        for version in _versions(sources, root):
            names = found.setdefault(version, [])
            # What a server mounts is told once, by the server.
            if who not in (name.partition(" (")[0] for name in names):
                names.append(who)
    return found


def _of_server(server: str, root: Path) -> Iterator[tuple[Version, str]]:
    store = Store(server)
    current = store.current()
    kept: dict[Version, list[int]] = {}
    for number in store.numbers():
        generation = store.read(number)
        # A directory without its record is one that an interrupted change left: nothing starts from it.
        for version in _versions(_paths(generation.asked) if generation else (), root):
            kept.setdefault(version, []).append(number)
    for version, numbers in kept.items():
        if current and current.number in numbers:
            yield version, f"server {server}"
        else:
            yield version, "server {} (kept generation {})".format(server, ", ".join(map(str, numbers)))


def _paths(asked: dict[str, Any]) -> list[str]:
    models = asked.get("models")
    return [str(model.get("path", "")) for model in models or [] if isinstance(model, dict)]


def _units() -> Iterator[tuple[str, list[str]]]:
    """Give each server's unit and what it mounts; its generations may be lost."""
    pattern = Unit("*").path
    for path in sorted(pattern.parent.glob(pattern.name)):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        sources = [_ESCAPED.sub(r"\1\2", source) for source in _SOURCE.findall(text)]
        yield "server " + path.stem[len("llmops-") :], sources


def _containers(careful: bool) -> list[tuple[str, list[str]]]:
    """Give each running container and what it mounts."""
    found = []
    try:
        ids = run(["docker", "ps", "--quiet", "--no-trunc"]).out.split()
        # One may end in between; the others are told all the same.
        told = run(["docker", "inspect", "--type", "container", *ids], check=False).out if ids else "[]"
        for container in json.loads(told or "[]"):
            mounts = [str(mount.get("Source") or "") for mount in container.get("Mounts") or []]
            name = str(container.get("Name") or container["Id"][:12]).lstrip("/")
            server = ((container.get("Config") or {}).get("Labels") or {}).get("llmops.server")
            found.append((f"server {server}" if server else f"container {name}", mounts))
    except MissingError:
        return []
    except (CommandError, ValueError, KeyError, TypeError, AttributeError) as error:
        if careful:
            raise ModelError(
                "docker",
                f"it does not tell which containers run, so nothing is removed that one may use ({error}); see that "
                "`docker ps` answers on the host",
            ) from error
    return found


def _versions(paths: Iterable[str], root: Path) -> list[Version]:
    """Find the versions that paths lie in, or that lie below them."""
    found: list[Version] = []
    for place in (Path(os.path.realpath(path)) for path in paths if path):
        if root in place.parents:
            name, *rest = place.relative_to(root).parts
            found += [(name, rest[0])] if rest else _below(root, name)
        # Who mounts the host's whole file system watches it, and serves no model.
        elif place == root or (place in root.parents and place != Path("/")):
            for name in _folders(root):
                found += _below(root, name)
    return list(dict.fromkeys(found))


def _below(root: Path, name: str) -> list[Version]:
    return [(name, key) for key in _folders(root / name)]


def _folders(path: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return []
