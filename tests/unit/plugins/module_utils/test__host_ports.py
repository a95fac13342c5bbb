# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening ports and their owners, from a made-up procfs and from this machine's."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _host_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = (
    "   {n}: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} "
    "1 0 100 0 0 10 0\n"
)

little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="the recorded addresses are little-endian")


def process(root: Path, pid: int, name: str, inodes: list[int], cgroup: str = "0::/init.scope") -> None:
    """Put a process with open sockets into the made-up procfs."""
    place = root / "proc" / str(pid)
    (place / "fd").mkdir(parents=True)
    (place / "comm").write_text(name + "\n")
    (place / "cgroup").write_text(cgroup + "\n")
    (place / "fd/0").symlink_to("/dev/null")
    for number, inode in enumerate(inodes, start=3):
        (place / "fd" / str(number)).symlink_to(f"socket:[{inode}]")


@little_endian
def test_ports_of_a_host(tmp_path: Path) -> None:
    net = tmp_path / "proc/net"
    net.mkdir(parents=True)
    (net / "tcp").write_text(
        HEAD
        + ROW.format(n=0, local="00000000:0016", state="0A", inode=100)
        + ROW.format(n=1, local="0100007F:1F41", state="0A", inode=200)
        + ROW.format(n=2, local="0100007F:1F42", state="01", inode=300)  # a connection, not a listener
        + ROW.format(n=3, local="0100007F:1F45", state="0A", inode=999)  # nobody's that can be seen
    )
    (net / "tcp6").write_text(
        HEAD
        + ROW.format(n=0, local="00000000000000000000000001000000:0277", state="0A", inode=400)
        + ROW.format(n=1, local="00000000000000000000000000000000:0016", state="0A", inode=100)
    )
    process(tmp_path, 412, "sshd", [100], "0::/system.slice/ssh.service")
    process(tmp_path, 900, "docker-proxy", [200, 300], "0::/system.slice/docker.service")
    process(tmp_path, 901, "worker", [200], "0::/user.slice/user-0.slice/session-1.scope")
    process(tmp_path, 77, "cupsd", [400], "12:cpu:/\n0::/machine.slice")
    (tmp_path / "proc/sys").mkdir()
    assert [tuple(port.values()) for port in _host_ports.listening_ports(tmp_path)] == [
        (22, "0.0.0.0", "tcp", 412, "sshd", "ssh.service"),  # noqa: S104  an expected answer
        (22, "::", "tcp6", 412, "sshd", "ssh.service"),
        (631, "::1", "tcp6", 77, "cupsd", None),
        (8001, "127.0.0.1", "tcp", 900, "docker-proxy", "docker.service"),
        (8005, "127.0.0.1", "tcp", None, None, None),
    ]


def test_no_procfs(tmp_path: Path) -> None:
    assert _host_ports.listening_ports(tmp_path) == []


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Listen on a free port of this machine."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux")
def test_this_process_owns_its_port(listener: socket.socket) -> None:
    number = listener.getsockname()[1]
    found = [port for port in _host_ports.listening_ports(Path("/")) if port["port"] == number]
    assert [(port["address"], port["pid"], port["protocol"]) for port in found] == [("127.0.0.1", os.getpid(), "tcp")]
