# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removals on a played host: what goes, what stays, and what hinders."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _generations, _lock, _purge
from ansible_collections.llmops.serving.plugins.module_utils._image_record import note
from ansible_collections.llmops.serving.plugins.module_utils._leftovers import Scope
from ansible_collections.llmops.serving.plugins.module_utils._lock import LockError, server_lock
from ansible_collections.llmops.serving.plugins.module_utils._purge import Purge
from tests.unit.plugins.purged_host import PurgedHost, purged_host
from tests.unit.plugins.stored_models import leave, put

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._leftovers import Look

KEY = "a" * 12


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PurgedHost:
    return purged_host(tmp_path / "host", monkeypatch)


def scope(
    host: PurgedHost, *servers: str, everything: bool = False, models: bool = False, images: bool = False
) -> Scope:
    return Scope(None if everything else servers, models, images, str(host.models.root))


def remove(asked: Scope, known: tuple[str, ...] = (), *, dry: bool = False) -> tuple[Purge, Look]:
    purge = Purge(asked, known, dry)
    return purge, purge.run()


def actions(purge: Purge) -> dict[str, str]:
    return {name: entry["action"] for name, entry in purge.entries.items()}


def furnish(host: PurgedHost) -> None:
    """Put all on the host that the collection ever makes."""
    host.serve("chat", "tiny")
    host.rules = ["-N LLMOPS-chat", "-A DOCKER-USER -p tcp -j LLMOPS-chat", "-N DOCKER"]
    put(host.models, "tiny", KEY)
    leave(host.models, "other", "b" * 12)
    (host.models.root / ".lock").touch()
    host.images["img:1"] = "img@sha256:1"
    host.pulled = {"img:1"}
    note("img:1", "img@sha256:1")
    host.library.mkdir()
    for name in ("held.json", "gpu-proof.json"):
        (host.state_dir.parent / name).write_text("{}", encoding="utf-8")
    (host.state_dir.parent / "benchmark" / "deep").mkdir(parents=True)
    (host.folder / "run" / "llmops-watchdog").mkdir(parents=True)
    (host.folder / "run" / "llmops-benchmark").touch()
    for name in (".llmops-chat.service.before", ".llmops-x8f2"):
        (host.units / name).touch()
    for place in (host.state_dir.parent, host.state_dir.parent / "images"):
        (place / ".llmops-k2d0").touch()
    with server_lock("chat"), server_lock(".agent"):
        pass


def test_nothing_is_left_where_everything_was_asked_for(host: PurgedHost) -> None:
    furnish(host)
    purge, after = remove(scope(host, everything=True, models=True, images=True))
    assert purge.failures == []
    assert actions(purge) == {"chat": "removed"}
    assert (after.left, after.kept, after.foreign) == ([], [], [])
    assert [str(path.relative_to(host.folder)) for path in host.folder.rglob("*llmops*")] == []
    assert not host.state_dir.parent.exists()
    assert not host.library.exists()
    assert (host.pulled, host.boxes, host.loaded, host.rules) == (set(), {}, [], ["-N DOCKER"])
    kinds = {trace.kind for trace in purge.removed}
    assert kinds == {"unit", "container", "rule", "folder", "file", "lock", "model", "image"}


def test_a_second_removal_changes_nothing(host: PurgedHost) -> None:
    furnish(host)
    asked = scope(host, everything=True, models=True, images=True)
    remove(asked)
    host.commands.clear()
    purge, after = remove(asked)
    assert (purge.removed, purge.failures, after.left) == ([], [], [])
    assert [line for line in host.commands if "ps" not in line and "list-units" not in line and "-S" not in line] == []


def test_check_mode_tells_the_same_and_does_nothing(host: PurgedHost) -> None:
    furnish(host)
    asked = scope(host, everything=True, models=True, images=True)
    files = host.files()
    dry, _after = remove(asked, dry=True)
    assert host.files() == files
    assert host.boxes
    assert actions(dry) == {"chat": "removed"}
    done, _after = remove(asked)
    assert {trace.name for trace in dry.removed} == {trace.name for trace in done.removed}


def test_models_and_images_stay_unless_asked_for(host: PurgedHost) -> None:
    furnish(host)
    _purge_done, after = remove(scope(host, everything=True))
    assert after.left == []
    assert [(trace.kind, trace.name) for trace in after.kept] == [
        ("models", str(host.models.root)),
        ("image", "img:1"),
    ]
    assert host.models.folder("tiny", KEY).is_dir()
    assert host.pulled == {"img:1"}
    # Also later, when the servers are long gone.
    purge, after = remove(scope(host, everything=True, models=True, images=True))
    assert {trace.kind for trace in purge.removed} >= {"model", "image"}
    assert (after.left, after.kept) == ([], [])


def test_what_another_server_uses_stays(host: PurgedHost) -> None:
    host.serve("chat", "tiny")
    host.serve("twin", "tiny")
    put(host.models, "tiny", KEY)
    put(host.models, "spare", KEY)
    host.images["img:1"] = "img@sha256:1"
    host.pulled = {"img:1"}
    note("img:1", "img@sha256:1")
    host.library.mkdir()
    purge, after = remove(scope(host, "chat", models=True, images=True))
    assert purge.failures == []
    assert purge.notes == [
        f"model tiny {KEY} stays for server twin",
        "image img:1 stays for server twin",
    ]
    assert host.models.folder("tiny", KEY).is_dir()
    assert host.models.folder("spare", KEY).is_dir()
    assert host.library.is_dir()
    assert [trace.name for trace in after.kept if trace.kind == "server"] == ["twin"]
    # With the last one goes what nobody has any more, and no model that it did not use.
    remove(scope(host, "twin", models=True, images=True))
    assert not host.models.folder("tiny", KEY).exists()
    assert host.models.folder("spare", KEY).is_dir()
    assert host.pulled == set()
    assert not host.library.exists()


def test_what_is_not_ours_stays(host: PurgedHost) -> None:
    furnish(host)
    foreign = host.units / "llmops-theirs.service"
    foreign.write_text("[Unit]\n", encoding="utf-8")
    (host.units / "multi-user.target.wants" / foreign.name).symlink_to(foreign)
    (host.units / "llmops-chat.service.d").mkdir()
    host.box("llmops-handmade", image="id:9")
    (host.folder / "etc").mkdir()
    (host.folder / "etc" / "llmops.conf").touch()
    (host.state_dir.parent / "notes.txt").touch()
    (host.models.root / "mine").mkdir()
    (host.models.root / "mine" / "weights.gguf").touch()
    asked = scope(host, everything=True, models=True, images=True)
    purge, after = remove(asked)
    assert purge.failures == []
    assert after.left == []
    assert foreign.exists()
    assert (host.models.root / "mine" / "weights.gguf").exists()
    assert list(host.boxes) == ["llmops-handmade-id"]
    assert [(trace.kind, trace.name.rpartition("/")[2]) for trace in after.foreign] == [
        ("folder", "llmops-chat.service.d"),
        ("unit", "llmops-theirs.service"),
        ("container", "llmops-handmade"),
        ("file", "notes.txt"),
        ("file", "llmops.conf"),
    ]
    # And not by its name either.
    purge, _after = remove(scope(host, "theirs"), ("theirs",))
    assert actions(purge) == {"theirs": "unchanged"}
    assert foreign.exists()


def test_a_container_of_others_keeps_its_model_and_its_image(host: PurgedHost) -> None:
    furnish(host)
    host.box("debug", mounts=(str(host.models.folder("tiny", KEY)),))
    purge, after = remove(scope(host, everything=True, models=True, images=True))
    assert purge.failures == []
    assert purge.notes == [
        f"model tiny {KEY} stays for container debug",
        "image img:1 stays for container debug",
    ]
    assert {trace.kind for trace in after.left} == {"model", "image"}
    assert host.models.folder("tiny", KEY).is_dir()


def test_an_image_that_was_there_before_stays(host: PurgedHost) -> None:
    host.serve("chat")
    host.images["img:1"] = "img@sha256:1"
    host.pulled = {"img:1"}
    purge, after = remove(scope(host, everything=True, images=True))
    assert purge.notes == ["image img@sha256:1 stays: it was on the host before the collection asked for it"]
    assert host.pulled == {"img:1"}
    assert after.left == []


def test_servers_that_left_the_inventory_go_with_all(host: PurgedHost) -> None:
    host.serve("old")
    # One of which only the unit is left, and one of which only the container is.
    (host.units / "llmops-lost.service").write_text("# (llmops.serving)\n", encoding="utf-8")
    host.box("llmops-stray", "stray")
    purge, after = remove(scope(host, everything=True), ("chat",))
    assert actions(purge) == {"lost": "removed", "old": "removed", "stray": "removed"}
    assert (after.left, host.boxes) == ([], {})


@pytest.mark.parametrize(
    ("asked", "known", "told"),
    [
        (("chat",), ("chat",), {"chat": "unchanged"}),
        (("typo",), ("chat",), {}),
        (("chat", "typo"), ("chat",), {"chat": "unchanged"}),
    ],
)
def test_what_is_nowhere_is_not_told_of(
    host: PurgedHost, asked: tuple[str, ...], known: tuple[str, ...], told: dict[str, str]
) -> None:
    purge, after = remove(scope(host, *asked), known)
    assert actions(purge) == told
    assert (purge.removed, after.left) == ([], [])


def test_a_server_that_is_being_changed_is_left_alone(host: PurgedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.serve("chat")
    host.serve("embed")
    host.library.mkdir()

    def lock(name: str, **words: object) -> object:
        if name == "chat":
            raise LockError("process 7 of ann is changing server chat on this host since noon")
        return server_lock(name, wait=bool(words.get("wait", True)))

    monkeypatch.setattr(_purge, "server_lock", lock)
    purge, after = remove(scope(host, everything=True))
    assert actions(purge) == {"chat": "failed", "embed": "removed"}
    assert purge.failures == [
        "server chat: process 7 of ann is changing server chat on this host since noon; wait for it, and run again"
    ]
    assert {trace.server for trace in after.left} == {"chat", ""}
    assert "systemctl stop llmops-chat.service" not in host.commands
    assert host.library.is_dir()


def test_what_all_share_stays_while_another_server_is_being_made(
    host: PurgedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.serve("chat")
    host.library.mkdir()
    (host.folder / "lock").mkdir()
    (host.folder / "lock" / "llmops-new.lock").touch()
    somebody = {"pid": 1, "since": "noon", "user": "ann", "from": "", "what": "changing"}
    real = _lock.holder
    monkeypatch.setattr(_lock, "holder", lambda name: somebody if name == "new" else real(name))
    purge, after = remove(scope(host, everything=True))
    assert actions(purge) == {"chat": "removed"}
    assert (after.left, after.others) == ([], ["new"])
    assert host.library.is_dir()
    assert (host.folder / "lock" / "llmops-new.lock").exists()


def test_a_docker_that_does_not_answer_ends_it_before_anything_is_removed(host: PurgedHost) -> None:
    host.serve("chat")
    host.broken["docker ps"] = "Cannot connect to the Docker daemon"
    purge, _after = remove(scope(host, everything=True, models=True, images=True))
    assert purge.failures[0].startswith("docker ps: Cannot connect to the Docker daemon")
    assert "start Docker, and run again" in purge.failures[0]
    assert (host.state_dir / "chat").is_dir()
    assert purge.removed == []


def test_a_host_without_docker_is_cleared_as_well(host: PurgedHost) -> None:
    furnish(host)
    host.boxes.clear()
    host.missing = {"docker", "iptables"}
    purge, after = remove(scope(host, everything=True, models=True, images=True))
    assert purge.failures == []
    assert after.left == []


def test_where_models_cannot_be_removed_the_next_run_knows_which(
    host: PurgedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.serve("chat", "tiny")
    put(host.models, "tiny", KEY)
    with monkeypatch.context() as busy:
        busy.setattr(_purge, "remove_models", lambda *_: _purge.Done([], [], ["another run works in the store"]))
        purge, after = remove(scope(host, "chat", models=True))
    assert purge.failures == ["another run works in the store"]
    assert [trace.kind for trace in after.left] == ["folder", "lock"]
    purge, after = remove(scope(host, "chat", models=True))
    assert (purge.failures, after.left) == ([], [])
    assert not host.models.folder("tiny", KEY).exists()


# What is gone already when the next run begins.
CUT_OFF = {
    "the unit": lambda host: (host.units / "llmops-chat.service").unlink(),
    "the container": lambda host: host.boxes.clear(),
    "the unit and its links": lambda host: shutil.rmtree(host.units) or host.units.mkdir(),
    "some of the generations": lambda host: (host.state_dir / "chat" / "0001" / "server.json").unlink(),
    "the generations": lambda host: shutil.rmtree(host.state_dir),
}


@pytest.mark.parametrize("gone", CUT_OFF)
def test_a_removal_that_was_cut_off_goes_on(host: PurgedHost, gone: str) -> None:
    furnish(host)
    CUT_OFF[gone](host)
    purge, after = remove(scope(host, everything=True, models=True, images=True))
    assert purge.failures == []
    assert after.left == []


def test_what_a_tournament_holds_goes_only_with_everything(host: PurgedHost) -> None:
    host.serve("chat")
    held = {"since": "noon", "purpose": "tournament", "servers": ["chat"], "guests": ["guest"], "owner": "x"}
    record = host.state_dir.parent / "held.json"
    record.write_text(json.dumps(held), encoding="utf-8")
    purge, _after = remove(scope(host, "chat"))
    assert "--restore" in purge.failures[0]
    assert (host.state_dir / "chat").is_dir()
    purge, after = remove(scope(host, everything=True))
    assert purge.failures == []
    assert "removed with all that it holds" in purge.notes[0]
    assert (after.left, record.exists()) == ([], False)


def test_generations_that_cannot_be_removed_are_told(host: PurgedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.serve("chat")
    monkeypatch.setattr(_generations.Store, "remove", lambda _self: None)
    purge, after = remove(scope(host, "chat"))
    assert actions(purge) == {"chat": "failed"}
    assert "could not be removed; see that root can write there" in purge.failures[0]
    assert str(host.state_dir / "chat") in [trace.name for trace in after.left]


def test_a_neighbour_that_does_not_survive_is_told(host: PurgedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.serve("chat")
    host.serve("gpu")
    monkeypatch.setattr(_purge, "endangered", lambda: ["chat", "gpu"])
    monkeypatch.setattr(
        _purge, "look_after", lambda names: [{"name": name, "action": "failed", "cause": "no GPU"} for name in names]
    )
    purge, _after = remove(scope(host, "chat"))
    assert [entry["name"] for entry in purge.neighbours] == ["gpu"]
    assert purge.failures[0].startswith("server gpu lost its GPUs")
