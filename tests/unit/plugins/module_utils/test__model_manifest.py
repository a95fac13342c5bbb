# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest, StoredFile
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelSpec

SPEC = ModelSpec("x", "repo", "a/b", "0123456789abcdef0123456789abcdef01234567")
FILES = (StoredFile("config.json", 2, "0" * 64, 0), StoredFile("sub/model.safetensors", 7, "1" * 64, 0))
MANIFEST = Manifest("x", SPEC.key, "repo", "https://h/a/b", "a/b", SPEC.revision, False, FILES, (), "", "now")


@pytest.mark.parametrize("path", ["../x", "/etc/cron.d/x", "a/../../x", "", "a//b", "a/./b", "a\0b", 3])
def test_manifest_with_a_path_that_leads_out_counts_as_none(path: Any) -> None:
    words = asdict(MANIFEST)
    assert Manifest.from_dict(words) == MANIFEST
    words["files"][0]["path"] = path
    assert Manifest.from_dict(words) is None


@pytest.mark.parametrize(
    ("other", "serves"),
    [
        (SPEC, True),
        (replace(SPEC, allow_pickle=True), True),
        (replace(SPEC, repo="a/c"), False),
        (replace(SPEC, kind="file", files=("x.gguf",)), False),
    ],
)
def test_which_specs_a_manifest_serves(other: ModelSpec, serves: bool) -> None:
    assert MANIFEST.serves(other) is serves


def test_skipped_pickle_is_missed_when_it_becomes_allowed() -> None:
    manifest = replace(MANIFEST, skipped=("pytorch_model.bin",))
    assert manifest.serves(SPEC)
    assert not manifest.serves(replace(SPEC, allow_pickle=True))
