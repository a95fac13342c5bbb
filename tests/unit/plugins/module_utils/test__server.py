# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The transaction, with systemd, Docker and the engine's answers played by the test."""

from __future__ import annotations

import os
import stat
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import (
    _change,
    _generations,
    _judgement,
    _prepare,
    _server,
    _unit,
)
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, Completed
from ansible_collections.llmops.serving.plugins.module_utils._gate import GateError
from ansible_collections.llmops.serving.plugins.module_utils._generations import Secrets
from ansible_collections.llmops.serving.plugins.module_utils._rollback import choose
from ansible_collections.llmops.serving.plugins.module_utils._server import Server
from ansible_collections.llmops.serving.plugins.module_utils._server_error import ServerError
from ansible_collections.llmops.serving.plugins.module_utils._unit import UnitState
from tests.unit.plugins.played_host import evidence

OWNER = (os.getuid(), os.getgid())
GOOD_PROBE = {"probe": "chat", "ok": True}


class KilledError(BaseException):
    """The process ends here, as by kill -9."""


@dataclass
class World:
    """A host: what was done to it, and how its engine answers."""

    bad_units: set[str] = field(default_factory=set)
    registry: dict[str, str] = field(default_factory=lambda: {"img:1": "img@sha256:1", "img:2": "img@sha256:2"})
    running: str = ""
    enabled: bool = False
    done: list[str] = field(default_factory=list)
    pulled: list[str] = field(default_factory=list)
    unit_file: Path = Path()
    gates: list[tuple[str, str | None]] = field(default_factory=list)
    ports: list[dict[str, t.Any]] = field(default_factory=list)
    complaint: str = ""
    # What is about to be done when the process is killed.
    killed_at: str = ""

    def kill(self, step: str) -> None:
        if step == self.killed_at:
            self.killed_at = ""
            raise KilledError

    def run(self, argv: list[str], **_: object) -> Completed:
        if argv[0] == "systemd-analyze":
            return Completed(0, "", self.complaint)
        self.done.append(" ".join(argv[:2]))
        return Completed(0, "", "")

    def restart(self) -> None:
        self.kill("restart")
        self.running, self.enabled = self.unit_file.read_text(encoding="utf-8"), True
        self.done.append("restart")

    def stop(self) -> None:
        self.kill("stop")
        self.running = ""
        self.done.append("stop")


def fake_gate(made: World) -> type:
    """A gate that judges by the words of the unit that runs."""

    class FakeGate:
        def __init__(self, asked: dict[str, t.Any], key: str | None, *_: object) -> None:
            self.asked, self.key = asked, key

        def wait(self) -> None:
            made.kill("wait")
            if "CRASH" in made.running:
                raise GateError("start", "exit code 1", "", died=True)

        def run(self) -> list[dict[str, t.Any]]:
            made.kill("gate")
            made.gates.append((made.running, self.key))
            if "HALF" in made.running:
                raise GateError("chat probe of m", "HTTP 500", "see the log", broke=True)
            if any(word in made.running for word in made.bad_units):
                raise GateError("chat probe of m", "the answer is garbage", "set another model")
            return [GOOD_PROBE]

    return FakeGate


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(unit_file=tmp_path / "units" / "llmops-chat.service")
    made.unit_file.parent.mkdir()
    monkeypatch.setattr(_generations, "STATE_DIR", tmp_path / "servers")
    monkeypatch.setattr(_unit, "UNIT_DIR", made.unit_file.parent)

    monkeypatch.setattr(_unit, "run", made.run)
    monkeypatch.setattr(_unit.Unit, "restart", lambda _: made.restart())
    monkeypatch.setattr(_unit.Unit, "stop", lambda _: made.stop())
    monkeypatch.setattr(_unit.Unit, "log", lambda *_, **__: ["E unknown model architecture: 'x'"])

    keep = _generations.Store.keep

    def killed_or_keep(*args: t.Any) -> None:
        made.kill("keep")
        keep(*args)

    monkeypatch.setattr(_generations.Store, "keep", killed_or_keep)

    def state(_: object) -> UnitState:
        on = bool(made.running)
        enabled = "enabled" if made.enabled else ""
        return UnitState("active" if on else "inactive", "running" if on else "dead", 0, 0, enabled, "")

    monkeypatch.setattr(_unit.Unit, "state", state)

    def pull(reference: str) -> str:
        made.pulled.append(reference)
        if reference not in made.registry:
            raise CommandError("manifest unknown")
        return made.registry[reference]

    monkeypatch.setattr(_server, "pull", pull)
    monkeypatch.setattr(_server, "image_digest", lambda name: name if name in made.registry.values() else None)
    monkeypatch.setattr(_judgement, "collect", lambda unit, since: evidence(unit.log(since)))
    monkeypatch.setattr(_server, "differences", lambda *_: ["something"])
    monkeypatch.setattr(_prepare, "run", made.run)
    monkeypatch.setattr(_prepare, "listening_ports", lambda _: made.ports)
    monkeypatch.setattr(_server, "remove_container", lambda name: made.done.append(f"rm {name}"))

    monkeypatch.setattr(_server, "Gate", fake_gate(made))
    return made


def server(
    tmp_path: Path,
    unit: str = "first",
    image: str = "img:1",
    key: str | None = None,
    keep_failed: bool = False,
    **words: t.Any,
) -> Server:
    models = [{"name": "m", "task": "chat", "path": str(tmp_path)}]
    asked = {
        "unit": f"{unit} @IMAGE@ @GENERATION@\n",
        "image": image,
        "models": models,
        "bind": "127.0.0.1",
        "port": 1,
        "gate": [],
        "load": {},
        "doctor": [{"pattern": "architecture: '(?P<what>.)'", "cause": "no {what}", "remedy": "other model"}],
        **words,
    }
    return Server("chat", asked, Secrets({"api-key": key} if key else {}, key, OWNER), keep_failed)


def test_a_new_server_is_created_and_judged(world: World, tmp_path: Path) -> None:
    outcome = server(tmp_path).apply()
    assert (outcome["action"], outcome["changed"], outcome["generation"]) == ("created", True, 1)
    assert outcome["image"] == "img@sha256:1"
    assert outcome["probes"] == [GOOD_PROBE]
    assert world.running == f"first img@sha256:1 {tmp_path}/servers/chat/0001\n"


def test_a_second_run_changes_nothing_and_judges_again(world: World, tmp_path: Path) -> None:
    server(tmp_path).apply()
    world.done.clear()
    outcome = server(tmp_path).apply()
    assert (outcome["action"], outcome["changed"]) == ("unchanged", False)
    assert world.done == []
    assert len(world.gates) == 2
    assert world.pulled == ["img:1"]


CHANGES: list[dict[str, t.Any]] = [{"unit": "second"}, {"image": "img:2"}, {"key": "new-key"}]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_makes_a_new_generation(world: World, tmp_path: Path, change: dict[str, t.Any]) -> None:
    server(tmp_path).apply()
    outcome = server(tmp_path, **change).apply()
    assert (outcome["action"], outcome["generation"]) == ("updated", 2)
    assert world.running.endswith("0002\n")


def test_how_it_is_judged_is_no_reason_to_restart(world: World, tmp_path: Path) -> None:
    server(tmp_path).apply()
    outcome = server(tmp_path, gate=[{"task": "chat"}], load={"seconds": 1}).apply()
    assert outcome["action"] == "unchanged"
    current = server(tmp_path).store.current()
    assert current is not None
    assert current.asked["gate"] == [{"task": "chat"}]
    assert world.done.count("restart") == 1


def test_a_unit_edited_by_hand_is_put_right(world: World, tmp_path: Path) -> None:
    server(tmp_path).apply()
    world.unit_file.write_text("edited", encoding="utf-8")
    assert server(tmp_path).apply()["action"] == "updated"
    assert world.unit_file.read_text(encoding="utf-8").startswith("first")


def test_a_server_that_is_down_is_started(world: World, tmp_path: Path) -> None:
    server(tmp_path).apply()
    world.running = ""
    outcome = server(tmp_path).apply()
    assert (outcome["action"], outcome["changed"]) == ("restarted", True)


def test_a_server_that_answers_garbage_is_started_anew_once_and_then_told(world: World, tmp_path: Path) -> None:
    server(tmp_path).apply()
    world.bad_units.add("first")
    with pytest.raises(ServerError, match="garbage"):
        server(tmp_path).apply()
    assert world.done.count("restart") == 2


def test_a_change_that_answers_garbage_gives_way_to_the_old_one(world: World, tmp_path: Path) -> None:
    server(tmp_path, key="old-key").apply()
    world.bad_units.add("second")
    with pytest.raises(ServerError) as caught:
        server(tmp_path, unit="second", key="new-key").apply()
    assert caught.value.rolled_back
    assert (caught.value.check, caught.value.cause) == ("chat probe of m", "the answer is garbage")
    assert "generation 1 serves again" in caught.value.remedy
    assert world.running.startswith("first")
    assert world.gates[-1][1] == "old-key"
    assert server(tmp_path).store.numbers() == [1]


def test_an_engine_that_dies_is_diagnosed_by_its_log(world: World, tmp_path: Path) -> None:
    server(tmp_path).apply()
    with pytest.raises(ServerError) as caught:
        server(tmp_path, unit="CRASH").apply()
    assert (caught.value.cause, caught.value.remedy.split(" (")[0]) == ("no x", "other model")
    assert world.running.startswith("first")


@pytest.mark.parametrize(
    ("log", "cause", "remedy"),
    [
        (["E unknown model architecture: 'x'"], "no x", "other model"),
        ([], "Job for llmops-chat.service failed", "read journalctl -u llmops-chat.service on the host"),
    ],
)
def test_a_unit_that_cannot_be_started_is_diagnosed_too(  # noqa: PLR0913, PLR0917  the words of a table
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: list[str], cause: str, remedy: str
) -> None:
    server(tmp_path).apply()
    restart = _unit.Unit.restart

    def fail(unit: _unit.Unit) -> None:
        if "second" in world.unit_file.read_text(encoding="utf-8"):
            raise CommandError("Job for llmops-chat.service failed")
        restart(unit)

    monkeypatch.setattr(_unit.Unit, "restart", fail)
    monkeypatch.setattr(_unit.Unit, "log", lambda *_, **__: log)
    with pytest.raises(ServerError) as caught:
        server(tmp_path, unit="second").apply()
    assert (caught.value.check, caught.value.cause) == ("start", cause)
    assert caught.value.remedy.startswith(remedy)
    assert caught.value.rolled_back


def test_an_engine_that_lives_is_given_time_for_its_last_words(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [[], ["Traceback"], ["E unknown model architecture: 'x'"]]
    monkeypatch.setattr(_unit.Unit, "log", lambda *_, **__: written.pop(0) if len(written) > 1 else written[0])
    monkeypatch.setattr(_server.time, "sleep", lambda _: None)
    with pytest.raises(ServerError, match="HTTP 500; vllm says: no x"):
        server(tmp_path, unit="HALF", engine="vllm").apply()
    assert len(written) == 1
    assert world.running == ""


def test_an_engine_that_lives_and_cannot_answer_is_diagnosed_by_its_log_too(world: World, tmp_path: Path) -> None:
    server(tmp_path).apply()
    with pytest.raises(ServerError) as caught:
        server(tmp_path, unit="HALF", engine="vllm").apply()
    assert caught.value.cause == "HTTP 500; vllm says: no x"
    assert caught.value.remedy.startswith("other model (")
    assert world.running.startswith("first")


def test_a_log_that_says_another_thing_than_health_refuses(world: World, tmp_path: Path) -> None:
    server(tmp_path).apply()
    rules = [{"pattern": "architecture", "cause": "it computes elsewhere", "remedy": "check the GPU"}]
    with pytest.raises(ServerError, match="log: it computes elsewhere; check the GPU"):
        server(tmp_path, unit="second", healthy_but=rules).apply()
    assert world.running.startswith("first")


def test_the_log_of_what_was_refused_is_not_held_against_the_one_before(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [{"pattern": "no GPU", "cause": "it computes elsewhere", "remedy": "check the GPU"}]
    server(tmp_path, healthy_but=[{**rules[0], "pattern": "never"}]).apply()
    state = _unit.Unit.state
    monkeypatch.setattr(
        _unit.Unit,
        "state",
        lambda self: state(self)._replace(invocation=world.running.split()[0] if world.running else ""),
    )

    def log(_self: object, _since: float, _lines: int = 200, invocation: str = "") -> list[str]:
        # Both wrote within the second that the journal is asked for.
        return [] if invocation == "first" else ["no GPU"]

    monkeypatch.setattr(_unit.Unit, "log", log)
    first = server(tmp_path, healthy_but=rules)
    first.apply()
    with pytest.raises(ServerError) as caught:
        server(tmp_path, unit="second", healthy_but=rules).apply()
    assert caught.value.rolled_back


def test_files_go_along_and_a_change_of_one_makes_a_new_generation(world: World, tmp_path: Path) -> None:
    server(tmp_path, files={"chat-template.jinja": "a"}).apply()
    assert (tmp_path / "servers/chat/0001/files/chat-template.jinja").read_text(encoding="utf-8") == "a"
    assert server(tmp_path, files={"chat-template.jinja": "a"}).apply()["action"] == "unchanged"
    assert server(tmp_path, files={"chat-template.jinja": "b"}).apply()["generation"] == 2
    assert world.done.count("restart") == 2


@pytest.mark.usefixtures("world")
def test_the_cache_belongs_to_the_container_and_stays(tmp_path: Path) -> None:
    cache = tmp_path / "servers/chat/cache"
    server(tmp_path, cache=str(cache)).apply()
    (cache / "compiled").write_text("x", encoding="utf-8")
    server(tmp_path, cache=str(cache), unit="second").apply()
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert (cache.stat().st_uid, cache.stat().st_gid) == OWNER
    assert (cache / "compiled").exists()
    server(tmp_path).remove()
    assert not cache.exists()


def test_when_the_old_one_fails_too_both_are_told_and_kept(world: World, tmp_path: Path) -> None:
    server(tmp_path).apply()
    world.bad_units |= {"first", "second"}
    with pytest.raises(ServerError) as caught:
        server(tmp_path, unit="second").apply()
    assert not caught.value.rolled_back
    assert "the generation before fails too" in caught.value.cause
    assert server(tmp_path).store.numbers() == [1, 2]


def test_nothing_is_left_of_a_first_attempt_that_fails(world: World, tmp_path: Path) -> None:
    world.bad_units.add("first")
    with pytest.raises(ServerError):
        server(tmp_path).apply()
    assert not world.unit_file.exists()
    assert not (tmp_path / "servers" / "chat").exists()
    assert "rm llmops-chat" in world.done


# Each of these fails before the running server is touched.
EARLY: list[tuple[dict[str, t.Any], str]] = [
    ({"image": "img:none"}, "pull: manifest unknown"),
    ({"unit": "second", "models": [{"name": "gone", "task": "chat", "path": "/no/such"}]}, "model: gone is not in"),
    ({"unit": "second", "port": 7000}, r"port: 7000 of the host is held by nc \(process 7\), on 0.0.0.0; set port"),
    (
        {"unit": "BAD"},
        "unit: systemd does not take the unit: llmops-chat.service:1: Unknown key, ignoring; correct env",
    ),
]


@pytest.mark.parametrize(("change", "words"), EARLY)
def test_what_can_fail_early_does(world: World, tmp_path: Path, change: dict[str, t.Any], words: str) -> None:
    server(tmp_path).apply()
    world.done.clear()
    world.ports = [{"port": 7000, "address": "0.0.0.0", "pid": 7, "process": "nc"}]  # noqa: S104  a row of a table
    world.complaint = "llmops-chat.service:1: Unknown key, ignoring" if change.get("unit") == "BAD" else ""
    with pytest.raises(ServerError, match=words):
        server(tmp_path, **change).apply()
    assert world.done == []
    assert world.running.startswith("first")
    assert server(tmp_path).store.numbers() == [1]


def test_a_full_disk_leaves_no_half_generation(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server(tmp_path).apply()
    write = _generations.write_atomically

    def full(path: Path, text: str, mode: int) -> None:
        if path.name == "server.json":
            raise OSError(28, "No space left on device")
        write(path, text, mode)

    monkeypatch.setattr(_generations, "write_atomically", full)
    with pytest.raises(ServerError, match=rf"generation: .*No space left on device; make room in {tmp_path}/servers"):
        server(tmp_path, unit="second").apply()
    assert server(tmp_path).store.numbers() == [1]
    assert world.running.startswith("first")


def test_a_run_cut_off_before_the_gate_is_done_again(world: World, tmp_path: Path) -> None:
    server(tmp_path).apply()
    cut = server(tmp_path, unit="second")
    cut.unit.write(cut.store.add(cut.asked, "img@sha256:1", cut.secrets).unit)
    world.restart()
    outcome = server(tmp_path, unit="second").apply()
    assert outcome["action"] == "updated"
    assert world.running.startswith("second")


STEPS = ["stop", "restart", "wait", "gate", "keep"]


@pytest.mark.parametrize("step", STEPS)
def test_what_was_killed_is_put_back_or_finished(world: World, tmp_path: Path, step: str) -> None:
    server(tmp_path, key="old-key").apply()
    first = world.unit_file.read_text(encoding="utf-8")
    for again in ("recover", "run"):
        world.killed_at = step
        with pytest.raises(KilledError):
            server(tmp_path, unit="second", key="new-key").apply()
        change = _change.pending("chat")
        assert change is not None
        assert change.before == 1
        assert not server(tmp_path, key="old-key").same(server(tmp_path).store.current()), "it must be looked at"
        if again == "recover":
            assert "generation 1 is back in place" in _change.recover("chat")
            assert world.unit_file.read_text(encoding="utf-8") == first
            assert _change.pending("chat") is None
            world.restart()
    restarts = world.done.count("restart")
    outcome = server(tmp_path, unit="second", key="new-key").apply()
    assert (outcome["action"], _change.pending("chat")) == ("updated", None)
    assert world.running.startswith("second")
    assert world.gates[-1][1] == "new-key"
    # What ran already is judged as it is; nobody waits for it to load twice.
    assert world.done.count("restart") - restarts == (0 if step in {"wait", "gate", "keep"} else 1)
    assert not list(world.unit_file.parent.glob(".*"))
    store = server(tmp_path).store
    assert [store.read(number) is not None for number in store.numbers()] == [True, True]


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_run_is_gone_back_by_another_wish(world: World, tmp_path: Path, step: str) -> None:
    server(tmp_path).apply()
    world.killed_at = step
    with pytest.raises(KilledError):
        server(tmp_path, unit="second").apply()
    assert server(tmp_path).apply()["changed"]
    assert world.running.startswith("first")
    assert _change.pending("chat") is None
    assert server(tmp_path).apply()["action"] == "unchanged"


@pytest.mark.parametrize("step", STEPS)
def test_a_first_attempt_that_was_killed_is_finished(world: World, tmp_path: Path, step: str) -> None:
    world.killed_at = step
    with pytest.raises(KilledError):
        server(tmp_path).apply()
    assert _change.recover("chat") == ""
    assert server(tmp_path).apply()["action"] == "created"
    assert server(tmp_path).apply()["action"] == "unchanged"
    assert server(tmp_path).store.numbers() == [1]


def test_a_process_killed_after_the_last_step_leaves_nothing_to_do(world: World, tmp_path: Path) -> None:
    server(tmp_path).apply()
    server(tmp_path, unit="second").apply()
    _change.begin("chat", 1, 2, "the last step")
    assert _change.recover("chat") == ""
    assert server(tmp_path, unit="second").apply()["action"] == "unchanged"
    assert world.running.startswith("second")


def test_what_was_killed_while_it_was_written_does_not_stay(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server(tmp_path).apply()
    write = _generations.write_atomically

    def killed(path: Path, text: str, mode: int) -> None:
        if path.name == "unit":
            raise KilledError
        write(path, text, mode)

    monkeypatch.setattr(_generations, "write_atomically", killed)
    with pytest.raises(KilledError):
        server(tmp_path, unit="second", key="new-key").apply()
    monkeypatch.setattr(_generations, "write_atomically", write)
    assert (tmp_path / "servers/chat/0002/secrets/api-key").exists()
    # The next run wants what serves already.
    assert server(tmp_path).apply()["action"] == "unchanged"
    assert server(tmp_path).store.numbers() == [1]
    assert world.running.startswith("first")


def test_a_full_disk_does_not_prevent_the_way_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server(tmp_path).apply()
    write = _unit.write_atomically

    def full(path: Path, text: str, mode: int) -> None:
        # From the moment on that the new unit is in place.
        if "second" in world.unit_file.read_text(encoding="utf-8"):
            raise OSError(28, "No space left on device")
        write(path, text, mode)

    for module in (_unit, _generations, _change):
        monkeypatch.setattr(module, "write_atomically", full)
    with pytest.raises(ServerError, match="No space left on device") as caught:
        server(tmp_path, unit="second").apply()
    assert caught.value.rolled_back
    assert world.running.startswith("first")
    assert _change.pending("chat") is None


def test_a_unit_that_cannot_be_written_leaves_what_serves_alone(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server(tmp_path).apply()
    world.done.clear()

    def full(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(_unit, "write_atomically", full)
    with pytest.raises(ServerError, match=r"unit: .*Read-only") as caught:
        server(tmp_path, unit="second").apply()
    assert caught.value.check == "unit"
    assert not {"stop", "restart"} & set(world.done)
    assert server(tmp_path).store.numbers() == [1]
    assert _change.pending("chat") is None


def test_a_failure_tells_how_long_the_service_was_away(world: World, tmp_path: Path) -> None:
    server(tmp_path).apply()
    world.bad_units.add("second")
    changed = server(tmp_path, unit="second")
    with pytest.raises(ServerError) as caught:
        changed.apply()
    assert 0 < changed.seconds["back"] < changed.seconds["away"]
    assert "the service was away for {:.1f} s".format(changed.seconds["away"]) in caught.value.remedy
    assert caught.value.kept_failed is None


def test_a_failed_one_is_kept_for_inspection_where_that_is_wanted(world: World, tmp_path: Path) -> None:
    server(tmp_path).apply()
    world.bad_units.add("second")
    with pytest.raises(ServerError) as caught:
        server(tmp_path, unit="second", keep_failed=True).apply()
    assert caught.value.kept_failed == 2
    store = server(tmp_path).store
    kept = store.read(2)
    assert kept is not None
    assert kept.failed is not None
    assert (kept.failed["check"], kept.failed["cause"]) == ("chat probe of m", "the answer is garbage")
    assert stat.S_IMODE((kept.directory / "log").stat().st_mode) == 0o600
    assert world.running.startswith("first")
    assert store.good() == []
    # It is no state that worked, so the next change is a new one, and it is nothing to go back to.
    world.bad_units.clear()
    assert server(tmp_path, unit="second").apply()["generation"] == 3
    for number in range(2):
        server(tmp_path, unit=f"unit{number}").apply()
    assert store.numbers() == [2, 3, 4, 5]
    assert [one.number for one in store.good()] == [3, 4]


def test_a_first_one_that_fails_is_left_for_inspection_where_that_is_wanted(world: World, tmp_path: Path) -> None:
    world.bad_units.add("first")
    with pytest.raises(ServerError, match="left as it is, as keep_failed asks") as caught:
        server(tmp_path, keep_failed=True).apply()
    assert caught.value.kept_failed == 1
    assert world.running.startswith("first")
    assert server(tmp_path).store.current() is None
    world.bad_units.clear()
    assert server(tmp_path).apply()["action"] == "created"


def test_both_causes_are_told_apart(world: World, tmp_path: Path) -> None:
    server(tmp_path).apply()
    world.bad_units |= {"first"}
    with pytest.raises(ServerError) as caught:
        server(tmp_path, unit="CRASH").apply()
    assert caught.value.second == {"check": "chat probe of m", "cause": "the answer is garbage"}
    assert caught.value.cause.startswith("no x; and the generation before fails too: chat probe of m")
    # Nothing is deleted, and a reboot brings the old one back in any case.
    assert world.unit_file.read_text(encoding="utf-8").startswith("first")
    assert server(tmp_path).store.numbers() == [1, 2]


def test_a_rollback_makes_an_earlier_generation_serve(world: World, tmp_path: Path) -> None:
    for unit in ("first", "second", "third"):
        server(tmp_path, unit=unit, key=f"{unit}-key").apply()
    outcome = server(tmp_path).rollback(choose("chat", None))
    assert (outcome["action"], outcome["changed"], outcome["generation"]) == ("rolled_back", True, 2)
    assert world.running.startswith("second")
    assert world.gates[-1][1] == "second-key"
    assert server(tmp_path).rollback(choose("chat", 1))["generation"] == 1
    assert server(tmp_path).rollback(choose("chat", 1))["action"] == "unchanged"
    assert server(tmp_path).store.numbers() == [1, 2, 3]
    # The newest that served, not the one before in number.
    assert server(tmp_path).rollback(choose("chat", None))["generation"] == 3


def test_a_rollback_that_fails_keeps_both(world: World, tmp_path: Path) -> None:
    server(tmp_path).apply()
    server(tmp_path, unit="second").apply()
    world.bad_units.add("first")
    with pytest.raises(ServerError, match="generation 2 serves again"):
        server(tmp_path).rollback(choose("chat", None))
    assert world.running.startswith("second")
    assert server(tmp_path).store.numbers() == [1, 2]


def test_only_the_last_generations_are_kept(world: World, tmp_path: Path) -> None:
    for number in range(5):
        server(tmp_path, unit=f"unit{number}").apply()
    assert server(tmp_path).store.numbers() == [3, 4, 5]
    assert world.running.startswith("unit4")


def test_secrets_are_the_owners_alone(world: World, tmp_path: Path) -> None:
    server(tmp_path, key="k").apply()
    generation = tmp_path / "servers/chat/0001"
    for path in (generation / "secrets/api-key", generation / "client-key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((generation / "secrets").stat().st_mode) == 0o700
    assert "k" not in (generation / "server.json").read_text(encoding="utf-8").split('"')
    assert world.gates[-1][1] == "k"


def test_the_diff_names_secrets_and_shows_none(world: World, tmp_path: Path) -> None:
    server(tmp_path, key="old-key").apply()
    changed = server(tmp_path, unit="second", key="new-key")
    diff = changed.diff(changed.store.current())
    assert diff["before"] == "first img@sha256:1 @GENERATION@\n"
    assert diff["after"] == "second img@sha256:1 @GENERATION@\n# secret api-key changed\n"
    assert world.running.startswith("first")


def test_remove_takes_everything_away(world: World, tmp_path: Path) -> None:
    server(tmp_path, key="k").apply()
    assert server(tmp_path).remove()
    assert not world.unit_file.exists()
    assert not (tmp_path / "servers/chat").exists()
    assert not server(tmp_path).remove()
