# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The git side of a bundle: bare repositories with nothing but the pinned commits, and git's own server for them."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.module_utils._model_git import Git, GitTree
from llmops_serving.bundle.document import TreeEntry
from llmops_serving.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._model_hub import Hub
    from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelSpec

_BRANCH = "refs/heads/main"
# A commit that a reference names may be asked for in every version of git's protocol.
_PINNED = "refs/bundle/"


def git_program() -> str:
    """Find git.

    Raises:
        DriverError: It is not installed.
    """
    found = shutil.which("git")
    if found is None:
        msg = "git was not found: it brings, and serves, whole repositories of models; install the package git"
        raise DriverError(msg)
    return found


def git_environment() -> dict[str, str]:
    """Give an environment for git in which nothing of the user's or the system's configuration is left."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "HOME": os.path.sep + "nonexistent",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        # A bundle may have come on a disk whose files belong to somebody else.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }


def place(folder: Path, repo: str) -> Path:
    """Tell where a repository is below the bundle's folder for them."""
    return folder / f"{repo}.git"


def add_commit(git: Git, hub: Hub, spec: ModelSpec, folder: Path) -> tuple[TreeEntry, ...]:
    """Put the pinned commit of a model into the bundle, unless it is there.

    Args:
        git: The program.
        hub: Where it comes from.
        spec: A model of the kind `repo`.
        folder: The bundle's folder for repositories.

    Returns:
        The files of the commit.

    Raises:
        ModelError: The hub does not give it, or its tree is not one that is fetched.
        DriverError: git failed.
    """
    target = place(folder, spec.repo)
    if not has_commit(target, spec.revision):
        scratch = folder / ".partial" / f"{spec.repo.replace('/', '+')}-{spec.revision}"
        scratch.parent.mkdir(parents=True, exist_ok=True)
        git.fetch(hub, spec, hub.remote(spec), scratch)
        _take(scratch, spec.revision, target)
        for left in scratch.parent.glob(scratch.name + "*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    listing = _git(target, "ls-tree", "-r", "-l", "-z", "--full-tree", spec.revision)
    return tuple(TreeEntry(entry.path, entry.size, entry.oid) for entry in GitTree(git, target, spec, listing).files)


def has_commit(repository: Path, revision: str) -> bool:
    """Tell whether a bare repository has a commit and all that belongs to it."""
    if not (repository / "HEAD").is_file():
        return False
    try:
        _git(repository, "rev-parse", "--verify", "--quiet", f"{_PINNED}{revision}^{{commit}}")
    except DriverError:
        return False
    return True


def check(repository: Path) -> bool:
    """Tell whether all objects of a bare repository are there and sound."""
    try:
        _git(repository, "fsck", "--no-dangling", "--no-progress")
    except DriverError:
        return False
    return True


def _take(source: Path, revision: str, target: Path) -> None:
    """Move a commit out of a repository into another one, which may have others already."""
    _git(source, "update-ref", _BRANCH, revision)
    if not (target / "HEAD").is_file():
        _git(target, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(target), at=False)
    # By git itself, and not by copying files: it keeps what both know in one place, and knows where history ends.
    _git(target, "fetch", "--quiet", "--no-tags", "--depth=1", source.as_uri(), f"+{_BRANCH}:{_PINNED}{revision}")
    # People may clone it as well. References stay files: a copy may lose empty folders, and git wants this one.
    _git(target, "update-ref", _BRANCH, revision)
    _git(target, "repack", "-a", "-d", "-q", "--no-write-bitmap-index")
    (target / "FETCH_HEAD").unlink(missing_ok=True)


def _git(repository: Path, *words: str, at: bool = True) -> str:
    where = [f"--git-dir={repository}"] if at else []
    quiet = ["-c", "gc.auto=0", "-c", "maintenance.auto=false"]
    done = subprocess.run(  # noqa: S603  git by its full path, no shell
        [git_program(), *quiet, *where, *words],
        env=git_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no message"])[0]
        msg = f"git {words[0]} failed in {repository}: {said}; remove that folder and run again"
        raise DriverError(msg)
    return done.stdout


def backend_command() -> Sequence[str]:
    """Give the command of git's own server."""
    return [git_program(), "http-backend"]
