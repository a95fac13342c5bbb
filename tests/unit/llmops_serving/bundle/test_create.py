# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle holds what the inventory needs, goes on where it ended, and can be made from one that is served."""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from llmops_serving.bundle.checksums import check_bundle
from llmops_serving.bundle.create import create_bundle, left_over
from llmops_serving.bundle.document import NAME, blob_path, read_bundle
from llmops_serving.bundle.settings import Settings
from llmops_serving.bundle.words import wanted_by
from llmops_serving.errors import DriverError, UsageError
from tests.unit.llmops_serving.bundle.conftest import LAYER, REVISION, bars, make, said, served
from tests.unit.plugins.fake_hub import Fault, gguf, safetensors, sha256

if TYPE_CHECKING:
    from pathlib import Path

    from llmops_serving.bundle.document import Bundle
    from tests.unit.llmops_serving.bundle.conftest import Upstream


def test_what_is_in_it(bundle: Bundle, made: Path) -> None:
    models = {model.name: model for model in bundle.models}
    assert sorted(models) == ["afar", "chat", "small"]
    assert [file.path for file in models["chat"].files] == [
        "LICENSE", "config.json", "model.safetensors", "sub/tokenizer.json",
    ]  # fmt: skip
    # What is left out is known all the same: a host chooses from the whole list, as it would upstream.
    assert [entry.path for entry in models["chat"].tree] == [
        "LICENSE", "config.json", "model.safetensors", "pytorch_model.bin", "sub/tokenizer.json",
    ]  # fmt: skip
    assert {entry.path: entry.oid for entry in models["chat"].tree}["model.safetensors"] == sha256(safetensors(1 << 20))
    assert (models["small"].files[0].path, models["small"].paths) == ("small.gguf", ("deep/small.gguf",))
    images = {image.reference: image for image in bundle.images}
    assert len(images) == 3
    app = images["ghcr.io/org/app:v1"]
    # The index as it is upstream, and one of its two manifests.
    assert app.digest == app.manifests[0].digest
    assert len(app.manifests) == 2
    assert (made / blob_path(app.blobs[1].digest)).read_bytes() == b"amd64" + LAYER
    assert bundle.hosts == ("h1",)
    assert bundle.words == (
        "serving_hub_url", "serving_hub_token", "serving_registries", "serving_ca", "models_wanted", "preflight_models",
    )  # fmt: skip


def test_every_file_has_a_checksum(bundle: Bundle, made: Path) -> None:
    found = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert {file.path for file in bundle.files()} == found - {NAME, f"{NAME}.sha256", ".lock", "models/.lock"}


def test_a_second_run_fetches_nothing(upstream: Upstream, tmp_path: Path) -> None:
    first = make(upstream, tmp_path / "bundle")
    upstream.hub.seen.clear()
    upstream.registry.asked.clear()
    second = make(upstream, tmp_path / "bundle")
    assert (first.fetched > len(LAYER), second.fetched) == (True, 0)
    assert upstream.hub.seen == []
    # A tag may have moved: that alone is asked.
    assert [path.rpartition("/")[2] for path, _headers in upstream.registry.asked] == ["v1", "v2", "v3"]
    assert (second.bundle, second.checksum) == (first.bundle, first.checksum)


def test_a_tag_that_moved_is_noticed(upstream: Upstream, tmp_path: Path) -> None:
    first = make(upstream, tmp_path / "bundle")
    registry = upstream.registry
    registry.contents["/v2/hub/library/tool/manifests/v2"] = registry.contents["/v2/own/thing/manifests/v3"]
    for path in list(registry.contents):
        registry.contents[path.replace("/own/thing/blobs/", "/hub/library/tool/blobs/")] = registry.contents[path]
    second = make(upstream, tmp_path / "bundle")
    before, after = (
        {image.reference: image.digest for image in one.bundle.images}["docker.io/library/tool:v2"]
        for one in (first, second)
    )
    assert before != after
    assert "of an earlier inventory" in left_over(second)


def test_a_registry_that_is_away_takes_nothing_from_a_bundle_that_has_its_images(
    upstream: Upstream, tmp_path: Path
) -> None:
    make(upstream, tmp_path / "bundle")
    upstream.registry.reply = (503, "text/plain", b"busy")
    shown = bars()
    again = make(upstream, tmp_path / "bundle", bars=shown)
    assert len(again.bundle.images) == 3
    assert "kept as it is: image: 127.0.0.1" in said(shown)
    shutil.rmtree(tmp_path / "bundle" / "images")
    with pytest.raises(DriverError, match="answers HTTP 503"):
        make(upstream, tmp_path / "bundle")


def test_an_interrupted_run_is_gone_on_with(upstream: Upstream, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    digest = next(path for path in upstream.registry.contents if path.endswith(sha256(b"amd64" + LAYER)))
    layer = upstream.registry.contents.pop(digest)
    with pytest.raises(DriverError, match=r"image: ghcr.io/org/app:v1: .* does not give the layer sha256:"):
        make(upstream, folder)
    # It is none before all of it is there.
    with pytest.raises(UsageError, match="holds no bundle"):
        read_bundle(folder)
    upstream.registry.contents[digest] = layer
    upstream.hub.seen.clear()
    assert make(upstream, folder).bundle.images
    assert upstream.hub.seen == []


def test_damage_is_found_when_asked_and_only_that_comes_again(upstream: Upstream, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    whole = make(upstream, folder).bundle
    damaged = [
        folder / "models" / "small" / REVISION[:12] / "small.gguf",
        folder / blob_path(whole.images[0].blobs[-1].digest),
        next((folder / "git").rglob("*.pack")),
    ]
    for path in damaged:
        content, times = bytearray(path.read_bytes()), path.stat()
        content[len(content) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    upstream.hub.seen.clear()
    shown = bars()
    mended = make(upstream, folder, verify=True, bars=shown).bundle
    assert (mended.models, mended.images) == (whole.models, whole.images)
    check_bundle(mended, folder, bars())
    assert {seen.path.split("?")[0] for seen in upstream.hub.seen} == {
        f"/org/small/resolve/{REVISION}/deep/small.gguf", "/signed/" + sha256(gguf(64)),
        "/org/chat/info/refs", "/org/chat/git-upload-pack",
    }  # fmt: skip
    assert said(shown).count("is damaged: it comes again") == 2
    assert "small: small.gguf was damaged, and came again" in said(shown)


def test_what_an_earlier_inventory_wanted_is_told_and_removed_when_asked(upstream: Upstream, tmp_path: Path) -> None:
    make(upstream, tmp_path / "bundle")
    answer = upstream.answer()
    del answer["models"]["chat"], answer["images"][1:]
    fewer = wanted_by([answer])
    kept = create_bundle(fewer, Settings(tmp_path / "bundle", bars()))
    assert "--prune removes them" in left_over(kept)
    assert any("git/org/chat.git" in str(path) for path in kept.left)
    pruned = create_bundle(fewer, Settings(tmp_path / "bundle", bars(), prune=True))
    assert (pruned.left, left_over(pruned)) == ((), "")
    assert not list((tmp_path / "bundle").rglob("*.safetensors"))
    assert not (tmp_path / "bundle" / "git").exists()
    assert create_bundle(fewer, Settings(tmp_path / "bundle", bars(), verify=True)).fetched == 0


def test_no_secret_is_in_it(upstream: Upstream, tmp_path: Path) -> None:
    upstream.hub.token = "hf_s3cret"  # noqa: S105  made up
    answer = upstream.answer(token="hf_s3cret")  # noqa: S106  made up
    del answer["models"]["chat"]
    answer["models"]["afar"]["url"] += "?signature=s1gned"
    create_bundle(wanted_by([answer]), Settings(tmp_path / "bundle", bars()))
    for path in (tmp_path / "bundle").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert b"s3cret" not in content, path
        assert b"s1gned" not in content, path
        assert "s1gned" not in path.name


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault("hub GET /org/chat", status=404), "has no repository org/chat"),
        (Fault("resolve", status=401), "is gated or private"),
    ],
)
def test_what_the_hub_refuses_is_one_line(upstream: Upstream, tmp_path: Path, fault: Fault, says: str) -> None:
    upstream.hub.faults.append(fault)
    with pytest.raises(DriverError, match=says):
        make(upstream, tmp_path / "bundle")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"models": {"x": {"url": "https://files.example/x.gguf"}}, "images": []}, r"\['x'\].sha256: is not set"),
        ({"models": {}, "images": []}, "has neither models nor servers"),
    ],
)
def test_what_cannot_be_bundled(upstream: Upstream, tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        create_bundle(wanted_by([upstream.answer(**changed)]), Settings(tmp_path / "bundle", bars()))
    assert not (tmp_path / "bundle").exists()


def test_a_disk_that_is_too_small_is_told_before_anything_comes(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs(tmp_path)

    def small(_path: str) -> Any:
        return os.statvfs_result((real.f_bsize, 1024, 10**6, 66 << 10, 66 << 10, 10**6, 10**6, 10**6, 0, 255))

    monkeypatch.setattr(os, "statvfs", small)
    with pytest.raises(DriverError, match=r"too small: .* to fetch") as caught:
        make(upstream, tmp_path / "bundle")
    assert "serving_model_dir" not in str(caught.value)
    assert not [path for path, _headers in upstream.registry.asked if len(path.partition("/blobs/")[2]) == len(LAYER)]
    assert not list((tmp_path / "bundle").rglob("*.gguf"))


def test_two_runs_do_not_meet(upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    with (tmp_path / "bundle" / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another run makes the bundle"):
            make(upstream, tmp_path / "bundle")


def test_a_bundle_that_is_served_gives_an_equal_bundle(
    made: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # For git it wins over every configuration.
    monkeypatch.delenv("GIT_SSL_CAINFO", raising=False)
    with served(made, tmp_path / "state") as running:
        words = yaml.safe_load(running.variables.read_text())
        ca = tmp_path / "ca.crt"
        ca.write_text(words["serving_ca"])
        chat = next(model for model in bundle.models if model.name == "chat")
        afar = next(model for model in bundle.models if model.name == "afar")
        answer = {
            "host": "h1",
            "problems": [],
            "images": [image.reference for image in bundle.images],
            "registries": words["serving_registries"],
            "insecure": [],
            "models": {
                "chat": {"repo": "org/chat", "revision": chat.revision},
                "small": {"repo": "org/small", "revision": REVISION, "file": "deep/small.gguf"},
                "afar": {"sha256": afar.files[0].sha256, **words["bundle_addresses"]["afar"]},
            },
            "hub_url": words["serving_hub_url"],
            "token": words["serving_hub_token"],
        }
        again = create_bundle(wanted_by([answer]), Settings(tmp_path / "again", bars(), ca_path=str(ca))).bundle
    bare = [
        [replace(model, source="") for model in one.models] + [one.images, one.platforms, one.hosts]
        for one in (bundle, again)
    ]
    assert bare[0] == bare[1]
