# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds the Docker daemon, or installs and starts one on a Debian machine without systemd."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import requests
from docker.errors import DockerException

from llmops_serving.lab.errors import LabError
from llmops_serving.lab.machine import require_commands

if TYPE_CHECKING:
    from docker import DockerClient

    from llmops_serving.lab.progress import Reporter
    from llmops_serving.lab.state import Paths

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
#: Seconds an answer of the daemon may take; commits of large images are slow.
CALL_TIMEOUT_S = 900


def connect() -> DockerClient | None:
    """Connect to the daemon that DOCKER_HOST or the default socket names; None if none answers."""
    try:
        client = docker.from_env(timeout=CALL_TIMEOUT_S)
        client.ping()
    except (DockerException, requests.RequestException):
        return None
    return client


def why_not() -> str:
    """Say in one sentence why no daemon could be reached."""
    socket_path = Path("/var/run/docker.sock")
    if os.environ.get("DOCKER_HOST"):
        return f"no Docker daemon answers at DOCKER_HOST={os.environ['DOCKER_HOST']}"
    if socket_path.exists() and not os.access(socket_path, os.W_OK):
        return f"no permission for {socket_path}: add your user to the group docker"
    return "no Docker daemon answers"


def ensure(paths: Paths, reporter: Reporter) -> tuple[DockerClient, int | None]:
    """Give a connected client, and the process id of the daemon if it had to be started.

    Raises:
        LabError: there is no daemon and this machine is not one where it can be started.
    """
    if client := connect():
        return client, None
    if os.environ.get("DOCKER_HOST"):
        raise LabError(f"{why_not()}: start it, or unset DOCKER_HOST")
    if os.geteuid() != 0:
        raise LabError(f"{why_not()}: start Docker, or run this as root on Debian, where it is started for you")
    with reporter.stage("docker", "no Docker daemon answers: starting one"):
        require_commands({"dockerd": "docker.io", "iptables": "iptables"})
        if Path("/run/systemd/system").is_dir() and shutil.which("systemctl"):
            subprocess.run(["systemctl", "start", "docker"], check=False, capture_output=True)  # noqa: S607  # systemctl is where the PATH says
            process = None
        else:
            process = _start(paths)
        return _wait(paths, process), process.pid if process else None


def _start(paths: Paths) -> subprocess.Popen[bytes]:
    # A pid file left by a killed daemon makes the next one refuse to start when the number is in use again.
    pid_file = Path("/var/run/docker.pid")
    if pid_file.exists() and not _is_dockerd(pid_file.read_text(encoding="ascii").strip()):
        pid_file.unlink()
    with paths.daemon_log.open("ab") as log:
        return subprocess.Popen(
            ["dockerd"],  # noqa: S607  # dockerd is where the PATH says
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _wait(paths: Paths, process: subprocess.Popen[bytes] | None) -> DockerClient:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if client := connect():
            return client
        if process is not None and process.poll() is not None:
            break
        time.sleep(0.25)
    log = paths.daemon_log.read_text(encoding="utf-8", errors="replace") if paths.daemon_log.exists() else ""
    tail = "\n".join(log.strip().splitlines()[-8:])
    raise LabError(f"the Docker daemon did not come up; its log ({paths.daemon_log}) ends with:\n{tail}")


def stop(pid: int) -> None:
    """Stop a daemon that `ensure` started; does nothing if that process is gone."""
    if not _is_dockerd(str(pid)):
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while _is_dockerd(str(pid)) and time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        time.sleep(0.2)


def _is_dockerd(pid: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return Path(os.fsdecode(words[0])).name == "dockerd"
