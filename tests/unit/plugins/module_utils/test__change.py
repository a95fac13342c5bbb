# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of a change. What is done with it is in the transaction's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._change import begin, end, pending, recover
from tests.unit.plugins.played_host import PlayedHost, played_host

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    host = played_host(tmp_path, monkeypatch)
    host.have("chat")
    return host


@pytest.mark.usefixtures("host")
def test_a_change_is_known_until_it_ends() -> None:
    assert pending("chat") is None
    begin("chat", 1, 2, "the unit")
    first = pending("chat")
    begin("chat", 1, 2, "starting")
    second = pending("chat")
    assert first is not None
    assert second == first._replace(step="starting"), "it began when it began"
    end("chat")
    assert pending("chat") is None
    end("chat")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"since": "x"}'])
def test_a_record_that_cannot_be_read_is_none(host: PlayedHost, text: str) -> None:
    (host.state_dir / "chat/change.json").write_text(text, encoding="utf-8")
    assert pending("chat") is None
    assert recover("chat") == ""


def test_what_comes_back_is_the_generation_that_serves(host: PlayedHost) -> None:
    unit = host.units / "llmops-chat.service"
    unit.write_text("a new one\n", encoding="utf-8")
    begin("chat", 1, 2, "starting")
    told = recover("chat")
    assert told.startswith("a change of server chat to generation 2 that began at ")
    assert told.endswith(" was cut off (starting): generation 1 is back in place")
    assert unit.read_text(encoding="utf-8") == "[Unit]\n"
    assert not [line for line in host.commands if "start" in line]
    assert recover("chat") == ""


def test_of_a_server_that_never_served_nothing_comes_back(host: PlayedHost) -> None:
    host.have("embed", current=False)
    begin("embed", None, 1, "starting")
    assert recover("embed") == ""
    assert pending("embed") is not None
