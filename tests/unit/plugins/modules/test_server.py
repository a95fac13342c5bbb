# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as a whole: systemd and Docker are played, the engine is a real HTTP server."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils import _transaction
from ansible_collections.llmops.serving.plugins.module_utils._lock import server_lock
from ansible_collections.llmops.serving.plugins.modules import server
from tests.unit.plugins.played_host import OWNER, PlayedHost, engine, played_host, port_of, run_main

if TYPE_CHECKING:
    from pathlib import Path

KEY, OLD_KEY = "sk-hunter2-new", "sk-hunter2-old"
UNIT = "[Service]\nExecStart=docker run @IMAGE@ @GENERATION@/secrets\n"
LOADING = "load_tensors: loading model tensors"
OOM = "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 99"
DOCTOR = [{"pattern": "failed to allocate buffer of size (?P<size>\\d+)", "cause": "no memory", "remedy": "add memory"}]


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Any]]:
    """The signals that the module sets, which must not reach the process of the tests."""
    done: list[tuple[int, Any]] = []
    monkeypatch.setattr(signal, "signal", lambda number, action: done.append((number, action)))
    return done


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals: list[tuple[int, Any]]) -> PlayedHost:
    assert signals == []
    made = played_host(tmp_path / "host", monkeypatch)
    made.images = {"img:1": "img@sha256:1", "img:2": "img@sha256:2"}
    (tmp_path / "model").mkdir()
    return made


def wanted(host: PlayedHost, port: int = 8001, key: str | None = None, **words: Any) -> dict[str, Any]:
    """The parameters of a chat server, as the role gives them."""
    return {
        "name": "chat",
        "engine": "llama_cpp",
        "unit": UNIT,
        "image": "img:1",
        "port": port,
        "models": [{"name": "tiny", "task": "chat", "path": str(host.folder.parent / "model")}],
        "secrets": {"files": {"api-key": f"{key}\n"} if key else {}, "client_key": key},
        "user": "{}:{}".format(*OWNER),
        "gate": [{"task": "chat", "model": "tiny"}],
        "load": {"timeout": 10},
        "doctor": DOCTOR,
        **words,
    }


# -- check mode


def test_check_mode_on_a_bare_host_says_all_and_writes_nothing(
    host: PlayedHost, capsys: pytest.CaptureFixture[str]
) -> None:
    status, result, text = run_main(
        server, capsys, **wanted(host, key=KEY), _ansible_check_mode=True, _ansible_diff=True
    )
    assert (status, result["action"], result["changed"]) == (0, "created", True)
    assert result["url"] == "http://127.0.0.1:8001/v1"
    assert (result["models"], result["probes"]) == (["tiny"], [])
    diff = result["diff"]
    assert diff["before"] == ""
    assert diff["after"] == UNIT.replace("@IMAGE@", "img:1") + "# secret api-key added\n"
    assert diff["after_header"] == str(host.units / "llmops-chat.service")
    assert host.files() == []
    assert host.commands == []
    assert KEY not in text


def test_check_mode_shows_no_diff_that_was_not_asked_for(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    _status, result, _text = run_main(server, capsys, **wanted(host), _ansible_check_mode=True)
    assert result["action"] == "created"
    assert "diff" not in result


@pytest.mark.parametrize("check_mode", [True, False])
def test_what_was_never_there_is_absent(host: PlayedHost, capsys: pytest.CaptureFixture[str], check_mode: bool) -> None:
    words = {"name": "chat", "state": "absent", "_ansible_check_mode": check_mode}
    status, result, _text = run_main(server, capsys, **words)
    assert (status, result["action"], result["changed"]) == (0, "unchanged", False)
    assert host.commands == []


def test_check_mode_of_a_change_shows_only_what_changes(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    with engine(OLD_KEY) as running:
        status, result, _text = run_main(server, capsys, **wanted(host, port_of(running), OLD_KEY))
        assert (status, result["action"]) == (0, "created")
        files, commands = host.files(), list(host.commands)
        words = wanted(host, port_of(running), KEY, unit=UNIT + "Restart=always\n")
        _status, result, text = run_main(server, capsys, **words, _ansible_check_mode=True, _ansible_diff=True)
    assert (result["action"], result["changed"]) == ("updated", True)
    before, after = result["diff"]["before"], result["diff"]["after"]
    assert before == UNIT.replace("@IMAGE@", "img@sha256:1")
    assert after == before + "Restart=always\n# secret api-key changed\n"
    assert host.files() == files
    looks = ("systemctl show", "docker inspect")
    assert not [line for line in host.commands[len(commands) :] if not line.startswith(looks)]
    assert "unit Restart: added, always" in result["differs"]
    assert "secret api-key: changed" in result["differs"]
    assert KEY not in text
    assert OLD_KEY not in text


def test_check_mode_of_what_is_there_tells_whether_it_runs(
    host: PlayedHost, capsys: pytest.CaptureFixture[str]
) -> None:
    with engine() as running:
        words = wanted(host, port_of(running))
        run_main(server, capsys, **words)
    _status, result, _text = run_main(server, capsys, **words, _ansible_check_mode=True, _ansible_diff=True)
    assert (result["action"], result["changed"]) == ("unchanged", False)
    assert "diff" not in result
    host.properties["ActiveState"] = "failed"
    _status, result, _text = run_main(server, capsys, **words, _ansible_check_mode=True)
    assert (result["action"], result["changed"]) == ("restarted", True)


def test_check_mode_waits_for_nobody(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    with server_lock("chat"):
        status, result, _text = run_main(server, capsys, **wanted(host), _ansible_check_mode=True)
    assert (status, result["action"]) == (0, "created")


# -- change


def test_creates_confirms_and_removes(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    with engine(KEY) as running:
        words = wanted(host, port_of(running), KEY)
        status, first, text = run_main(server, capsys, **words, _ansible_diff=True)
        assert (status, first["action"], first["changed"]) == (0, "created", True)
        assert (first["generation"], first["image"]) == (1, "img@sha256:1")
        assert [probe["ok"] for probe in first["probes"]] == [True]
        assert first["diff"]["after"].endswith("# secret api-key added\n")
        assert KEY not in text
        unit = (host.units / "llmops-chat.service").read_text(encoding="utf-8")
        assert unit == UNIT.replace("@IMAGE@", "img@sha256:1").replace(
            "@GENERATION@", str(host.state_dir / "chat/0001")
        )
        assert (host.state_dir / "chat/0001/secrets/api-key").read_text(encoding="utf-8") == f"{KEY}\n"

        host.commands.clear()
        status, second, text = run_main(server, capsys, **words, _ansible_diff=True)
        assert (status, second["action"], second["changed"]) == (0, "unchanged", False)
        assert [probe["ok"] for probe in second["probes"]] == [True]
        assert "diff" not in second
        assert not [line for line in host.commands if "restart" in line or "daemon-reload" in line]
        assert KEY not in text

    absent = {"name": "chat", "state": "absent"}
    files = host.files()
    status, seen, _text = run_main(server, capsys, **absent, _ansible_check_mode=True)
    assert (status, seen["action"], seen["changed"]) == (0, "removed", True)
    assert host.files() == files
    status, third, _text = run_main(server, capsys, **absent)
    assert (status, third["action"], third["changed"]) == (0, "removed", True)
    assert host.files() == ["lock/llmops-chat.lock"]
    status, fourth, _text = run_main(server, capsys, **absent)
    assert (status, fourth["action"], fourth["changed"]) == (0, "unchanged", False)
    # What the documentation says of every result is in every result.
    always = {word for word, value in yaml.safe_load(server.RETURN).items() if value["returned"] == "always"}
    for result in (first, second, seen, third, fourth):
        assert always <= set(result)


def test_a_change_that_fails_gives_way_and_tells_why(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    with engine(OLD_KEY) as old:
        run_main(server, capsys, **wanted(host, port_of(old), OLD_KEY))
        unit = (host.units / "llmops-chat.service").read_text(encoding="utf-8")
        # The new server answers, but to everybody.
        with engine() as new:
            host.journal = f"{LOADING}\nthe key is {KEY}\n"
            words = wanted(host, port_of(new), KEY, unit=UNIT + "Restart=always\n")
            status, result, text = run_main(server, capsys, **words, _ansible_diff=True)
    assert status == 1
    assert (result["failed"], result["action"], result["rolled_back"]) == (True, "rolled_back", True)
    assert result["failed_check"] == "key"
    assert result["cause"] == "/v1/models answers 200 without a key"
    assert "generation 1 serves again" in result["remedy"]
    assert result["msg"].startswith("key: /v1/models answers 200 without a key")
    assert result["log"][0] == LOADING
    assert [probe["ok"] for probe in result["probes"]] == [True]
    assert result["seconds"]["away"] > 0
    assert (host.units / "llmops-chat.service").read_text(encoding="utf-8") == unit
    assert KEY not in text
    assert OLD_KEY not in text
    documented = {word for word, value in yaml.safe_load(server.RETURN).items() if value["returned"] != "always"}
    assert {"failed_check", "cause", "remedy", "log", "rolled_back"} <= documented & set(result)


def test_a_first_attempt_that_dies_is_diagnosed_and_leaves_nothing(
    host: PlayedHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host.journal = f"{LOADING}\n{OOM}\n"
    play = host.run

    def run(argv: list[str], **options: Any) -> Any:
        done = play(argv, **options)
        if argv[:2] == ["systemctl", "restart"]:
            host.properties |= {"ActiveState": "failed", "ExecMainStatus": "1"}
        return done

    monkeypatch.setattr("ansible_collections.llmops.serving.plugins.module_utils._unit.run", run)
    status, result, _text = run_main(server, capsys, **wanted(host))
    assert (status, result["action"], result["rolled_back"]) == (1, "failed", False)
    assert (result["failed_check"], result["cause"]) == ("start", "no memory")
    assert result["remedy"].startswith("add memory")
    assert result["log"] == [LOADING, OOM]
    assert host.files() == ["lock/llmops-chat.lock"]


def test_a_systemd_that_falls_silent_does_not_stop_the_way_back(
    host: PlayedHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine() as running:
        run_main(server, capsys, **wanted(host, port_of(running)))
        unit = (host.units / "llmops-chat.service").read_text(encoding="utf-8")
        play = host.run

        def run(argv: list[str], **options: Any) -> Any:
            # Of the new generation alone it says nothing; its journal cannot be read either.
            new = "Restart" in (host.units / "llmops-chat.service").read_text(encoding="utf-8")
            host.broken = {"systemctl show": "no answer", "journalctl": "no answer"} if new else {}
            return play(argv, **options)

        monkeypatch.setattr("ansible_collections.llmops.serving.plugins.module_utils._unit.run", run)
        words = wanted(host, port_of(running), unit=UNIT + "Restart=always\n")
        status, result, _text = run_main(server, capsys, **words)
    assert (status, result["action"], result["rolled_back"]) == (1, "rolled_back", True)
    assert "systemctl show: no answer" in result["cause"]
    assert (host.units / "llmops-chat.service").read_text(encoding="utf-8") == unit


def test_an_image_that_is_not_to_be_had_touches_nothing(host: PlayedHost, capsys: pytest.CaptureFixture[str]) -> None:
    status, result, text = run_main(server, capsys, **wanted(host, key=KEY, image="img:none"))
    assert (status, result["action"], result["rolled_back"]) == (1, "failed", False)
    assert result["failed_check"] == "pull"
    assert "manifest unknown" in result["cause"]
    assert "serving_registries" in result["remedy"]
    assert (result["log"], result["probes"]) == ([], [])
    assert not [line for line in host.commands if line.startswith("systemctl")]
    assert KEY not in text


def test_another_change_under_way_is_told(
    host: PlayedHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(name: str, wait: bool = True, what: str = "") -> Any:
        return server_lock(name, wait, patience=0, what=what)

    monkeypatch.setattr(_transaction, "server_lock", impatient)
    with server_lock("chat"):
        status, result, _text = run_main(server, capsys, **wanted(host))
    assert (status, result["action"], result["rolled_back"]) == (1, "failed", False)
    assert result["msg"].startswith("lock: process ")
    assert "is changing server chat on this host since 2" in result["msg"]
    assert result["msg"].endswith("; wait for it, and run again")
    assert host.commands == []


def test_a_disk_without_room_is_told(
    host: PlayedHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ansible_collections.llmops.serving.plugins.module_utils._generations.write_atomically", full)
    status, result, text = run_main(server, capsys, **wanted(host, key=KEY))
    assert (status, result["action"]) == (1, "failed")
    assert result["failed_check"] == "generation"
    assert result["cause"] == "it cannot be written: [Errno 28] No space left on device"
    assert f"make room in {host.state_dir}" in result["remedy"]
    assert host.files() == ["lock/llmops-chat.lock"]
    assert KEY not in text


def test_a_lost_connection_does_not_end_a_change(
    host: PlayedHost, capsys: pytest.CaptureFixture[str], signals: list[tuple[int, Any]]
) -> None:
    run_main(server, capsys, **wanted(host, image="img:none"))
    assert signals == [(signal.SIGHUP, signal.SIG_IGN), (signal.SIGINT, signal.SIG_IGN)]


# -- words


@pytest.mark.parametrize("word", ["unit", "image", "port"])
def test_a_server_that_is_to_be_present_needs_words(
    host: PlayedHost, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    words = {name: value for name, value in wanted(host).items() if name != word}
    status, result, _text = run_main(server, capsys, **words)
    assert status == 1
    assert result["msg"] == f"state is present but all of the following are missing: {word}"


def test_documentation_and_arguments_agree() -> None:
    def compare(documented: dict[str, Any], arguments: dict[str, Any]) -> None:
        assert sorted(documented) == sorted(arguments)
        for name, option in arguments.items():
            for key in ("type", "default", "required", "choices", "elements"):
                assert documented[name].get(key) == option.get(key), (name, key)
            compare(documented[name].get("suboptions", {}), option.get("options", {}))

    compare(yaml.safe_load(server.DOCUMENTATION)["options"], server.ARGUMENTS)


def test_examples_use_options_that_there_are() -> None:
    for task in yaml.safe_load(server.EXAMPLES):
        assert set(task["llmops.serving.server"]) <= set(server.ARGUMENTS)
