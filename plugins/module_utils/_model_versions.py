# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in a model store, who needs it, whether it is whole, and what may go."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._model_files import damaged_of
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest
from ansible_collections.llmops.serving.plugins.module_utils._model_progress import CHECK, Meter
from ansible_collections.llmops.serving.plugins.module_utils._model_references import references
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, check_name, variable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store

_BLOCK = 512
_KEY = re.compile(r"[0-9a-f]{12}\Z")


@dataclass(frozen=True)
class Version:
    """A version of a model in the store.

    Attributes:
        name: The model's name.
        key: The name of its folder.
        path: Its folder.
        manifest: What the store knows of it; None of a folder that an interrupted removal left.
        bytes: Those of its files.
        wanted: Whether the inventory wants just this version.
        used_by: Who refers to it, as ``references`` says it.
    """

    name: str
    key: str
    path: Path
    manifest: Manifest | None
    bytes: int
    wanted: bool
    used_by: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether it has both its folder and its manifest; what its files hold is another question."""
        return self.manifest is not None and self.path.is_dir()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it must stay, nothing if it may go."""
        return (*(f"used by {who}" for who in self.used_by), *(("wanted by the inventory",) if self.wanted else ()))

    def words(self) -> dict[str, Any]:
        """Its part of the module's result."""
        manifest = self.manifest
        return {
            "name": self.name,
            "key": self.key,
            "path": str(self.path),
            "complete": self.complete,
            "source": manifest.source if manifest else "",
            "revision": manifest.revision if manifest else "",
            "files": len(manifest.files) if manifest else 0,
            "bytes": self.bytes,
            "licence": manifest.licence if manifest else "",
            "fetched_at": manifest.fetched_at if manifest else "",
            "wanted": self.wanted,
            "used_by": list(self.used_by),
        }


@dataclass(frozen=True)
class Leftover:
    """What an unfinished fetch has left.

    Attributes:
        name: The model's name.
        key: The version that it was to be.
        path: Its folder.
        bytes: What it takes of the disk.
        wanted: Whether the inventory wants just this version, so that the next fetch goes on with it.
    """

    name: str
    key: str
    path: Path
    bytes: int
    wanted: bool

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it must stay, nothing if it may go."""
        return ("wanted by the inventory: the next fetch goes on with it",) if self.wanted else ()

    def words(self) -> dict[str, Any]:
        """Its part of the module's result."""
        return {
            "name": self.name,
            "key": self.key,
            "path": str(self.path),
            "bytes": self.bytes,
            "wanted": self.wanted,
        }


@dataclass(frozen=True)
class Damage:
    """A file that is not what its manifest says.

    Attributes:
        version: The version that it belongs to.
        path: Its path inside the version's folder.
        problem: What is wrong and what to do, with the variable.
    """

    version: Version
    path: str
    problem: str


def look(
    store: Store, wanted: Collection[tuple[str, str]], careful: bool = False
) -> tuple[list[Version], list[Leftover]]:
    """See what the store has.

    Args:
        store: The store; it need not be there.
        wanted: Name and key of the versions that the inventory wants.
        careful: Whether something is to be removed, as for ``references``.

    Returns:
        The versions, and what unfinished fetches have left.

    Raises:
        ModelError: It is not known what containers run, and ``careful`` is set.
    """
    used = references(store.root, careful)
    versions = [
        _version(store, name, key, (name, key) in wanted, used.get((name, key), []))
        for name in store.names()
        for key in _keys(store, name)
    ]
    leftovers = []
    for path in store.leftovers():
        # What follows the name is the version, which has no dash of its own.
        name, _dash, key = path.name.rpartition("-")
        leftovers.append(Leftover(name, key, path, _disk_bytes(path), (name, key) in wanted))
    return versions, leftovers


def verify(store: Store, versions: Sequence[Version], meter: Meter) -> list[Damage]:
    """Read every file, several at a time, and find those that are not what their manifests say.

    Args:
        store: The store.
        versions: The versions to read; those without a manifest prove nothing and are left out.
        meter: Told about bytes that were read.

    Returns:
        What is wrong; nothing of a version that another run changed meanwhile.
    """
    known = [(version, version.manifest) for version in versions if version.manifest]
    label = known[0][0].name if len(known) == 1 else f"{len(known)} versions"
    meter.plan(label, sum(manifest.size for _version, manifest in known), doing=CHECK)
    # All at once, so that small models do not wait for each other.
    prefixed = [
        replace(entry, path=f"{version.name}/{version.key}/{entry.path}")
        for version, manifest in known
        for entry in manifest.files
    ]
    wrong = set(damaged_of(store.root, prefixed, lambda count: meter.add(label, count)))
    meter.done(label)
    return [
        Damage(version, entry.path, _problem(version, entry.path, entry.size))
        for version, manifest in known
        for entry in manifest.files
        if f"{version.name}/{version.key}/{entry.path}" in wrong
        # What another run has mended or removed meanwhile is no damage.
        and Manifest.load(store.manifest_path(version.name, version.key)) == manifest
    ]


def remove(store: Store, entry: Version | Leftover) -> None:
    """Remove something from the store: call it under the lock.

    Raises:
        ModelError: Something of it is still there.
    """
    if isinstance(entry, Version):
        store.remove_version(entry.name, entry.key)
    else:
        shutil.rmtree(str(entry.path), ignore_errors=True)
    if entry.path.exists():
        raise ModelError("serving_model_dir", f"{entry.path} could not be removed; see that root can write there")


def _version(store: Store, name: str, key: str, wanted: bool, used_by: Sequence[str]) -> Version:
    manifest, path = Manifest.load(store.manifest_path(name, key)), store.folder(name, key)
    size = manifest.size if manifest else _disk_bytes(path)
    return Version(name, key, path, manifest, size, wanted, tuple(used_by))


def _keys(store: Store, name: str) -> list[str]:
    """The versions of a model that have a manifest, a folder of the store's own kind, or both."""
    try:
        check_name(name)
    except ModelError:
        # No model's folder, such as the file system's lost+found.
        return []
    folders = {path.name for path in (store.root / name).iterdir() if path.is_dir() and _KEY.match(path.name)}
    return sorted(folders | {manifest.key for manifest in store.versions(name)})


def _problem(version: Version, path: str, size: int) -> str:
    place = version.path / path
    try:
        found = place.stat().st_size
        wrong = "its sha256 is not the recorded one" if found == size else f"it has {found} bytes instead of {size}"
    except OSError as error:
        wrong = f"it cannot be read: {error.strerror}"
    if version.wanted:
        remedy = "llmops apply -e models_verify=true fetches it again"
    elif version.used_by:
        remedy = (
            f"{', '.join(version.used_by)} uses this version, which serving_models does not want: put its revision "
            "there and apply with models_verify=true, or let the server move on"
        )
    else:
        remedy = "nobody needs this version: llmops models prune removes it"
    return f"{variable(version.name)}: {place} is damaged ({wrong}); {remedy}"


def _disk_bytes(path: Path) -> int:
    """What a folder takes of the disk; files that are fetched in ranges have holes."""
    total = 0
    # Not Path.rglob, which fails where somebody at work there removes a folder under it.
    for folder, _folders, names in os.walk(str(path)):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_blocks * _BLOCK  # noqa: PTH118
    return total
