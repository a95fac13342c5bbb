# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A site with the internet, all of it in this process, the bundle that is made there, and one that serves."""

from __future__ import annotations

import io
import json
import random
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from ansible_collections.llmops.serving.plugins.module_utils._registry_client import OCI_INDEX, OCI_MANIFEST
from ansible_collections.llmops.serving.plugins.module_utils._registry_names import digest_of
from llmops_serving.bundle.create import create_bundle
from llmops_serving.bundle.document import read_bundle
from llmops_serving.bundle.load import Listen, Loaded, Options, load_bundle
from llmops_serving.bundle.progress import Bars
from llmops_serving.bundle.settings import Settings
from llmops_serving.bundle.words import wanted_by
from tests.unit.plugins.fake_hub import FakeHub, fake_hub, gguf, safetensors, sha256
from tests.unit.plugins.fake_registry import Registry, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from llmops_serving.bundle.create import Made
    from llmops_serving.bundle.document import Bundle

REVISION = "a" * 40
#: A layer that is more than one read, and nobody can make smaller.
LAYER = random.Random(1).randbytes(3 << 20)  # noqa: S311  no secret


def bars() -> Bars:
    """Give bars that are shown to nobody."""
    return Bars(Console(file=io.StringIO(), width=200))


def eventually(look: Callable[[], bool]) -> None:
    """Wait for what another thread does after it has answered."""
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def said(shown: Bars) -> str:
    """Give the lines that were said."""
    assert isinstance(shown.console.file, io.StringIO)
    return shown.console.file.getvalue()


def add_image(registry: Registry, name: str, layer: bytes, architecture: str = "amd64") -> tuple[str, bytes]:
    """Hold a manifest with its blobs; give its digest and its body."""
    config = json.dumps({"os": "linux", "architecture": architecture, "config": {}}).encode()
    for blob in (config, layer):
        registry.contents[f"/v2/{name}/blobs/{digest_of(blob)}"] = blob
    body = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "c", "digest": digest_of(config), "size": len(config)},
            "layers": [{"mediaType": "l", "digest": digest_of(layer), "size": len(layer)}],
        }
    ).encode()
    return registry.add(name, digest_of(body), body), body


def add_index(registry: Registry, name: str, tag: str, **children: tuple[str, bytes]) -> str:
    """Hold an index of manifests by architecture, and an attestation beside them."""
    entries: list[dict[str, Any]] = [
        {
            "mediaType": OCI_MANIFEST,
            "digest": digest,
            "size": len(body),
            "platform": {"os": "linux", "architecture": architecture},
        }
        for architecture, (digest, body) in children.items()
    ]
    unknown = {"os": "unknown", "architecture": "unknown"}
    entries.append({"mediaType": OCI_MANIFEST, "digest": "sha256:" + "e" * 64, "size": 7, "platform": unknown})
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()
    return registry.add(name, tag, body)


@dataclass
class Upstream:
    """Where everything comes from."""

    hub: FakeHub
    registry: Registry
    commit: str
    index: str

    @property
    def mirror(self) -> str:
        """The registry, as a host would name it."""
        return f"127.0.0.1:{self.registry.port}"

    def answer(self, **changed: Any) -> dict[str, Any]:
        """What a host of the site needs."""
        found: dict[str, Any] = {
            "host": "h1",
            "problems": [],
            "images": ["ghcr.io/org/app:v1", "docker.io/library/tool:v2", f"{self.mirror}/own/thing:v3"],
            "registries": {"ghcr.io": f"{self.mirror}/ghcr", "docker.io": f"{self.mirror}/hub"},
            "insecure": [],
            "models": {
                "chat": {"repo": "org/chat", "revision": self.commit},
                "small": {"repo": "org/small", "revision": REVISION, "file": "deep/small.gguf"},
                "afar": {"url": f"{self.hub.cdn}/x/afar.gguf", "sha256": sha256(gguf(100))},
            },
            "hub_url": self.hub.url,
            "token": "",
        }
        # The address of the third ends in the file's name, and the hub's other host finds it by its digest.
        found["models"]["afar"]["url"] = f"{self.hub.cdn}/{sha256(gguf(100))}/{sha256(gguf(100))}"
        return found | changed


@contextmanager
def upstream_at(root: Path) -> Iterator[Upstream]:
    """Run a site with the internet."""
    with fake_hub(root) as hub:
        for registry in serve(Registry()):
            hub.objects[sha256(gguf(100))] = gguf(100)
            hub.add_file("org/small", REVISION, "deep/small.gguf", gguf(64))
            weights = safetensors(1 << 20)
            files = {
                "config.json": b"{}",
                "model.safetensors": weights,
                "pytorch_model.bin": b"pickled",
                "sub/tokenizer.json": b"[]",
                "LICENSE": b"free",
            }
            commit = hub.add_repo("org/chat", files, lfs=("model.safetensors",))
            app = {
                arch: add_image(registry, "ghcr/org/app", arch.encode() + LAYER, arch) for arch in ("amd64", "arm64")
            }
            index = add_index(registry, "ghcr/org/app", "v1", **app)
            registry.add("hub/library/tool", "v2", add_image(registry, "hub/library/tool", b"tool")[1])
            registry.add("own/thing", "v3", add_image(registry, "own/thing", b"thing")[1])
            yield Upstream(hub, registry, commit, index)


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Upstream]:
    """A site with the internet of the test's own."""
    with upstream_at(tmp_path / "upstream") as running:
        yield running


def make(upstream: Upstream, folder: Path, **changed: Any) -> Made:
    """Make a bundle of what a host needs."""
    settings = replace(Settings(folder, bars()), **changed)
    return create_bundle(wanted_by([upstream.answer()]), settings)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, whose upstream is gone; nobody may change it."""
    root = tmp_path_factory.mktemp("made")
    with upstream_at(root / "upstream") as running:
        return make(running, root / "bundle").folder


@pytest.fixture(scope="module")
def bundle(made: Path) -> Bundle:
    """What the bundle says about itself."""
    return read_bundle(made)[0]


@contextmanager
def served(folder: Path, state: Path, **changed: Any) -> Iterator[Loaded]:
    """Serve a bundle on a free port of this machine."""
    state.mkdir(exist_ok=True)
    options = replace(Options(folder, Listen("127.0.0.1", 0, "127.0.0.1"), state), **changed)
    loaded = load_bundle(options, bars())
    assert loaded.server is not None
    loaded.server.start()
    try:
        yield loaded
    finally:
        loaded.server.close()


@pytest.fixture(scope="module")
def loaded(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """The bundle, served."""
    with served(made, tmp_path_factory.mktemp("state")) as running:
        yield running
