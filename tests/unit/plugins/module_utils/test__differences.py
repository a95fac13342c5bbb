# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs on a host is named, each thing once and in words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._command import Completed
from ansible_collections.llmops.serving.plugins.module_utils._generations import Secrets, Store
from ansible_collections.llmops.serving.plugins.module_utils._server import Server
from tests.unit.plugins.played_host import OWNER, PlayedHost, played_host

if TYPE_CHECKING:
    from pathlib import Path

UNIT = (
    "[Unit]\nDescription=llmops chat\n[Service]\n"
    "ExecStart=/usr/bin/docker run --mount type=bind,src=/m/x/aaa,dst=/models/x @IMAGE@ --ctx-size 512\n"
    "Restart=always\n"
)
ASKED: dict[str, Any] = {
    "unit": UNIT,
    "image": "img:1",
    "bind": "127.0.0.1",
    "port": 8001,
    "models": [{"name": "x", "task": "chat", "path": "/m/x/aaa"}],
    "files": {"t.jinja": "a"},
    "gate": [],
}
KEY, OTHER = "k" * 20, "o" * 20


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    host = played_host(tmp_path, monkeypatch)
    host.properties |= {"ActiveState": "active", "UnitFileState": "enabled"}
    generation = Store("chat").add(ASKED, "img@sha256:1", Secrets({"api-key": KEY}, KEY, OWNER))
    Store("chat").keep(generation)
    (host.units / "llmops-chat.service").write_text(generation.unit, encoding="utf-8")
    return host


def differs(key: str | None = KEY, **words: Any) -> list[str]:
    secrets = Secrets({"api-key": key} if key else {}, key, OWNER)
    return Server("chat", {**ASKED, **words}, secrets).differs(Store("chat").current())


@pytest.mark.usefixtures("host")
def test_what_is_as_asked_differs_in_nothing() -> None:
    assert differs() == []
    assert differs(gate=[{"task": "chat"}], watchdog={"x": 1}) == [], "how it is judged is no difference of the host"


MODEL = [{"name": "x", "task": "chat", "path": "/m/x/bbb"}]
ASKED_FOR: list[tuple[dict[str, Any], list[str]]] = [
    ({"unit": UNIT.replace("512", "1024")}, ["option --ctx-size: 1024, was 512"]),
    (
        {"unit": UNIT.replace("--ctx-size 512", "--flash-attn on")},
        ["option --ctx-size: removed, was 512", "option --flash-attn: added, on"],
    ),
    ({"unit": UNIT.replace("always", "no")}, ["unit Restart: no, was always"]),
    ({"image": "img:2"}, ["image: img:2, was img:1 (sha256:1)"]),
    ({"image": "img:1@sha256:1"}, []),
    ({"image": "img:1@sha256:2"}, ["image: img:1@sha256:2, was img:1 (sha256:1)"]),
    ({"models": MODEL, "unit": UNIT.replace("aaa", "bbb")}, ["model x: bbb, was aaa"]),
    ({"models": [*ASKED["models"], {**MODEL[0], "path": "/m/y/bbb"}]}, ["model y: added, bbb"]),
    ({"models": []}, ["model x: removed, was aaa"]),
    ({"files": {"t.jinja": "b"}}, ["file t.jinja: changed"]),
    ({"files": {}}, ["file t.jinja: removed"]),
    ({"key": OTHER}, ["secret api-key: changed", "secret client-key: changed"]),
    ({"key": None}, ["secret api-key: removed", "secret client-key: removed"]),
    (
        {"unit": UNIT.replace("512", "1024"), "image": "img:2"},
        ["image: img:2, was img:1 (sha256:1)", "option --ctx-size: 1024, was 512"],
    ),
]


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize(("change", "told"), ASKED_FOR)
def test_what_is_asked_for_and_is_not_there(change: dict[str, Any], told: list[str]) -> None:
    found = differs(**change)
    assert found == told
    assert KEY not in str(found)
    assert OTHER not in str(found)


def test_what_somebody_did_to_the_host(host: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = host.units / "llmops-chat.service"
    unit.write_text(unit.read_text(encoding="utf-8").replace("always", "no"), encoding="utf-8")
    host.properties |= {"ActiveState": "failed", "UnitFileState": "disabled"}
    assert differs() == [
        f"unit: {unit} was edited by hand: Restart=always -> Restart=no",
        "unit: llmops-chat.service does not start with the host (disabled)",
        "state: llmops-chat.service is failed, it should be active",
    ]
    unit.unlink()
    assert differs()[0] == f"unit: {unit} is gone"

    def run(*_: object, **__: object) -> Completed:
        told = {"Image": "sha256:bbbbbbbbbbbbbbbb", "Id": "sha256:aaaaaaaaaaaaaaaa"}
        return Completed(0, json.dumps([told]), "")

    monkeypatch.setattr("ansible_collections.llmops.serving.plugins.module_utils._differences.run", run)
    assert (
        "image: the container runs sha256:bbbbbbbbbbbb, its generation has img@sha256:1 (sha256:aaaaaaaaaaaa)"
        in differs()
    )


def test_a_bare_host_has_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played_host(tmp_path, monkeypatch)
    assert differs() == ["the host does not have this server"]
