# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Memory of servers in a made-up /proc."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.module_utils._host_docker import list_containers
from ansible_collections.llmops.serving.plugins.module_utils._host_held import container_names, held_memory

if TYPE_CHECKING:
    from pathlib import Path

CHAT, EMBED, OTHER = "a" * 64, "b" * 64, "c" * 64
NAMES = {CHAT: "chat", EMBED: "embed"}
KIB = 1024


def process(root: Path, pid: int, cgroup: str, **kib: int) -> None:
    place = root / "proc" / str(pid)
    place.mkdir(parents=True)
    (place / "cgroup").write_text(f"0::{cgroup}\n")
    anonymous, file, shared = (kib.get(kind, 0) for kind in ("anonymous", "file", "shared"))
    status = f"Name:\tx\nRssAnon:\t{anonymous:8d} kB\nRssFile:\t{file:8d} kB\nRssShmem:\t{shared:8d} kB\n"
    (place / "status").write_text(status)


def test_memory_by_server(tmp_path: Path) -> None:
    # systemd's control groups, nested ones of a host in a container, and cgroupfs.
    process(tmp_path, 10, f"/system.slice/docker-{CHAT}.scope", anonymous=100, shared=20, file=999)
    process(tmp_path, 11, f"/docker/{'d' * 64}/system.slice/docker-{CHAT}.scope", anonymous=1)
    process(tmp_path, 12, f"/docker/{CHAT}", anonymous=5)
    process(tmp_path, 20, f"/docker/{EMBED}", anonymous=7)
    process(tmp_path, 30, f"/docker/{OTHER}", anonymous=1000)
    process(tmp_path, 40, "/init.scope", anonymous=1000)
    (tmp_path / "proc/99").mkdir()  # one that ended meanwhile
    (tmp_path / "proc/self").mkdir()
    on_gpus = [
        {"pid": 10, "gpu": "GPU-1", "memory": 500},
        {"pid": 12, "gpu": "GPU-1", "memory": 30},
        {"pid": 12, "gpu": "GPU-2", "memory": None},
        {"pid": 30, "gpu": "GPU-1", "memory": 9},
    ]
    held, owners = held_memory(tmp_path, NAMES, on_gpus)
    assert held == {
        "chat": {"memory": 126 * KIB, "gpus": {"GPU-1": 530}},
        "embed": {"memory": 7 * KIB, "gpus": {}},
    }
    assert owners == {10: "chat", 11: "chat", 12: "chat", 20: "embed"}


def test_the_kernel_counts_where_it_can(tmp_path: Path) -> None:
    # Two processes that share memory, one of them in a group of its own below the container's.
    process(tmp_path, 10, f"/system.slice/docker-{CHAT}.scope", anonymous=100, shared=50)
    process(tmp_path, 11, f"/system.slice/docker-{CHAT}.scope/worker", anonymous=100, shared=50)
    process(tmp_path, 20, f"/docker/{EMBED}", anonymous=7)
    for name, text in (
        (f"system.slice/docker-{CHAT}.scope", "anon 120000\nfile 999999\nkernel 5\nshmem 30000\nanon_thp 7\n"),
        (f"docker/{EMBED}", "cache 5\nrss 7168\nshmem 0\n"),  # of version 1, which counts otherwise
    ):
        (tmp_path / "sys/fs/cgroup" / name).mkdir(parents=True)
        (tmp_path / "sys/fs/cgroup" / name / "memory.stat").write_text(text)
    held, owners = held_memory(tmp_path, NAMES, [])
    assert {name: entry["memory"] for name, entry in held.items()} == {"chat": 150000, "embed": 7 * KIB}
    assert owners == {10: "chat", 11: "chat", 20: "embed"}


def test_without_servers_nothing_is_read(tmp_path: Path) -> None:
    assert held_memory(tmp_path, {}, [{"pid": 1, "gpu": "GPU-1", "memory": 1}]) == ({}, {})


def docker(path: Path, body: bytes) -> threading.Thread:
    """Answer one request on a Unix socket."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(1)

    def answer() -> None:
        with server, server.accept()[0] as connection:
            connection.recv(4096)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            connection.sendall(head + body)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    return thread


def test_names_come_from_docker(tmp_path: Path) -> None:
    body = b'[{"Id": "%s", "Names": ["/llmops-chat"]}, {"Id": "%s", "Names": ["/other"]}, 3]'
    thread = docker(tmp_path / "s", body % (CHAT.encode(), OTHER.encode()))
    assert container_names(str(tmp_path / "s")) == {CHAT: "chat"}
    thread.join()
    assert container_names(None) == {}


def test_a_docker_that_answers_something_else(tmp_path: Path) -> None:
    docker(tmp_path / "s", b'{"message": "no"}').join(0)
    assert list_containers(str(tmp_path / "s"), "llmops.server") == []
    assert list_containers(str(tmp_path / "none"), "llmops.server") == []
