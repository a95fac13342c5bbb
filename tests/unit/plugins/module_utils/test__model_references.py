# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who refers to a version: real generations and units below a temporary folder, Docker played."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_references
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, Completed, MissingError
from ansible_collections.llmops.serving.plugins.module_utils._model_references import references
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.plugin_utils._systemd import quote
from tests.unit.plugins.played_host import PlayedHost, played_host

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._generations import Store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root = tmp_path / "models"
    for version in ("x/aaa", "x/bbb", "y/ccc"):
        (root / version).mkdir(parents=True)
    return root


@pytest.fixture
def containers() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, containers: list[dict[str, Any]]) -> PlayedHost:
    def run(argv: list[str], timeout: float = 60, check: bool = True) -> Completed:
        del timeout, check
        if argv[:2] == ["docker", "ps"]:
            return Completed(0, "".join(f"{number}\n" for number in range(len(containers))), "")
        assert argv[:2] == ["docker", "inspect"]
        return Completed(0, json.dumps(containers), "")

    monkeypatch.setattr(_model_references, "run", run)
    return played_host(tmp_path / "host", monkeypatch)


def mounting(*paths: object) -> dict[str, Any]:
    return {"models": [{"name": "m", "task": "chat", "path": str(path)} for path in paths]}


def container(name: str, source: object, server: str = "") -> dict[str, Any]:
    labels = {"llmops.server": server} if server else {}
    return {"Name": "/" + name, "Config": {"Labels": labels}, "Mounts": [{"Type": "volume"}, {"Source": str(source)}]}


def test_a_bare_host_refers_to_nothing(host: PlayedHost, store: Path) -> None:
    assert host.commands == []
    assert references(store) == references(str(store / "none")) == {}


def test_the_current_generation_and_those_that_are_kept(host: PlayedHost, store: Path) -> None:
    host.have("chat", **mounting(store / "x/aaa"))
    host.have("chat", **mounting(store / "x/aaa"))
    host.have("chat", **mounting(store / "x/bbb", store / "y/ccc"))
    assert references(store) == {
        ("x", "aaa"): ["server chat (kept generation 1, 2)"],
        ("x", "bbb"): ["server chat"],
        ("y", "ccc"): ["server chat"],
    }


def test_a_generation_that_is_being_tried_counts_and_one_that_was_given_up_does_not(
    host: PlayedHost, store: Path
) -> None:
    tried: Store = host.have("chat", current=False, **mounting(store / "x/aaa"))
    assert references(store) == {("x", "aaa"): ["server chat (kept generation 1)"]}
    (tried.directory / "0001" / "server.json").unlink()
    assert references(store) == {}


def test_several_servers_share_a_version(host: PlayedHost, store: Path) -> None:
    host.have("b", **mounting(store / "x/aaa"))
    host.have("a", **mounting(store / "x/aaa"))
    assert references(store) == {("x", "aaa"): ["server a", "server b"]}


def test_a_unit_counts_where_its_generations_are_lost(host: PlayedHost, store: Path) -> None:
    text = f"ExecStart=/usr/bin/docker run --mount type=bind,src={store}/x/aaa,dst=/models/x,readonly img\n"
    (host.units / "llmops-chat.service").write_text(text, encoding="utf-8")
    (host.units / "other.service").write_text(text.replace("x/aaa", "y/ccc"), encoding="utf-8")
    assert references(store) == {("x", "aaa"): ["server chat"]}
    host.have("chat", **mounting(store / "x/aaa"))
    assert references(store) == {("x", "aaa"): ["server chat"]}, "it is told once"


@pytest.mark.parametrize("folder", ["my models", '100% "my" $HOME', "back\\slash it"])
def test_a_unit_is_read_as_systemd_reads_it(host: PlayedHost, tmp_path: Path, folder: str) -> None:
    version = tmp_path / folder / "x" / "aaa"
    version.mkdir(parents=True)
    words = ["--mount", f"type=bind,src={version},dst=/models/x,readonly", "img"]
    (host.units / "llmops-chat.service").write_text(f"ExecStart=/usr/bin/docker run {quote(words)}\n", encoding="utf-8")
    assert references(tmp_path / folder) == {("x", "aaa"): ["server chat"]}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("x/aaa", [("x", "aaa")]),
        ("x/aaa/sub/file.gguf", [("x", "aaa")]),
        ("x", [("x", "aaa"), ("x", "bbb")]),
        ("", [("x", "aaa"), ("x", "bbb"), ("y", "ccc")]),
        ("..", [("x", "aaa"), ("x", "bbb"), ("y", "ccc")]),
        ("../models-of-others", []),
        ("/", []),
        ("/nowhere", []),
    ],
)
def test_what_a_container_mounts(
    host: PlayedHost, store: Path, containers: list[dict[str, Any]], source: str, found: list[tuple[str, str]]
) -> None:
    assert host.commands == []
    containers.append(container("debug", store / source if source else store))
    assert references(store) == {version: ["container debug"] for version in found}


def test_a_servers_own_container_is_told_as_the_server(
    host: PlayedHost, store: Path, containers: list[dict[str, Any]]
) -> None:
    host.have("chat", **mounting(store / "x/aaa"))
    containers += [container("llmops-chat", store / "x/aaa", "chat"), container("debug", store / "x/aaa")]
    assert references(store) == {("x", "aaa"): ["server chat", "container debug"]}


def test_a_link_is_the_place_that_it_points_to(host: PlayedHost, store: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store)
    host.have("chat", **mounting(store / "x/aaa"))
    host.have("embed", **mounting(tmp_path / "link" / "y/ccc"))
    expected = {("x", "aaa"): ["server chat"], ("y", "ccc"): ["server embed"]}
    assert references(store) == references(tmp_path / "link") == expected


@pytest.mark.parametrize("said", ["", "not json", "[3]", '[{"Mounts": 3, "Id": "0"}]', None])
def test_a_docker_that_does_not_answer_hides_no_server(
    host: PlayedHost, store: Path, monkeypatch: pytest.MonkeyPatch, said: str | None
) -> None:
    def run(argv: list[str], timeout: float = 60, check: bool = True) -> Completed:
        del timeout, check
        if said is None:
            raise CommandError("docker ps: Cannot connect")
        return Completed(0, "0\n" if "ps" in argv else said, "")

    monkeypatch.setattr(_model_references, "run", run)
    host.have("chat", **mounting(store / "x/aaa"))
    assert references(store) == {("x", "aaa"): ["server chat"]}
    if said == "":
        assert references(store, careful=True), "all have ended in between"
        return
    with pytest.raises(ModelError, match=r"docker: it does not tell which containers run, so nothing is removed"):
        references(store, careful=True)


def test_a_host_without_docker_runs_no_container(
    host: PlayedHost, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(_argv: list[str], **_how: object) -> Completed:
        raise MissingError("docker is not installed")

    monkeypatch.setattr(_model_references, "run", run)
    host.have("chat", **mounting(store / "x/aaa"))
    assert references(store, careful=True) == {("x", "aaa"): ["server chat"]}
