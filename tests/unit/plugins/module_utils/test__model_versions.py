# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a store holds, who needs it, what is damaged, on real files."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_references, _model_versions
from ansible_collections.llmops.serving.plugins.module_utils._command import MissingError
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest
from ansible_collections.llmops.serving.plugins.module_utils._model_progress import Meter, read
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store
from ansible_collections.llmops.serving.plugins.module_utils._model_versions import look, remove, verify
from tests.unit.plugins.played_host import PlayedHost, played_host
from tests.unit.plugins.stored_models import WEIGHTS, leave, put

if TYPE_CHECKING:
    from pathlib import Path

A, B = "aaaaaaaaaaaa", "bbbbbbbbbbbb"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "models"))


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    def run(_argv: list[str], **_how: object) -> None:
        raise MissingError("docker is not installed")

    monkeypatch.setattr(_model_references, "run", run)
    return played_host(tmp_path / "host", monkeypatch)


def test_a_store_that_is_not_there_is_empty(store: Store) -> None:
    assert look(store, set()) == ([], [])


def test_what_there_is_and_who_needs_it(store: Store, host: PlayedHost) -> None:
    put(store, "x", A)
    put(store, "x", B)
    put(store, "y", A)
    left = leave(store, "a-b", A)
    host.have("chat", models=[{"path": str(store.folder("x", A))}])
    versions, leftovers = look(store, {("x", B), ("a-b", A)})
    assert [(version.name, version.key, version.wanted, version.used_by) for version in versions] == [
        ("x", A, False, ("server chat",)),
        ("x", B, True, ()),
        ("y", A, False, ()),
    ]
    assert [version.reasons for version in versions] == [("used by server chat",), ("wanted by the inventory",), ()]
    assert all(version.complete and version.bytes == len(WEIGHTS) + 6 for version in versions)
    assert [(entry.name, entry.key, entry.path, entry.wanted) for entry in leftovers] == [("a-b", A, left, True)]
    assert leftovers[0].bytes >= len(WEIGHTS)
    assert versions[0].words()["licence"] == "LICENSE"
    assert versions[0].words()["fetched_at"] == "2026-01-31T12:00:00Z"


def test_a_hole_takes_no_disk(store: Store) -> None:
    work = leave(store, "x", A, b"")
    with (work / "tree" / "model.safetensors").open("wb") as file:
        file.truncate(1 << 30)
    assert look(store, set())[1][0].bytes < 1 << 20


def test_halves_of_a_version_are_told_and_folders_of_others_are_not(store: Store) -> None:
    shutil.rmtree(put(store, "x", A))
    put(store, "x", B)
    store.manifest_path("x", B).unlink()
    for other in ("x/notes", "lost+found/aaaaaaaaaaaa", ".hidden/aaaaaaaaaaaa"):
        (store.root / other).mkdir(parents=True)
    versions, _leftovers = look(store, set())
    assert [(version.key, version.complete, version.words()["files"]) for version in versions] == [
        (A, False, 3),
        (B, False, 0),
    ]
    assert versions[1].bytes >= len(WEIGHTS)


def damage(store: Store, how: str) -> None:
    place = store.folder("x", A) / "sub/model.safetensors"
    if how == "flipped":
        place.write_bytes(b"W" + WEIGHTS[1:])
    elif how == "shorter":
        place.write_bytes(WEIGHTS[:-1])
    elif how == "gone":
        place.unlink()
    elif how == "all gone":
        shutil.rmtree(place.parents[1])


@pytest.mark.parametrize(
    ("how", "files", "cause"),
    [
        ("not at all", [], ""),
        ("flipped", ["sub/model.safetensors"], "its sha256 is not the recorded one"),
        ("shorter", ["sub/model.safetensors"], f"it has {len(WEIGHTS) - 1} bytes instead of {len(WEIGHTS)}"),
        ("gone", ["sub/model.safetensors"], "it cannot be read: No such file"),
        ("all gone", ["sub/model.safetensors", "config.json", "LICENSE"], "it cannot be read: No such file"),
    ],
)
def test_damage_is_found_and_named(store: Store, how: str, files: list[str], cause: str) -> None:
    put(store, "x", A)
    put(store, "y", B)
    damage(store, how)
    found = verify(store, look(store, {("x", A)})[0], Meter(None))
    assert [one.path for one in found] == files
    for one in found:
        assert one.problem.startswith(f"serving_models['x']: {store.folder('x', A) / one.path} is damaged ({cause}")
        assert one.problem.endswith("llmops apply -e models_verify=true fetches it again")


@pytest.mark.parametrize(
    ("used", "remedy"),
    [(True, "server chat uses this version, which serving_models does not want"), (False, "llmops models prune")],
)
def test_the_remedy_is_one_for_who_needs_the_version(store: Store, host: PlayedHost, used: bool, remedy: str) -> None:
    put(store, "x", A)
    damage(store, "flipped")
    if used:
        host.have("chat", models=[{"path": str(store.folder("x", A))}])
    (found,) = verify(store, look(store, {("x", B)})[0], Meter(None))
    assert remedy in found.problem


def test_what_another_run_changes_meanwhile_is_no_damage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "x", A)
    versions, _leftovers = look(store, set())

    def removed_meanwhile(*_words: object) -> list[str]:
        store.remove_version("x", A)
        return [f"x/{A}/LICENSE"]

    monkeypatch.setattr(_model_versions, "damaged_of", removed_meanwhile)
    assert verify(store, versions, Meter(None)) == []


def test_a_check_tells_how_far_it_has_come(store: Store, tmp_path: Path) -> None:
    progress = str(tmp_path / "progress.json")
    put(store, "x", A)
    put(store, "y", B)
    meter = Meter(progress)
    verify(store, look(store, set())[0], meter)
    meter.close()
    size = 2 * (len(WEIGHTS) + 6)
    told = {"doing": "check", "total": size, "kept": 0, "done": size, "finished": True}
    assert (read(progress) or {})["models"] == {"2 versions": told}


def test_removal(store: Store) -> None:
    put(store, "x", A)
    put(store, "x", B)
    leave(store, "x", A)
    versions, leftovers = look(store, set())
    remove(store, versions[0])
    remove(store, leftovers[0])
    assert [version.key for version in look(store, set())[0]] == [B]
    assert look(store, set())[1] == []
    assert Manifest.load(store.manifest_path("x", A)) is None
    remove(store, versions[1])
    assert store.names() == []


def test_what_cannot_be_removed_is_an_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    left = leave(store, "x", A)
    monkeypatch.setattr(shutil, "rmtree", lambda _path, **_how: None)
    with pytest.raises(ModelError, match=f"serving_model_dir: {left} could not be removed"):
        remove(store, look(store, set())[1][0])
