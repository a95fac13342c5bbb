# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import fcntl
import json
import os
import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _lock
from ansible_collections.llmops.serving.plugins.module_utils._lock import LockError, holder, server_lock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host that was never changed; its directory of locks is not there yet."""
    monkeypatch.setattr(_lock, "LOCK_DIR", tmp_path / "run/lock")
    return tmp_path / "run/lock"


def test_a_second_change_is_told_who_makes_the_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ana")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.8 22")
    # Each call opens the file anew, and that is what the kernel compares: as good as two processes.
    with server_lock("chat"), pytest.raises(LockError) as caught, server_lock("chat", patience=0):
        pytest.fail("two held the lock")
    told = str(caught.value)
    assert told.startswith(f"process {os.getpid()} of ana from 192.0.2.7 is changing server chat on this host since 20")
    assert stat.S_IMODE((folder / "llmops-chat.lock").stat().st_mode) == 0o600


def test_the_name_of_an_earlier_holder_is_not_told(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "llmops-chat.lock").write_text("process 123456789012345678901234567890 since 00:00:00", encoding="utf-8")
    with server_lock("chat"):
        text = (folder / "llmops-chat.lock").read_text(encoding="utf-8")
    assert json.loads(text)["pid"] == os.getpid()
    assert "1234567890" not in text


def test_a_holder_without_a_name_is_told_too(folder: Path) -> None:
    with server_lock("chat"):
        (folder / "llmops-chat.lock").write_bytes(b"")
        with (
            pytest.raises(LockError, match=r"^another process is changing server chat"),
            server_lock("chat", patience=0),
        ):
            pytest.fail("two held the lock")


def test_servers_do_not_wait_for_each_other() -> None:
    with server_lock("chat"), server_lock("embed", patience=0):
        pass


def test_the_end_of_a_change_lets_the_next_one_in() -> None:
    with pytest.raises(ValueError, match="broken"), server_lock("chat"):
        raise ValueError("broken")
    with server_lock("chat", patience=0):
        pass


def test_waits_for_a_change_that_ends_in_time() -> None:
    held, seen = threading.Event(), []

    def other() -> None:
        with server_lock("chat"):
            held.set()
            time.sleep(0.3)
            seen.append("first")

    thread = threading.Thread(target=other)
    thread.start()
    assert held.wait(10)
    with server_lock("chat", patience=10):
        seen.append("second")
    thread.join()
    assert seen == ["first", "second"]


def test_a_look_takes_no_lock_and_leaves_nothing(folder: Path) -> None:
    with server_lock("chat", wait=False):
        assert not folder.exists()
    with server_lock("chat"), server_lock("chat", wait=False):
        pass


def test_the_holder_is_known_as_long_as_it_holds() -> None:
    assert holder("chat") is None
    with server_lock("chat", what="watching"):
        found = holder("chat")
        assert found is not None
        assert (found["pid"], found["what"]) == (os.getpid(), "watching")
    assert holder("chat") is None


def test_a_lock_whose_file_went_with_the_server_is_taken_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, flock, calls = folder / "llmops-chat.lock", fcntl.flock, []

    def removed_first(handle: int, how: int) -> None:
        # Whoever held it removes the file between our opening it and our locking it.
        if not calls:
            place.unlink()
        calls.append(how)
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    with server_lock("chat"):
        assert place.exists(), "others would lock another file"
        with pytest.raises(LockError), server_lock("chat", patience=0):
            pytest.fail("two held the lock")
    assert len(calls) == 3
