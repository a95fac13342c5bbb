# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model store with complete models, made without a hub."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest, StoredFile
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store

if TYPE_CHECKING:
    from pathlib import Path

REV = "0123456789abcdef0123456789abcdef01234567"
KEY = REV[:12]
#: How the inventory would describe each of the models, but for its name.
WANTED = {"repo": "a/b", "revision": REV, "file": "x.gguf"}


def a_store(root: Path, **models: bytes) -> Store:
    """Make a store; each model has one file, ``x.gguf``."""
    store = Store(str(root / "store"))
    for name, data in models.items():
        place = store.folder(name, KEY) / "x.gguf"
        place.parent.mkdir(parents=True)
        place.write_bytes(data)
        entry = StoredFile("x.gguf", len(data), hashlib.sha256(data).hexdigest(), place.stat().st_mtime_ns)
        Manifest(
            name, KEY, "file", "https://hub.example/a/b", "a/b", REV, False, (entry,), (), "", "2026-01-01T00:00:00Z"
        ).save(store.manifest_path(name, KEY))
    return store
