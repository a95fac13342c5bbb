# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`llmops lab` around a lab that only notes what it is asked for."""

from __future__ import annotations

import inspect
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llmops_serving import cli, lab, lab_cli
from llmops_serving.lab.errors import LabError
from llmops_serving.lab_cli import curl_lines, read_hostvars
from llmops_serving.results import HostResult, Probe, RunResult, Server

USUAL = ("llama_cpp", "infinity")
KEY = "sk-very-secret"


def served(bind_port: int = 8001, *, ok: bool = True) -> RunResult:
    probe = Probe("chat", ok=ok, model="tiny-chat", sample="Paris")
    chat = Server("chat", "lab1", ok=ok, url="http://127.0.0.1:8001/v1", probes=(probe,), data={"port": bind_port})
    embed = Server("embed", "lab1", ok=True, probes=(Probe("embedding", ok=True),), data={"port": 8005})
    return RunResult("apply", ok=ok, hosts=(HostResult("lab1", ok=ok, servers=(chat, embed)),))


class FakeLab:
    calls: list[tuple[str, Any]] = []  # noqa: RUF012 - one lab for the whole test

    def up(self, **options: Any) -> None:
        options.pop("progress")("hub", "done in 1.0 s")
        self.calls.append(("up", options))

    def down(self, *, keep_cache: bool, progress: Any) -> None:
        progress("down", "gone")
        self.calls.append(("down", keep_cache))

    def shell(self, name: str, command: list[str]) -> int:
        self.calls.append(("shell", (name, command)))
        return 7

    def create_host(self, name: str, suite: str, progress: Any, engines: tuple[str, ...]) -> None:
        progress(name, f"no room for {suite} with {', '.join(engines)}")
        msg = f"no room for {name}: free 3 GiB"
        raise LabError(msg)

    def destroy_host(self, name: str) -> None:
        self.calls.append(("destroy", name))

    def status(self) -> lab.LabStatus:
        facts = lab.HostFacts("bookworm", 2201, {8001: 18001})
        return lab.LabStatus(
            Path("/lab"), True, {"lab1": "running", "hub": "running"}, lab.LabState(hosts={"lab1": facts})
        )


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    FakeLab.calls = []
    monkeypatch.setattr(lab, "Lab", FakeLab, raising=False)
    return FakeLab.calls


@pytest.mark.parametrize(
    ("words", "code", "call"),
    [
        (["down"], 0, ("down", False)),
        (["down", "--keep-cache"], 0, ("down", True)),
        (["shell"], 7, ("shell", ("lab1", []))),
        (["shell", "lab2", "--", "ls", "-l"], 7, ("shell", ("lab2", ["ls", "-l"]))),
        (["host", "destroy", "lab2"], 0, ("destroy", "lab2")),
        (["up", "--no-apply"], 0, ("up", {"hosts": 1, "suite": "bookworm", "engines": USUAL})),
        (
            ["up", "--no-apply", "--hosts", "2", "--suite", "trixie", "--engines", "vllm,sglang"],
            0,
            ("up", {"hosts": 2, "suite": "trixie", "engines": ("vllm", "sglang")}),
        ),
    ],
)
def test_words_become_calls(calls: list[tuple[str, Any]], words: list[str], code: int, call: tuple[str, Any]) -> None:
    assert cli.main(["lab", *words]) == code
    assert calls == [call]


@pytest.mark.usefixtures("calls")
def test_what_the_lab_cannot_do_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lab", "host", "create", "lab9", "--suite", "trixie", "--engines", "vllm"]) == 1
    assert capsys.readouterr().err == "lab9  no room for trixie with vllm\nllmops: no room for lab9: free 3 GiB\n"


@pytest.mark.parametrize("words", [["up"], ["host", "create", "lab9"]], ids=["up", "create"])
def test_an_unknown_engine_is_one_line_and_nothing_is_begun(
    calls: list[tuple[str, Any]], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["lab", *words, "--engines", "gpt"]) == 1
    assert capsys.readouterr().err.startswith("llmops: the lab has no engine 'gpt': take some of llama_cpp, ")
    assert calls == []


@pytest.mark.usefixtures("calls")
def test_status_says_what_runs_and_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lab", "status"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "folder   /lab",
        "docker   answers",
        "hub      running",
        "lab1     running: port 18001 is its 8001; llama_cpp, infinity",
    ]


def test_the_lab_takes_what_the_command_hands_it() -> None:
    """The made-up lab above is worth nothing if the real one takes other words."""
    signature = inspect.signature
    signature(lab.Lab.up).bind(None, hosts=1, suite="bookworm", progress=print, engines=("vllm",))
    signature(lab.Lab.down).bind(None, keep_cache=True, progress=print)
    signature(lab.Lab.shell).bind(None, "lab1", ["ls"])
    signature(lab.Lab.create_host).bind(None, "lab2", suite="trixie", progress=print, engines=("vllm",))
    signature(lab.Lab.destroy_host).bind(None, "lab2")
    signature(lab.Lab.status).bind(None)


def test_up_applies_the_inventory_and_ends_with_a_curl_that_shows_no_key(
    calls: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hostvars = {"lab1": {"lab_published_ports": {"8001": 18001}, "lab_api_key_file": "/key"}}
    monkeypatch.setattr(cli.Site, "apply", lambda _self, **_options: served())
    monkeypatch.setattr(lab_cli, "read_hostvars", lambda _inventory: hostvars)

    assert cli.main(["lab", "up"]) == 0
    out, err = capsys.readouterr()
    assert calls[0][0] == "up"
    assert "hub  done in 1.0 s" in err
    assert "done: 1 host, 2 servers" in out
    assert out.rstrip().splitlines()[-1].startswith("curl -sS http://127.0.0.1:18001/v1/chat/completions")


def test_the_key_reaches_curl_by_the_shell_alone(tmp_path: Path) -> None:
    key = tmp_path / "a key"
    key.write_text(KEY + "\n")
    hostvars = {"lab1": {"lab_published_ports": {8001: 18001, 8005: 18005}, "lab_api_key_file": str(key)}}
    (line,) = curl_lines(served(), hostvars)

    assert KEY not in line
    # The shell's own reading of the line is what counts.
    seen = subprocess.run(  # noqa: S603 - the line under test
        ["sh", "-c", f"curl() {{ printf '%s\\n' \"$@\"; }}; {line}"],  # noqa: S607 - any sh will do
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert f"Authorization: Bearer {KEY}" in seen
    assert json.loads(seen[-1])["model"] == "tiny-chat"


@pytest.mark.parametrize(
    ("result", "hostvars"),
    [
        (served(ok=False), {"lab1": {"lab_published_ports": {8001: 18001}}}),
        (served(), {"lab1": {"lab_published_ports": {8005: 18005}}}),
        (served(), {}),
    ],
)
def test_no_curl_for_what_cannot_be_reached_or_does_not_chat(result: RunResult, hostvars: dict[str, Any]) -> None:
    assert not list(curl_lines(result, hostvars))


def test_a_server_without_a_key_is_asked_without_one() -> None:
    (line,) = curl_lines(served(), {"lab1": {"lab_published_ports": {8001: 1}}})

    assert "Authorization" not in line


def test_hostvars_come_from_ansible(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("serving: {hosts: {lab1: {lab_published_ports: {8001: 18001}}}}\n")

    assert read_hostvars(inventory)["lab1"]["lab_published_ports"] == {"8001": 18001}
