# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as a whole: systemd and Docker are played, the engine is a real HTTP server."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.llmops.serving.plugins.module_utils import _lock
from ansible_collections.llmops.serving.plugins.modules import server_rollback
from tests.unit.plugins.fake_engine import ChatParts, as_json, completion
from tests.unit.plugins.played_host import PlayedHost, engine, played_host, port_of, run_main

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._generations import Store

KEY, OLD_KEY = "sk-hunter2-new", "sk-hunter2-old"
UNIT = "[Service]\nExecStart=docker run --publish 1 @IMAGE@ --ctx-size {}\n# @GENERATION@\n"


@pytest.fixture(autouse=True)
def signals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Any]]:
    """The signals that the module sets, which must not reach the process of the tests."""
    done: list[tuple[int, Any]] = []
    monkeypatch.setattr(signal, "signal", lambda number, action: done.append((number, action)))
    return done


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    made = played_host(tmp_path, monkeypatch)
    made.images, made.pulled = {"img:1": "img@sha256:1"}, {"img:1"}
    return made


def have(host: PlayedHost, size: int, port: int = 8001, key: str | None = None, **words: Any) -> Store:
    """A generation that served, the last one of them in place."""
    folder = host.folder / "models/tiny/aaa"
    folder.mkdir(parents=True, exist_ok=True)
    asked = {
        "engine": "llama_cpp",
        "unit": UNIT.format(size),
        "models": [{"name": "tiny", "task": "chat", "path": str(folder)}],
        "gate": [{"task": "chat", "model": "tiny"}],
        "readiness": "/health",
        "load": {"timeout": 10},
        "port": port,
        **words,
    }
    store = host.have("chat", key, **asked)
    current = store.current()
    assert current
    (host.units / "llmops-chat.service").write_text(current.unit)
    host.properties = {"ActiveState": "active", "SubState": "running", "UnitFileState": "enabled"}
    return store


def unit(host: PlayedHost) -> str:
    return (host.units / "llmops-chat.service").read_text()


def test_back_to_what_served_before(
    host: PlayedHost,
    capsys: pytest.CaptureFixture[str],
    signals: list[tuple[int, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A process that has loaded parts of the controller warns elsewhere than in the result.
    warned: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _self, text, *_, **__: warned.append(text))
    with engine(OLD_KEY) as running:
        store = have(host, 1024, port_of(running), OLD_KEY)
        have(host, 512, port_of(running), KEY)
        status, result, text = run_main(server_rollback, capsys, name="chat")
    assert (status, result["action"], result["changed"]) == (0, "rolled_back", True)
    assert (result["generation"], result["from_generation"]) == (1, 2)
    assert result["changes"] == [
        "option --ctx-size: 1024, was 512",
        "secret api-key: changed",
        "secret client-key: changed",
    ]
    # Judged with the key of that time.
    assert [probe["ok"] for probe in result["probes"]] == [True]
    assert KEY not in text
    assert OLD_KEY not in text
    current = store.current()
    assert current
    assert (current.number, unit(host)) == (1, current.unit)
    assert "--ctx-size 1024" in unit(host)
    assert "inventory stays as it is" in str(warned)
    assert result["engine"] == "llama_cpp"
    assert signals == [(signal.SIGHUP, signal.SIG_IGN), (signal.SIGINT, signal.SIG_IGN)]


def test_there_and_back_by_number(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    with engine() as running:
        for size in (1, 2, 3):
            store = have(host, size, port_of(running))
        for number in (1, 3):
            status, result, _text = run_main(server_rollback, capsys, name="chat", generation=number)
            assert (status, result["generation"]) == (0, number)
    current = store.current()
    assert current
    assert current.number == 3
    assert store.numbers() == [1, 2, 3]


def test_check_mode_says_all_and_touches_nothing(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    have(host, 1024)
    have(host, 512)
    files, before = host.files(), unit(host)
    status, result, _text = run_main(server_rollback, capsys, name="chat", _ansible_check_mode=True, _ansible_diff=True)
    assert (status, result["action"], result["changed"], result["generation"]) == (0, "rolled_back", True, 1)
    assert "--ctx-size 512" in result["diff"]["before"]
    assert "--ctx-size 1024" in result["diff"]["after"]
    assert (host.files(), unit(host)) == (files, before)
    assert not [line for line in host.commands if not line.startswith(("systemctl show", "docker image inspect"))]


def test_the_one_that_serves_is_judged_and_left_alone(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    with engine() as running:
        have(host, 1, port_of(running))
        have(host, 2, port_of(running))
        status, result, _text = run_main(server_rollback, capsys, name="chat", generation=2)
        assert (status, result["action"], result["changed"], result["changes"]) == (0, "unchanged", False, [])
        status, result, _text = run_main(server_rollback, capsys, name="chat", generation=2, _ansible_check_mode=True)
        assert (status, result["action"], result["changed"]) == (0, "unchanged", False)
    assert not [line for line in host.commands if line.startswith("systemctl restart")]


def test_one_that_does_not_answer_gives_way_again(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    with engine(parts=ChatParts(plain=as_json(completion("")))) as bad, engine() as good:
        store = have(host, 1, port_of(bad))
        have(host, 2, port_of(good))
        status, result, _text = run_main(server_rollback, capsys, name="chat")
    assert (status, result["action"], result["rolled_back"]) == (1, "rolled_back", True)
    assert (result["failed_check"], result["second"], result["kept_failed"]) == ("chat probe of tiny", None, None)
    assert result["away_s"] > 0
    current = store.current()
    assert current
    assert (current.number, store.numbers()) == (2, [1, 2])
    assert "--ctx-size 2" in unit(host)
    documented = yaml.safe_load(server_rollback.RETURN)
    assert set(result) - set(documented) <= {"changed", "failed", "invocation", "msg", "warnings"}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"name": "nix"}, "no server nix on this host; name one that there is: chat"),
        ({"name": "chat"}, "there is nothing to go back to: generation 1 is the only good one"),
        ({"name": "chat", "generation": 7}, "generation 7 is not kept; these can be gone back to: none"),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_what_there_is_not_is_refused_in_any_mode(
    host: PlayedHost, capsys: pytest.CaptureFixture[str], parameters: dict[str, Any], said: str, check: bool
) -> None:
    have(host, 1)
    before = unit(host)
    status, result, _text = run_main(server_rollback, capsys, **parameters, _ansible_check_mode=check)
    assert (status, result["action"], result["failed_check"]) == (1, "failed", "generation")
    assert said in result["msg"]
    assert (result["name"], unit(host)) == (parameters["name"], before)


def test_a_second_run_says_who_is_at_work(
    host: PlayedHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    have(host, 1)
    have(host, 2)
    real = _lock.server_lock
    monkeypatch.setattr(_lock, "_acquire", lambda *_: (_ for _ in ()).throw(_lock.LockError("process 7 is at it")))
    assert real is _lock.server_lock
    status, result, _text = run_main(server_rollback, capsys, name="chat")
    assert (status, result["failed_check"], result["cause"]) == (1, "lock", "process 7 is at it")


def test_every_word_of_a_success_is_documented(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    with engine() as running:
        have(host, 1, port_of(running))
        have(host, 2, port_of(running))
        _status, result, _text = run_main(server_rollback, capsys, name="chat", _ansible_diff=True)
    documented = yaml.safe_load(server_rollback.RETURN)
    assert set(result) - set(documented) <= {"changed", "diff", "invocation", "warnings"}


def test_options_are_those_of_the_documentation() -> None:
    options = yaml.safe_load(server_rollback.DOCUMENTATION)["options"]
    said = {name: (one["type"], one.get("required", False)) for name, one in options.items()}
    done = {name: (one["type"], one.get("required", False)) for name, one in server_rollback.ARGUMENTS.items()}
    assert said == done
    for task in yaml.safe_load(server_rollback.EXAMPLES):
        assert set(task["llmops.serving.server_rollback"]) <= set(options)
