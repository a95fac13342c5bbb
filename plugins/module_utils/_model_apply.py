# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the models of a host into its store: ask all, see that they fit, then fetch, check and publish each."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._clock import now
from ansible_collections.llmops.serving.plugins.module_utils._model_check import check_file
from ansible_collections.llmops.serving.plugins.module_utils._model_fetch import FileJob, Job, PeerJob, Place, RepoJob
from ansible_collections.llmops.serving.plugins.module_utils._model_journal import Journal
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest
from ansible_collections.llmops.serving.plugins.module_utils._model_progress import Meter
from ansible_collections.llmops.serving.plugins.module_utils._model_select import licence_file
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, ModelSpec
from ansible_collections.llmops.serving.plugins.module_utils._model_transfer import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.module_utils._model_git import Git
    from ansible_collections.llmops.serving.plugins.module_utils._model_hub import Hub
    from ansible_collections.llmops.serving.plugins.module_utils._model_peer import Peer
    from ansible_collections.llmops.serving.plugins.module_utils._model_store import State, Store


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
        git: The git program, None when the host has none.
        meter: Told about each piece that arrives.
        peers: Hosts near by that may have them already.
        connections: How many connections at most.
    """

    store: Store
    hub: Hub
    git: Git | None = None
    meter: Meter = field(default_factory=lambda: Meter(None))
    peers: Sequence[Peer] = ()
    connections: int = CONNECTIONS
    _came: dict[str, int] = field(default_factory=dict)

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
        left = any(self.store.work(spec).exists() for spec in specs)
        if not left and all(state.complete and not state.touched for state in states.values()):
            return {name: _kept(state) for name, state in states.items()}
        self.store.create()
        with self.store.lock():
            self.store.recover(specs)
            # Another run may have finished, or removed, some of them while this one waited; what was hashed is not
            # hashed again.
            for spec in specs:
                gone = not self.store.manifest_path(spec.name, spec.key).exists()
                if gone or not states[spec.name].complete:
                    states[spec.name] = self.store.state(spec, verify)
            try:
                return self._ensure(specs, states)
            finally:
                self._tidy(specs)

    def _tidy(self, specs: Sequence[ModelSpec]) -> None:
        """Leave nothing behind but bytes that the next run goes on with."""
        for spec in specs:
            work = self.store.work(spec)
            if work.exists() and not any(Journal(path).have.total for path in (work / "journal").rglob("*.journal")):
                shutil.rmtree(str(work), ignore_errors=True)

    def _ensure(self, specs: Sequence[ModelSpec], states: Mapping[str, State]) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        for spec in specs:
            state = states[spec.name]
            if state.complete:
                # Of a run that was killed while it cleared up.
                shutil.rmtree(str(self.store.work(spec)), ignore_errors=True)
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

    def _prepare(self, specs: Sequence[ModelSpec], states: Mapping[str, State]) -> tuple[list[Job], list[str]]:
        """Ask for all that is missing, and see that it fits: all problems come at once, before the first weight."""
        jobs: list[Job] = []
        problems: list[str] = []
        for spec in specs:
            try:
                jobs.append(self._job(spec, states[spec.name]))
            except ModelError as error:
                problems.append(str(error))
        if jobs and not problems:
            try:
                # What an interrupted run left has its place already.
                needed = sum(job.size - job.kept for job in jobs)
                self.store.check_space(needed, sum(len(job.sizes) for job in jobs))
            except ModelError as error:
                problems.append(str(error))
        return jobs, problems

    def _job(self, spec: ModelSpec, state: State) -> Job:
        place = Place(
            self.store,
            self.store.begin(spec),
            self.connections,
            lambda count: self._count(spec.name, count),
        )
        offers = [(peer, manifest) for peer in self.peers for manifest in [peer.manifest(spec)] if manifest]
        if offers:
            return PeerJob(spec, state, place, offers, lambda: self._hub_job(spec, state, place))
        return self._hub_job(spec, state, place)

    def _hub_job(self, spec: ModelSpec, state: State, place: Place) -> Job:
        if spec.kind == "repo":
            return RepoJob.ask(spec, state, place, self.hub, self.git)
        return FileJob.ask(spec, state, place, self.hub)

    def _count(self, model: str, count: int) -> None:
        self._came[model] = self._came.get(model, 0) + max(0, count)
        self.meter.add(model, count)

    def _run(self, job: Job) -> Outcome:
        begun = time.monotonic()
        spec, place = job.spec, job.place
        self.meter.plan(spec.name, job.size, job.kept)
        fetched = job.fetch()
        try:
            for entry in fetched.files:
                check_file(place.tree / entry.path, entry.path, spec.var())
        except ModelError:
            # It is what the hub has, and no model: no byte of it is worth keeping.
            shutil.rmtree(str(place.work), ignore_errors=True)
            raise
        files = dict(job.good)
        files.update((entry.path, entry) for entry in fetched.files)
        manifest = Manifest(
            name=spec.name,
            key=spec.key,
            kind=spec.kind,
            source=spec.source(self.hub.url),
            repo=spec.repo,
            revision=spec.revision,
            allow_pickle=spec.allow_pickle,
            files=tuple(files[path] for path in sorted(files)),
            skipped=job.skipped,
            licence=licence_file(list(files)),
            fetched_at=now(),
            include=spec.include,
            exclude=spec.exclude,
        )
        manifest = self.store.publish(spec, manifest, job.state.manifest is not None, fetched.marks)
        self.meter.done(spec.name)
        seconds = round(time.monotonic() - begun, 3)
        return Outcome(manifest, True, self._came.get(spec.name, 0), seconds, job.state.damaged)


def _kept(state: State) -> Outcome:
    if state.manifest is None:
        raise AssertionError("a complete state has a manifest")
    return Outcome(state.manifest, False)


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
