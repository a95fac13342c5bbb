# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle reads what it wrote, and is believed only where its checksum fits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from llmops_serving.bundle.document import (
    NAME,
    SUM,
    Blob,
    Bundle,
    File,
    Image,
    Model,
    TreeEntry,
    blob_path,
    read_bundle,
)
from llmops_serving.errors import DriverError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

HEX = "a" * 64
LAYER = Blob(f"sha256:{HEX}", 7)
MODEL = Model(
    name="chat",
    key="0123456789ab",
    kind="repo",
    source="https://hub.example/org/chat",
    repo="org/chat",
    revision="0123456789ab" + "0" * 28,
    files=(File("sub/model.gguf", 5, "b" * 64),),
    paths=("sub/model.gguf",),
    tree=(TreeEntry("sub/model.gguf", 5, "b" * 64), TreeEntry("README.md", 3)),
)
TOP = Blob("sha256:" + "c" * 64, 11, "application/vnd.oci.image.manifest.v1+json")


def a_bundle(*others: File) -> Bundle:
    """Give a small bundle in which two images share a layer."""
    images = tuple(Image(f"ghcr.io/org/{name}:v1", TOP.digest, (TOP,), (LAYER,)) for name in ("app", "tool"))
    return Bundle("2026-01-01T00:00:00Z", ("h1",), ("linux/amd64",), (MODEL,), images, others)


def test_a_bundle_reads_what_it_wrote(tmp_path: Path) -> None:
    bundle = a_bundle(File("images/index.json", 2, "d" * 64))
    checksum = bundle.save(tmp_path)
    assert read_bundle(tmp_path) == (bundle, checksum)
    assert (tmp_path / SUM).read_text() == f"{checksum}  {NAME}\n"
    assert not list(tmp_path.glob(".*"))


def test_its_files_are_each_once() -> None:
    bundle = a_bundle(File("images/index.json", 2, "d" * 64))
    assert {file.path: file.size for file in bundle.files()} == {
        "models/chat/0123456789ab/sub/model.gguf": 5,
        blob_path(LAYER.digest): 7,
        blob_path(TOP.digest): 11,
        "images/index.json": 2,
    }
    assert bundle.size == 25
    assert (MODEL.size, bundle.images[0].size) == (5, 18)
    assert bundle.images[0].name.registry == "ghcr.io"


@pytest.mark.parametrize(
    ("name", "content", "error", "says"),
    [
        (NAME, None, UsageError, "holds no bundle"),
        (NAME, "{}", DriverError, "bundle.json is damaged: its sha256 is"),
        (SUM, None, DriverError, "says nothing"),
        (SUM, "", DriverError, "says nothing"),
        (SUM, "f" * 64, DriverError, "says ffff"),
        (SUM, "\u00e9", DriverError, "says nothing"),
    ],
)
def test_what_is_not_believed(
    tmp_path: Path, name: str, content: str | None, error: type[DriverError], says: str
) -> None:
    a_bundle().save(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(error, match=says):
        read_bundle(tmp_path)


def test_another_version_is_refused(tmp_path: Path) -> None:
    bundle = a_bundle()
    object.__setattr__(bundle, "version", 9)
    bundle.save(tmp_path)
    with pytest.raises(DriverError, match="is of version 9, and this llmops reads version 1"):
        read_bundle(tmp_path)


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "images/../../outside"])
def test_a_file_outside_is_refused(tmp_path: Path, path: str) -> None:
    a_bundle(File(path, 1, HEX)).save(tmp_path)
    with pytest.raises(DriverError, match="names a file outside of it"):
        read_bundle(tmp_path)


def test_it_is_json_for_others(tmp_path: Path) -> None:
    a_bundle().save(tmp_path)
    told = json.loads((tmp_path / NAME).read_text())
    assert told["version"] == 1
    assert told["models"][0]["revision"] == MODEL.revision
    assert told["images"][0]["digest"] == TOP.digest
