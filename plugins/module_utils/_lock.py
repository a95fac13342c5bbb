# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Keep two changes of one server apart, and say who holds it.

The kernel lets go of a lock when its holder ends, however it ends, so no lock is ever left over.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import typing as t
from pathlib import Path

LOCK_DIR = Path("/run/lock")
# More than anybody's name, host and times together.
_RECORD_BYTES = 1000


class LockError(Exception):
    """Another change is under way; the message says whose and since when."""


@contextlib.contextmanager
def server_lock(name: str, wait: bool = True, patience: float = 10, what: str = "changing") -> t.Iterator[None]:
    """Hold the lock of a server.

    Args:
        name: The server's name.
        wait: False for a look that changes nothing, which needs no lock.
        patience: Seconds to wait for another holder.
        what: What is being done with the server, for whoever comes meanwhile.

    Raises:
        LockError: Another process holds it still.
    """
    if not wait:
        yield
        return
    LOCK_DIR.mkdir(parents=True, exist_ok=True)
    handle = _acquire(name, patience)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(_ourselves(what)).encode(), 0)
        yield
    finally:
        os.close(handle)


def holder(name: str) -> dict[str, t.Any] | None:
    """Tell who holds the lock of a server.

    Args:
        name: The server's name.

    Returns:
        `pid`, `since` (local time with its zone), `user`, `from` (the address that the user came from, empty where
        nobody knows) and `what`; empty words where the holder wrote none; None if nobody holds it.
    """
    try:
        handle = os.open(str(_path(name)), os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(handle)
    finally:
        os.close(handle)
    return None


def _path(name: str) -> Path:
    return LOCK_DIR / f"llmops-{name}.lock"


def _ourselves(what: str) -> dict[str, t.Any]:
    # sudo keeps who asked, and takes away where from.
    user = os.environ.get("SUDO_USER") or os.environ.get("LOGNAME") or os.environ.get("USER") or ""
    origin = (os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_CLIENT") or "").partition(" ")[0]
    since = time.strftime("%Y-%m-%d %H:%M:%S %z")
    return {"pid": os.getpid(), "since": since, "user": user, "from": origin, "what": what}


def _read(handle: int) -> dict[str, t.Any]:
    words: dict[str, t.Any] = dict.fromkeys(("pid", "since", "user", "from", "what"), "")
    try:
        found = json.loads(os.pread(handle, _RECORD_BYTES, 0).decode("utf-8", "replace"))
        words.update(found)
    except (ValueError, TypeError):
        # It has the lock and is about to write who it is.
        pass
    return words


def _acquire(name: str, patience: float) -> int:
    until = time.monotonic() + patience
    while True:
        handle = os.open(str(_path(name)), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            words = _read(handle)
            os.close(handle)
            if time.monotonic() > until:
                raise LockError(_told(words, name)) from None
            time.sleep(0.2)
            continue
        if _is_there(handle, name):
            return handle
        # Whoever held it removed the file with the server: others lock another one by now.
        os.close(handle)


def _is_there(handle: int, name: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), _path(name).stat())
    except OSError:
        return False


def _told(words: dict[str, t.Any], name: str) -> str:
    if not words["pid"]:
        return f"another process is changing server {name} on this host"
    who = " of {}".format(words["user"]) if words["user"] else ""
    origin = " from {}".format(words["from"]) if words["from"] else ""
    return "process {}{}{} is {} server {} on this host since {}".format(
        words["pid"], who, origin, words["what"], name, words["since"]
    )
