# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_files import damaged_of, human, keep_only, sha256_of
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import StoredFile
from tests.unit.plugins.fake_hub import sha256

if TYPE_CHECKING:
    from pathlib import Path


def test_damaged_and_missing_files_are_named(tmp_path: Path) -> None:
    content = {"good": b"x" * 3_000_000, "sub/bad": b"y", "gone": b"z"}
    files = [StoredFile(path, len(data), sha256(data), 0) for path, data in content.items()]
    (tmp_path / "sub").mkdir()
    (tmp_path / "good").write_bytes(content["good"])
    (tmp_path / "sub/bad").write_bytes(b"Y")
    counts: list[int] = []
    assert damaged_of(tmp_path, files, counts.append) == ["gone", "sub/bad"]
    assert sum(counts) == 3_000_001
    assert damaged_of(tmp_path, []) == []
    assert sha256_of(tmp_path / "good") == sha256(content["good"])


def test_what_does_not_belong_goes(tmp_path: Path) -> None:
    for path in ("a/b/keep", "a/c/go", "go"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "link").symlink_to("/etc")
    keep_only(tmp_path, {"a/b/keep"})
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["a", "a/b", "a/b/keep"]


@pytest.mark.parametrize(("count", "text"), [(1, "1 B"), (1024, "1.0 KiB"), (3 << 29, "1.5 GiB"), (1 << 41, "2.0 TiB")])
def test_human(count: int, text: str) -> None:
    assert human(count) == text
