# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model store on disk: layout, manifests, lock, and the rule that only complete models have a final name.

Layout under the store's path::

    .lock                      held while something is fetched or removed
    .partial/NAME-KEY/tree/    what is being fetched (0700 above, so nobody reads it by accident)
    .partial/NAME-KEY/journal/ how far each of its files has come: an interrupted run is gone on with
    .partial/NAME-KEY/manifest.json   written when the tree is whole, just before it gets its final name
    NAME/KEY/                  a complete, verified model
    NAME/KEY.json              its manifest
    NAME/KEY.marks.json        digests inside its large files, by which a damaged block is told from sound ones
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._clock import now
from ansible_collections.llmops.serving.plugins.module_utils._model_files import (
    damaged_of,
    human,
    keep_only,
    settle,
    sync_folder,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest, Marks, StoredFile
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

LOCK_WAIT_S = 10.0
# Kept free beside the models: logs and Docker of the same file system must go on.
DISK_MARGIN = 64 << 20
_LOCK_POLL_S = 0.2


class BusyError(ModelError):
    """Another run works in the store."""


@dataclass(frozen=True)
class State:
    """How a wanted model stands in the store.

    Attributes:
        manifest: Its manifest, None when the version is not there.
        missing: Wanted paths that the manifest lacks (another file of the same revision).
        damaged: Paths whose file is gone or changed.
        touched: Whether only times changed; hashing found the content good.
        reselect: Whether other files of the revision are wanted than those that were chosen.
    """

    manifest: Manifest | None
    missing: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    touched: bool = False
    reselect: bool = False

    @property
    def complete(self) -> bool:
        """Whether nothing is to be fetched."""
        return self.manifest is not None and not (self.missing or self.damaged or self.reselect)

    def good(self) -> dict[str, StoredFile]:
        """The files that need no fetching, by path."""
        if self.manifest is None:
            return {}
        return {entry.path: entry for entry in self.manifest.files if entry.path not in self.damaged}


class Store:
    """The folder that holds all models of a host."""

    def __init__(self, path: str) -> None:
        """Name the store; nothing is created before it is needed."""
        self.root = Path(path)

    def folder(self, name: str, key: str) -> Path:
        """The final place of a model's version."""
        return self.root / name / key

    def manifest_path(self, name: str, key: str) -> Path:
        """The manifest of a model's version."""
        return self.root / name / (key + ".json")

    @property
    def partial(self) -> Path:
        """Where models are built."""
        return self.root / ".partial"

    def state(self, spec: ModelSpec, verify: bool = False) -> State:
        """See how a model stands: by size and time of its files, by content where those differ or when asked.

        Args:
            spec: The wanted model.
            verify: Hash every file.
        """
        manifest = Manifest.load(self.manifest_path(spec.name, spec.key))
        if manifest is None or not manifest.serves(spec):
            return State(None)
        folder = self.folder(spec.name, spec.key)
        damaged: list[str] = []
        doubtful: list[StoredFile] = []
        touched = False
        for entry in manifest.files:
            found = _stat(folder / entry.path)
            if found is None or found.st_size != entry.size:
                damaged.append(entry.path)
            elif verify or found.st_mtime_ns != entry.mtime_ns:
                doubtful.append(entry)
                touched = touched or found.st_mtime_ns != entry.mtime_ns
        damaged += damaged_of(folder, doubtful)
        have = {entry.path: entry for entry in manifest.files}
        wanted = [stored_name(spec, path) for path in spec.files]
        if spec.sha256:
            damaged += [path for path in wanted if path in have and have[path].sha256 != spec.sha256]
        return State(
            manifest,
            tuple(path for path in wanted if path not in have),
            tuple(sorted(set(damaged))),
            touched,
            (manifest.include, manifest.exclude) != (spec.include, spec.exclude),
        )

    def refresh(self, spec: ModelSpec, manifest: Manifest) -> None:
        """Write the times of files whose content was found good, so that the next run need not hash them."""
        folder = self.folder(spec.name, spec.key)
        files = tuple(
            StoredFile(entry.path, entry.size, entry.sha256, (folder / entry.path).stat().st_mtime_ns)
            for entry in manifest.files
        )
        changed = dict(manifest.__dict__, files=files)
        Manifest(**changed).save(self.manifest_path(spec.name, spec.key))

    def create(self) -> None:
        """Create the store's folders."""
        try:
            self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
            self.partial.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ModelError(
                "serving_model_dir", f"cannot create {self.root}: {error.strerror}; name a folder that root can write"
            ) from error

    @contextlib.contextmanager
    def lock(self, wait: float = LOCK_WAIT_S, sleep: Callable[[float], None] = time.sleep) -> Iterator[None]:
        """Hold the store alone. The kernel frees the lock with its process, so none stays behind.

        Raises:
            BusyError: Another run holds it for longer than ``wait`` seconds.
        """
        path = self.root / ".lock"
        with path.open("a+", encoding="utf-8") as file:
            left = wait
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if error.errno not in (errno.EAGAIN, errno.EACCES):
                        raise
                if left <= 0:
                    raise BusyError(
                        "serving_model_dir",
                        f"another run works in {self.root} ({_holder(path)}); wait for it to end, or stop it",
                    )
                sleep(_LOCK_POLL_S)
                left -= _LOCK_POLL_S
            path.chmod(0o644)
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "since": now()}))
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)

    def recover(self, specs: Sequence[ModelSpec]) -> None:
        """Finish what an interrupted run had all but finished, and clear what is of no use: call it under the lock.

        A tree that got its final name but not its manifest is kept when its content is good. Unfinished work on another
        version of a wanted model is removed, that on other models is left to whoever wants them.
        """
        for spec in specs:
            work = self.work(spec)
            ready = Manifest.load(work / "manifest.json")
            folder = self.folder(spec.name, spec.key)
            if ready and not (work / "tree").exists():
                if all((folder / entry.path).is_file() for entry in ready.files) and not damaged_of(
                    folder, ready.files
                ):
                    ready.save(self.manifest_path(spec.name, spec.key))
                shutil.rmtree(str(work), ignore_errors=True)
        kept = {self.work(spec).name for spec in specs}
        for left in self.leftovers():
            if left.name not in kept and left.name.rpartition("-")[0] in {spec.name for spec in specs}:
                shutil.rmtree(str(left), ignore_errors=True)

    def leftovers(self) -> list[Path]:
        """The folders of unfinished work."""
        return sorted(self.partial.iterdir()) if self.partial.is_dir() else []

    def work(self, spec: ModelSpec) -> Path:
        """The folder in which a model is built."""
        return self.partial / f"{spec.name}-{spec.key}"

    def begin(self, spec: ModelSpec) -> Path:
        """The folder to build a model in, with what an interrupted run left there."""
        work = self.work(spec)
        (work / "tree").mkdir(mode=0o755, parents=True, exist_ok=True)
        return work

    def publish(self, spec: ModelSpec, manifest: Manifest, merge: bool, marks: Mapping[str, Marks]) -> Manifest:
        """Give a complete tree its final name, then write its manifest.

        Args:
            spec: The model.
            manifest: Its manifest; times are taken here.
            merge: Put the files into the version's existing folder, one atomic replace each, instead of replacing
                the folder. A server that has it mounted sees the mended file.
            marks: Path to the marks of files that arrived now.

        Returns:
            The manifest as written.
        """
        work = self.work(spec)
        tree = work / "tree"
        keep_only(tree, {entry.path for entry in manifest.files})
        final = self.folder(spec.name, spec.key)
        final.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        final.parent.chmod(0o755)
        settle(tree)
        files = []
        for entry in manifest.files:
            place = tree / entry.path
            place = place if place.exists() else final / entry.path
            files.append(StoredFile(entry.path, entry.size, entry.sha256, place.stat().st_mtime_ns))
        manifest = Manifest(**dict(manifest.__dict__, files=tuple(files)))
        manifest.save(work / "manifest.json")
        if merge and final.is_dir():
            for place in sorted(path for path in tree.rglob("*") if path.is_file()):
                target = final / place.relative_to(tree)
                target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                place.replace(target)
            keep_only(final, {entry.path for entry in manifest.files})
        else:
            if final.exists():
                final.rename(work / "replaced")
            tree.rename(final)
        sync_folder(final.parent)
        manifest.save(self.manifest_path(spec.name, spec.key))
        paths = {entry.path for entry in manifest.files}
        known = dict(self.marks(spec.name, spec.key) if merge else {}, **marks)
        text = json.dumps({path: asdict(known[path]) for path in sorted(known) if path in paths})
        self._marks_path(spec.name, spec.key).write_text(text, encoding="utf-8")
        shutil.rmtree(str(work), ignore_errors=True)
        return manifest

    def marks(self, name: str, key: str) -> dict[str, Marks]:
        """The marks of a version's files, by path; those of files that were stored before there were marks lack."""
        try:
            found = json.loads(self._marks_path(name, key).read_text(encoding="utf-8"))
            return {path: Marks(words["block"], tuple(words["marks"])) for path, words in found.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            # They only save bytes when something is damaged.
            return {}

    def _marks_path(self, name: str, key: str) -> Path:
        return self.root / name / (key + ".marks.json")

    def names(self) -> list[str]:
        """The models that have a folder."""
        if not self.root.is_dir():
            return []
        return sorted(path.name for path in self.root.iterdir() if path.is_dir() and not path.name.startswith("."))

    def versions(self, name: str) -> list[Manifest]:
        """The complete versions of a model."""
        found = [Manifest.load(path) for path in sorted((self.root / name).glob("*.json"))]
        return [manifest for manifest in found if manifest is not None]

    def has(self, name: str) -> bool:
        """Whether anything of a model is there: a version, or what an unfinished fetch left."""
        return (self.root / name).is_dir() or bool(self._leftovers_of(name))

    def remove(self, name: str) -> None:
        """Remove all of a model: first the manifests, so that no half-removed tree counts as complete."""
        for left in self._leftovers_of(name):
            shutil.rmtree(str(left), ignore_errors=True)
        folder = self.root / name
        if folder.is_dir():
            for path in folder.glob("*.json"):
                path.unlink()
            shutil.rmtree(str(folder))

    def _leftovers_of(self, name: str) -> list[Path]:
        # What follows the name is the version, which has no dash of its own.
        return [left for left in self.leftovers() if left.name.rpartition("-")[0] == name]

    def remove_version(self, name: str, key: str) -> None:
        """Remove one version: first its manifest, so that no half-removed tree counts as complete."""
        for path in (self.manifest_path(name, key), self._marks_path(name, key)):
            if path.exists():
                path.unlink()
        shutil.rmtree(str(self.folder(name, key)), ignore_errors=True)
        with contextlib.suppress(OSError):
            (self.root / name).rmdir()

    def check_space(self, needed: int, files: int) -> None:
        """Refuse to begin when the disk cannot hold the rest.

        Args:
            needed: Bytes still to come.
            files: Files still to come.

        Raises:
            ModelError: Too little space or too few inodes, with numbers.
        """
        place = self.root
        while not place.exists():
            place = place.parent
        found = os.statvfs(str(place))
        free = found.f_bavail * found.f_frsize
        if needed + DISK_MARGIN > free:
            raise ModelError(
                "serving_model_dir",
                f"the disk of {self.root} is too small: {human(needed)} to fetch and {human(DISK_MARGIN)} to "
                f"keep free, {human(free)} free; free {human(needed + DISK_MARGIN - free)}, or name a folder "
                "on a larger disk",
            )
        if found.f_files and found.f_favail < files + 16:
            raise ModelError(
                "serving_model_dir",
                f"the disk of {self.root} has {found.f_favail} free inodes for {files} files; remove small files there",
            )


def stored_name(spec: ModelSpec, path: str) -> str:
    """A file's place inside its version's folder: single files lie under their base name."""
    return path if spec.kind == "repo" else path.rsplit("/", 1)[-1]


def describe(manifests: Mapping[str, Sequence[Manifest]]) -> list[dict[str, Any]]:
    """The diff's lines: name, revision (or digest) and bytes of each version."""
    return [
        {"name": name, "revision": manifest.revision or manifest.key, "bytes": manifest.size}
        for name in sorted(manifests)
        for manifest in manifests[name]
    ]


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return "pid {}, since {}".format(holder["pid"], holder["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return "its process is not known"
