# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's function: parameters in, result out."""

from __future__ import annotations

import os
import shutil
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_references, _model_run
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, MissingError
from ansible_collections.llmops.serving.plugins.module_utils._model_run import ARGUMENTS, run
from ansible_collections.llmops.serving.plugins.plugin_utils._certificate import certificate_for
from tests.unit.plugins.fake_hub import FakeHub, fake_hub, gguf, safetensors, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GIT = shutil.which("git")
REV = "0123456789abcdef0123456789abcdef01234567"
KEY = REV[:12]
DATA = gguf(1000)
FILE = {"repo": "a/b", "revision": REV, "file": "x.gguf"}


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub(tmp_path / "hub") as running:
        running.add_file("a/b", REV, "x.gguf", DATA)
        yield running


class Host:
    def __init__(self, fake: FakeHub, root: Path) -> None:
        self.fake = fake
        self.root = root

    def run(self, check_mode: bool = False, git: str | None = None, **params: Any) -> dict[str, Any]:
        defaults = {name: option.get("default") for name, option in ARGUMENTS.items()}
        return run({**defaults, "path": str(self.root), "hub_url": self.fake.url, **params}, check_mode, git)


@pytest.fixture
def host(fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    docker_says(monkeypatch, MissingError("docker is not installed"))
    return Host(fake, tmp_path / "store")


def docker_says(monkeypatch: pytest.MonkeyPatch, error: CommandError) -> None:
    def run(_argv: list[str], **_how: object) -> None:
        raise error

    monkeypatch.setattr(_model_references, "run", run)


def test_present(host: Host) -> None:
    result = host.run(models={"x": FILE})
    assert result["changed"]
    assert "msg" not in result
    assert result["diff"]["before"] == ""
    assert result["diff"]["after"] == f"x {REV} {len(DATA)} bytes\n"
    found = result["models"]["x"]
    assert found.pop("seconds") > 0
    assert found == {
        "path": str(host.root / "x" / KEY),
        "key": KEY,
        "changed": True,
        "bytes": len(DATA),
        "files": ["x.gguf"],
        "source": f"{host.fake.url}/a/b",
        "revision": REV,
        "fetched_bytes": len(DATA),
        "damaged": [],
    }
    again = host.run(models={"x": FILE})
    assert (again["changed"], again["models"]["x"]["changed"]) == (False, False)
    assert again["diff"]["before"] == again["diff"]["after"]


def test_check_mode_says_what_the_run_does(host: Host) -> None:
    planned = host.run(models={"x": FILE}, check_mode=True)
    assert not host.root.exists()
    done = host.run(models={"x": FILE})
    assert planned["changed"] == done["changed"]
    assert planned["diff"] == done["diff"]
    assert {k: planned["models"]["x"][k] for k in ("path", "key", "bytes", "source")} == {
        k: done["models"]["x"][k] for k in ("path", "key", "bytes", "source")
    }
    after = host.run(models={"x": FILE}, check_mode=True)
    assert not after["changed"]
    assert after["models"]["x"]["files"] == ["x.gguf"]


@pytest.mark.skipif(not GIT, reason="the fake hub needs git")
def test_check_mode_without_git_and_sizes(host: Host) -> None:
    commit = host.fake.add_repo("a/tree", {"m.safetensors": safetensors()}, ("m.safetensors",))
    result = host.run(models={"m": {"repo": "a/tree", "revision": commit}}, check_mode=True)
    assert (result["changed"], result["models"]["m"]["bytes"]) == (True, None)
    assert result["diff"]["after"] == f"m {commit} size unknown\n"


@pytest.mark.parametrize("check_mode", [True, False])
def test_failures_come_together(host: Host, check_mode: bool) -> None:
    models = {"x": {**FILE, "sha256": "0" * 64}, "y": {**FILE, "repo": "a/none"}}
    result = host.run(models=models, check_mode=check_mode)
    assert (result["changed"], result["models"]) == (False, {})
    assert len(result["problems"]) == 2
    assert result["msg"] == "\n".join(result["problems"])


@pytest.mark.parametrize("check_mode", [True, False])
def test_bad_words_are_found_before_anything_else(host: Host, check_mode: bool) -> None:
    result = host.run(models={"x": FILE, "y": {"repo": "a/b", "revison": "1"}}, check_mode=check_mode)
    assert "serving_models['y'].revison: unknown option; did you mean 'revision'?" in result["msg"]
    assert not host.root.exists()


def test_what_came_is_told_beside_what_failed(host: Host) -> None:
    host.fake.add_file("a/b", REV, "y.gguf", DATA[:-3])
    result = host.run(models={"x": FILE, "y": {**FILE, "file": "y.gguf"}})
    assert "y.gguf is truncated" in result["msg"]
    assert (result["changed"], list(result["models"])) == (True, ["x"])
    assert result["diff"]["after"] == f"x {REV} {len(DATA)} bytes\n"


def test_verify_warns_of_damage(host: Host) -> None:
    host.run(models={"x": FILE})
    place = host.root / "x" / KEY / "x.gguf"
    times = place.stat()
    place.write_bytes(DATA[:-1] + b"\xff")
    os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not host.run(models={"x": FILE})["changed"]
    planned = host.run(models={"x": FILE}, verify=True, check_mode=True)
    assert (planned["changed"], planned["models"]["x"]["damaged"]) == (True, ["x.gguf"])
    result = host.run(models={"x": FILE}, verify=True)
    assert result["warnings"] == [
        f"serving_models['x']: x.gguf of {host.root}/x/{KEY} was damaged or missing; fetched again"
    ]
    assert place.read_bytes() == DATA


def test_absent(host: Host) -> None:
    host.run(models={"x": FILE, "y": FILE})
    planned = host.run(models={"x": None}, state="absent", check_mode=True)
    assert (planned["changed"], (host.root / "x").is_dir()) == (True, True)
    result = host.run(models={"x": None}, state="absent")
    assert result["diff"] == planned["diff"]
    assert result["diff"]["after"] == ""
    assert not (host.root / "x").exists()
    assert (host.root / "y").is_dir()
    assert not host.run(models={"x": None}, state="absent")["changed"]


def test_absent_takes_what_an_unfinished_fetch_left(host: Host) -> None:
    left = host.root / ".partial" / f"x-{KEY}"
    left.mkdir(parents=True)
    (host.root / ".partial" / f"x-y-{KEY}").mkdir()
    assert host.run(models={"x": None}, state="absent")["changed"]
    assert [path.name for path in left.parent.iterdir()] == [f"x-y-{KEY}"]


@pytest.mark.parametrize("check_mode", [True, False])
def test_absent_keeps_what_a_server_refers_to(host: Host, monkeypatch: pytest.MonkeyPatch, check_mode: bool) -> None:
    host.run(models={"x": FILE, "y": FILE})
    used = {("x", KEY): ["server chat", "container debug"], ("z", KEY): ["server other"]}
    monkeypatch.setattr(_model_run, "references", lambda _root, careful: used if careful else {})
    result = host.run(models={"x": None, "y": None}, state="absent", check_mode=check_mode)
    assert result["msg"] == (
        f"serving_models['x']: server chat, container debug uses {host.root}/x/{KEY}; remove that first, or keep the "
        "model"
    )
    # All or nothing.
    assert (host.root / "x").is_dir()
    assert (host.root / "y").is_dir()
    assert host.run(models={"y": None}, state="absent")["changed"]


def test_absent_keeps_all_while_docker_does_not_answer(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.run(models={"x": FILE})
    docker_says(monkeypatch, CommandError("docker ps: Cannot connect"))
    assert host.run(models={"x": None}, state="absent")["msg"].startswith("docker: it does not tell")
    assert (host.root / "x").is_dir()


def test_url_that_nothing_pins(host: Host) -> None:
    host.fake.objects["y.gguf"] = DATA
    address = f"{host.fake.cdn}/p/y.gguf"
    result = host.run(models={"y": {"url": address}})
    assert result["warnings"] == [
        f"serving_models['y'].sha256: nothing pins what {address} is; set it to {sha256(DATA)}, which is what came here"
    ]
    assert host.run(models={"y": {"url": address, "sha256": sha256(DATA)}})["warnings"] == []


@pytest.mark.parametrize("connections", [0, -1])
def test_no_connection_fetches_nothing(host: Host, connections: int) -> None:
    result = host.run(models={"x": FILE}, connections=connections)
    assert result["msg"] == f"connections: {connections} fetch nothing; set it to 1 or more"
    assert not host.root.exists()


@pytest.mark.parametrize("name", ["..", ".partial", "a/b", "/etc"])
def test_absent_keeps_to_its_folder(host: Host, name: str) -> None:
    host.run(models={"x": FILE})
    result = host.run(models={name: None}, state="absent")
    assert "the name may hold" in result["msg"]
    assert (host.root / "x").is_dir()


def test_no_place(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    result = host.run(models={"x": FILE}, path=str(tmp_path / "file" / "store"))
    assert result["msg"].startswith("serving_model_dir: ")


def test_no_models(host: Host) -> None:
    assert host.run(models={}) == {
        "changed": False,
        "models": {},
        "warnings": [],
        "diff": {"before": "", "after": "", "before_header": "models", "after_header": "models"},
    }


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_hub_of_a_sites_own_authority(host: Host, tmp_path: Path, check_mode: bool) -> None:
    certificate, key = certificate_for(["127.0.0.1"])
    (tmp_path / "tls.pem").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem")
    with fake_hub(tmp_path / "secure") as secure:
        secure.add_file("a/b", REV, "x.gguf", DATA, lfs=False)
        server = secure._servers[0]
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        url = secure.url.replace("http:", "https:")
        refused = host.run(check_mode, models={"x": FILE}, hub_url=url)
        assert "the certificate of" in refused["msg"]
        result = host.run(check_mode, models={"x": FILE}, hub_url=url, ca=certificate)
    assert (result.get("msg"), result["changed"]) == (None, True)
