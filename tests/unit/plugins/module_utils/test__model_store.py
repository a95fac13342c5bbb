# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store on disk: nothing half-done has a final name."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_files
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest, Marks, StoredFile
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, ModelSpec
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store
from tests.unit.plugins.fake_hub import sha256

if TYPE_CHECKING:
    from pathlib import Path

SPEC = ModelSpec("x", "repo", "a/b", "0123456789abcdef0123456789abcdef01234567")
FILES = {"config.json": b"{}", "sub/model.safetensors": b"weights"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "store"))
    made.create()
    return made


def fill(store: Store, spec: ModelSpec = SPEC) -> Manifest:
    tree = store.begin(spec) / "tree"
    for path, data in FILES.items():
        (tree / path).parent.mkdir(exist_ok=True)
        (tree / path).write_bytes(data)
    files = tuple(StoredFile(path, len(data), sha256(data), 0) for path, data in FILES.items())
    return Manifest(
        spec.name, spec.key, spec.kind, "https://h/a/b", spec.repo, spec.revision, False, files, (), "", "now"
    )


def test_publish(store: Store) -> None:
    os.umask(0o077)
    try:
        written = store.publish(SPEC, fill(store), merge=False, marks={})
    finally:
        os.umask(0o022)
    folder = store.root / "x" / SPEC.key
    assert Manifest.load(store.root / "x" / f"{SPEC.key}.json") == written
    assert store.state(SPEC).complete
    assert [oct(path.stat().st_mode & 0o777) for path in (folder, folder / "sub", folder.parent)] == ["0o755"] * 3
    assert oct((folder / "config.json").stat().st_mode & 0o777) == "0o644"
    assert oct(store.partial.stat().st_mode & 0o777) == "0o700"
    assert list(store.partial.iterdir()) == []


def test_no_hashing_when_times_match(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.publish(SPEC, fill(store), merge=False, marks={})

    def refuse(*_words: object) -> str:
        raise AssertionError

    monkeypatch.setattr(_model_files, "sha256_of", refuse)
    assert store.state(SPEC).complete
    with pytest.raises(AssertionError):
        store.state(SPEC, verify=True)


def test_touched_files_are_hashed_once(store: Store) -> None:
    manifest = store.publish(SPEC, fill(store), merge=False, marks={})
    os.utime(store.folder("x", SPEC.key) / "config.json", (1, 1))
    state = store.state(SPEC)
    assert (state.complete, state.touched) == (True, True)
    store.refresh(SPEC, manifest)
    assert not store.state(SPEC).touched


def test_damage_is_named(store: Store) -> None:
    store.publish(SPEC, fill(store), merge=False, marks={})
    folder = store.folder("x", SPEC.key)
    place = folder / "sub/model.safetensors"
    times = place.stat()
    place.write_bytes(b"wXights")
    os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert store.state(SPEC).complete
    assert store.state(SPEC, verify=True).damaged == ("sub/model.safetensors",)
    place.write_bytes(b"short")
    assert store.state(SPEC).damaged == ("sub/model.safetensors",)
    (folder / "config.json").unlink()
    assert store.state(SPEC).damaged == ("config.json", "sub/model.safetensors")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 99}', '{"version": 1, "files": 3}'])
def test_useless_manifest_counts_as_none(store: Store, text: str) -> None:
    store.publish(SPEC, fill(store), merge=False, marks={})
    store.manifest_path("x", SPEC.key).write_text(text)
    assert store.state(SPEC).manifest is None


def test_marks_go_with_their_version(store: Store) -> None:
    marks = {"sub/model.safetensors": Marks(4, ("0123", "4567"))}
    store.publish(SPEC, fill(store), merge=False, marks={**marks, "gone": Marks(1, ())})
    assert store.marks("x", SPEC.key) == marks
    # A file that is mended brings its own; the others keep theirs.
    store.publish(SPEC, fill(store), merge=True, marks={"config.json": Marks(4, ("89ab",))})
    assert store.marks("x", SPEC.key) == {**marks, "config.json": Marks(4, ("89ab",))}
    assert [manifest.key for manifest in store.versions("x")] == [SPEC.key]
    store.remove_version("x", SPEC.key)
    assert (store.marks("x", SPEC.key), (store.root / "x").exists()) == ({}, False)


def test_one_version_is_removed(store: Store) -> None:
    other = replace(SPEC, revision="f" * 40)
    for spec in (SPEC, other):
        store.publish(spec, fill(store, spec), merge=False, marks={})
    store.remove_version("x", SPEC.key)
    assert [manifest.key for manifest in store.versions("x")] == [other.key]
    assert not store.folder("x", SPEC.key).exists()
    assert store.names() == ["x"]


def test_files_that_are_no_longer_wanted_go(store: Store) -> None:
    store.publish(SPEC, fill(store), merge=False, marks={})
    manifest = fill(store)
    manifest = replace(manifest, files=manifest.files[:1], include=("*.json",))
    store.publish(SPEC, manifest, merge=True, marks={})
    folder = store.folder("x", SPEC.key)
    assert [path.name for path in folder.rglob("*")] == ["config.json"]
    assert store.state(SPEC).reselect
    assert store.state(replace(SPEC, include=("*.json",))).complete


def test_interrupted_between_name_and_manifest(store: Store) -> None:
    store.publish(SPEC, fill(store), merge=False, marks={})
    work = store.begin(SPEC)
    store.manifest_path("x", SPEC.key).rename(work / "manifest.json")
    (work / "tree").rmdir()
    assert store.state(SPEC).manifest is None
    store.recover([SPEC])
    assert store.state(SPEC).complete
    assert list(store.partial.iterdir()) == []


def test_interrupted_and_damaged_is_not_adopted(store: Store) -> None:
    store.publish(SPEC, fill(store), merge=False, marks={})
    work = store.begin(SPEC)
    store.manifest_path("x", SPEC.key).rename(work / "manifest.json")
    (work / "tree").rmdir()
    (store.folder("x", SPEC.key) / "config.json").write_bytes(b"[]")
    store.recover([SPEC])
    assert store.state(SPEC).manifest is None


def test_merge_keeps_the_folder(store: Store) -> None:
    store.publish(SPEC, fill(store), merge=False, marks={})
    folder = store.folder("x", SPEC.key)
    (folder / "config.json").write_bytes(b"[]")
    inode = folder.stat().st_ino
    store.publish(SPEC, fill(store), merge=True, marks={})
    assert folder.stat().st_ino == inode
    assert store.state(SPEC, verify=True).complete


def test_folder_without_manifest_is_replaced(store: Store) -> None:
    folder = store.folder("x", SPEC.key)
    folder.mkdir(parents=True)
    (folder / "stray").write_text("x")
    store.publish(SPEC, fill(store), merge=False, marks={})
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "sub"]


def test_remove(store: Store) -> None:
    store.publish(SPEC, fill(store), merge=False, marks={})
    assert store.has("x")
    store.remove("x")
    assert not store.has("x")
    assert not (store.root / "x").exists()


def test_lock_names_its_holder(store: Store) -> None:
    slept: list[float] = []
    with store.lock(), pytest.raises(ModelError) as error, store.lock(sleep=slept.append):
        pass
    assert f"pid {os.getpid()}, since 20" in str(error.value)
    assert sum(slept) == pytest.approx(10, abs=0.3)


def test_lock_of_a_dead_process_is_free(store: Store) -> None:
    (store.root / ".lock").write_text('{"pid": 1, "since": "long ago"}')
    with store.lock(wait=0):
        pass
    assert (store.root / ".lock").read_text() == ""


def test_lock_waits(store: Store) -> None:
    file = (store.root / ".lock").open("a+")
    fcntl.flock(file, fcntl.LOCK_EX)
    with store.lock(sleep=lambda _seconds: file.close()):
        pass


def test_disk_too_small(store: Store) -> None:
    with pytest.raises(ModelError, match=r"serving_model_dir: the disk of .* is too small: 1024.0 TiB to fetch and"):
        store.check_space(1 << 50, 1)
    store.check_space(1, 1)


def test_inodes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(store.root)
    values = list(real)
    values[5:8] = [1000, 3, 3]
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(values))
    with pytest.raises(ModelError, match="has 3 free inodes for 5 files"):
        store.check_space(1, 5)
