# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the models of a host into its store: ask all, see that they fit, then fetch, check and publish each."""

from __future__ import annotations

import abc
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._model_check import check_file
from ansible_collections.llmops.serving.plugins.module_utils._model_http import (
    NO_AUTH,
    Auth,
    Download,
    HttpClient,
    HttpError,
    download,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_select import (
    Selection,
    TreeFile,
    licence_file,
    select,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, ModelSpec
from ansible_collections.llmops.serving.plugins.module_utils._model_store import (
    Manifest,
    State,
    Store,
    StoredFile,
    now,
    stored_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._model_git import Git, GitTree
    from ansible_collections.llmops.serving.plugins.module_utils._model_hub import GitRemote, Hub, Link, RemoteFile

    # Told model, file and count of bytes that arrived: the seam for progress reports.
    OnBytes = Callable[[str, str, int], None]


def _silent(_model: str, _file: str, _count: int) -> None:
    return None


@dataclass(frozen=True)
class Outcome:
    """What happened to one model.

    Attributes:
        manifest: Its manifest now.
        changed: Whether files were fetched.
        fetched: Bytes fetched.
        seconds: Wall time of its fetch.
        damaged: Files that were found damaged and came again.
    """

    manifest: Manifest
    changed: bool
    fetched: int = 0
    seconds: float = 0.0
    damaged: tuple[str, ...] = ()


class FetchError(ModelError):
    """Some models could not be fetched; those in ``outcomes`` are there."""

    def __init__(self, problems: Sequence[str], outcomes: Mapping[str, Outcome]) -> None:
        # The lines are composed already, so the parent has nothing to add to them.
        Exception.__init__(self, "\n".join(dict.fromkeys(problems)))  # pylint: disable=non-parent-init-called
        self.problems = list(dict.fromkeys(problems))
        self.outcomes = dict(outcomes)


@dataclass(frozen=True)
class Fetcher:
    """Everything that fetching needs.

    Attributes:
        store: Where models go.
        hub: Where they come from.
        client: How to ask.
        git: The git program, None when the host has none.
        on_bytes: Told about each piece that arrives.
    """

    store: Store
    hub: Hub
    client: HttpClient
    git: Git | None = None
    on_bytes: OnBytes = field(default=_silent)

    def ensure(self, specs: Sequence[ModelSpec], verify: bool = False) -> dict[str, Outcome]:
        """Make all wanted models complete.

        Nothing is fetched before every missing model has been asked for and all of them fit on the disk.

        Args:
            specs: The wanted models.
            verify: Hash the files that are there.

        Returns:
            Name to outcome.

        Raises:
            FetchError: One or more cannot be had.
        """
        states = {spec.name: self.store.state(spec, verify) for spec in specs}
        if all(state.complete and not state.touched for state in states.values()):
            return {name: _kept(state) for name, state in states.items()}
        self.store.create()
        with self.store.lock():
            self.store.recover(specs)
            # Another run may have finished some of them while this one waited; what was hashed is not hashed again.
            for spec in specs:
                if not states[spec.name].complete:
                    states[spec.name] = self.store.state(spec, verify)
            try:
                return self._ensure(specs, states)
            finally:
                self.store.clear()

    def _ensure(self, specs: Sequence[ModelSpec], states: Mapping[str, State]) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        for spec in specs:
            state = states[spec.name]
            if state.complete:
                outcomes[spec.name] = _kept(state)
                if state.touched and state.manifest:
                    self.store.refresh(spec, state.manifest)
        jobs, problems = self._prepare([spec for spec in specs if spec.name not in outcomes], states)
        if not problems:
            for job in jobs:
                try:
                    outcomes[job.spec.name] = self._run(job)
                except ModelError as error:
                    problems.append(str(error))
        if problems:
            raise FetchError(problems, outcomes)
        return {spec.name: outcomes[spec.name] for spec in specs}

    def _prepare(self, specs: Sequence[ModelSpec], states: Mapping[str, State]) -> tuple[list[_Job], list[str]]:
        """Ask for all that is missing, and see that it fits: all problems come at once, before the first weight."""
        jobs: list[_Job] = []
        problems: list[str] = []
        for spec in specs:
            try:
                jobs.append(self._job(spec, states[spec.name]))
            except ModelError as error:
                problems.append(str(error))
        if jobs and not problems:
            try:
                self.store.check_space(sum(job.size for job in jobs), sum(job.count for job in jobs))
            except ModelError as error:
                problems.append(str(error))
        return jobs, problems

    def _job(self, spec: ModelSpec, state: State) -> _Job:
        work = self.store.begin(spec)
        return self._repo_job(spec, state, work) if spec.kind == "repo" else self._file_job(spec, state, work)

    def _file_job(self, spec: ModelSpec, state: State, work: Path) -> _FileJob:
        good = state.good()
        wanted = {path: self.hub.head(spec, path) for path in spec.files if stored_name(spec, path) not in good}
        return _FileJob(spec, state, work, wanted)

    def _repo_job(self, spec: ModelSpec, state: State, work: Path) -> _RepoJob:
        if self.git is None:
            raise ModelError(
                "git",
                f"missing on this host and needed for {spec.var('repo')} ({spec.repo}); install git (the role "
                "models does)",
            )
        remote = self.hub.remote(spec)
        tree = self.git.fetch(self.hub, spec, remote, work / "git")
        selection = select(spec, tree.files)
        good = state.good()
        wanted = tuple(entry for entry in selection.wanted if entry.path not in good)
        return _RepoJob(spec, state, work, remote, tree, selection, wanted)

    def _run(self, job: _Job) -> Outcome:
        begun = time.monotonic()
        fetched: list[StoredFile] = job.fetch(self)
        for entry in fetched:
            check_file(job.work / "tree" / entry.path, entry.path, job.spec.var())
        shutil.rmtree(str(job.work / "git"), ignore_errors=True)
        files = dict(job.state.good())
        files.update((entry.path, entry) for entry in fetched)
        manifest = Manifest(
            name=job.spec.name,
            key=job.spec.key,
            kind=job.spec.kind,
            source=job.spec.source(self.hub.url),
            repo=job.spec.repo,
            revision=job.spec.revision,
            allow_pickle=job.spec.allow_pickle,
            files=tuple(files[path] for path in sorted(files)),
            skipped=job.skipped,
            licence=licence_file(list(files)),
            fetched_at=now(),
        )
        manifest = self.store.publish(job.spec, manifest, merge=job.state.manifest is not None)
        return Outcome(
            manifest,
            True,
            sum(entry.size for entry in fetched),
            round(time.monotonic() - begun, 3),
            job.state.damaged,
        )

    def download(self, spec: ModelSpec, want: Download, target: Path) -> StoredFile:
        """Stream one file into a partial tree."""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            size, sha256 = download(self.client, want, target)
        except HttpError as error:
            raise self.hub.explain(spec, error, want.label) from error
        except OSError as error:
            raise ModelError(
                "serving_model_dir", f"cannot write {self.store.root}: {error.strerror or error}"
            ) from error
        return StoredFile(want.label, size, sha256, 0)


def _kept(state: State) -> Outcome:
    if state.manifest is None:
        raise AssertionError("a complete state has a manifest")
    return Outcome(state.manifest, False)


@dataclass(frozen=True)
class _Job(abc.ABC):
    """A model to fetch: its sizes are known, nothing of its weights has come."""

    spec: ModelSpec
    state: State
    work: Path

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """Bytes to fetch, as far as known."""

    @property
    @abc.abstractmethod
    def count(self) -> int:
        """Files to fetch."""

    @property
    def skipped(self) -> tuple[str, ...]:
        """Paths of the repository that are left out."""
        return ()

    @abc.abstractmethod
    def fetch(self, fetcher: Fetcher) -> list[StoredFile]:
        """Fetch all files into the partial tree."""


@dataclass(frozen=True)
class _FileJob(_Job):
    wanted: Mapping[str, RemoteFile]

    @property
    def size(self) -> int:
        return sum(remote.size or 0 for remote in self.wanted.values())

    @property
    def count(self) -> int:
        return len(self.wanted)

    def fetch(self, fetcher: Fetcher) -> list[StoredFile]:
        return [self._one(fetcher, path, remote) for path, remote in self.wanted.items()]

    def _one(self, fetcher: Fetcher, path: str, remote: RemoteFile) -> StoredFile:
        spec, label = self.spec, stored_name(self.spec, path)
        url = fetcher.hub.file_url(spec, path)
        want = Download(
            label=label,
            variable=spec.var("sha256" if spec.sha256 else "file"),
            link=lambda: (url, {}),
            auth=fetcher.hub.auth_for(spec),
            size=remote.size,
            sha256=spec.sha256 or remote.sha256,
            on_bytes=lambda count: fetcher.on_bytes(spec.name, label, count),
        )
        return fetcher.download(spec, want, self.work / "tree" / label)


@dataclass(frozen=True)
class _RepoJob(_Job):
    remote: GitRemote
    tree: GitTree
    selection: Selection
    wanted: tuple[TreeFile, ...]

    @property
    def skipped(self) -> tuple[str, ...]:
        return self.selection.skipped

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.wanted)

    @property
    def count(self) -> int:
        return len(self.wanted)

    def fetch(self, fetcher: Fetcher) -> list[StoredFile]:
        small = [entry for entry in self.wanted if not entry.oid]
        large = [entry for entry in self.wanted if entry.oid]
        folder = self.work / "tree"
        digests = self.tree.write(small, folder)
        found = [StoredFile(entry.path, entry.size, digests[entry.path], 0) for entry in small]
        links = fetcher.hub.lfs_links(self.spec, self.remote, large) if large else {}
        return found + [self._one(fetcher, entry, links[entry.oid]) for entry in large]

    def _one(self, fetcher: Fetcher, entry: TreeFile, link: Link) -> StoredFile:
        spec, hub = self.spec, fetcher.hub
        given: list[Link] = [link]

        def ask() -> tuple[str, Mapping[str, str]]:
            # The first address came with the batch; when it has expired, or breaks, a new one is asked for.
            now_at = given.pop() if given else hub.lfs_links(spec, self.remote, [entry])[entry.oid]
            return now_at.href, now_at.headers

        own = any(name.lower() == "authorization" for name in link.headers)
        auth: Auth = NO_AUTH if own else hub.git_auth
        want = Download(
            label=entry.path,
            variable=spec.var("revision"),
            link=ask,
            handed_out=True,
            auth=auth,
            size=entry.size,
            sha256=entry.oid,
            on_bytes=lambda count: fetcher.on_bytes(spec.name, entry.path, count),
        )
        return fetcher.download(spec, want, self.work / "tree" / entry.path)


def report(store: Store, outcome: Outcome) -> dict[str, Any]:
    """One model's part of the module's result."""
    manifest = outcome.manifest
    return {
        "path": str(store.folder(manifest.name, manifest.key)),
        "key": manifest.key,
        "changed": outcome.changed,
        "bytes": manifest.size,
        "files": [entry.path for entry in manifest.files],
        "seconds": outcome.seconds,
        "source": manifest.source,
        "revision": manifest.revision,
        "fetched_bytes": outcome.fetched,
        "damaged": list(outcome.damaged),
    }
