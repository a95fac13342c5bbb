# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a removal has left, and what it was not asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._image_record import note
from ansible_collections.llmops.serving.plugins.module_utils._leftovers import Scope, is_here, look, words_of
from tests.unit.plugins.purged_host import PurgedHost, purged_host
from tests.unit.plugins.stored_models import put

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PurgedHost:
    made = purged_host(tmp_path / "host", monkeypatch)
    made.serve("chat", "tiny")
    made.serve("embed", "tiny")
    made.library.mkdir()
    put(made.models, "tiny", "a" * 12)
    made.images["img:1"] = "img@sha256:1"
    made.pulled = {"img:1"}
    note("img:1", "img@sha256:1")
    return made


# What was asked to be gone, and the kinds and servers of what is left then.
ASKED: list[tuple[dict[str, object], set[str], set[str]]] = [
    ({"servers": ("none",)}, set(), set()),
    ({"servers": ("chat",)}, {"unit", "container", "folder"}, {"chat"}),
    ({"servers": ("chat",), "models": True, "images": True}, {"unit", "container", "folder"}, {"chat"}),
    ({}, {"unit", "container", "folder"}, {"chat", "embed", ""}),
    ({"models": True}, {"unit", "container", "folder", "model"}, {"chat", "embed", ""}),
    ({"images": True}, {"unit", "container", "folder", "image"}, {"chat", "embed", ""}),
]


@pytest.mark.parametrize(("asked", "kinds", "servers"), ASKED)
def test_what_is_left_is_what_was_asked_to_be_gone(
    host: PurgedHost, asked: dict[str, object], kinds: set[str], servers: set[str]
) -> None:
    before = host.files()
    found = look(Scope(model_dir=str(host.models.root))._replace(**asked))
    assert {trace.kind for trace in found.left} == kinds
    assert {trace.server for trace in found.left} == servers
    assert found.servers == ["chat", "embed"]
    assert host.files() == before


def test_what_stays_is_told_in_few_lines(host: PurgedHost) -> None:
    found = look(Scope(("none",), model_dir=str(host.models.root)))
    assert [trace.line for trace in found.kept] == [
        "server chat",
        "server embed",
        f"models {host.models.root}: 1 version, 136.7 KiB",
        "image img:1",
    ]


def test_words_have_a_line_for_each_problem(host: PurgedHost) -> None:
    host.broken["docker ps"] = "Cannot connect"
    words = words_of(look(Scope(("chat",), model_dir=str(host.models.root))))
    assert len(words["problems"]) == 1 + len(words["left"])
    assert words["problems"][0].endswith("start Docker, and run again")
    assert {line.partition(" ")[0] for line in words["problems"][1:]} == {"left:"}
    assert set(words["left"][0]) == {"kind", "name", "server", "about", "bytes", "line"}


def test_an_image_is_here_under_any_of_its_names(host: PurgedHost) -> None:
    assert host.pulled
    assert is_here("img:1", [])
    assert is_here("gone:1", ["img@sha256:1"])
    assert not is_here("gone:1", ["gone@sha256:1"])


def test_a_host_on_which_nothing_ever_was_has_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = purged_host(tmp_path / "bare", monkeypatch)
    bare.missing = {"docker", "systemctl", "iptables"}
    found = look(Scope(models=True, images=True, model_dir=str(bare.models.root)))
    assert found == ([], [], [], [], [], [], [])
