# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real Docker pulls from a bundle what it would have pulled upstream, although half of the index stayed there."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import tarfile
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._registry import ARCHITECTURES
from ansible_collections.llmops.serving.plugins.module_utils._registry_client import DOCKER_INDEX, DOCKER_MANIFEST
from ansible_collections.llmops.serving.plugins.module_utils._registry_names import digest_of, parse_reference
from llmops_serving.bundle.create import create_bundle
from llmops_serving.bundle.settings import Settings
from llmops_serving.bundle.words import Wanted, WantedImage
from llmops_serving.lab.lab import Lab
from tests.unit.llmops_serving.bundle.conftest import bars, served
from tests.unit.plugins.fake_registry import Registry, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

HERE = ARCHITECTURES.get(platform.machine(), platform.machine())
ELSEWHERE = "s390x" if HERE != "s390x" else "amd64"


@pytest.fixture
def docker() -> Iterator[DockerClient]:
    """A daemon of this machine, which gets no image to keep; the scenarios go on with one that was started for it."""
    if os.environ.get("DOCKER_HOST"):
        pytest.skip("a daemon elsewhere cannot pull from this machine's loopback")
    client = Lab().docker(lambda _stage, message: print(message))
    yield client
    for image in client.images.list(filters={"label": "llmops.test=bundle"}):
        client.images.remove(str(image.id), force=True)


def add_image(registry: Registry, name: str, architecture: str) -> bytes:
    """Hold a whole image of one file, as docker would have pushed it."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        entry = tarfile.TarInfo("architecture")
        entry.size = len(architecture)
        archive.addfile(entry, io.BytesIO(architecture.encode()))
    layer = gzip.compress(raw.getvalue(), mtime=0)
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Labels": {"llmops.test": "bundle"}},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(raw.getvalue()).hexdigest()}"]},
        }
    ).encode()
    kind = "application/vnd.docker"
    parts = {f"{kind}.container.image.v1+json": config, f"{kind}.image.rootfs.diff.tar.gzip": layer}
    entries = []
    for media_type, blob in parts.items():
        registry.contents[f"/v2/{name}/blobs/{digest_of(blob)}"] = blob
        entries.append({"mediaType": media_type, "digest": digest_of(blob), "size": len(blob)})
    told = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": entries[0], "layers": entries[1:]}
    body = json.dumps(told).encode()
    registry.add(name, digest_of(body), body)
    return body


def test_docker_pulls_from_a_bundle(docker: DockerClient, tmp_path: Path) -> None:
    for registry in serve(Registry()):
        entries = [
            {
                "mediaType": DOCKER_MANIFEST,
                "digest": digest_of(body),
                "size": len(body),
                "platform": {"os": "linux", "architecture": architecture},
            }
            for architecture in (ELSEWHERE, HERE)
            for body in [add_image(registry, "org/app", architecture)]
        ]
        index = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_INDEX, "manifests": entries}).encode()
        registry.add("org/app", "v1", index)
        image = WantedImage(
            parse_reference("ghcr.io/org/app:v1"), parse_reference(f"127.0.0.1:{registry.port}/org/app:v1")
        )
        settings = Settings(tmp_path / "bundle", bars(), platforms=(f"linux/{HERE}",))
        create_bundle(Wanted(("h1",), {}, (image,)), settings)
    with served(tmp_path / "bundle", tmp_path / "state") as running:
        name = f"{running.served.registry}/ghcr.io/org/app"
        pulled = docker.images.pull(name, tag="v1")
        assert pulled.attrs["RepoDigests"] == [f"{name}@{digest_of(index)}"]
        assert pulled.attrs["Architecture"] == HERE
        docker.images.remove(str(pulled.id), force=True)
        assert docker.images.pull(f"{name}@{digest_of(index)}").id == pulled.id
