# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A registry gets what it lacks, and manifests as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from llmops_serving.bundle.document import blob_path
from llmops_serving.bundle.push import Target, push_images
from llmops_serving.errors import DriverError
from tests.unit.llmops_serving.bundle.conftest import bars, said
from tests.unit.plugins.fake_registry import Registry, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmops_serving.bundle.document import Bundle


@pytest.fixture
def registry() -> Iterator[Registry]:
    """A registry that takes things."""
    yield from serve(Registry())


def target(registry: Registry, prefix: str = "") -> Target:
    """Push to it."""
    return Target(f"127.0.0.1:{registry.port}", prefix)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("registry.example", Target("registry.example")),
        ("registry.example:5000/", Target("registry.example:5000")),
        ("registry.example:5000/team/mirror", Target("registry.example:5000", "team/mirror")),
    ],
)
def test_targets(text: str, expected: Target) -> None:
    assert Target.parse(text) == expected
    assert str(expected) == text.rstrip("/")


@pytest.mark.parametrize("prefix", ["", "team/mirror"])
def test_everything_arrives_as_it_is(registry: Registry, bundle: Bundle, made: Path, prefix: str) -> None:
    push_images(bundle, made, target(registry, prefix), bars())
    place = f"/v2/{prefix}/ghcr.io/org/app" if prefix else "/v2/ghcr.io/org/app"
    app = bundle.images[0]
    for blob in app.blobs:
        assert registry.contents[f"{place}/blobs/{blob.digest}"] == (made / blob_path(blob.digest)).read_bytes()
    for blob in app.manifests:
        assert registry.contents[f"{place}/manifests/{blob.digest}"] == (made / blob_path(blob.digest)).read_bytes()
        assert registry.types[blob.digest] == blob.media_type
    assert registry.contents[f"{place}/manifests/v1"] == (made / blob_path(app.digest)).read_bytes()


def test_what_is_there_is_not_sent_again(registry: Registry, bundle: Bundle, made: Path) -> None:
    push_images(bundle, made, target(registry), bars())
    registry.asked.clear()
    shown = bars()
    push_images(bundle, made, target(registry), shown)
    assert not [path for path, _headers in registry.asked if "/uploads/" in path]
    assert said(shown).count("0 of 2 layers sent") == 3


def test_a_registry_with_a_password(
    registry: Registry, bundle: Bundle, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.basic = "Basic YW5uOnMzY3JldA=="
    with pytest.raises(DriverError, match=r"denies anonymous to push to ghcr.io/org/app \(HTTP 401\)"):
        push_images(bundle, made, target(registry), bars())
    auths = {f"127.0.0.1:{registry.port}": {"auth": "YW5uOnMzY3JldA=="}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    push_images(bundle, made, target(registry), bars())
    assert "/v2/ghcr.io/org/app/manifests/v1" in registry.contents


def test_a_registry_that_wants_whole_indexes_gets_the_platform(registry: Registry, bundle: Bundle, made: Path) -> None:
    app = bundle.images[0]
    registry.refuses.add(app.digest)
    shown = bars()
    push_images(bundle, made, target(registry), shown)
    child = (made / blob_path(app.manifests[1].digest)).read_bytes()
    assert registry.contents["/v2/ghcr.io/org/app/manifests/v1"] == child
    assert "takes whole indexes only" in said(shown)


def test_an_upload_that_fails_is_tried_again(registry: Registry, bundle: Bundle, made: Path) -> None:
    registry.failing = 2
    push_images(bundle, made, target(registry), bars())
    assert "/v2/ghcr.io/org/app/manifests/v1" in registry.contents
    registry.contents.clear()
    registry.failing = 100
    with pytest.raises(DriverError, match=r"--push-registry .*ghcr.io/org/app:v1: .* answers HTTP 500"):
        push_images(bundle, made, target(registry), bars())


def test_nothing_goes_to_another_host(registry: Registry, bundle: Bundle, made: Path) -> None:
    registry.elsewhere = "http://elsewhere.example"
    with pytest.raises(DriverError, match="wants an upload to go to another host"):
        push_images(bundle, made, target(registry), bars())
