# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One model to fetch: what is wanted of it, where each file comes from, and what is there already."""

from __future__ import annotations

import abc
import errno
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.module_utils._model_download import Arrived, Download
from ansible_collections.llmops.serving.plugins.module_utils._model_http import (
    NO_AUTH,
    Auth,
    HttpClient,
    HttpError,
    Retry,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_journal import (
    Identity,
    Journal,
    journal_path,
    kept_bytes,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest, Marks, StoredFile
from ansible_collections.llmops.serving.plugins.module_utils._model_select import Selection, TreeFile, select
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, ModelSpec
from ansible_collections.llmops.serving.plugins.module_utils._model_store import State, Store, stored_name
from ansible_collections.llmops.serving.plugins.module_utils._model_transfer import RETRY, Transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._model_git import Git, GitTree
    from ansible_collections.llmops.serving.plugins.module_utils._model_hub import GitRemote, Hub, Link, RemoteFile
    from ansible_collections.llmops.serving.plugins.module_utils._model_peer import Peer


@dataclass(frozen=True)
class Place:
    """Where a model is built and how.

    Attributes:
        store: The model store.
        work: The folder of this model's unfinished work.
        connections: How many connections at most.
        on_bytes: Told about bytes that arrive.
    """

    store: Store
    work: Path
    connections: int
    on_bytes: Callable[[int], None]

    @property
    def tree(self) -> Path:
        """Where its files grow."""
        return self.work / "tree"

    def journal(self, path: str) -> Path:
        """The journal of one of its files."""
        return journal_path(self.work, path)


@dataclass(frozen=True)
class Fetched:
    """Files that are whole and verified in the tree, and the marks inside those that came over HTTP."""

    files: list[StoredFile]
    marks: dict[str, Marks]


@dataclass(frozen=True)
class Job(abc.ABC):
    """A model to fetch: its sizes are known, nothing of its weights was asked for in this run."""

    spec: ModelSpec
    state: State
    place: Place

    @property
    @abc.abstractmethod
    def sizes(self) -> Mapping[str, int]:
        """Path to bytes of the files to fetch; 0 where the size is not known."""

    @property
    def skipped(self) -> tuple[str, ...]:
        """Paths of the repository that are left out."""
        return ()

    @property
    def good(self) -> Mapping[str, StoredFile]:
        """Files of the version that stay as they are."""
        return self.state.good()

    @property
    def size(self) -> int:
        """Bytes of the files to fetch, as far as known."""
        return sum(self.sizes.values())

    @property
    def kept(self) -> int:
        """Bytes of them that an interrupted run left."""
        return kept_bytes(self.place.work, self.sizes)

    @abc.abstractmethod
    def fetch(self) -> Fetched:
        """Fetch all files into the tree.

        Raises:
            ModelError: A file cannot be had, or is not what it should be.
        """

    def transfer(self, client: HttpClient, wants: Sequence[Download], retry: Retry = RETRY) -> Fetched:
        """Fetch files over HTTP, several at a time.

        Raises:
            HttpError: A source gave no answer to use.
            ModelError: A file is not what was wanted, or cannot be written.
        """
        place = self.place
        jobs = []
        try:
            for want in wants:
                self._mend(want)
                counted = replace(want, on_bytes=place.on_bytes)
                jobs.append((counted, place.tree / want.label, place.journal(want.label)))
            arrived = Transfer(client, jobs, place.connections, retry).run()
        except OSError as error:
            raise ModelError(
                "serving_model_dir",
                f"cannot write {place.store.root}: {error.strerror or error}; free space there (what came is kept), "
                "then run again",
            ) from error
        found = dict(zip([want.label for want in wants], arrived))  # noqa: B905 - as long as each other
        return Fetched([_stored(path, found[path]) for path in found], {path: _marks(found[path]) for path in found})

    def _mend(self, want: Download) -> None:
        """Begin a damaged file with its own bytes: its marks tell which blocks must come again."""
        place, path = self.place, want.label
        if path not in self.state.damaged or place.journal(path).exists() or want.size is None:
            return
        there = place.store.folder(self.spec.name, self.spec.key) / path
        marks = place.store.marks(self.spec.name, self.spec.key).get(path)
        if marks is None or not there.is_file():
            return
        target = place.tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(str(there), str(target))
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            # The disk itself cannot read it: all of it comes again.
            target.unlink()
            return
        journal = Journal(place.journal(path))
        identity = Identity(want.size, want.sha256, "", marks.block)
        journal.adopt(identity, min(want.size, target.stat().st_size), dict(enumerate(marks.marks)))
        journal.close()


def _stored(path: str, arrived: Arrived) -> StoredFile:
    return StoredFile(path, arrived.size, arrived.sha256, 0)


def _marks(arrived: Arrived) -> Marks:
    return Marks(arrived.block, arrived.marks)


@dataclass(frozen=True)
class FileJob(Job):
    """Single files of a repository, or of any address, over HTTP."""

    hub: Hub
    wanted: Mapping[str, RemoteFile]

    @classmethod
    def ask(cls, spec: ModelSpec, state: State, place: Place, hub: Hub) -> FileJob:
        """Ask the hub about the files that are missing."""
        good = state.good()
        wanted = {path: hub.head(spec, path) for path in spec.files if stored_name(spec, path) not in good}
        return cls(spec, state, place, hub, wanted)

    @property
    def sizes(self) -> Mapping[str, int]:
        return {stored_name(self.spec, path): remote.size or 0 for path, remote in self.wanted.items()}

    def fetch(self) -> Fetched:
        try:
            return self.transfer(self.hub.client, [self._want(path) for path in self.wanted])
        except HttpError as error:
            raise self.hub.explain(self.spec, error, error.label) from error

    def _want(self, path: str) -> Download:
        spec, remote, label = self.spec, self.wanted[path], stored_name(self.spec, path)
        url = self.hub.file_url(spec, path)
        return Download(
            label=label,
            variable=spec.var("sha256" if spec.sha256 else spec.kind),
            link=lambda: (url, {}),
            auth=self.hub.auth_for(spec),
            size=remote.size,
            sha256=spec.sha256 or remote.sha256 or _recorded(self.state, label),
        )


def _recorded(state: State, path: str) -> str:
    """The digest of a file that was fetched once and is damaged now."""
    files = state.manifest.files if state.manifest else ()
    return "".join(entry.sha256 for entry in files if entry.path == path)


@dataclass(frozen=True)
class RepoJob(Job):
    """A repository: its tree by git, its large files through the LFS batch API."""

    hub: Hub
    remote: GitRemote
    tree: GitTree
    selection: Selection
    wanted: tuple[TreeFile, ...]

    @classmethod
    def ask(cls, spec: ModelSpec, state: State, place: Place, hub: Hub, git: Git | None) -> RepoJob:
        """Fetch the tree, and choose what is missing."""
        if git is None:
            raise ModelError(
                "git",
                f"missing on this host and needed for {spec.var('repo')} ({spec.repo}); install git (the role "
                "models does)",
            )
        remote = hub.remote(spec)
        tree = git.fetch(hub, spec, remote, place.work / "git")
        selection = select(spec, tree.files)
        good = state.good()
        wanted = tuple(entry for entry in selection.wanted if entry.path not in good)
        return cls(spec, state, place, hub, remote, tree, selection, wanted)

    @property
    def sizes(self) -> Mapping[str, int]:
        return {entry.path: entry.size for entry in self.wanted}

    @property
    def skipped(self) -> tuple[str, ...]:
        return self.selection.skipped

    @property
    def good(self) -> Mapping[str, StoredFile]:
        chosen = {entry.path for entry in self.selection.wanted}
        return {path: entry for path, entry in self.state.good().items() if path in chosen}

    def fetch(self) -> Fetched:
        small = [entry for entry in self.wanted if not entry.oid]
        large = [entry for entry in self.wanted if entry.oid]
        digests = self.tree.write(small, self.place.tree)
        self.place.on_bytes(sum(entry.size for entry in small))
        found = [StoredFile(entry.path, entry.size, digests[entry.path], 0) for entry in small]
        if not large:
            return Fetched(found, {})
        links = self.hub.lfs_links(self.spec, self.remote, large)
        try:
            came = self.transfer(self.hub.client, [self._want(entry, links[entry.oid]) for entry in large])
        except HttpError as error:
            raise self.hub.explain(self.spec, error, error.label) from error
        return Fetched(found + came.files, came.marks)

    def _want(self, entry: TreeFile, link: Link) -> Download:
        spec, hub = self.spec, self.hub
        given: list[Link] = [link]

        def ask() -> tuple[str, Mapping[str, str]]:
            # The first address came with the batch; when it has expired, or breaks, a new one is asked for.
            now_at = given.pop() if given else hub.lfs_links(spec, self.remote, [entry])[entry.oid]
            return now_at.href, now_at.headers

        own = any(name.lower() == "authorization" for name in link.headers)
        auth: Auth = NO_AUTH if own else hub.git_auth
        return Download(
            label=entry.path,
            variable=spec.var("revision"),
            link=ask,
            handed_out=True,
            auth=auth,
            size=entry.size,
            sha256=entry.oid,
        )


@dataclass(frozen=True)
class PeerJob(Job):
    """What another host of the play has: the same files, from nearer by. The hub is asked only when that fails."""

    offers: Sequence[tuple[Peer, Manifest]]
    otherwise: Callable[[], Job]

    @property
    def manifest(self) -> Manifest:
        """What the files must be."""
        return self.offers[0][1]

    @property
    def wanted(self) -> list[StoredFile]:
        """The files to fetch."""
        good = self.state.good()
        # Of single files the peer may have others of the same revision.
        single = {stored_name(self.spec, path) for path in self.spec.files}
        chosen = [entry for entry in self.manifest.files if not single or entry.path in single]
        return [entry for entry in chosen if entry.path not in good]

    @property
    def sizes(self) -> Mapping[str, int]:
        return {entry.path: entry.size for entry in self.wanted}

    @property
    def skipped(self) -> tuple[str, ...]:
        return self.manifest.skipped

    @property
    def good(self) -> Mapping[str, StoredFile]:
        chosen = {entry.path for entry in self.manifest.files}
        return {path: entry for path, entry in self.state.good().items() if path in chosen}

    def fetch(self) -> Fetched:
        for peer, manifest in self.offers:
            if peer.gone:
                continue
            try:
                wants = [peer.download(manifest, entry) for entry in self.wanted]
                return self.transfer(peer.client, wants, peer.client.retry)
            except (HttpError, ModelError) as error:
                # What it has may be damaged, which is no reason to do without: the hub knows better.
                peer.lost(error)
        return self.otherwise().fetch()
