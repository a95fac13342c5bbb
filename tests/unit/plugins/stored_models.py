# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model store with versions in it, as earlier runs would have left it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest, StoredFile

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store

WEIGHTS = b"weights" * 20000


def revision(key: str) -> str:
    """A commit whose version has this key."""
    return key.ljust(40, "0")


def put(store: Store, name: str, key: str) -> Path:
    """Put a complete version into a store, and give its folder."""
    folder = store.folder(name, key)
    (folder / "sub").mkdir(parents=True)
    files = []
    for path, data in (("sub/model.safetensors", WEIGHTS), ("config.json", b"{}"), ("LICENSE", b"free")):
        (folder / path).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        files.append(StoredFile(path, len(data), digest, (folder / path).stat().st_mtime_ns))
    manifest = Manifest(
        name=name,
        key=key,
        kind="repo",
        source=f"https://hub.example/org/{name}",
        repo=f"org/{name}",
        revision=revision(key),
        allow_pickle=False,
        files=tuple(files),
        skipped=(),
        licence="LICENSE",
        fetched_at="2026-01-31T12:00:00Z",
    )
    manifest.save(store.manifest_path(name, key))
    return folder


def leave(store: Store, name: str, key: str, data: bytes = WEIGHTS) -> Path:
    """Leave an unfinished fetch in a store, and give its folder."""
    store.create()
    work = store.partial / f"{name}-{key}"
    (work / "tree").mkdir(parents=True)
    (work / "tree" / "model.safetensors").write_bytes(data)
    return work


def wanted(name: str, key: str) -> dict[str, dict[str, str]]:
    """What an inventory says that wants a version."""
    return {name: {"repo": f"org/{name}", "revision": revision(key)}}
