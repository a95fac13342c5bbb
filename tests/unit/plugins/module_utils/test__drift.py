# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a host is not as the inventory says: servers too many, models, versions."""

from __future__ import annotations

import hashlib
import os
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _drift
from ansible_collections.llmops.serving.plugins.module_utils._drift import (
    ARGUMENTS,
    docker_lines,
    extra_servers,
    look,
    model_lines,
    version_lines,
    version_words,
)
from ansible_collections.llmops.serving.plugins.module_utils._hold import Held, HoldError
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import parse_models
from tests.unit.plugins.fake_store import KEY, REV, WANTED, a_store
from tests.unit.plugins.played_host import PlayedHost, played_host

if t.TYPE_CHECKING:
    from pathlib import Path

OTHER = "f" * 40
DOCKER = {"installed": True, "version": "20.10.24", "service_active": True, "service_enabled": True,
          "service_state": "active"}  # fmt: skip
HOST = {"docker": DOCKER, "nvidia": {"module": None, "library": "580.1"}, "toolkit": {"version": None}}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    monkeypatch.setattr(_drift, "read_held", lambda: None)
    monkeypatch.setattr(_drift, "host_facts", lambda **_: HOST)
    return played_host(tmp_path / "host", monkeypatch)


def asked(**words: t.Any) -> dict[str, t.Any]:
    return {**{name: option.get("default") for name, option in ARGUMENTS.items()}, **words}


# -- servers


def test_servers_that_nobody_wants_are_named(host: PlayedHost) -> None:
    host.have("chat")
    host.have("old")
    (host.units / "llmops-lost.service").write_text("ExecStart=docker run --label llmops.server=lost img\n")
    (host.units / "llmops-watchdog.service").write_text("ExecStart=/usr/local/lib/llmops/agent watch\n")
    assert extra_servers(["chat", "new"]) == ["lost", "old"]


@pytest.mark.parametrize("broken", [False, True])
def test_while_servers_are_held_nobody_is_too_many(
    host: PlayedHost, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    host.have("guest")

    def held() -> Held:
        if broken:
            raise HoldError("it cannot be read")
        return Held("now", "tournament", [], ["guest"], "")

    monkeypatch.setattr(_drift, "read_held", held)
    assert extra_servers([]) == []


# -- models


def lines(tmp_path: Path, wanted: dict[str, t.Any], verify: bool = False, **change: t.Any) -> list[str]:
    store = a_store(tmp_path, x=b"weights")
    place = store.folder("x", KEY) / "x.gguf"
    if change.get("gone"):
        place.unlink()
    elif "data" in change:
        stat = place.stat()
        place.write_bytes(change["data"])
        if change.get("same_time"):
            os.utime(place, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (spec,) = parse_models({"x": wanted})[0]
    return list(model_lines(store, spec, verify))


# By case: the entry of serving_models, what happened to the file, and what is told.
MODELS: dict[str, tuple[dict[str, t.Any], dict[str, t.Any], list[str]]] = {
    "whole": (WANTED, {}, []),
    "another revision": ({**WANTED, "revision": OTHER}, {}, [f"{OTHER} is asked for, the store has {REV}"]),
    "bytes": (WANTED, {"data": b"weighty"}, ["x.gguf: its bytes are not those that were fetched"]),
    "size": (WANTED, {"data": b"w"}, ["x.gguf: has 1 bytes instead of 7"]),
    "gone": (WANTED, {"gone": True}, ["x.gguf: cannot be read: No such file or directory"]),
    "written again": (WANTED, {"data": b"weights"}, []),
    "another file": ({**WANTED, "file": "y.gguf"}, {}, ["y.gguf is asked for, and was not fetched"]),
    "bytes, by somebody who hid it": (WANTED, {"data": b"weighty", "same_time": True}, []),
    "the same, read whole": (
        WANTED,
        {"data": b"weighty", "same_time": True, "verify": True},
        ["x.gguf: its bytes are not those that were fetched"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS)
def test_what_is_told_of_a_model(case: str, tmp_path: Path) -> None:
    wanted, change, told = MODELS[case]
    assert lines(tmp_path, wanted, **change) == told


def test_a_model_without_any_version_is_told(tmp_path: Path) -> None:
    (spec,) = parse_models({"y": WANTED})[0]
    assert list(model_lines(a_store(tmp_path, x=b"w"), spec, False)) == [
        f"{REV} is asked for, the store has no version of it"
    ]


def test_many_damaged_files_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_drift, "_SHOWN", 0)
    assert lines(tmp_path, WANTED, gone=True) == ["1 more files are not as they were fetched"]


SHA = hashlib.sha256(b"weights").hexdigest()
LOCKED = {
    "as locked": ({"x": {KEY: {"files": {"x.gguf": SHA}}}}, []),
    "not locked, which the preflight tells": ({}, []),
    "another content": (
        {"x": {KEY: {"files": {"x.gguf": "0" * 64}}}}, [f"x.gguf: has the sha256 {SHA}, the lock file has {'0' * 64}"]
    ),
    "a file more": ({"x": {KEY: {"files": {"y.gguf": SHA}}}}, ["x.gguf: is not in the lock file"]),
}  # fmt: skip


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("case", LOCKED)
def test_files_are_held_against_the_lock_file(case: str, tmp_path: Path) -> None:
    locked, told = LOCKED[case]
    store = a_store(tmp_path, x=b"weights")
    found = look(asked(models={"x": WANTED}, path=str(store.root), locked=locked))
    assert found["differs"] == [{"about": "model", "name": "x", "what": line} for line in told]
    assert found["unlocked"] == [f"serving_models['x']: {line}" for line in told]


# -- versions

FOUND = {"docker": "20.10.24", "driver": "580.1"}
VERSIONS = {
    "nothing wanted": ({}, "", []),
    "as locked": ({"docker": "20.10.24", "driver": "580.1"}, "", []),
    "another Docker": ({"docker": "28.5.1"}, "", ["docker 20.10.24 is installed, the lock file has 28.5.1"]),
    "no toolkit": ({}, "1.20.0", ["toolkit is not installed, the inventory asks for 1.20.0"]),
    "the inventory wins": ({"toolkit": "1.19"}, "1.20", ["toolkit is not installed, the inventory asks for 1.20"]),
    "a toolkit that was locked": ({"toolkit": "1.19.1"}, "", ["toolkit is not installed, the lock file has 1.19.1"]),
}  # fmt: skip


@pytest.mark.parametrize("case", VERSIONS)
def test_versions_are_compared(case: str) -> None:
    locked, toolkit, told = VERSIONS[case]
    assert [f"{one.about} {one.what}" for one in version_lines(FOUND, locked, toolkit)] == told


def test_versions_are_those_that_run() -> None:
    assert version_words(HOST) == {"docker": "20.10.24", "driver": "580.1"}
    assert version_words({**HOST, "nvidia": {"module": "575.2", "library": "580.1"}})["driver"] == "575.2"


@pytest.mark.parametrize(
    ("docker", "told"),
    [
        ({}, []),
        ({"installed": False}, ["is not installed"]),
        ({"service_active": False, "service_state": "failed"}, ["docker.service is failed"]),
        ({"service_enabled": False}, ["docker.service does not start with the host"]),
    ],
)
def test_a_docker_that_cannot_serve_is_told(docker: dict[str, t.Any], told: list[str]) -> None:
    assert [one.what for one in docker_lines({**DOCKER, **docker})] == told


# -- all of it


def test_everything_is_told_at_once_and_what_there_is(host: PlayedHost, tmp_path: Path) -> None:
    host.have("chat")
    host.have("old")
    store = a_store(tmp_path, x=b"weights")
    found = look(
        asked(servers=["chat"], models={"x": WANTED, "y": WANTED}, path=str(store.root), versions={"docker": "29"})
    )
    assert [(one["about"], one["name"]) for one in found["differs"]] == [
        ("server", "old"),
        ("model", "y"),
        ("docker", ""),
    ]
    assert found["extra"] == ["old"]
    assert found["found"] == {
        "servers": {name: {"image": "img@sha256:1", "asked": "img:1"} for name in ("chat", "old")},
        "models": {"x": {"key": KEY, "source": "https://hub.example/a/b", "revision": REV, "files": {"x.gguf": SHA}}},
        "versions": FOUND,
    }


def test_who_asks_about_models_alone_hears_of_nothing_else(host: PlayedHost, tmp_path: Path) -> None:
    host.have("old")
    found = look(asked(models={"x": WANTED}, path=str(tmp_path), host=False, versions={"docker": "29"}))
    assert [one["about"] for one in found["differs"]] == ["model"]
    assert found["found"]["versions"] == {}
