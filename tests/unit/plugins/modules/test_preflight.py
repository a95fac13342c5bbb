# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module joins the answers of the parts; what each part says is tested with it."""

from __future__ import annotations

import copy
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils import _look, _preflight
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.module_utils._registry import ImageAnswer
from ansible_collections.llmops.serving.plugins.modules import host_info, preflight
from tests.unit.plugins.fake_hub import FakeHub, fake_hub, gguf
from tests.unit.plugins.played_host import PlayedHost, played_host, run_main
from tests.unit.plugins.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
REVISION = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_hunter2"  # noqa: S105  a canary, not a secret
FACTS: dict[str, Any] = {
    "hostname": "box",
    "distribution": {"id": "debian", "version": "12", "supported": True},
    "systemd": {"running": True, "version": 252},
    "docker": {"installed": True, "root_dir": "/var/lib/docker"},
    "ports": [],
    "gpus": [],
    "memory": {"total": 1 << 34, "available": 1 << 33},
    "held": {},
}
SERVER = {"name": "chat", "port": 8001, "image": "ghcr.io/a/b:1"}
MODELS = {"tiny": {"repo": "lab/tiny", "revision": REVISION, "file": "tiny.gguf"}}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub(tmp_path / "hub") as running:
        running.add_file("lab/tiny", REVISION, "tiny.gguf", gguf())
        yield running


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The host's facts, for a test to change; both disks are one."""
    made = copy.deepcopy(FACTS)

    def host_facts(model_dir: str) -> dict[str, Any]:
        space = {"mount": "/", "free": made.get("free", 10**9), "total": 10**10, "measured": "/"}
        return {**made, "disk": {made["docker"]["root_dir"]: space, model_dir: space}}

    monkeypatch.setattr(_look, "host_facts", host_facts)
    return made


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    monkeypatch.setattr(_preflight, "check_image", lambda image, **_words: ImageAnswer(ok=True, size=MIB, digest=image))
    return played_host(tmp_path / "host", monkeypatch)


def ask(capsys: pytest.CaptureFixture[str], hub: FakeHub, folder: Path, **words: Any) -> tuple[dict[str, Any], str]:
    """Run the module with one server and one model, which never fails because of what it finds."""
    asked = {
        "servers": [SERVER],
        "models": MODELS,
        "model_dir": str(folder / "models"),
        "hub_url": hub.url,
        "token": TOKEN,
        **words,
    }
    status, result, text = run_main(preflight, capsys, **asked)
    assert (status, result["changed"]) == (0, False)
    return result, text


def test_a_host_without_problems(
    host: PlayedHost, facts: dict[str, Any], hub: FakeHub, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    result, text = ask(capsys, hub, tmp_path)
    assert result["problems"] == []
    assert (result["variants"], result["fits"]) == ({}, [])
    assert result["host"]["hostname"] == facts["hostname"]
    assert TOKEN not in text
    assert host.files() == []
    assert not (tmp_path / "models").exists()


def test_a_server_that_left_the_inventory_is_told_and_holds_its_port_unless_it_goes(
    host: PlayedHost, facts: dict[str, Any], hub: FakeHub, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    host.have("old", port=8001)
    facts["ports"] = [{"port": 8001, "address": "127.0.0.1", "process": "docker-proxy", "pid": 1}]
    stays, _text = ask(capsys, hub, tmp_path, extra=True)
    assert stays["extra"] == ["old"]
    for said in (stays["notices"], stays["problems"]):
        assert [("serving_prune: true" in line, "old" in line) for line in said] == [(True, True)]
    goes, _text = ask(capsys, hub, tmp_path, extra=True, prune=True)
    assert (goes["extra"], goes["notices"], goes["problems"]) == (["old"], [], [])


def test_nobody_looks_for_others_unless_asked(
    host: PlayedHost, facts: dict[str, Any], hub: FakeHub, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    host.have("old")
    assert facts["ports"] == []
    result, _text = ask(capsys, hub, tmp_path)
    assert (result["extra"], result["notices"]) == ([], [])


NEEDS = [(r"\.gguf$", []), (r"\.onnx$", ["tiny has no ONNX"])]


@pytest.mark.usefixtures("host", "facts")
@pytest.mark.parametrize(("files", "problems"), NEEDS)
def test_a_model_must_have_the_files_that_its_engine_loads(
    hub: FakeHub, capsys: pytest.CaptureFixture[str], tmp_path: Path, files: str, problems: list[str]
) -> None:
    needs = [{"model": "tiny", "files": files, "problem": "tiny has no ONNX"}]
    assert ask(capsys, hub, tmp_path, needs=needs)[0]["problems"] == problems


@pytest.mark.usefixtures("host", "facts")
def test_notices_are_warnings(
    hub: FakeHub, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(preflight.AnsibleModule, "warn", lambda _, text: told.append(text))
    ask(capsys, hub, tmp_path, notices=["TGI is in maintenance mode"])
    assert told == ["TGI is in maintenance mode"]


@pytest.mark.usefixtures("host")
def test_everything_is_told_at_once(
    facts: dict[str, Any],
    hub: FakeHub,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    facts["systemd"]["running"] = False
    facts["ports"] = [{"port": 8001, "address": "0.0.0.0", "pid": 7, "process": "nginx"}]  # noqa: S104  compared
    facts["free"] = 0

    def check_image(image: str, **_words: Any) -> ImageAnswer:
        gone = ImageAnswer(ok=False, problem=f"image: {image}: there is no such tag; correct image")
        return gone if "gone" in image else ImageAnswer(ok=True, size=MIB)

    monkeypatch.setattr(_preflight, "check_image", check_image)
    servers = [SERVER, {"name": "embed", "port": 8005, "image": "ghcr.io/a/gone:1"}]
    models = {**MODELS, "missing": {"repo": "lab/none", "revision": REVISION, "file": "x.gguf"}}
    result, text = ask(capsys, hub, tmp_path, servers=servers, models=models)
    problems = result["problems"]
    beginnings = [
        "host box: systemd does not run there",
        "serving_servers['chat'].port: 8001 is held by nginx",
        "serving_models['missing']",
        "serving_servers['embed'].image: ghcr.io/a/gone:1",
        "disk: / needs 3 MiB",
    ]
    assert len(problems) == len(beginnings), problems
    for problem, beginning in zip(problems, beginnings, strict=True):
        assert problem.startswith(beginning)
    # The image and the model share a file system, and are named both.
    assert "the image ghcr.io/a/b:1 3 MiB, tiny " in problems[-1]
    assert TOKEN not in text


@pytest.mark.usefixtures("host", "facts")
def test_models_that_cannot_be_planned_do_not_hide_the_rest(
    hub: FakeHub, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ModelError("serving_model_dir", "is no folder; choose another")

    monkeypatch.setattr(_look, "plan_models", refuse)
    monkeypatch.setattr(_preflight, "check_image", lambda _, **_words: ImageAnswer(ok=False, problem="image: x: gone"))
    result, _text = ask(capsys, hub, tmp_path)
    assert result["problems"] == [
        "serving_model_dir: is no folder; choose another",
        "serving_servers['chat'].image: x: gone",
    ]


@pytest.mark.usefixtures("host", "facts")
def test_one_cause_for_all_models_is_one_problem(
    hub: FakeHub, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    models = {**MODELS, "second": {"repo": "lab/second", "revision": REVISION, "file": "x.gguf"}}
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # a port that nobody else takes, and where nobody listens
        hub_url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        result, _text = ask(capsys, hub, tmp_path, models=models, hub_url=hub_url)
    assert len(result["problems"]) == 1, result["problems"]
    assert "serving_hub_url" in result["problems"][0]


def test_it_looks_at_a_real_host_and_asks_nobody_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # In a process of its own, as Ansible runs it, without any program in reach.
    monkeypatch.setenv("PATH", str(tmp_path))
    status, result = run_module("preflight", model_dir=str(tmp_path / "models"), _ansible_check_mode=True)
    assert (status, result["changed"]) == (0, False)
    # This machine may lack systemd or Docker, but it has no servers and no models to have problems with.
    assert all(problem.startswith("host ") for problem in result["problems"])
    documented = yaml.safe_load(host_info.RETURN)["host"]["contains"]
    assert set(result["host"]) == set(documented)
    assert str(tmp_path / "models") in result["host"]["disk"]


def test_documentation_and_arguments_agree() -> None:
    def compare(documented: dict[str, Any], arguments: dict[str, Any]) -> None:
        assert sorted(documented) == sorted(arguments)
        for name, option in arguments.items():
            for key in ("type", "default", "required", "choices", "elements"):
                assert documented[name].get(key) == option.get(key), (name, key)
            compare(documented[name].get("suboptions", {}), option.get("options", {}))

    compare(yaml.safe_load(preflight.DOCUMENTATION)["options"], preflight.ARGUMENTS)


def test_examples_use_options_that_there_are() -> None:
    for task in yaml.safe_load(preflight.EXAMPLES):
        assert set(task["llmops.serving.preflight"]) <= set(preflight.ARGUMENTS)


def test_registries_are_asked_with_the_authority_of_the_site(
    hub: FakeHub, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []

    def check_image(_image: str, *, ca_path: str | None, **_words: Any) -> ImageAnswer:
        seen.append(Path(ca_path).read_text(encoding="ascii") if ca_path else None)
        return ImageAnswer(ok=True, size=1)

    monkeypatch.setattr(_preflight, "check_image", check_image)
    for ca in ("the authority", ""):
        ask(capsys, hub, tmp_path, models={}, ca=ca)
    assert seen == ["the authority", None]
