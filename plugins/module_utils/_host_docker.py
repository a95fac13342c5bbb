# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about Docker on a host: installed, running, how it is configured. Looks only, starts nothing."""

from __future__ import annotations

import http.client
import json
import re
import socket
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._host_cdi import cdi_facts
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import read_text, version_tuple

if TYPE_CHECKING:
    from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import Runner

PROGRAM_DIRECTORIES = ("usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "bin", "sbin", "snap/bin")
DEFAULT_ROOT = "/var/lib/docker"
SOCKETS = ("run/docker.sock", "var/run/docker.sock")
SYSTEMCTL_TIMEOUT = 3.0
SOCKET_TIMEOUT = 2.0
# dpkg keeps one list of files per package; its presence answers "from which package" without starting dpkg.
PACKAGES = ("docker-ce", "docker.io", "moby-engine")
# Docker Engine 28.2 release notes: CDI is on unless features.cdi says otherwise.
CDI_BY_DEFAULT = (28, 2)


def find_program(root: Path, name: str) -> str | None:
    """Find a program in the usual places, whatever PATH the connection has.

    Args:
        root: The root of the file tree to look at.
        name: The program's name.

    Returns:
        Its path on the host (without root), or None.
    """
    for directory in PROGRAM_DIRECTORIES:
        if (root / directory / name).exists():
            return f"/{directory}/{name}"
    return None


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask_daemon(path: str, question: str, timeout: float = SOCKET_TIMEOUT) -> dict[str, Any]:
    """Ask the Docker daemon over its socket; a hundred times quicker than starting the docker command.

    Args:
        path: The Unix socket.
        question: The path of the Engine API, for example ``/version``.
        timeout: Seconds to wait.

    Returns:
        The answer, or {} when the daemon does not give one.
    """
    answer = _ask(path, question, timeout)
    return answer if isinstance(answer, dict) else {}


def list_containers(path: str, label: str, timeout: float = SOCKET_TIMEOUT) -> list[dict[str, Any]]:
    """List the running containers that have a label.

    Args:
        path: The Unix socket of the daemon, which must be running.
        label: The label's name.
        timeout: Seconds to wait.

    Returns:
        What the Engine API says of each, [] when the daemon does not answer.
    """
    filters = urllib.parse.quote(json.dumps({"label": [label]}))
    answer = _ask(path, f"/containers/json?filters={filters}", timeout)
    return [entry for entry in answer if isinstance(entry, dict)] if isinstance(answer, list) else []


def _ask(path: str, question: str, timeout: float) -> Any:
    connection = _UnixConnection(path, timeout)
    try:
        connection.request("GET", question)
        response = connection.getresponse()
        answer = json.loads(response.read().decode("utf-8"))
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return answer if response.status == http.client.OK else None


def service_state(run: Runner) -> dict[str, Any]:
    """Ask systemd about docker.service.

    Args:
        run: Runs systemctl.

    Returns:
        ``present``, ``active``, ``enabled`` (bool) and ``state`` (``active``, ``inactive``, ``failed`` …).
    """
    text = run(
        ("systemctl", "show", "docker.service", "--property=LoadState,ActiveState,UnitFileState"), SYSTEMCTL_TIMEOUT
    )
    values = dict(line.partition("=")[::2] for line in (text or "").splitlines())
    state = values.get("ActiveState", "unknown")
    return {
        "present": values.get("LoadState") in ("loaded", "masked"),
        "active": state in ("active", "reloading"),
        "enabled": values.get("UnitFileState") in ("enabled", "enabled-runtime"),
        "state": state,
    }


def group_members(root: Path, group: str) -> list[str]:
    """List the members of a group in /etc/group.

    Args:
        root: The root of the file tree to look at.
        group: The group's name.

    Returns:
        The user names, sorted; [] when the group does not exist.
    """
    for line in (read_text(root / "etc/group") or "").splitlines():
        name, _colon, rest = line.partition(":")  # name:password:gid:member,member
        if name == group:
            return sorted(member for member in rest.rpartition(":")[2].split(",") if member)
    return []


def docker_facts(root: Path, run: Runner, systemd: bool) -> dict[str, Any]:
    """Tell what is known about Docker.

    Args:
        root: The root of the file tree to look at.
        run: Runs commands on the host.
        systemd: Whether systemd runs the host.

    Returns:
        installed (the daemon's program is there), cli (the docker command too), package, version, api, running (the
        daemon answers), service_active, service_enabled, service_state, socket, root_dir, users (members of the
        group docker), ways (see docker_gpu_ways), daemon_json (raw text, None without the file).
    """
    daemon = find_program(root, "dockerd")
    snap = (root / "snap/bin/docker").exists()
    state: dict[str, Any] = {"present": False, "active": False, "enabled": False, "state": "unknown"}
    if systemd and (daemon or snap):
        state = service_state(run)
    socket_path = next((str(root / name) for name in SOCKETS if (root / name).is_socket()), None)
    version: dict[str, Any] = {}
    # Under systemd a listening socket may belong to docker.socket: a question would start the stopped daemon.
    if socket_path and (state["active"] or not (systemd and state["present"])):
        version = ask_daemon(socket_path, "/version")
    daemon_json = read_raw(root / "etc/docker/daemon.json")
    number = version.get("Version") or _installed_version(run, daemon)
    return {
        "installed": bool(daemon or snap),
        "cli": find_program(root, "docker") is not None,
        "package": _package(root, snap),
        "version": number,
        "api": version.get("ApiVersion"),
        "running": bool(version),
        "service_active": state["active"],
        "service_enabled": state["enabled"],
        "service_state": state["state"],
        "socket": None if socket_path is None else "/" + str(Path(socket_path).relative_to(root)),
        "root_dir": _root_dir(socket_path if version else None, daemon_json),
        "users": group_members(root, "docker"),
        "ways": docker_gpu_ways(root, number, daemon_json),
        "daemon_json": daemon_json,
    }


def docker_gpu_ways(root: Path, docker_version: str | None, daemon_json: str | None) -> list[str]:
    """List the ways in which Docker on this host can hand a GPU to a container, best first.

    Args:
        root: The root of the file tree to look at.
        docker_version: The version of the Docker daemon.
        daemon_json: The text of daemon.json, None without one.

    Returns:
        Any of ``cdi`` (a CDI specification for nvidia.com/gpu, and Docker >= 28.2 or ``features.cdi``), ``runtime``
        (``runtimes.nvidia`` in daemon.json, and the program that it names) and ``gpus`` (the toolkit's hook for
        ``--gpus`` is installed).
    """
    try:
        options = json.loads(daemon_json or "{}")
    except ValueError:
        options = {}
    if not isinstance(options, dict):
        options = {}
    features = options.get("features")
    runtimes = options.get("runtimes")
    asked = features.get("cdi") if isinstance(features, dict) else None
    ways: list[str] = []
    enabled = asked if isinstance(asked, bool) else version_tuple(docker_version) >= CDI_BY_DEFAULT
    if enabled and cdi_facts(root)["specs"]:
        ways.append("cdi")
    if isinstance(runtimes, dict) and "nvidia" in runtimes and _has_runtime(root, runtimes["nvidia"]):
        ways.append("runtime")
    if find_program(root, "nvidia-container-runtime-hook"):
        ways.append("gpus")
    return ways


def _has_runtime(root: Path, runtime: Any) -> bool:
    path = runtime.get("path") if isinstance(runtime, dict) else None
    if not isinstance(path, str) or not path:
        return True  # a runtime of containerd, named by its type: where its program lies cannot be seen
    # Docker looks for a bare name in its PATH.
    return (root / path[1:]).exists() if path.startswith("/") else find_program(root, path) is not None


def read_raw(path: Path) -> str | None:
    """Read a file without touching its white space.

    Args:
        path: The file.

    Returns:
        Its text, or None when it is not there.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _installed_version(run: Runner, daemon: str | None) -> str | None:
    words = (run((daemon, "--version"), SOCKET_TIMEOUT) if daemon else None) or ""
    match = re.search(r"\bversion (\S+?),", words)  # "Docker version 20.10.24+dfsg1, build 5d6db84"
    return match.group(1) if match else None


def _package(root: Path, snap: bool) -> str | None:
    if snap:
        return "snap"
    return next((name for name in PACKAGES if (root / "var/lib/dpkg/info" / (name + ".list")).exists()), None)


def _root_dir(socket_path: str | None, daemon_json: str | None) -> str:
    if socket_path:
        told = ask_daemon(socket_path, "/info").get("DockerRootDir")
        if isinstance(told, str) and told:
            return told
    try:
        options = json.loads(daemon_json or "{}")
    except ValueError:
        return DEFAULT_ROOT
    chosen = options.get("data-root") if isinstance(options, dict) else None
    return chosen if isinstance(chosen, str) and chosen else DEFAULT_ROOT
