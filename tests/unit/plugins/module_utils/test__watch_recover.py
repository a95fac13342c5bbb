# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is left of a change that was cut off: at boot it is put back, and later put right."""

from __future__ import annotations

import time
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _agent_main, _change, _hold, _watch_recover
from ansible_collections.llmops.serving.plugins.module_utils._change import pending
from ansible_collections.llmops.serving.plugins.module_utils._generations import Secrets, Store
from ansible_collections.llmops.serving.plugins.module_utils._lock import server_lock
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit
from ansible_collections.llmops.serving.plugins.module_utils._watch_recover import Told, put_back_all, put_right
from tests.unit.plugins.played_host import OWNER, PlayedHost, engine, played_host, port_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEFORE_S = 3600.0


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlayedHost]:
    made = played_host(tmp_path / "host", monkeypatch)
    monkeypatch.setattr(_watch_recover, "run", made.run)
    monkeypatch.setattr(_watch_recover, "endangered", lambda **_: [])
    monkeypatch.setattr(_hold, "RECORD", tmp_path / "held.json")
    with engine() as server:
        words: dict[str, t.Any] = {"readiness": "/health", "load": {"timeout": 5}, "doctor": [], "engine": "llama_cpp"}
        gate = [{"task": "chat", "model": "tiny"}]
        store = made.have("chat", port=port_of(server), gate=gate, **words)
        current = store.current()
        assert current is not None
        Unit("chat").write(current.unit)
        yield made


def cut_off() -> None:
    """Leave a change half-way: the new unit is in place, nobody holds the lock."""
    store = Store("chat")
    current = store.current()
    assert current is not None
    new = store.add({**current.asked, "unit": "[Unit]\n# new\n"}, "img@sha256:2", Secrets({}, None, OWNER))
    Unit("chat").write(new.unit)
    _change.begin("chat", current.number, new.number, "waiting until it is ready")


def running(host: PlayedHost, age: float) -> None:
    """Let the unit run since so many seconds."""
    entered = int((time.clock_gettime(time.CLOCK_MONOTONIC) - age) * 1e6)
    host.properties = {
        "ActiveState": "active",
        "SubState": "running",
        "UnitFileState": "enabled",
        "ActiveEnterTimestampMonotonic": str(entered),
    }
    host.commands.clear()


def restarts(host: PlayedHost) -> int:
    return host.commands.count("systemctl restart llmops-chat.service")


def test_at_boot_the_unit_is_put_back_and_nothing_is_started(host: PlayedHost) -> None:
    cut_off()
    told = put_back_all()
    assert [(entry.name, entry.ok) for entry in told] == [("chat", True)]
    assert "generation 1 is back in place" in told[0].lines[0]
    assert Unit("chat").read() == "[Unit]\n"
    assert pending("chat") is None
    # What was never judged is not kept.
    assert Store("chat").numbers() == [1]
    assert restarts(host) == 0
    assert put_back_all() == []


def test_at_boot_one_that_cannot_be_put_back_is_told(host: PlayedHost) -> None:
    cut_off()
    host.broken = {"systemctl": "no bus"}
    told = put_back_all()
    assert told[0].ok is False
    assert "what a change left cannot be put back: systemctl: no bus" in told[0].lines[0]
    assert pending("chat") is not None


def test_what_was_started_in_between_is_replaced(host: PlayedHost) -> None:
    cut_off()
    running(host, 0)
    told = put_right("chat")
    assert told.ok, told.lines
    assert told.lines[-1].startswith("generation 1 serves")
    assert restarts(host) == 1
    assert Unit("chat").read() == "[Unit]\n"
    assert pending("chat") is None


def test_what_was_never_stopped_runs_on(host: PlayedHost) -> None:
    cut_off()
    running(host, BEFORE_S)
    told = put_right("chat")
    assert told.ok, told.lines
    assert told.lines[-1] == "generation 1 serves (unchanged)"
    assert restarts(host) == 0


def test_what_stands_still_is_started(host: PlayedHost) -> None:
    cut_off()
    host.properties = {"ActiveState": "inactive", "SubState": "dead", "UnitFileState": "enabled"}
    assert put_right("chat").ok
    assert restarts(host) == 1


def test_a_change_that_had_come_to_its_end_is_forgotten(host: PlayedHost) -> None:
    _change.begin("chat", None, 1, "keeping it")
    running(host, 0)
    told = put_right("chat")
    assert "had come to its end" in told.lines[0]
    assert (told.ok, restarts(host), pending("chat")) == (True, 0, None)


def test_what_is_held_is_put_back_and_stays_down(host: PlayedHost) -> None:
    cut_off()
    host.properties = {"ActiveState": "inactive", "SubState": "dead", "UnitFileState": "enabled"}
    host.commands.clear()
    _hold.RECORD.write_text(
        '{"since": "", "purpose": "tournament", "servers": ["chat"], "guests": [], "owner": ""}', encoding="utf-8"
    )
    assert put_right("chat").ok
    assert (restarts(host), Unit("chat").read()) == (0, "[Unit]\n")


def test_one_that_does_not_serve_is_told(host: PlayedHost) -> None:
    current = Store("chat").current()
    assert current is not None
    Store("chat").record(current._replace(asked={**current.asked, "port": 1, "load": {"timeout": 0.1}}))
    cut_off()
    running(host, 0)
    told = put_right("chat")
    assert told.ok is False
    assert "it does not serve: " in told.lines[-1]


def test_nothing_is_done_while_somebody_is_at_it(host: PlayedHost) -> None:
    cut_off()
    with server_lock("chat"):
        assert put_right("chat") == Told("chat", True, [])
    assert pending("chat") is not None
    assert restarts(host) == 0


@pytest.mark.usefixtures("host")
def test_without_a_change_there_is_nothing_to_do() -> None:
    assert put_right("chat") == Told("chat", True, [])
    assert put_right("never") == Told("never", True, [])


def test_neighbours_that_lost_their_gpus_are_told(host: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = [{"name": "embed", "action": "failed", "cause": ""}, {"name": "rank", "action": "restarted", "cause": ""}]
    monkeypatch.setattr(_watch_recover, "look_after", lambda _: lost)
    cut_off()
    running(host, 0)
    assert put_right("chat").lines[-1] == "these lost their GPUs, and do not serve: embed"


@pytest.mark.parametrize(
    ("words", "called"),
    [(["watch"], "watch_all"), (["recover"], "put_back_all"), (["recover", "--start", "chat"], "put_right")],
)
def test_the_agents_command_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    called: str,
) -> None:
    told = Told("chat", True, ["strike 1 of 3:\n no answer"])
    monkeypatch.setattr(_agent_main, called, lambda *_: told if called == "put_right" else [told])
    assert _agent_main.main(words) == 0
    assert capsys.readouterr().out == "<5>chat: strike 1 of 3: no answer\n"


def test_what_failed_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(_agent_main, "watch_all", lambda: [Told("chat", False, ["no bus"]), Told("b", True, ["x"])])
    assert _agent_main.main(["watch"]) == 1
    assert capsys.readouterr().out == "<3>chat: no bus\n<5>b: x\n"


def test_a_recovery_that_is_cut_off_as_well_is_done_again(host: PlayedHost) -> None:
    cut_off()
    running(host, 0)
    host.broken = {"systemctl restart": "killed"}
    assert put_right("chat").ok is False
    assert pending("chat") is not None
    host.broken = {}
    assert put_right("chat").ok
    assert restarts(host) == 2
    assert pending("chat") is None
