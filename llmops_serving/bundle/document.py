# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a bundle says about itself: `bundle.json`, with a checksum of every file, and the checksum of that file.

    DIR/bundle.json, bundle.json.sha256
    DIR/models/NAME/KEY/…, NAME/KEY.json    models and their manifests, a store as on a host
    DIR/git/OWNER/NAME.git                  the pinned commits of whole repositories
    DIR/images/                             an OCI image layout

What only the machine that serves it needs (`tls/`, `bundle-vars.yml`) is no part of it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._registry_names import parse_reference
from llmops_serving.errors import DriverError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._registry_names import Reference

VERSION = 1
NAME = "bundle.json"
SUM = NAME + ".sha256"
MODELS, GIT, IMAGES = "models", "git", "images"


@dataclass(frozen=True)
class File:
    """A file: its path, bytes and sha256. The path is relative, to what says whoever holds it."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class TreeEntry:
    """A file of a repository at a commit: bytes of its content, and its sha256 where it is an LFS object."""

    path: str
    size: int
    oid: str = ""


@dataclass(frozen=True)
class Model:
    """A model of the bundle.

    Attributes:
        name: Its name in `serving_models`.
        key: Its version's folder.
        kind: `repo`, `file` or `url`.
        source: Where it came from.
        repo: `owner/name`, empty for `url`.
        revision: The pinned commit, empty for `url`.
        files: Its files, by their paths in the version's folder.
        paths: Where these files are in the repository, in the same order.
        tree: For `repo` all files of the commit, also those that are left out.
    """

    name: str
    key: str
    kind: str
    source: str
    repo: str
    revision: str
    files: tuple[File, ...]
    paths: tuple[str, ...]
    tree: tuple[TreeEntry, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def folder(self) -> str:
        """Where its files are in the bundle."""
        return f"{MODELS}/{self.name}/{self.key}"


@dataclass(frozen=True)
class Blob:
    """A blob of an image: a manifest (with its media type), a configuration or a layer."""

    digest: str
    size: int
    media_type: str = ""


@dataclass(frozen=True)
class Image:
    """An image of the bundle.

    Attributes:
        reference: Its own name, as the hosts' inventory means it.
        digest: What it resolves to upstream, and here.
        manifests: Index and manifests, that of `digest` first.
        blobs: Configurations and layers.
    """

    reference: str
    digest: str
    manifests: tuple[Blob, ...]
    blobs: tuple[Blob, ...]

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(blob.size for blob in (*self.manifests, *self.blobs))

    @property
    def name(self) -> Reference:
        """Its own name in parts."""
        return parse_reference(self.reference)


@dataclass(frozen=True)
class Bundle:
    """A whole bundle.

    Attributes:
        created: UTC time, ISO 8601.
        hosts: The hosts that it was made for.
        platforms: What the images are for, such as `linux/amd64`.
        models: The models.
        images: The images.
        others: Every other file, by its path in the bundle.
        words: The words of the inventory that the variables file of `load` takes the place of.
    """

    created: str
    hosts: tuple[str, ...]
    platforms: tuple[str, ...]
    models: tuple[Model, ...]
    images: tuple[Image, ...]
    others: tuple[File, ...]
    words: tuple[str, ...] = ("serving_hub_url", "serving_registries")
    version: int = field(default=VERSION)

    def files(self) -> list[File]:
        """Every file with its path in the bundle, each once."""
        found = [replace(file, path=f"{model.folder}/{file.path}") for model in self.models for file in model.files]
        found += [
            File(blob_path(blob.digest), blob.size, blob.digest.partition(":")[2])
            for image in self.images
            for blob in (*image.manifests, *image.blobs)
        ]
        return list({file.path: file for file in [*found, *self.others]}.values())

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files())

    def save(self, folder: Path) -> str:
        """Write `bundle.json` and its checksum.

        Returns:
            The checksum: who knows it knows the whole bundle.
        """
        text = json.dumps(asdict(self), indent=1) + "\n"
        found = hashlib.sha256(text.encode()).hexdigest()
        # The sum last: between the two a reader finds a sum that does not fit, never a bundle that seems whole.
        for name, content in ((NAME, text), (SUM, f"{found}  {NAME}\n")):
            draft = folder / f".{name}.new"
            draft.write_text(content, encoding="utf-8")
            draft.replace(folder / name)
        return found


def blob_path(digest: str) -> str:
    """Tell where a blob is in a bundle, by the digest `sha256:…`."""
    return f"{IMAGES}/blobs/{digest.replace(':', '/')}"


def read_bundle(folder: Path) -> tuple[Bundle, str]:
    """Read what a bundle says about itself.

    Args:
        folder: The bundle.

    Returns:
        What it says, and the checksum of `bundle.json`.

    Raises:
        UsageError: There is no bundle.
        DriverError: It is damaged, or of a version that is not known here.
    """
    try:
        content = (folder / NAME).read_bytes()
    except FileNotFoundError as error:
        msg = f"{folder} holds no bundle ({NAME} is missing): `llmops bundle create -i INVENTORY -o {folder}` makes one"
        raise UsageError(msg) from error
    except OSError as error:
        msg = f"{folder / NAME} cannot be read: {error.strerror}"
        raise UsageError(msg) from error
    found = hashlib.sha256(content).hexdigest()
    try:
        told = (folder / SUM).read_text(encoding="ascii").split()[0]
    except (OSError, UnicodeDecodeError, IndexError):
        told = ""
    if told != found:
        msg = (
            f"{folder / NAME} is damaged: its sha256 is {found}, and {SUM} says {told or 'nothing'}; copy both again, "
            "or run `llmops bundle create` again where it was made"
        )
        raise DriverError(msg)
    data = json.loads(content)
    if data.get("version") != VERSION:
        msg = (
            f"{folder / NAME} is of version {data.get('version')}, and this llmops reads version {VERSION}: use the "
            "llmops that made it"
        )
        raise DriverError(msg)
    bundle = _bundle(data)
    for file in bundle.files():
        if PurePosixPath(file.path).is_absolute() or ".." in PurePosixPath(file.path).parts:
            msg = f"{folder / NAME} names a file outside of it ({file.path}): do not use this bundle, ask who made it"
            raise DriverError(msg)
    return bundle, found


def _bundle(data: Mapping[str, Any]) -> Bundle:
    return Bundle(
        created=data["created"],
        hosts=tuple(data["hosts"]),
        platforms=tuple(data["platforms"]),
        models=tuple(_model(model) for model in data["models"]),
        images=tuple(
            Image(image["reference"], image["digest"], _blobs(image["manifests"]), _blobs(image["blobs"]))
            for image in data["images"]
        ),
        others=_files(data["others"]),
        words=tuple(data["words"]),
    )


def _model(data: Mapping[str, Any]) -> Model:
    parts = {
        "files": _files(data["files"]),
        "paths": tuple(data["paths"]),
        "tree": tuple(TreeEntry(**entry) for entry in data["tree"]),
    }
    return Model(**{**data, **parts})


def _files(data: Iterable[Mapping[str, Any]]) -> tuple[File, ...]:
    return tuple(File(**entry) for entry in data)


def _blobs(data: Iterable[Mapping[str, Any]]) -> tuple[Blob, ...]:
    return tuple(Blob(**entry) for entry in data)
