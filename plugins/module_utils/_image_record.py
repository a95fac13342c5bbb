# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Remember which images the collection brought to the host, so that a removal takes those and no others.

An image bears no mark of who pulled it. What was on the host before the collection asked for it is somebody else's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._unit import write_atomically

RECORDS = Path("/var/lib/llmops/images")


class Brought(t.NamedTuple):
    """A name under which images were pulled.

    Attributes:
        asked: The name, with a tag or a digest.
        images: What came, each `name@sha256:…`; nothing of a pull that was cut off.
        path: The file that says so.
    """

    asked: str
    images: list[str]
    path: Path


def note(asked: str, image: str | None = None) -> None:
    """Write down that an image is about to be pulled, or, with its digest, that it has come.

    Args:
        asked: The name it is pulled by.
        image: `name@sha256:…`, once it is known.

    Raises:
        OSError: It cannot be written.
    """
    path = _path(asked)
    found = _read(path)
    images = found.images if found else []
    if found is None or (image and image not in images):
        path.parent.mkdir(parents=True, exist_ok=True)
        words = {"asked": asked, "images": images + ([image] if image else [])}
        write_atomically(path, json.dumps(words), 0o644)


def drop(asked: str) -> None:
    """Forget a pull that brought nothing; what came earlier under the same name stays written down."""
    found = _read(_path(asked))
    if found is not None and not found.images:
        forget(found)


def forget(brought: Brought) -> None:
    """Forget images that are gone."""
    if brought.path.exists():
        brought.path.unlink()
    with contextlib.suppress(OSError):
        brought.path.parent.rmdir()


def brought_images() -> list[Brought]:
    """List the images that the collection brought, by name."""
    paths = RECORDS.glob("*.json") if RECORDS.is_dir() else ()
    return sorted(found for found in map(_read, paths) if found)


def clear_drafts() -> None:
    """Remove what was being written down when its writer was killed."""
    for path in RECORDS.glob(".*") if RECORDS.is_dir() else ():
        path.unlink()
    with contextlib.suppress(OSError):
        RECORDS.rmdir()


def _path(asked: str) -> Path:
    return RECORDS / (hashlib.sha256(asked.encode()).hexdigest()[:16] + ".json")


def _read(path: Path) -> Brought | None:
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
        return Brought(str(words["asked"]), [str(image) for image in words["images"]], path)
    except (OSError, ValueError, KeyError, TypeError):
        return None
