# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images come by digest, for the platforms that are asked for, and each layer once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._registry_client import DOCKER_MANIFEST, OCI_MANIFEST
from ansible_collections.llmops.serving.plugins.module_utils._registry_names import digest_of, parse_reference
from llmops_serving.bundle.document import IMAGES
from llmops_serving.bundle.images import fetch_images, plan_images
from llmops_serving.bundle.settings import Settings
from llmops_serving.bundle.words import Wanted, WantedImage
from llmops_serving.errors import DriverError
from tests.unit.llmops_serving.bundle.conftest import LAYER, add_image, add_index, bars
from tests.unit.plugins.fake_registry import Registry, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmops_serving.bundle.document import Image


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A registry with an image for two architectures, and one for a machine of no interest."""
    for running in serve(Registry()):
        children = {arch: add_image(running, "org/app", arch.encode() + LAYER, arch) for arch in ("amd64", "arm64")}
        add_index(running, "org/app", "v1", **children)
        running.add("org/app", "plain", children["arm64"][1])
        yield running


def get(registry: Registry, folder: Path, *names: str, **changed: Any) -> tuple[Image, ...]:
    """Fetch images of the registry."""
    images = tuple(
        WantedImage(parse_reference(f"ghcr.io/{name}"), parse_reference(f"127.0.0.1:{registry.port}/{name}"))
        for name in names
    )
    settings = Settings(folder, bars(), **changed)
    return fetch_images(plan_images(Wanted(("h1",), {}, images), settings), settings)


@pytest.mark.parametrize(
    ("platforms", "layers"),
    [
        (("linux/amd64",), [b"amd64" + LAYER]),
        (("linux/arm64",), [b"arm64" + LAYER]),
        (("linux/amd64", "linux/arm64"), [b"amd64" + LAYER, b"arm64" + LAYER]),
    ],
)
def test_platforms(registry: Registry, tmp_path: Path, platforms: tuple[str, ...], layers: list[bytes]) -> None:
    (image,) = get(registry, tmp_path, "org/app:v1", platforms=platforms)
    assert len(image.manifests) == 1 + len(layers)
    assert [blob.digest for blob in image.blobs if blob.size > len(LAYER)] == [digest_of(layer) for layer in layers]
    assert image.digest == digest_of(registry.contents["/v2/org/app/manifests/v1"])


def test_all_platforms_means_attestations_too(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="has no digest sha256:eeee"):
        get(registry, tmp_path, "org/app:v1", platforms=("all",))
    (image,) = get(registry, tmp_path, "org/app:plain", platforms=("all",))
    assert len(image.manifests) == 1


@pytest.mark.parametrize(
    ("name", "platforms", "says"),
    [
        ("org/app:v1", ("linux/riscv64",), "exists for linux/amd64, linux/arm64 only, and not for linux/riscv64"),
        ("org/app:plain", ("linux/amd64",), "is for linux/arm64, and not for linux/amd64; correct --platform"),
        ("org/app:none", ("linux/amd64",), "has no tag none of org/app"),
        ("org/app:strange", ("linux/amd64",), r"is no image that Docker runs \(x/y\)"),
    ],
)
def test_what_cannot_be_had(
    registry: Registry, tmp_path: Path, name: str, platforms: tuple[str, ...], says: str
) -> None:
    registry.add("org/app", "strange", b'{"mediaType": "x/y", "fsLayers": []}')
    with pytest.raises(DriverError, match=says) as caught:
        get(registry, tmp_path, name, "org/app:v1", platforms=platforms)
    assert str(caught.value).startswith("image: 127.0.0.1:")
    assert not (tmp_path / IMAGES / "index.json").exists()


def test_a_variant_belongs_to_its_architecture(registry: Registry, tmp_path: Path) -> None:
    digest, body = add_image(registry, "org/arm", LAYER, "arm64")
    entry = {
        "mediaType": OCI_MANIFEST,
        "digest": digest,
        "size": len(body),
        "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"},
    }
    registry.add("org/arm", "v1", json.dumps({"manifests": [entry]}).encode())
    for platform in ("linux/arm64", "linux/arm64/v8"):
        assert len(get(registry, tmp_path, "org/arm:v1", platforms=(platform,))[0].manifests) == 2
    with pytest.raises(DriverError, match="exists for linux/arm64/v8 only"):
        get(registry, tmp_path, "org/arm:v1", platforms=("linux/arm64/v9",))


def test_a_layer_that_images_share_comes_once(registry: Registry, tmp_path: Path) -> None:
    for name in ("org/one", "org/two"):
        registry.add(name, "v1", add_image(registry, name, LAYER)[1])
    get(registry, tmp_path, "org/one:v1", "org/two:v1")
    assert len([path for path, _headers in registry.asked if path.endswith(digest_of(LAYER))]) == 1


def test_an_image_by_digest_that_is_there_is_asked_of_nobody(registry: Registry, tmp_path: Path) -> None:
    digest = digest_of(registry.contents["/v2/org/app/manifests/v1"])
    (first,) = get(registry, tmp_path, f"org/app@{digest}")
    registry.asked.clear()
    assert get(registry, tmp_path, f"org/app@{digest}") == (first,)
    assert registry.asked == []
    assert first.reference == f"ghcr.io/org/app@{digest}"


def test_the_manifest_is_what_the_registry_says_where_it_does_not_say_it_itself(
    registry: Registry, tmp_path: Path
) -> None:
    body = json.loads(add_image(registry, "org/old", LAYER)[1])
    body["mediaType"] = DOCKER_MANIFEST
    registry.add("org/old", "v1", json.dumps(body).encode())
    del body["mediaType"]
    registry.add("org/old", "v2", json.dumps(body).encode())
    told = [image.manifests[0].media_type for image in get(registry, tmp_path, "org/old:v1", "org/old:v2")]
    assert told == [DOCKER_MANIFEST, OCI_MANIFEST]


def test_a_registry_that_wants_a_token_gets_one(registry: Registry, tmp_path: Path) -> None:
    registry.guarded = True
    get(registry, tmp_path, "org/app:v1")
    assert [path for path, _headers in registry.asked if path.startswith("/token")]
    assert not list((tmp_path / IMAGES).rglob(".partial"))


def test_a_layer_that_is_not_what_it_should_be(registry: Registry, tmp_path: Path) -> None:
    place = f"/v2/org/app/blobs/{digest_of(b'amd64' + LAYER)}"
    registry.contents[place] = registry.contents[place][:-1] + b"?"
    with pytest.raises(DriverError, match=r"image: ghcr.io/org/app:v1: layer: .* arrived with sha256"):
        get(registry, tmp_path, "org/app:v1")
