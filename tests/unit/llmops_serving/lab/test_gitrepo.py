# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from llmops_serving.lab import gitrepo

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"README.md": b"hello\n", "sub/deep/a.txt": b"a", "sub-b": b"sorts before sub/", "sub.txt": b"c"}


def test_same_files_give_the_same_revision_wherever(tmp_path: Path) -> None:
    first = gitrepo.write_repository(tmp_path / "one.git", FILES, "m")
    again = gitrepo.write_repository(tmp_path / "two.git", dict(reversed(FILES.items())), "m")
    assert first == again
    assert gitrepo.write_repository(tmp_path / "three.git", {**FILES, "new": b""}, "m") != first


def test_replacing_a_repository_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    home = tmp_path / "x.git"
    gitrepo.write_repository(home, {"old": b"old"}, "m")
    gitrepo.write_repository(home, {"new": b"new"}, "m")
    assert not (home / "objects" / gitrepo.blob_id(b"old")[:2] / gitrepo.blob_id(b"old")[2:]).exists()


def test_blob_id_is_gits() -> None:
    # printf 'hello\n' | git hash-object --stdin
    assert gitrepo.blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_pointer_is_what_git_lfs_writes() -> None:
    assert gitrepo.pointer("a" * 64, 5) == (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 5\n"
    )


def test_a_name_cannot_be_file_and_directory() -> None:
    with pytest.raises(ValueError, match="a/b"):
        gitrepo.nest({"a": b"", "a/b": b""})


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not on this machine")
def test_git_finds_the_repository_sound_and_checks_it_out(tmp_path: Path) -> None:
    revision = gitrepo.write_repository(tmp_path / "x.git", FILES, "message")
    git = ["git", "-c", "safe.directory=*", "-c", "filter.lfs.process=", "-c", "filter.lfs.smudge=cat"]
    subprocess.run([*git, "-C", str(tmp_path / "x.git"), "fsck", "--strict"], check=True, capture_output=True)  # noqa: S603  # fixed commands
    subprocess.run([*git, "clone", "-q", str(tmp_path / "x.git"), str(tmp_path / "out")], check=True)  # noqa: S603  # fixed commands
    head = subprocess.run([*git, "-C", str(tmp_path / "out"), "rev-parse", "HEAD"], check=True, capture_output=True)  # noqa: S603  # fixed commands
    assert head.stdout.decode().strip() == revision
    for name, content in FILES.items():
        assert (tmp_path / "out" / name).read_bytes() == content
