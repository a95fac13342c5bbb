# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A repository of the bundle has the pinned commits, and nothing else."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_git import Git
from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient
from ansible_collections.llmops.serving.plugins.module_utils._model_hub import Hub
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, ModelSpec
from llmops_serving.bundle.repositories import add_commit, check, git_program, has_commit, place
from llmops_serving.errors import DriverError
from tests.unit.plugins.fake_hub import GIT_ENV, FakeHub, fake_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmops_serving.bundle.document import TreeEntry


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    """A hub in this process."""
    with fake_hub(tmp_path / "hub") as running:
        yield running


def add(hub: FakeHub, revision: str, folder: Path) -> tuple[TreeEntry, ...]:
    """Put a commit of org/chat into a folder."""
    spec = ModelSpec("chat", "repo", "org/chat", revision)
    return add_commit(Git(git_program()), Hub(hub.url, "", HttpClient()), spec, folder)


def git(repository: Path, *words: str, told: str = "") -> str:
    """Ask git about a repository."""
    command = ["git", "-c", "safe.directory=*", f"--git-dir={repository}", *words]
    done = subprocess.run(command, env=GIT_ENV, input=told, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout


def second_commit(hub: FakeHub) -> str:
    """Let the repository of the hub go on."""
    bare = hub.root / "git" / "org" / "chat.git"
    blob = git(bare, "rev-parse", "HEAD:config.json").strip()
    tree = git(bare, "mktree", told=f"100644 blob {blob}\trenamed.json\n").strip()
    commit = git(bare, "commit-tree", tree, "-p", "HEAD", "-m", "two").strip()
    git(bare, "update-ref", "HEAD", commit)
    return commit


def test_commits_come_once_and_share_a_repository(hub: FakeHub, tmp_path: Path) -> None:
    first = hub.add_repo("org/chat", {"config.json": b"{}", "w.safetensors": b"weights"}, lfs=("w.safetensors",))
    entries = add(hub, first, tmp_path / "git")
    assert [(entry.path, entry.size, bool(entry.oid)) for entry in entries] == [
        ("config.json", 2, False),
        ("w.safetensors", 7, True),
    ]
    second = second_commit(hub)
    assert [entry.path for entry in add(hub, second, tmp_path / "git")] == ["renamed.json"]
    target = place(tmp_path / "git", "org/chat")
    assert sorted(git(target, "for-each-ref", "--format=%(refname) %(objectname)").split("\n")[:-1]) == sorted(
        [f"refs/bundle/{first} {first}", f"refs/bundle/{second} {second}", f"refs/heads/main {second}"]
    )
    # History ends at each of them, and one pack holds all.
    assert git(target, "rev-list", "--all", "--count").strip() == "2"
    assert len(list(target.rglob("*.pack"))) == 1
    hub.seen.clear()
    assert add(hub, first, tmp_path / "git") == entries
    assert hub.seen == []
    assert not list((tmp_path / "git" / ".partial").iterdir())


def test_a_commit_that_is_not_there(hub: FakeHub, tmp_path: Path) -> None:
    hub.add_repo("org/chat", {"config.json": b"{}"})
    with pytest.raises(ModelError, match="has no commit 9999"):
        add(hub, "9" * 40, tmp_path / "git")
    assert not has_commit(place(tmp_path / "git", "org/chat"), "9" * 40)


def test_empty_folders_may_get_lost(hub: FakeHub, tmp_path: Path) -> None:
    revision = hub.add_repo("org/chat", {"config.json": b"{}"})
    entries = add(hub, revision, tmp_path / "git")
    target = place(tmp_path / "git", "org/chat")
    for folder in sorted((path for path in target.rglob("*") if path.is_dir()), reverse=True):
        if not list(folder.iterdir()):
            folder.rmdir()
    hub.seen.clear()
    assert add(hub, revision, tmp_path / "git") == entries
    assert hub.seen == []


def test_damage_is_found(hub: FakeHub, tmp_path: Path) -> None:
    revision = hub.add_repo("org/chat", {"config.json": b"{}"})
    add(hub, revision, tmp_path / "git")
    target = place(tmp_path / "git", "org/chat")
    assert check(target)
    pack = next(target.rglob("*.pack"))
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(content)
    assert not check(target)


def test_a_machine_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(DriverError, match="git was not found"):
        git_program()
