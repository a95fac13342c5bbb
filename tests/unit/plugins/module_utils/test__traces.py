# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collection makes on a host, and what only looks like it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _agent, _model_job, _traces
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._lock import server_lock
from ansible_collections.llmops.serving.plugins.module_utils._traces import (
    Container,
    container_traces,
    containers,
    file_traces,
    held_locks,
    is_our_unit,
    rule_traces,
    servers_here,
    unit_traces,
)
from tests.unit.plugins.purged_host import MARK, PurgedHost, purged_host

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PurgedHost:
    return purged_host(tmp_path / "host", monkeypatch)


# The file of a unit, its text, and whether it is ours.
UNITS = [
    ("llmops-chat.service", MARK + "[Unit]\n", True),
    ("llmops-chat.service", "[Unit]\n# llmops.serving\n", False),
    ("llmops-chat.service", "", False),
    # The server has generations, so whatever somebody made of its unit is ours.
    ("llmops-known.service", "[Unit]\n", True),
    ("llmops-watchdog.timer", "[Unit]\n", False),
]


@pytest.mark.parametrize(("name", "text", "ours"), UNITS)
def test_a_unit_is_known_by_its_first_line_or_by_its_generations(
    host: PurgedHost, name: str, text: str, ours: bool
) -> None:
    host.have("known")
    (host.units / name).write_text(text, encoding="utf-8")
    assert is_our_unit(host.units / name) is ours
    found = unit_traces()
    assert [trace.name for trace in (found.ours if ours else found.foreign)] == [str(host.units / name)]
    assert (found.foreign if ours else found.ours) == []


def test_the_agents_units_bear_the_mark_and_belong_to_no_server(host: PurgedHost) -> None:
    for name, text in _agent.unit_texts().items():
        (host.units / name).write_text(text, encoding="utf-8")
    host.loaded = ["llmops-recover@chat.service"]
    found = unit_traces()
    assert len(found.ours) == len(_agent.unit_texts()) + 1
    assert {trace.server for trace in found.ours} == {""}
    assert found.foreign == []
    assert servers_here([]) == []


def test_the_mark_of_a_unit_is_what_its_template_writes() -> None:
    template = _agent.__file__.partition("/plugins/")[0] + "/roles/engine/templates/server.service.j2"
    with open(template, encoding="utf-8") as file:  # noqa: PTH123  the path is a text already
        assert _traces.MARK in file.readline()


def test_what_systemd_remembers_is_left_although_its_file_is_gone(host: PurgedHost) -> None:
    host.loaded = ["llmops-chat.service"]
    (trace,) = unit_traces().ours
    assert (trace.name, trace.server, trace.about) == ("llmops-chat.service", "chat", "systemd still knows it")


def test_containers_are_known_by_their_label(host: PurgedHost) -> None:
    host.box("llmops-chat", "chat")
    host.box("llmops-handmade")
    host.box("web")
    assert containers() == [
        Container("llmops-chat-id", "llmops-chat", "chat", "id:1"),
        Container("llmops-handmade-id", "llmops-handmade", "", "id:1"),
        Container("web-id", "web", "", "id:1"),
    ]
    found = container_traces(containers())
    assert [trace.line for trace in found.ours] == ["container llmops-chat"]
    assert [trace.line for trace in found.foreign] == ["container llmops-handmade: has no label llmops.server"]


def test_an_answer_of_docker_that_cannot_be_read_is_an_error(host: PurgedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.box("web")
    monkeypatch.setattr(json, "dumps", lambda _value: "{")
    with pytest.raises(CommandError, match=r"^docker inspect: its answer cannot be read"):
        containers()


def test_rules_belong_to_the_server_of_their_chain(host: PurgedHost) -> None:
    host.rules = ["-P INPUT ACCEPT", "-N LLMOPS-chat", "-N LLMOPS-gone", "-A DOCKER-USER -j LLMOPS-chat"]
    assert [(trace.name, trace.server) for trace in rule_traces(["chat"])] == [
        ("LLMOPS-chat", "chat"),
        ("LLMOPS-gone", ""),
    ]


@pytest.mark.usefixtures("host")
def test_work_that_goes_on_is_told_with_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    _model_job.JOBS.mkdir(parents=True)
    assert [trace.about for trace in file_traces().ours] == ["work in the model store that outlives its connection"]
    monkeypatch.setattr(_model_job, "jobs", lambda: [{"pid": 7}])
    assert file_traces().ours[0].about.endswith("; process 7 is at work: wait for it, or end it")


def test_ones_own_locks_are_held_by_nobody_else(host: PurgedHost) -> None:
    with server_lock("chat"):
        assert held_locks() == []
    assert [trace.kind for trace in file_traces().ours] == ["lock"]
    assert file_traces(["chat"]).ours == []
    assert (host.folder / "lock").is_dir()
