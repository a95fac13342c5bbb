# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _unit
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, Completed
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit, UnitState, write_atomically


def play(monkeypatch: pytest.MonkeyPatch, out: str = "", error: str = "") -> list[str]:
    """Let every program say `out`, or fail with `error`; gives the command lines."""
    done: list[str] = []

    def run(argv: list[str], **_: Any) -> Completed:
        done.append(" ".join(argv))
        if error:
            raise CommandError(error)
        return Completed(0, out, "")

    monkeypatch.setattr(_unit, "run", run)
    return done


# What `systemctl show` of systemd 252 prints, in an order of its own.
SHOWN: list[tuple[str, UnitState, bool]] = [
    (
        "ExecMainStatus=0\nNRestarts=2\nActiveState=active\nSubState=running\nUnitFileState=enabled\nInvocationID=f0e1\n",
        UnitState("active", "running", 2, 0, "enabled", "f0e1"),
        True,
    ),
    (
        "ExecMainStatus=137\nNRestarts=1\nActiveState=activating\nSubState=auto-restart\nUnitFileState=enabled\n",
        UnitState("activating", "auto-restart", 1, 137, "enabled", ""),
        False,
    ),
    (
        "ExecMainStatus=1\nNRestarts=5\nActiveState=failed\nSubState=failed\nUnitFileState=disabled\nInvocationID=\n",
        UnitState("failed", "failed", 5, 1, "disabled", ""),
        False,
    ),
    # There is no such unit.
    (
        "ExecMainStatus=0\nNRestarts=0\nActiveState=inactive\nSubState=dead\nUnitFileState=\nInvocationID=\n",
        UnitState("inactive", "dead", 0, 0, "", ""),
        False,
    ),
    # An older systemd leaves out what it does not know.
    ("ActiveState=active\nSubState=running\nNRestarts=\n", UnitState("active", "running", 0, 0, "", ""), True),
    ("", UnitState("inactive", "dead", 0, 0, "", ""), False),
]


@pytest.mark.parametrize(("out", "state", "running"), SHOWN)
def test_reads_how_a_unit_stands(monkeypatch: pytest.MonkeyPatch, out: str, state: UnitState, running: bool) -> None:
    done = play(monkeypatch, out)
    found = Unit("chat").state()
    assert found == state
    assert found.running is running
    assert len(done) == 1
    assert done[0].startswith("systemctl show --property ActiveState,")
    assert done[0].endswith(" llmops-chat.service")


def test_a_systemd_that_does_not_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, error="systemctl show --property took more than 60 s")
    with pytest.raises(CommandError):
        Unit("chat").state()


def test_a_unit_is_read_and_written_for_everybody_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = play(monkeypatch)
    unit = Unit("chat", tmp_path)
    assert unit.read() is None
    unit.write("[Unit]\nDescription=ünit\n")
    assert unit.read() == "[Unit]\nDescription=ünit\n"
    assert stat.S_IMODE((tmp_path / "llmops-chat.service").stat().st_mode) == 0o644
    assert done == ["systemctl daemon-reload"]


def test_lies_where_systemd_looks() -> None:
    assert Unit("chat").path == Path("/etc/systemd/system/llmops-chat.service")


def test_a_start_is_for_every_boot_and_forgets_failures_first(monkeypatch: pytest.MonkeyPatch) -> None:
    done = play(monkeypatch)
    Unit("chat").restart()
    assert done[1:] == [
        f"systemctl {verb} llmops-chat.service" for verb in ("enable --quiet", "reset-failed", "restart")
    ]


def test_what_systemd_knows_already_is_not_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Either would make systemd read all units anew, which takes GPUs of the toolkit's hook away from others.
    unit = Unit("chat", tmp_path)
    unit.path.write_text("x", encoding="utf-8")
    done = play(monkeypatch, "NeedDaemonReload=no\nLoadState=loaded\nUnitFileState=enabled\n")
    unit.write("x")
    unit.restart()
    assert [line.split()[1] for line in done] == ["show", "show", "reset-failed", "restart"]
    assert not unit.reloaded


@pytest.mark.parametrize(
    ("text", "said"),
    [("y", "NeedDaemonReload=no\nLoadState=loaded\n"), ("x", "NeedDaemonReload=yes\nLoadState=loaded\n")],
)
def test_what_systemd_does_not_know_yet_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    unit = Unit("chat", tmp_path)
    unit.path.write_text("x", encoding="utf-8")
    done = play(monkeypatch, said)
    unit.write(text)
    assert done[-1] == "systemctl daemon-reload"
    assert unit.reloaded


def test_removal_leaves_nothing_and_can_be_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = play(monkeypatch)
    unit = Unit("chat", tmp_path)
    unit.path.write_text("x", encoding="utf-8")
    unit.remove()
    assert list(tmp_path.iterdir()) == []
    # The file goes when systemd no longer starts it, and systemd reads the folder when it is gone.
    assert [line.split()[1] for line in done] == ["stop", "disable", "daemon-reload", "reset-failed"]
    unit.remove()


def test_gives_the_lines_of_this_run_only(monkeypatch: pytest.MonkeyPatch) -> None:
    done = play(monkeypatch, "second\nfirst\n")
    assert Unit("chat").log(1700000000.9, lines=5) == ["first", "second"]
    # The last lines, for without --reverse older systemd gives the first ones.
    assert "--unit llmops-chat.service --since @1700000000 --reverse --lines 5" in done[0]


def test_a_journal_that_cannot_be_read_hides_no_other_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, error="journalctl is not installed")
    assert Unit("chat").log(0) == ["journalctl is not installed"]


@pytest.mark.parametrize("mode", [0o600, 0o644])
@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_a_file_has_its_mode_whatever_the_umask(tmp_path: Path, mode: int, umask: int) -> None:
    old = os.umask(umask)
    try:
        write_atomically(tmp_path / "file", "täxt", mode)
    finally:
        os.umask(old)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "täxt"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_nobody_else_can_read_a_secret_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []
    fsync, replace = os.fsync, Path.replace

    def look(moment: str) -> None:
        seen.extend((moment, stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.iterdir())

    def watched_fsync(handle: int) -> None:
        look("before fsync")
        fsync(handle)

    def watched_replace(self: Path, target: Path) -> Path:
        look("before the rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    real = os.fdopen

    def watched_open(handle: int, *args: Any, **words: Any) -> Any:
        look("before the text")
        return real(handle, *args, **words)

    monkeypatch.setattr(os, "fdopen", watched_open)
    write_atomically(tmp_path / "key", "secret", 0o600)
    look("at the end")
    moments = ("before the text", "before fsync", "before the rename", "at the end")
    assert seen == [(moment, 0o600) for moment in moments]


@pytest.mark.parametrize("step", ["fsync", "fchmod"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_text_and_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    (tmp_path / "file").write_text("old", encoding="utf-8")

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        write_atomically(tmp_path / "file", "new", 0o644)
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("file", "old")]


def test_a_text_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "file", "\udcff", 0o644)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "none/file", "x", 0o644)


def test_the_log_of_one_start_leaves_out_what_ran_before(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(argv: list[str], **_: object) -> Completed:
        asked.append(argv)
        return Completed(0, "own\n", "")

    monkeypatch.setattr(_unit, "run", run)
    assert Unit("chat").log(0, 5, "abc") == ["own"]
    assert "_SYSTEMD_INVOCATION_ID=abc" in asked[0]
    assert "--unit" not in asked[0]
