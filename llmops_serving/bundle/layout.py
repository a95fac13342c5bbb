# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images on a disk, as an OCI image layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md)."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._model_files import sha256_of
from ansible_collections.llmops.serving.plugins.module_utils._registry_client import OCI_INDEX, Manifest
from ansible_collections.llmops.serving.plugins.module_utils._registry_names import digest_of
from llmops_serving.bundle.document import Blob

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from llmops_serving.bundle.document import Image

_REFERENCE = "org.opencontainers.image.ref.name"


class Layout:
    """An OCI image layout.

    Args:
        folder: Where it is; nothing is created before it is needed.
    """

    def __init__(self, folder: Path) -> None:
        """Name it."""
        self.folder = folder
        self.blobs = folder / "blobs" / "sha256"
        self.partial = folder / ".partial"

    def path(self, digest: str) -> Path:
        """Tell where a blob is, by the digest `sha256:…`."""
        return self.blobs / digest.partition(":")[2]

    def has(self, blob: Blob) -> bool:
        """Tell whether a blob is there, by its size: what has its name was whole once."""
        path = self.path(blob.digest)
        return path.is_file() and path.stat().st_size == blob.size

    def put(self, content: bytes) -> None:
        """Keep a small blob."""
        path = self.path(digest_of(content))
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        draft.write_bytes(content)
        draft.replace(path)

    def take(self, path: Path, digest: str) -> None:
        """Give a blob that is whole and on the disk its final name."""
        self.blobs.mkdir(parents=True, exist_ok=True)
        path.chmod(0o644)
        path.replace(self.path(digest))

    def manifest(self, digest: str, media_type: str = "") -> Manifest | None:
        """Read a manifest, None when it is not there or damaged."""
        try:
            body = self.path(digest).read_bytes()
            parsed: dict[str, Any] = json.loads(body)
        except (OSError, ValueError):
            return None
        if digest_of(body) != digest:
            return None
        return Manifest(body, parsed, digest, parsed.get("mediaType") or media_type)

    def known(self) -> dict[str, Blob]:
        """Tell by its name what each image was, as an earlier run wrote it."""
        try:
            index = json.loads((self.folder / "index.json").read_text(encoding="utf-8"))
            return {
                entry["annotations"][_REFERENCE]: Blob(entry["digest"], entry["size"], entry["mediaType"])
                for entry in index["manifests"]
            }
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def save(self, images: Sequence[Image]) -> None:
        """Write which images there are."""
        index = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [
                {
                    "mediaType": image.manifests[0].media_type,
                    "digest": image.digest,
                    "size": image.manifests[0].size,
                    "annotations": {_REFERENCE: image.reference},
                }
                for image in images
            ],
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        texts = {"index.json": json.dumps(index, indent=1) + "\n", "oci-layout": '{"imageLayoutVersion": "1.0.0"}\n'}
        for name, text in texts.items():
            draft = self.folder / f".{name}.new"
            draft.write_text(text, encoding="utf-8")
            draft.replace(self.folder / name)

    def drop_damaged(self) -> Iterator[Path]:
        """Remove blobs that are not what their names say, and name them."""
        for path in sorted(self.blobs.glob("*")):
            if sha256_of(path) != path.name:
                os.unlink(path)  # noqa: PTH108  as an operation on a name
                yield path
