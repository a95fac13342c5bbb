# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the model store: read, hashed, put on the disk for good."""

from __future__ import annotations

import contextlib
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.module_utils._model_http import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import StoredFile

_HASHERS = 4


def damaged_of(folder: Path, files: Sequence[StoredFile], on_bytes: Callable[[int], None] | None = None) -> list[str]:
    """Hash files, several at a time, and give the paths of those that are not what they should be.

    Args:
        folder: Where they lie.
        files: What they should be.
        on_bytes: Told about bytes that were read, from several threads.
    """
    if not files:
        return []
    # hashlib lets other threads work, and large files first leave none alone at the end.
    largest_first = sorted(files, key=lambda entry: -entry.size)
    with ThreadPoolExecutor(min(_HASHERS, len(files))) as pool:
        found = pool.map(lambda entry: _digest_or_none(folder / entry.path, on_bytes), largest_first)
        return sorted(entry.path for entry, sha256 in zip(largest_first, found) if sha256 != entry.sha256)  # noqa: B905


def _digest_or_none(path: Path, on_bytes: Callable[[int], None] | None = None) -> str | None:
    try:
        return sha256_of(path, on_bytes)
    except OSError:
        return None


def sha256_of(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """The sha256 of a file's content; `on_bytes` is told about bytes that were read."""
    digest = hashlib.sha256()
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return digest.hexdigest()
            digest.update(view[:count])
            if on_bytes:
                on_bytes(count)


def sync_folder(path: Path) -> None:
    """Make renames inside a folder survive a power cut."""
    descriptor = os.open(str(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def settle(tree: Path) -> None:
    """Modes for readers (the engine's user is not root), and everything on the disk before it gets a name."""
    tree.chmod(0o755)
    for place in tree.rglob("*"):
        if place.is_dir():
            place.chmod(0o755)
            continue
        place.chmod(0o644)
        with place.open("rb") as file:
            os.fsync(file.fileno())
    for folder in [path for path in tree.rglob("*") if path.is_dir()] + [tree]:
        sync_folder(folder)


def keep_only(tree: Path, paths: set[str]) -> None:
    """Remove what does not belong to a model: files of an earlier choice, and folders that are empty then."""
    for place in sorted(tree.rglob("*"), reverse=True):
        if place.is_dir() and not place.is_symlink():
            with contextlib.suppress(OSError):
                place.rmdir()
        elif place.relative_to(tree).as_posix() not in paths:
            place.unlink()


def human(count: float) -> str:
    """Bytes for people, such as ``1.5 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - binary units
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
