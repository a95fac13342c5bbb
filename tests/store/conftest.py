# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real hub, a proxy before it that misbehaves on request, and a store to fill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llmops_serving.lab import pki
from tests.store.content import MIB, gguf
from tests.store.hub_container import Hub, running_hub
from tests.store.place import Place, Want
from tests.store.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: What no server needs of `store/shards`.
SKIPPED = {"consolidated.safetensors", "original/model.safetensors", "pytorch_model.bin", "tf_model.h5"}
FILES = {"file": "gguf/model.gguf", "split": "big-00001-of-00003.gguf", "gated file": "model.gguf"}
LFS = (".safetensors", ".gguf")


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="session")
def fronts(hub: Hub) -> Iterator[Proxy]:
    names = ["localhost", "127.0.0.1"]
    certificate, key = pki.ensure_certificate(hub.paths, "fronts", names)
    proxy = Proxy(hub.port, hub.paths.ca_cert, certificate, key)
    yield proxy
    proxy.close()


@pytest.fixture
def proxy(fronts: Proxy) -> Iterator[Proxy]:
    fronts.forget()
    yield fronts
    fronts.forget()


@pytest.fixture
def place(proxy: Proxy, hub: Hub, tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path / "store", proxy.url("hub"), hub.paths.ca_cert)
    yield found
    for run in found.runs:
        run.end()


@pytest.fixture
def want(proxy: Proxy, hub: Hub) -> Callable[[str], Want]:
    """Give models by their kind: a repository of many files or of one, a file, a split file, any address."""

    def by_kind(kind: str) -> Want:
        if kind in {"url", "unpinned"}:
            facts = hub.put("files/model.gguf", gguf("url", 32 * MIB))
            options = {"url": proxy.url("cdn") + "/files/model.gguf"}
            if kind == "url":
                options["sha256"] = facts.sha256
            return Want(kind, options, {"model.gguf": facts}, facts.size)
        name = f"store/{kind.partition(' ')[0]}"
        repo = hub.repos[name]
        options = {"repo": name, "revision": repo.revision}
        if kind in FILES:
            options["file"] = FILES[kind]
            files = {name.rsplit("/", 1)[-1]: facts for name, facts in repo.files.items() if name.endswith(".gguf")}
        else:
            files = {name: facts for name, facts in repo.files.items() if name not in SKIPPED}
        if kind == "shards":
            files["alias.json"] = files["config.json"]
        weights = sum(facts.size for name, facts in files.items() if name.endswith(LFS))
        return Want(kind.replace(" ", "-"), options, files, weights)

    return by_kind
