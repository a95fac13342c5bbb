# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Let one change at a time happen to a server."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import typing as t
from pathlib import Path

LOCK_DIR = Path("/run/lock")


class LockError(Exception):
    """Another change is under way; the message says whose."""


@contextlib.contextmanager
def server_lock(name: str, wait: bool = True, patience: float = 10) -> t.Iterator[None]:
    """Hold the lock of a server.

    Args:
        name: The server's name.
        wait: False for a look that changes nothing, which needs no lock.
        patience: Seconds to wait for another holder.

    Raises:
        LockError: Another process holds it still.
    """
    if not wait:
        yield
        return
    LOCK_DIR.mkdir(parents=True, exist_ok=True)
    handle = os.open(str(LOCK_DIR / f"llmops-{name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(handle, name, patience)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} since {time.strftime('%H:%M:%S')}".encode(), 0)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, name: str, patience: float) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                holder = os.pread(handle, 200, 0).decode("utf-8", "replace") or "another process"
                raise LockError(f"{holder} is changing server {name} on this host") from None
            time.sleep(0.2)
