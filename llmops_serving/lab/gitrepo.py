# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes a bare git repository with one commit, without git.

The objects are made here because they must come out the same everywhere: author and date are fixed, so the same files
always give the same revision, and an inventory can pin it. Format: gitformat-pack(5), Documentation/git-hash-object.
"""

from __future__ import annotations

import hashlib
import shutil
import zlib
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: 2026-01-01T00:00:00Z
WHO = "llmops lab <lab@example.org> 1767225600 +0000"
BRANCH = "refs/heads/main"


@dataclass(frozen=True)
class Symlink:
    """A symbolic link, as git keeps it: a file that holds its target."""

    target: str


@dataclass(frozen=True)
class Submodule:
    """Another repository's commit in a file's place."""

    commit: str


#: What can stand under a name: a file, or what is none.
Content = bytes | Symlink | Submodule
Tree = dict[str, "Content | Tree"]


def pointer(sha256: str, size: int) -> bytes:
    """Give the LFS pointer of an object (git-lfs spec v1)."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode("ascii")


def blob_id(content: bytes) -> str:
    """Tell the id git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass
class _Objects:
    directory: Path
    seen: set[str] = field(default_factory=set)

    def add(self, kind: str, content: bytes) -> str:
        whole = f"{kind} {len(content)}\0".encode("ascii") + content
        name = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        if name not in self.seen:
            self.seen.add(name)
            path = self.directory / name[:2] / name[2:]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(zlib.compress(whole, 1))
        return name

    def add_tree(self, tree: Tree) -> str:
        rows = []
        for name, content in tree.items():
            rows.append((name.encode(), *self._add_entry(content)))
        # Git sorts directories as if their names ended with a slash.
        rows.sort(key=lambda row: row[0] + (b"/" if row[1] == b"40000" else b""))
        return self.add("tree", b"".join(mode + b" " + name + b"\0" + bytes.fromhex(oid) for name, mode, oid in rows))

    def _add_entry(self, content: Content | Tree) -> tuple[bytes, str]:
        """Give mode and id."""
        if isinstance(content, bytes):
            return b"100644", self.add("blob", content)
        if isinstance(content, Symlink):
            return b"120000", self.add("blob", content.target.encode())
        if isinstance(content, Submodule):
            return b"160000", content.commit
        return b"40000", self.add_tree(content)


def write_repository(directory: Path, files: Mapping[str, Content], message: str) -> str:
    """Make a bare repository (replacing what is there) and give its commit.

    Args:
        directory: the repository, usually ending in .git.
        files: path with slashes -> content as git stores it (for LFS files: the pointer).
        message: of the commit.

    Returns:
        The commit's id, 40 hexadecimal digits.
    """
    shutil.rmtree(directory, ignore_errors=True)
    objects = _Objects(directory / "objects")
    (directory / "objects").mkdir(parents=True)
    revision = objects.add(
        "commit",
        f"tree {objects.add_tree(nest(files))}\nauthor {WHO}\ncommitter {WHO}\n\n{message}\n".encode(),
    )
    ref = directory / BRANCH
    ref.parent.mkdir(parents=True)
    ref.write_text(f"{revision}\n", encoding="ascii")
    (directory / "HEAD").write_text(f"ref: {BRANCH}\n", encoding="ascii")
    (directory / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n", encoding="ascii")
    return revision


def nest(files: Mapping[str, Content]) -> Tree:
    """Turn flat paths into nested directories."""
    root: Tree = {}
    for path, content in files.items():
        *parents, name = PurePosixPath(path).parts
        place = root
        for parent in parents:
            child = place.setdefault(parent, {})
            if not isinstance(child, dict):
                raise ValueError(f"{path}: {parent} is a file and a directory")  # noqa: TRY004  # the value is wrong, not its type
            place = child
        place[name] = content
    return root
