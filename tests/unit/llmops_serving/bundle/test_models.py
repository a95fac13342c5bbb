# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Models of several hubs, and several versions of one model, lie side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelSpec
from llmops_serving.bundle.models import BundleStore, fetch_models
from llmops_serving.bundle.settings import Settings
from llmops_serving.bundle.words import Source, Wanted
from llmops_serving.errors import DriverError
from tests.unit.llmops_serving.bundle.conftest import bars
from tests.unit.plugins.fake_hub import fake_hub, gguf

if TYPE_CHECKING:
    from pathlib import Path


def test_versions_and_hubs(tmp_path: Path) -> None:
    with fake_hub(tmp_path / "one") as one, fake_hub(tmp_path / "two") as two:
        for hub, revision, size in ((one, "a" * 40, 64), (one, "b" * 40, 65), (two, "c" * 40, 66)):
            hub.add_file("org/x", revision, "x.gguf", gguf(size))
        specs = [ModelSpec("x", "file", "org/x", letter * 40, ("x.gguf",)) for letter in "abc"]
        models = {Source(one.url): tuple(specs[:2]), Source(two.url): (specs[2],)}
        wanted = Wanted(("h1",), models, ())
        found = fetch_models(wanted, Settings(tmp_path / "bundle", bars()), 0)
    assert [(model.name, model.key[0], model.size) for model in found] == [
        ("x", "a", len(gguf(64))),
        ("x", "b", len(gguf(65))),
        ("x", "c", len(gguf(66))),
    ]
    assert [model.source.startswith(one.url) for model in found] == [True, True, False]
    for model in found:
        assert (tmp_path / "bundle" / model.folder / "x.gguf").stat().st_size == model.size


def test_the_disk_must_have_room_for_images_too(tmp_path: Path) -> None:
    BundleStore(tmp_path, 0).check_space(1, 1)
    with pytest.raises(DriverError, match=r"^the disk of .* is too small: .* or name a folder on a larger disk$"):
        BundleStore(tmp_path, 1 << 60).check_space(0, 0)
