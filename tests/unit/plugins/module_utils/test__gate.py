# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate before a real HTTP server; only systemd is played."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _gate
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._gate import (
    Gate,
    GateError,
    deadline,
    server_url,
    tree_size,
)
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit, UnitState
from tests.unit.plugins.fake_engine import ChatParts, FakeEngine, Reply, Request, as_json, completion, recorded
from tests.unit.plugins.played_host import engine, port_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RUNS = UnitState("active", "running", 0, 0, "enabled", "")
FAILED = UnitState("failed", "failed", 1, 137, "enabled", "")
READY = as_json({"status": "ok"})
LOADING = recorded("llama-cpp", "loading_health_1.json")


class PlayedUnit(Unit):
    """A unit whose states come in turn, the last one for ever."""

    def __init__(self, *states: UnitState | CommandError, then: Callable[[int], None] = lambda _: None) -> None:
        super().__init__("chat")
        self.states = list(states) or [RUNS]
        self.then = then
        self.asked = 0

    def state(self) -> UnitState:
        self.asked += 1
        self.then(self.asked)
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, CommandError):
            raise state
        return state


def gate(port: int, unit: Unit | None = None, key: str | None = None, restarts: int = 0, **words: Any) -> Gate:
    asked = {
        "bind": "127.0.0.1",
        "port": port,
        "models": [],
        "readiness": "/health",
        "guarded": "/v1/models",
        "gate": [{"task": "chat", "model": "tiny"}],
        "load": {"timeout": 20},
        **words,
    }
    return Gate(asked, key, unit or PlayedUnit(), restarts)


def in_turn(*replies: Reply) -> Callable[[Request], Reply]:
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@pytest.fixture
def silent() -> Iterator[http.server.HTTPServer]:
    """A server whose port is taken, but which refuses connections until it is activated."""
    address = ("127.0.0.1", 0)
    server = http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler, bind_and_activate=False)
    server.server_bind()
    yield server
    server.server_close()


URLS = [
    ("127.0.0.1", "http://127.0.0.1:8001"),
    ("10.0.0.5", "http://10.0.0.5:8001"),
    ("0.0.0.0", "http://127.0.0.1:8001"),  # noqa: S104  asked, not bound
    ("::", "http://[::1]:8001"),
    ("::1", "http://[::1]:8001"),
    ("fd00::5", "http://[fd00::5]:8001"),
]


@pytest.mark.parametrize(("bind", "url"), URLS)
def test_asks_where_the_server_is_published(bind: str, url: str) -> None:
    assert server_url(bind, 8001) == url


# -- wait


def test_waits_while_connections_are_refused(silent: http.server.HTTPServer) -> None:
    def load(asked: int) -> None:
        if asked == 3:
            silent.server_activate()
            threading.Thread(target=silent.handle_request, daemon=True).start()

    unit = PlayedUnit(then=load)
    gate(silent.server_port, unit, readiness="/").wait()
    assert unit.asked == 3


def test_waits_while_the_engine_says_that_it_loads() -> None:
    with FakeEngine({"GET /health": in_turn(LOADING, LOADING, READY)}) as server:
        gate(port_of(server), key="k").wait()
    assert [request.path for request in server.requests] == ["/health"] * 3
    assert {request.headers["Authorization"] for request in server.requests} == {"Bearer k"}


# Each of these means that the engine ended, and that systemd may start it again.
DEAD = [
    FAILED,
    UnitState("inactive", "dead", 0, 137, "enabled", ""),
    UnitState("activating", "auto-restart", 0, 137, "enabled", ""),
    UnitState("active", "running", 1, 137, "enabled", ""),
]


@pytest.mark.parametrize("state", DEAD)
def test_ends_at_once_when_the_engine_is_dead(state: UnitState, silent: http.server.HTTPServer) -> None:
    began = time.monotonic()
    with pytest.raises(GateError) as caught:
        gate(silent.server_port, PlayedUnit(RUNS, state)).wait()
    assert time.monotonic() - began < 10
    assert caught.value.died
    assert (caught.value.check, caught.value.cause) == ("start", "the container ended with exit code 137")


@pytest.mark.parametrize(("restarts", "alive"), [(4, True), (6, True), (7, False)])
def test_a_server_as_asked_may_have_been_restarted_before(restarts: int, alive: bool) -> None:
    unit = PlayedUnit(RUNS._replace(restarts=restarts))
    with FakeEngine({"GET /health": READY}) as server:
        waiting = gate(port_of(server), unit, restarts=4)
        if alive:
            waiting.wait()
        else:
            with pytest.raises(GateError, match="the container ended"):
                waiting.wait()


# What is no "ready" yet, for some engines answer such things while they start.
NOT_YET = [LOADING, as_json({"detail": "Not Found"}, 404), as_json({}, 500), as_json({}, 401), as_json({}, 204)]


@pytest.mark.parametrize("reply", NOT_YET, ids=lambda reply: str(reply.status))
def test_gives_up_when_the_time_for_loading_is_over(reply: Reply) -> None:
    with FakeEngine({"GET /health": reply}) as server, pytest.raises(GateError) as caught:
        gate(port_of(server), load={"timeout": 0.3}).wait()
    assert not caught.value.died
    assert (caught.value.check, caught.value.cause) == ("wait", "not ready after 0 s")
    assert "load_timeout" in caught.value.remedy
    assert len(server.requests) > 1


def test_a_port_where_something_else_speaks_ends_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            connection, _address = other.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
                connection.recv(4096)

        threading.Thread(target=greet, daemon=True).start()
        port = other.getsockname()[1]
        with pytest.raises(GateError) as caught:
            gate(port).wait()
    assert (caught.value.check, caught.value.cause) == ("wait", f"http://127.0.0.1:{port}/health: not_http")
    assert caught.value.remedy == "check bind and port"


def test_a_systemd_that_does_not_answer_is_a_failure_of_the_server() -> None:
    # Whoever started the server puts the previous one back after a GateError, and after nothing else.
    unit = PlayedUnit(RUNS, CommandError("systemctl show --property took more than 60 s"))
    with FakeEngine({"GET /health": LOADING}) as server, pytest.raises(GateError) as caught:
        gate(port_of(server), unit).wait()
    assert caught.value.check == "start"
    assert "took more than 60 s" in caught.value.cause
    assert "systemctl status llmops-chat.service" in caught.value.remedy
    assert not caught.value.died


# -- run


def test_a_server_with_sensible_answers_passes() -> None:
    with engine("k") as server:
        probes = gate(port_of(server), key="k").run()
    assert [(probe["probe"], probe["ok"], probe["model"]) for probe in probes] == [("chat", True, "tiny")]
    chats = [request for request in server.requests if request.path == "/v1/chat/completions"]
    assert chats
    assert {request.headers["Authorization"] for request in chats} == {"Bearer k"}


def test_a_server_without_a_key_is_asked_without_one() -> None:
    with engine() as server:
        assert len(gate(port_of(server)).run()) == 1
    assert not any("Authorization" in request.headers for request in server.requests)


def test_a_wrong_answer_names_probe_model_cause_and_remedy() -> None:
    asked = [{"task": "chat", "model": "tiny", "expect": "Berlin"}]
    with engine() as server, pytest.raises(GateError) as caught:
        gate(port_of(server), gate=asked).run()
    failure = caught.value
    assert failure.check == "chat probe of tiny"
    assert "Berlin" in failure.cause
    assert failure.remedy
    assert not failure.died
    # Together the three are what the probe said.
    (probe,) = failure.probes
    assert f"{failure.cause}; {failure.remedy}" == probe["msg"]
    assert str(failure) == f"chat probe of tiny: {probe['msg']}"


def test_the_first_wrong_answer_is_named_and_all_are_told() -> None:
    asked = [{"task": "chat", "model": "tiny", "expect": word} for word in ("Paris", "Berlin", "Rome")]
    with engine() as server, pytest.raises(GateError) as caught:
        gate(port_of(server), gate=asked).run()
    assert "Berlin" in caught.value.cause
    assert [probe["ok"] for probe in caught.value.probes] == [True, False, False]


def test_an_engine_that_dies_of_a_question_is_dead() -> None:
    parts = ChatParts(plain=Reply(reset="start"))
    with engine(parts=parts) as server, pytest.raises(GateError) as caught:
        gate(port_of(server), PlayedUnit(FAILED)).run()
    assert caught.value.died
    assert [probe["ok"] for probe in caught.value.probes] == [False]


def test_a_server_that_answers_without_its_key_fails() -> None:
    with engine() as server, pytest.raises(GateError) as caught:
        gate(port_of(server), key="hunter2").run()
    assert caught.value.check == "key"
    assert caught.value.cause == "/v1/models answers 200 without a key"
    assert "options and environment" in caught.value.remedy
    assert [probe["ok"] for probe in caught.value.probes] == [True]
    assert "hunter2" not in str(caught.value)
    assert "Authorization" not in server.requests[-1].headers


ROUTES = [
    {"path": "/v1/chat/completions", "method": "POST", "kind": "inference"},
    {"path": "/v1/models", "method": "GET", "kind": "info"},
    {"path": "/rerank", "method": "POST", "kind": "inference", "open": True},
]


@pytest.mark.parametrize(
    ("exposed", "accepted", "closed"), [(True, [], False), (True, ["/rerank"], True), (False, [], True)]
)
def test_a_server_that_others_reach_must_refuse_strangers(exposed: bool, accepted: list[str], closed: bool) -> None:
    with engine("hunter2") as server:
        server.routes["POST /rerank"] = as_json({"results": []})
        asked = gate(port_of(server), key="hunter2", exposed=exposed, routes=ROUTES, accept_open_routes=accepted)
        if closed:
            assert [probe["ok"] for probe in asked.run()] == [True]
            return
        with pytest.raises(GateError) as caught:
            asked.run()
    assert (caught.value.check, caught.value.cause) == ("security", "POST /rerank answers 200 with no key")
    assert "accept_open_routes to [/rerank]" in caught.value.remedy


@pytest.mark.parametrize("status", [401, 403])
def test_either_refusal_shows_that_the_key_is_taken(status: int) -> None:
    def guard(request: Request) -> Reply:
        return as_json({"data": []}) if "Authorization" in request.headers else as_json({}, status)

    with engine() as server:
        server.routes["GET /v1/guarded"] = guard
        assert gate(port_of(server), key="k", guarded="/v1/guarded").run()


def test_a_wrong_key_is_a_failed_probe() -> None:
    with engine("right") as server, pytest.raises(GateError) as caught:
        gate(port_of(server), key="hunter2").run()
    assert caught.value.check.startswith("chat probe of ")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.probes)


def test_the_timeout_is_for_the_connection_and_no_option_of_a_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, float, dict[str, Any]]] = []

    def run_probe(task: str, endpoint: Any, options: dict[str, Any]) -> dict[str, Any]:
        seen.append((endpoint.base_url, endpoint.timeout, options))
        return {"probe": task, "ok": True, "model": "m", "msg": ""}

    monkeypatch.setattr(_gate, "run_probe", run_probe)
    asked = [{"task": "chat", "model": "m", "timeout": 7}, {"task": "embedding", "model": "n"}]
    gate(8001, gate=asked, bind="::").run()
    url = "http://[::1]:8001/v1"
    assert seen == [(url, 7, {"model": "m"}), (url, 120, {"model": "n"})]
    # What was asked for is kept and compared later.
    assert asked[0] == {"task": "chat", "model": "m", "timeout": 7}


def test_garbage_is_told_with_the_answer() -> None:
    with engine(parts=ChatParts(plain=as_json(completion("")))) as server, pytest.raises(GateError) as caught:
        gate(port_of(server)).run()
    assert caught.value.check == "chat probe of tiny"


# -- time


def test_counts_the_bytes_of_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/one").write_bytes(b"x" * 1000)
    (tmp_path / "a/b/two").write_bytes(b"x" * 234)
    (tmp_path / "a/.hidden").write_bytes(b"x" * 5)
    (tmp_path / "a/dangling").symlink_to("nowhere")
    assert tree_size(str(tmp_path / "a")) == 1239
    assert tree_size(str(tmp_path / "a/one")) == 1000
    assert tree_size(str(tmp_path / "none")) == 0


def test_larger_models_may_load_longer(tmp_path: Path) -> None:
    sizes = {"one": 1 << 30, "two": 3 << 29}
    for name, size in sizes.items():
        (tmp_path / name).mkdir()
        with (tmp_path / name / "model").open("wb") as file:
            file.truncate(size)  # a hole, which takes no space
    paths = [str(tmp_path / name) for name in sizes]
    assert deadline({"seconds": 120, "seconds_per_gib": 60}, paths) == 120 + 60 * 2.5
    assert deadline({"seconds": 120, "seconds_per_gib": 60}, []) == 120
    assert deadline({"seconds": 120, "seconds_per_gib": 60, "timeout": None}, []) == 120
    # The user's own word counts alone.
    assert deadline({"seconds": 120, "seconds_per_gib": 60, "timeout": 5}, paths) == 5
    assert deadline({"timeout": "7"}, paths) == 7
