# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``model_store``: parameters in, result and store out."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_references, _model_store_run
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, MissingError
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store
from ansible_collections.llmops.serving.plugins.module_utils._model_store_run import ARGUMENTS, run
from tests.unit.plugins.played_host import PlayedHost, played_host
from tests.unit.plugins.stored_models import leave, put, wanted

if TYPE_CHECKING:
    from pathlib import Path

A, B, C = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two versions of x, one of old, and what two fetches left."""
    made = Store(str(tmp_path / "models"))
    put(made, "x", A)
    put(made, "x", B)
    put(made, "old", C)
    leave(made, "x", C)
    leave(made, "next", A)
    return made


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    def no_docker(_argv: list[str], **_how: object) -> None:
        raise MissingError("docker is not installed")

    monkeypatch.setattr(_model_references, "run", no_docker)
    return played_host(tmp_path / "host", monkeypatch)


def call(store: Store, check_mode: bool = False, **params: Any) -> dict[str, Any]:
    defaults = {name: option.get("default") for name, option in ARGUMENTS.items()}
    return run({**defaults, "path": str(store.root), **params}, check_mode)


def tree(store: Store) -> list[str]:
    return sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.name != ".lock")


def test_a_list_names_all_and_changes_nothing(store: Store) -> None:
    before = tree(store)
    found = call(store, models=wanted("x", B) | wanted("next", A))
    assert (found["changed"], found["warnings"]) == (False, [])
    assert [(entry["name"], entry["key"], entry["wanted"]) for entry in found["versions"]] == [
        ("old", C, False),
        ("x", A, False),
        ("x", B, True),
    ]
    assert [(entry["name"], entry["wanted"]) for entry in found["leftovers"]] == [("next", True), ("x", False)]
    assert found["bytes"] == sum(entry["bytes"] for entry in found["versions"] + found["leftovers"])
    assert found["lines"][2] == (
        f"x {B}: 136.7 KiB, 3 files, from https://hub.example/org/x at 2026-01-31T12:00:00Z, licence in LICENSE; "
        "wanted by the inventory"
    )
    assert found["lines"][0].endswith("needed by nobody")
    assert tree(store) == before


@pytest.mark.parametrize("action", ["list", "verify", "prune"])
def test_names_choose_models_and_one_that_is_not_there_is_a_warning(store: Store, action: str) -> None:
    found = call(store, action=action, names=["x", "none"], models=wanted("x", A) | wanted("x", B))
    assert {entry["name"] for entry in found["versions"] + found["leftovers"]} == {"x"}
    assert found["warnings"] == [f"models_names: {store.root} has no model 'none'; it has next, old, x"]
    assert "msg" not in found
    assert store.folder("old", C).is_dir(), "a prune of others leaves it alone"


@pytest.mark.parametrize("action", ["list", "verify", "prune"])
def test_a_host_without_a_store(tmp_path: Path, action: str) -> None:
    nothing = Store(str(tmp_path / "none"))
    found = call(nothing, action=action)
    assert (found["versions"], found["leftovers"], found["changed"]) == ([], [], False)
    assert not nothing.root.exists()


@pytest.mark.parametrize("action", ["list", "verify", "prune"])
def test_a_store_that_is_no_folder(tmp_path: Path, action: str) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"")
    found = call(Store(str(place)), action=action)
    assert found["msg"] == f"serving_model_dir: {place} is no folder; name the one that holds the models"


@pytest.mark.parametrize("check_mode", [True, False])
def test_nothing_goes_while_docker_does_not_answer(
    store: Store, monkeypatch: pytest.MonkeyPatch, check_mode: bool
) -> None:
    def silent(_argv: list[str], **_how: object) -> None:
        raise CommandError("docker ps: Cannot connect to the Docker daemon")

    monkeypatch.setattr(_model_references, "run", silent)
    before = tree(store)
    found = call(store, check_mode, action="prune")
    assert found["msg"].startswith("docker: it does not tell which containers run")
    assert tree(store) == before
    assert "msg" not in call(store, action="list")


def test_a_store_that_is_whole(store: Store) -> None:
    found = call(store, action="verify")
    assert "msg" not in found
    assert all(entry["damaged"] == [] for entry in found["versions"])
    assert found["lines"] == ["3 versions read, 410.2 KiB: 0 damaged files"]


def test_damage_is_a_failure_that_names_all_of_it(store: Store) -> None:
    for version in (("x", A), ("old", C)):
        (store.folder(*version) / "LICENSE").write_bytes(b"not free")
    found = call(store, action="verify")
    assert [problem.partition(":")[0] for problem in found["problems"]] == [
        "serving_models['old']",
        "serving_models['x']",
    ]
    assert found["msg"] == "\n".join(found["problems"])
    assert [entry["damaged"] for entry in found["versions"]] == [["LICENSE"], ["LICENSE"], []]
    assert call(store, action="verify", names=["next"])["lines"] == ["0 versions read, 0 B: 0 damaged files"]


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_prune_removes_what_nobody_needs_and_says_why_it_keeps_the_rest(
    store: Store, host: PlayedHost, check_mode: bool
) -> None:
    host.have("chat", models=[{"path": str(store.folder("x", A))}])
    before = tree(store)
    found = call(store, check_mode, action="prune", models=wanted("x", B) | wanted("next", A))
    assert found["changed"] is True
    assert [(entry["name"], entry["key"], entry["unfinished"]) for entry in found["removed"]] == [
        ("old", C, False),
        ("x", C, True),
    ]
    assert found["freed"] == sum(entry["bytes"] for entry in found["removed"])
    assert [(entry["name"], entry["key"], entry["reasons"]) for entry in found["kept"]] == [
        ("x", A, ["used by server chat"]),
        ("x", B, ["wanted by the inventory"]),
        ("next", A, ["wanted by the inventory: the next fetch goes on with it"]),
    ]
    verb = "would be removed" if check_mode else "removed"
    assert found["lines"][:3] == [
        f"old {C}: {verb}, 136.7 KiB",
        f"x {C} (unfinished fetch): {verb}, 140.0 KiB",
        f"x {A}: kept, used by server chat",
    ]
    assert found["diff"]["before"].splitlines() == [
        f"old {C}",
        f"x {A}",
        f"x {B}",
        f"next {A} (unfinished fetch)",
        f"x {C} (unfinished fetch)",
    ]
    assert found["diff"]["after"].splitlines() == [f"x {A}", f"x {B}", f"next {A} (unfinished fetch)"]
    if check_mode:
        assert tree(store) == before
        return
    assert tree(store) == [path for path in before if not path.startswith((f".partial/x-{C}", "old"))]
    again = call(store, action="prune", models=wanted("x", B) | wanted("next", A))
    assert (again["changed"], again["removed"], again["freed"]) == (False, [], 0)


@pytest.mark.parametrize(
    ("mounted", "want", "left"), [(A, A, [A]), (A, B, [A, B]), (B, B, [B]), (None, B, [B]), (B, None, [B])]
)
def test_a_version_goes_only_when_both_server_and_inventory_have_moved_on(
    store: Store, host: PlayedHost, mounted: str | None, want: str | None, left: list[str]
) -> None:
    if mounted:
        host.have("chat", models=[{"path": str(store.folder("x", mounted))}])
    call(store, action="prune", names=["x"], models=wanted("x", want) if want else {})
    assert sorted(path.name for path in (store.root / "x").iterdir() if path.is_dir()) == left


def test_where_the_inventory_cannot_be_read_nothing_is_unwanted(store: Store) -> None:
    before = tree(store)
    wrong = {"x": {"repo": "org/x", "revision": "main"}}
    found = call(store, action="prune", models=wrong)
    assert found["problems"][0].startswith("serving_models['x'].revision: ")
    assert tree(store) == before
    listed = call(store, models=wrong)
    assert "msg" not in listed
    assert listed["warnings"] == found["problems"]


def test_nothing_is_removed_while_somebody_else_works_in_the_store(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "lock", functools.partialmethod(Store.lock, wait=0))
    before = tree(store)
    with Store(str(store.root)).lock():
        found = call(store, action="prune")
    assert "another run works in" in found["msg"]
    assert tree(store) == before


def test_a_store_that_cannot_be_read_is_an_error_that_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_words: object) -> None:
        raise PermissionError(13, "Permission denied", str(store.root / "x"))

    monkeypatch.setattr(_model_store_run, "look", refused)
    assert call(store)["problems"] == [
        f"serving_model_dir: {store.root / 'x'}: Permission denied; see that root can read and write there"
    ]
