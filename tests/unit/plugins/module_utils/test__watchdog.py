# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The watchdog on a played host: systemd, Docker and the clock are played, the engine is a real HTTP server."""

from __future__ import annotations

import itertools
import json
import time
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import (
    _change,
    _generations,
    _hold,
    _watch_ask,
    _watch_notes,
    _watchdog,
)
from ansible_collections.llmops.serving.plugins.module_utils._clock import now
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, Completed
from ansible_collections.llmops.serving.plugins.module_utils._lock import server_lock
from ansible_collections.llmops.serving.plugins.module_utils._watch_notes import evidence_files, read_notes
from ansible_collections.llmops.serving.plugins.module_utils._watchdog import watch_all
from tests.unit.plugins.fake_engine import FakeEngine, Reply, as_json
from tests.unit.plugins.played_host import PlayedHost, played_host, port_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORDS = {"metrics": "/metrics", "port": 8080, "running": ["running"], "waiting": [], "progress": ["steps"]}
RESTART = "systemctl restart --no-block llmops-chat.service"
HANGS = "requests, gets on with none of them"


class Evidence(t.NamedTuple):
    def to_dict(self) -> dict[str, t.Any]:
        return {"log": ["the last words"]}


class Watched:
    """A host with a server `chat` whose engine hangs, unless a test says otherwise."""

    def __init__(self, host: PlayedHost, server: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host = host
        self.server = server
        self.moment = 10_000.0
        self.ghost = False
        host.properties = {
            "ActiveState": "active",
            "InvocationID": "a",
            "ActiveEnterTimestampMonotonic": str(int(9_000e6)),
            "InactiveEnterTimestampMonotonic": str(int(8_000e6)),
        }
        server.routes = {"GET /health": as_json({}), "GET /metrics": Reply(b"running 2\nsteps 5\n")}
        monkeypatch.setattr(_watchdog, "run", self.run)
        monkeypatch.setattr(_watchdog.time, "clock_gettime", lambda _: self.moment)
        monkeypatch.setattr(_watchdog, "collect", lambda *_: Evidence())
        monkeypatch.setattr(_watchdog, "container_processes", lambda _: [])
        monkeypatch.setattr(_watchdog, "holds_port_of_nobody", lambda _: self.ghost)
        monkeypatch.setattr(_watch_ask, "computes", lambda *_: False)

    def run(self, argv: list[str], timeout: float = 60, check: bool = True) -> Completed:
        done = self.host.run([word for word in argv if word != "--no-block"], timeout, check)
        self.host.commands[-1] = " ".join(argv)
        if self.host.commands[-1] == RESTART:
            started = {"InvocationID": f"start at {self.moment}"}
            entered = {"ActiveEnterTimestampMonotonic": str(int(self.moment * 1e6))}
            self.host.properties = {**self.host.properties, **started, **entered}
        return done

    def have(self, **words: t.Any) -> None:
        asked: dict[str, t.Any] = {
            "port": port_of(self.server),
            "models": [{"name": "tiny", "task": "chat", "path": "/nonexistent"}],
            "readiness": "/health",
            "load": {"seconds": 100, "seconds_per_gib": 60},
            "watchdog": WORDS,
        }
        self.host.have("chat", **{**asked, **words})

    def look(self, times: int = 1, apart: float = 20) -> list[str]:
        """Look some times, and give what was told the last time."""
        for _ in range(times):
            told = watch_all()
            self.moment += apart
        assert [entry for entry in told if not entry.ok] == []
        return [line for entry in told for line in entry.lines]

    @property
    def restarts(self) -> int:
        return self.host.commands.count(RESTART)

    def hang(self) -> list[str]:
        """Have it ready once, see it get on once, and look three times while it hangs."""
        return self.look(5)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    made = played_host(tmp_path / "host", monkeypatch)
    monkeypatch.setattr(_hold, "RECORD", tmp_path / "held.json")
    monkeypatch.setattr(_watch_notes, "NOTES_DIR", tmp_path / "run")
    with FakeEngine() as server:
        yield Watched(made, server, monkeypatch)


def test_a_host_without_servers_has_nothing_to_watch(host: Watched) -> None:
    assert host.look() == []


def test_one_that_hangs_is_started_anew_at_the_third_strike(host: Watched) -> None:
    host.have()
    assert host.look(2) == []
    assert host.look() == [f"strike 1 of 3: it has 2 {HANGS}, and computes nothing"]
    assert host.look()[0].startswith("strike 2 of 3: ")
    assert host.restarts == 0
    said = host.look()
    assert host.restarts == 1
    assert said[0].endswith("it is started anew")
    path = evidence_files("chat")[0]
    assert said[1] == f"evidence: {path}"
    record = json.loads(path.read_text(encoding="utf-8"))
    assert len(record["strikes"]) == 3
    assert record["generation"] == 1
    assert HANGS in record["seen"]
    assert record["evidence"] == {"log": ["the last words"]}
    assert host.host.commands.index("systemctl reset-failed llmops-chat.service") < host.host.commands.index(RESTART)


def test_a_good_look_between_strikes_begins_anew(host: Watched) -> None:
    host.have()
    assert host.look(4)[0].startswith("strike 2 of 3: ")
    host.server.routes["GET /metrics"] = Reply(b"running 2\nsteps 6\n")
    assert host.look() == []
    assert host.look()[0].startswith("strike 1 of 3: ")
    assert host.restarts == 0


def test_one_that_goes_on_hanging_is_left_for_longer_each_time(host: Watched) -> None:
    host.have()
    began = host.moment
    times = []
    told: list[str] = []
    while host.restarts < 4:
        before = host.restarts
        told += host.look()
        if host.restarts > before:
            times.append(host.moment - began)
    apart = [after - before for before, after in itertools.pairwise(times)]
    assert apart[0] >= 60
    assert apart[1] >= 120
    assert apart[2] >= 240
    # It is told once that it waits, and not at each look.
    assert len([line for line in told if "it was started anew 3 times, the next time in" in line]) == 1


def test_one_that_loads_is_left_alone_as_long_as_it_may_load(host: Watched) -> None:
    host.have()
    host.server.routes["GET /health"] = as_json({"error": "loading"}, 503)
    entered = host.moment
    host.host.properties["ActiveEnterTimestampMonotonic"] = str(int(entered * 1e6))
    store = _generations.Store("chat")
    current = store.current()
    assert current is not None
    # Its gate was long before this start.
    store.record(current._replace(gated="2001-01-01T00:00:00Z"))
    assert host.look(6) == []
    assert host.look()[0] == "strike 1 of 3: it is not ready 120 s after its start, more than the 100 s it has"
    host.look(2)
    assert host.restarts == 1
    # The next time it has twice as long.
    assert host.look(10) == []
    assert "more than the 200 s it has" in host.look(2)[0]


def test_one_that_was_gated_since_its_start_was_ready(host: Watched) -> None:
    host.have()
    host.server.routes["GET /health"] = as_json({"error": "it hangs"}, 503)
    host.moment = time.time()
    host.host.properties["ActiveEnterTimestampMonotonic"] = str(int((host.moment - 900) * 1e6))
    store = _generations.Store("chat")
    current = store.current()
    assert current is not None
    store.record(current._replace(gated=now()))
    # The clock of the kernel is as if it had begun with the epoch.
    assert host.look() == []
    assert read_notes("chat").ready is True


@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_one_that_was_stopped_stays_down(host: Watched, state: str) -> None:
    host.have()
    host.look(4)
    host.host.properties["ActiveState"] = state
    assert host.look(5) == []
    assert host.restarts == 0
    assert read_notes("chat").strikes == []


def test_one_that_systemd_gave_up_is_tried_again(host: Watched) -> None:
    host.have()
    host.host.properties["ActiveState"] = "failed"
    host.host.journal = "llmops-chat.service: Start request repeated too quickly.\n"
    assert host.look(2) == ["strike 2 of 3: systemd has given it up, for it ended again and again"]
    host.look()
    assert host.restarts == 1


def test_a_port_that_docker_keeps_for_nobody_takes_its_restart(host: Watched) -> None:
    docker = "systemctl restart --no-block docker.service"
    host.have()
    host.ghost = True
    host.hang()
    assert host.restarts == 1
    assert docker not in host.host.commands
    host.host.properties["ActiveState"] = "failed"
    host.host.journal = "llmops-chat.service: Start request repeated too quickly.\n"
    host.look(4)
    assert host.host.commands.index(docker) < len(host.host.commands) - 1
    assert host.host.commands[host.host.commands.index(docker) + 1] == RESTART


@pytest.mark.parametrize("state", ["activating", "deactivating", "reloading"])
def test_between_two_starts_systemd_is_at_it(host: Watched, state: str) -> None:
    host.have()
    host.host.properties["ActiveState"] = state
    assert host.look(6) == []


def test_one_that_is_not_to_be_watched(host: Watched) -> None:
    host.have(watchdog={})
    assert host.look(6) == []


def test_one_that_was_never_judged_good_is_not_watched(host: Watched) -> None:
    host.have(current=False)
    assert host.look(6) == []


@pytest.mark.parametrize(("servers", "guests"), [(["chat"], []), ([], ["chat"])])
def test_one_that_is_held_is_left_alone(host: Watched, servers: list[str], guests: list[str]) -> None:
    host.have()
    words = {"since": "", "purpose": "tournament", "servers": servers, "guests": guests, "owner": ""}
    _hold.RECORD.write_text(json.dumps(words), encoding="utf-8")
    assert host.look(6) == []
    assert host.restarts == 0


def test_one_whose_holder_cannot_be_told_is_left_alone(host: Watched) -> None:
    host.have()
    _hold.RECORD.write_text("rubbish", encoding="utf-8")
    assert host.look(6) == []


def test_one_that_is_being_changed_is_left_alone(host: Watched) -> None:
    host.have()
    _change.begin("chat", 1, 2, "starting it")
    with server_lock("chat"):
        assert host.look(6) == []
    assert not [line for line in host.host.commands if "recover" in line]


def test_who_is_changed_at_the_last_moment_is_left_alone(host: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    host.have()
    host.look(4)
    monkeypatch.setattr(_watchdog, "holder", lambda _: None)
    with server_lock("chat"):
        assert host.look() == []
    assert host.restarts == 0


def test_who_was_started_anew_by_somebody_else_is_left_alone(host: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    host.have()
    host.look(4)
    judge = _watchdog._Server._judge

    def judged(*args: t.Any) -> t.Any:
        host.host.properties = {**host.host.properties, "InvocationID": "b"}
        return judge(*args)

    monkeypatch.setattr(_watchdog._Server, "_judge", judged)
    assert host.look() == []
    assert host.restarts == 0
    assert evidence_files("chat") == []


def test_a_change_that_was_cut_off_is_put_right_in_a_unit_of_its_own(host: Watched) -> None:
    host.have()
    _change.begin("chat", 1, 2, "starting it")
    assert host.look() == ["a change of it was cut off; putting it back"]
    assert "systemctl start --no-block llmops-recover@chat.service" in host.host.commands


def test_evidence_that_cannot_be_kept_does_not_keep_it_hanging(host: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: t.Any) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_watchdog, "keep_evidence", full)
    monkeypatch.setattr(_watchdog, "container_processes", _silent)
    host.have()
    assert "No space left" in host.hang()[1]
    assert host.restarts == 1


def _silent(_: str) -> t.NoReturn:
    raise CommandError("docker inspect took more than 10 s")


def test_what_cannot_be_looked_at_is_told_and_touches_nobody_else(host: Watched) -> None:
    host.have()
    host.host.have("embed", port=1)
    host.host.broken = {"systemctl show": "no bus"}
    told = watch_all()
    assert [(entry.name, entry.ok) for entry in told] == [("chat", False)]
    assert "the watchdog cannot look at it: systemctl show: no bus" in told[0].lines[0]
