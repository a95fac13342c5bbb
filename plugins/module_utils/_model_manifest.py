# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the store knows of a complete model: its manifest, and the marks inside its large files."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._model_files import sync_folder
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelSpec, is_pickle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MANIFEST_VERSION = 1


@dataclass(frozen=True)
class StoredFile:
    """A file of a complete model: path inside its folder, bytes, sha256, and mtime in ns when it was verified."""

    path: str
    size: int
    sha256: str
    mtime_ns: int


@dataclass(frozen=True)
class Marks:
    """The marks of a file: at each ``block`` bytes the first digits of the digest of everything up to there."""

    block: int
    marks: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """What the store knows about a complete model.

    Attributes:
        name: Its name.
        key: Its version's folder.
        kind: ``repo``, ``file`` or ``url``.
        source: Where it came from, for people.
        repo: ``owner/name``, or empty.
        revision: The pinned commit, or empty.
        allow_pickle: Whether pickle was allowed when it was fetched.
        files: Its files.
        skipped: Paths of the repository that were left out.
        licence: Path of its licence file, or empty.
        fetched_at: UTC time, ISO 8601.
        version: Version of this format.
        include: The patterns that chose its files, or nothing.
        exclude: The patterns that left files out, or nothing.
    """

    name: str
    key: str
    kind: str
    source: str
    repo: str
    revision: str
    allow_pickle: bool
    files: tuple[StoredFile, ...]
    skipped: tuple[str, ...]
    licence: str
    fetched_at: str
    version: int = MANIFEST_VERSION
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)

    @classmethod
    def load(cls, path: Path) -> Manifest | None:
        """Read a manifest, None when there is none or it is of no use."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return cls.from_dict(data) if isinstance(data, dict) else None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Manifest | None:
        """Read a manifest from its JSON, None when it is of no use."""
        if data.get("version") != MANIFEST_VERSION:
            return None
        try:
            lists = {name: tuple(data.get(name, ())) for name in ("skipped", "include", "exclude")}
            files = tuple(StoredFile(**entry) for entry in data["files"])
            if not all(_inside(entry.path) for entry in files):
                return None
            return cls(**dict(data, files=files, **lists))
        except (TypeError, KeyError, AttributeError):
            return None

    def save(self, path: Path) -> None:
        """Write the manifest atomically, mode 0644."""
        text = json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"
        draft = path.with_name("." + path.name + ".new")
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o644)
        draft.replace(path)
        sync_folder(path.parent)

    def serves(self, spec: ModelSpec) -> bool:
        """Whether this is the version that a model asks for (its hub may have moved: the content is pinned)."""
        if (self.kind, self.repo, self.revision) != (spec.kind, spec.repo, spec.revision):
            return False
        if spec.allow_pickle != self.allow_pickle:
            return not any(is_pickle(path) for path in [entry.path for entry in self.files] + list(self.skipped))
        return True


def _inside(path: str) -> bool:
    """Whether a path names something inside its folder: a manifest may come from another host."""
    return all(part not in ("", ".", "..") and "\0" not in part for part in path.split("/"))
