# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which TCP ports a host listens on and who owns them, from procfs alone."""

from __future__ import annotations

import os
import re
import socket
import sys
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import read_text

if TYPE_CHECKING:
    from pathlib import Path

LISTEN = "0A"
# Column positions in /proc/net/tcp (proc(5)): sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode
LOCAL, STATE, INODE = 1, 3, 9
TABLES = (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6))


def listening_ports(root: Path) -> list[dict[str, Any]]:
    """List the listening TCP sockets with their owners.

    Args:
        root: The root of the file tree to look at.

    Returns:
        Sorted by port and address: port (int), address (``0.0.0.0``, ``::1`` …), protocol (``tcp`` or ``tcp6``), pid
        and process (name), unit (the systemd unit that started it). pid, process and unit are None where they
        cannot be seen: another user's process when not root, or another PID namespace.
    """
    sockets: list[tuple[int, str, str, str]] = []
    for table, family in TABLES:
        # The link /proc/net means /proc/self/net; without IPv6 there is no tcp6.
        for line in (read_text(root / "proc/net" / table) or "").splitlines()[1:]:
            cells = line.split()
            if len(cells) > INODE and cells[STATE] == LISTEN:
                host, _colon, port = cells[LOCAL].partition(":")
                sockets.append((int(port, 16), _address(host, family), table, cells[INODE]))
    owners = _owners(root, {entry[3] for entry in sockets})
    ports: list[dict[str, Any]] = []
    for number, address, protocol, inode in sorted(set(sockets)):
        pid = owners.get(inode)
        ports.append(
            {
                "port": number,
                "address": address,
                "protocol": protocol,
                "pid": pid,
                "process": None if pid is None else read_text(root / "proc" / str(pid) / "comm"),
                "unit": None if pid is None else _unit(root, pid),
            }
        )
    return ports


def _address(text: str, family: int) -> str:
    # The kernel prints the address as 32-bit words in the machine's byte order.
    raw = b"".join(int(text[start : start + 8], 16).to_bytes(4, sys.byteorder) for start in range(0, len(text), 8))
    return socket.inet_ntop(family, raw)


def _owners(root: Path, inodes: set[str]) -> dict[str, int]:
    """Find the processes that hold the sockets; stops when all are found."""
    owners: dict[str, int] = {}
    wanted = {f"socket:[{inode}]": inode for inode in inodes if inode != "0"}
    proc = str(root / "proc")
    try:
        # Path objects for thousands of files cost more than the reading: hence os.listdir and os.readlink.
        pids = sorted(int(name) for name in os.listdir(proc) if name.isdigit())  # noqa: PTH208  speed, see above
    except OSError:
        return owners
    for pid in pids:
        if len(owners) == len(wanted):
            break
        directory = f"{proc}/{pid}/fd"
        try:
            names = os.listdir(directory)  # noqa: PTH208  speed, see above
        except OSError:  # gone meanwhile, or another user's
            continue
        for name in names:
            try:
                target = os.readlink(directory + "/" + name)  # noqa: PTH115  speed, see above
            except OSError:
                continue
            inode = wanted.get(target)
            if inode is not None:
                # The lowest pid is the parent that opened the socket; its workers share it.
                owners.setdefault(inode, pid)
    return owners


def _unit(root: Path, pid: int) -> Any:
    text = read_text(root / "proc" / str(pid) / "cgroup") or ""
    units = re.findall(r"([^/\s]+\.(?:service|scope))(?=/|$)", text, re.MULTILINE)
    return units[-1] if units else None
