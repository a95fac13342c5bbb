# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker's state from made-up trees and a stand-in for its socket."""

from __future__ import annotations

import http.server
import json
import socket
import socketserver
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _host_docker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ACTIVE = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"
STOPPED = "LoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\n"
FAILED = "LoadState=loaded\nActiveState=failed\nUnitFileState=enabled\n"
ABSENT = "LoadState=not-found\nActiveState=inactive\nUnitFileState=\n"
ANSWERS: dict[str, Any] = {
    "/version": {"Version": "26.1.5+dfsg1", "ApiVersion": "1.45"},
    "/info": {"DockerRootDir": "/data/docker"},
}


class Runner:
    """Plays the commands of a host and notes them."""

    def __init__(self, unit: str = "", version: str | None = None) -> None:
        self.unit, self.version = unit, version
        self.asked: list[str] = []

    def __call__(self, argv: Sequence[str], timeout: float) -> str | None:
        assert timeout > 0
        self.asked.append(argv[0])
        return self.unit if argv[0] == "systemctl" else self.version


class Daemon(socketserver.UnixStreamServer):
    """A Docker daemon that knows two answers and counts the questions."""

    def __init__(self, path: str) -> None:
        self.questions: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805  the base class calls it so; self is the daemon's
                self.questions.append(handler.path)
                answer = ANSWERS.get(handler.path)
                body = json.dumps(answer or {"message": "page not found"}).encode()
                handler.send_response(200 if answer else 404)
                handler.send_header("Content-Length", str(len(body)))
                handler.end_headers()
                handler.wfile.write(body)

            def address_string(handler) -> str:  # noqa: N805  as above
                return "unix"

            def log_message(handler, *_: Any) -> None:  # noqa: N805  as above
                pass

        super().__init__(path, Handler)


@pytest.fixture
def root() -> Iterator[Path]:
    """Give a tree with a Docker in it, in a place short enough for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="host-") as directory:
        tree = Path(directory)
        for name in ("usr/sbin/dockerd", "usr/bin/docker", "run/.keep", "etc/docker/.keep"):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).touch()
        yield tree


@pytest.fixture
def daemon(root: Path) -> Iterator[Daemon]:
    """Run the stand-in behind the tree's socket."""
    server = Daemon(str(root / "run/docker.sock"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_running_docker(root: Path, daemon: Daemon) -> None:
    (root / "var/lib/dpkg/info").mkdir(parents=True)
    (root / "var/lib/dpkg/info/docker-ce.list").touch()
    (root / "etc/group").write_text("root:x:0:\ndocker:x:999:zoe,ann\ndockerx:x:1:eve\n")
    facts = _host_docker.docker_facts(root, Runner(ACTIVE), systemd=True)
    assert facts == {
        "installed": True,
        "cli": True,
        "package": "docker-ce",
        "version": "26.1.5+dfsg1",
        "api": "1.45",
        "running": True,
        "service_active": True,
        "service_enabled": True,
        "service_state": "active",
        "socket": "/run/docker.sock",
        "root_dir": "/data/docker",
        "users": ["ann", "zoe"],
        "ways": [],
        "daemon_json": None,
    }
    assert daemon.questions == ["/version", "/info"]


@pytest.mark.parametrize(("unit", "state"), [(STOPPED, "inactive"), (FAILED, "failed")])
def test_a_stopped_docker_is_not_woken_through_its_socket(root: Path, daemon: Daemon, unit: str, state: str) -> None:
    run = Runner(unit, "Docker version 20.10.24+dfsg1, build 297e128\n")
    facts = _host_docker.docker_facts(root, run, systemd=True)
    assert (facts["installed"], facts["running"], facts["service_active"]) == (True, False, False)
    assert (facts["service_state"], facts["version"]) == (state, "20.10.24+dfsg1")
    assert daemon.questions == []


@pytest.mark.parametrize(("systemd", "unit"), [(False, ""), (True, ABSENT)])
def test_a_daemon_that_systemd_does_not_know(root: Path, daemon: Daemon, systemd: bool, unit: str) -> None:
    facts = _host_docker.docker_facts(root, Runner(unit), systemd=systemd)
    assert (facts["running"], facts["service_active"]) == (True, False)
    assert daemon.questions


def test_a_socket_without_a_daemon(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(root / "run/docker.sock"))
        facts = _host_docker.docker_facts(root, Runner(ACTIVE), systemd=True)
    assert (facts["running"], facts["version"], facts["socket"]) == (False, None, "/run/docker.sock")


def test_no_docker(tmp_path: Path) -> None:
    run = Runner(ACTIVE)
    facts = _host_docker.docker_facts(tmp_path, run, systemd=True)
    assert (facts["installed"], facts["cli"], facts["package"], facts["version"]) == (False, False, None, None)
    assert (facts["socket"], facts["root_dir"], facts["users"]) == (None, "/var/lib/docker", [])
    assert run.asked == []


def test_snap(tmp_path: Path) -> None:
    (tmp_path / "snap/bin").mkdir(parents=True)
    (tmp_path / "snap/bin/docker").touch()
    facts = _host_docker.docker_facts(tmp_path, Runner(ABSENT), systemd=True)
    assert (facts["installed"], facts["cli"], facts["package"]) == (True, True, "snap")


@pytest.mark.parametrize(
    ("text", "root_dir"),
    [
        ('{"data-root": "/srv/docker"}\n', "/srv/docker"),
        ('{"data-root": 3}', "/var/lib/docker"),
        ("{broken", "/var/lib/docker"),
        ("[]", "/var/lib/docker"),
    ],
)
def test_daemon_json_is_told_raw(root: Path, text: str, root_dir: str) -> None:
    (root / "etc/docker/daemon.json").write_text(text)
    facts = _host_docker.docker_facts(root, Runner(), systemd=False)
    assert (facts["daemon_json"], facts["root_dir"]) == (text, root_dir)


def test_ask_daemon_wants_success(daemon: Daemon) -> None:
    assert _host_docker.ask_daemon(str(daemon.server_address), "/nothing") == {}
    assert _host_docker.ask_daemon(str(daemon.server_address), "/version")["ApiVersion"] == "1.45"


RUNTIME = json.dumps({"runtimes": {"nvidia": {"args": [], "path": "nvidia-container-runtime"}}})
SPEC = "---\ncdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices: []\n"


@pytest.mark.parametrize(
    ("version", "daemon_json", "files", "ways"),
    [
        ("28.2.2", None, {}, []),
        ("28.2.2", None, {"etc/cdi/nvidia.yaml": SPEC}, ["cdi"]),
        ("28.5.2+dfsg4", None, {"run/cdi/nvidia.json": '{\n  "kind": "nvidia.com/gpu"}'}, ["cdi"]),
        ("28.5.2", None, {"etc/cdi/other.yaml": "kind: amd.com/gpu\n"}, []),
        ("28.1.1", None, {"etc/cdi/nvidia.yaml": SPEC}, []),
        ("26.1.5+dfsg1", '{"features": {"cdi": true}}', {"etc/cdi/nvidia.yaml": SPEC}, ["cdi"]),
        ("28.2.2", '{"features": {"cdi": false}}', {"etc/cdi/nvidia.yaml": SPEC}, []),
        ("28.5.2", None, {"etc/cdi/flow.yaml": "{kind: nvidia.com/gpu, devices: [{name: all}]}\n"}, ["cdi"]),
        ("20.10.24", RUNTIME, {"usr/bin/nvidia-container-runtime": ""}, ["runtime"]),
        ("20.10.24", RUNTIME, {"usr/local/bin/nvidia-container-runtime": ""}, ["runtime"]),
        # Left in daemon.json when the toolkit was removed.
        ("20.10.24", RUNTIME, {"usr/bin/nvidia-ctk": ""}, []),
        ("20.10.24", '{"runtimes": {"nvidia": {"path": "/opt/x/runtime"}}}', {"opt/x/runtime": ""}, ["runtime"]),
        ("20.10.24", '{"runtimes": {"nvidia": {"path": "/opt/x/runtime"}}}', {"usr/bin/runtime": ""}, []),
        # Nothing says where its program would be.
        ("28.2.2", '{"runtimes": {"nvidia": {"runtimeType": "io.containerd.runc.v2"}}}', {}, ["runtime"]),
        (None, '{"runtimes": {"crun": {}}}', {"usr/bin/nvidia-container-runtime-hook": ""}, ["gpus"]),
        ("28.2.2", "{broken", {"etc/cdi/nvidia.yaml": SPEC}, ["cdi"]),
        ("28.2.2", "[]", {}, []),
    ],
)
def test_ways(
    tmp_path: Path, version: str | None, daemon_json: str | None, files: dict[str, str], ways: list[str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert _host_docker.docker_gpu_ways(tmp_path, version, daemon_json) == ways


def test_ways_after_the_toolkit_configured_docker(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "fixtures/host/daemon.after-ctk.json").read_text(encoding="utf-8")
    (tmp_path / "etc/cdi").mkdir(parents=True)
    (tmp_path / "etc/cdi/nvidia.yaml").write_text(SPEC)
    (tmp_path / "usr/bin").mkdir(parents=True)
    for name in ("nvidia-container-runtime", "nvidia-container-runtime-hook"):
        (tmp_path / "usr/bin" / name).touch()
    assert _host_docker.docker_gpu_ways(tmp_path, "26.1.5", text) == ["cdi", "runtime", "gpus"]
