# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An OCI image layout, as other tools read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.module_utils._registry_client import OCI_MANIFEST
from ansible_collections.llmops.serving.plugins.module_utils._registry_names import digest_of
from llmops_serving.bundle.document import Blob, Image
from llmops_serving.bundle.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path

BODY = b'{"mediaType": "application/vnd.oci.image.manifest.v1+json"}'
TOP = Blob(digest_of(BODY), len(BODY), OCI_MANIFEST)


def test_blobs_are_kept_by_their_digest(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert not layout.has(TOP)
    layout.put(BODY)
    assert layout.has(TOP)
    assert not layout.has(Blob(TOP.digest, 1))
    assert layout.path(TOP.digest) == tmp_path / "blobs" / "sha256" / TOP.digest[7:]
    (tmp_path / "part").write_bytes(b"layer")
    layout.take(tmp_path / "part", digest_of(b"layer"))
    assert layout.path(digest_of(b"layer")).stat().st_mode & 0o777 == 0o644


def test_a_manifest_is_read_only_where_it_is_sound(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert layout.manifest(TOP.digest) is None
    layout.put(BODY)
    found = layout.manifest(TOP.digest)
    assert found is not None
    assert (found.digest, found.media_type, found.body) == (TOP.digest, OCI_MANIFEST, BODY)
    layout.put(b"{}")
    told = layout.manifest(digest_of(b"{}"), "told/elsewhere")
    assert told is not None
    assert told.media_type == "told/elsewhere"
    layout.path(TOP.digest).write_bytes(b"{}")
    assert layout.manifest(TOP.digest) is None


def test_the_index_names_images(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "images")
    assert layout.known() == {}
    layout.save([Image("ghcr.io/org/app:v1", TOP.digest, (TOP,), ())])
    assert layout.known() == {"ghcr.io/org/app:v1": TOP}
    index = json.loads((tmp_path / "images" / "index.json").read_text())
    assert index["manifests"][0]["annotations"] == {"org.opencontainers.image.ref.name": "ghcr.io/org/app:v1"}
    assert json.loads((tmp_path / "images" / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (tmp_path / "images" / "index.json").write_text("[]")
    assert layout.known() == {}


def test_damaged_blobs_are_dropped_and_named(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.put(BODY)
    layout.put(b"layer")
    layout.path(TOP.digest).write_bytes(b"damaged")
    assert list(layout.drop_damaged()) == [layout.path(TOP.digest)]
    assert [path.name for path in layout.blobs.iterdir()] == [digest_of(b"layer")[7:]]
