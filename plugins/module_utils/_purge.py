# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Remove servers from a host with all that the collection made for them, and nothing else.

What says which models and images a server had is its generations, so these go last: a removal that was cut off,
wherever that was, goes on at the next run.
"""

from __future__ import annotations

import contextlib
import shutil
import time
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils import _agent, _generations, _lock, _model_job
from ansible_collections.llmops.serving.plugins.module_utils._chains import chain_of, chains, remove_chain
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._docker import remove_container
from ansible_collections.llmops.serving.plugins.module_utils._generations import Store
from ansible_collections.llmops.serving.plugins.module_utils._hold import HoldError, held_notice, read_held
from ansible_collections.llmops.serving.plugins.module_utils._leftovers import Look, Scope, look
from ansible_collections.llmops.serving.plugins.module_utils._lock import LockError, server_lock
from ansible_collections.llmops.serving.plugins.module_utils._neighbours import endangered, look_after
from ansible_collections.llmops.serving.plugins.module_utils._purge_images import Done, remove_images
from ansible_collections.llmops.serving.plugins.module_utils._purge_models import remove_models
from ansible_collections.llmops.serving.plugins.module_utils._traces import (
    LIBRARY,
    Trace,
    containers,
    file_traces,
    held_locks,
    is_our_unit,
    servers_here,
    unit_traces,
)
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit

# Under whose lock the agent is changed.
_AGENT = ".agent"


class Purge:
    """One removal."""

    def __init__(self, scope: Scope, known: t.Sequence[str] = (), dry: bool = False) -> None:
        """Take what shall be gone.

        Args:
            scope: What shall be gone.
            known: Servers of the inventory; one that the host has not is told as unchanged.
            dry: Say only what would be removed.
        """
        self.scope = scope
        self.known = known
        self.dry = dry
        self.entries: dict[str, dict[str, t.Any]] = {}
        self.removed: list[Trace] = []
        self.notes: list[str] = []
        self.problems: list[str] = []
        self.neighbours: list[dict[str, str]] = []
        self._reloaded = False

    def run(self) -> Look:
        """Remove it.

        Returns:
            What the host has afterwards.

        Raises:
            CommandError: systemd does not answer.
            ModelError: The model store cannot be read.
            OSError: Something cannot be read or removed.
        """
        before = look(self.scope)
        names = before.servers if self.scope.servers is None else list(self.scope.servers)
        self.entries = {name: self._entry(name) for name in names if name in before.servers or name in self.known}
        self.problems += before.problems
        if not self.problems and not self._is_held(names):
            self._remove([name for name in names if name in before.servers])
        after = before if self.dry else look(self.scope)
        still = {(trace.kind, trace.name) for trace in after.ours}
        gone = before.left if self.dry else [one for one in before.ours if (one.kind, one.name) not in still]
        told = {(trace.kind, trace.name) for trace in self.removed}
        self.removed[:0] = [trace for trace in gone if (trace.kind, trace.name) not in told]
        return after

    def _entry(self, name: str) -> dict[str, t.Any]:
        current = Store(name).current()
        asked = current.asked if current else {}
        models = [model["name"] for model in asked.get("models") or []]
        words = {"name": name, "engine": asked.get("engine") or "", "models": models, "ok": True}
        return dict(words, action="unchanged", changed=False, probes=[])

    def _is_held(self, names: t.Collection[str]) -> bool:
        """Whether somebody has stopped these servers for a while, and will want to start them again."""
        try:
            held = read_held()
        except HoldError:
            held = None
        if held is None:
            return False
        if self.scope.servers is None:
            self.notes.append(f"{held_notice()}; it is removed with all that it holds")
            return False
        if not set(names) & {*held.servers, *held.guests}:
            return False
        self.problems.append(held_notice())
        return True

    def _remove(self, names: list[str]) -> None:
        with contextlib.ExitStack() as locks:
            going = [name for name in names if self._lock(name, locks)]
            neighbours = [] if self.dry else [name for name in endangered() if name not in going]
            went = [name for name in going if self._take_down(name)]
            # Where models or images could not be removed, the next run must still know what the servers used.
            if self._take_what_they_used(went) and not self.dry:
                for name in went:
                    self._forget(name)
                if not servers_here(containers()) and not held_locks():
                    self._take_what_all_share()
        # After the locks: they are other servers', which are asked under their own.
        self.neighbours = look_after(neighbours) if self._reloaded else []
        self.problems += [
            "server {} lost its GPUs when systemd read its units anew, and does not serve after a new start: {}; set "
            "nvidia_container_toolkit_way to cdi".format(entry["name"], entry["cause"])
            for entry in self.neighbours
            if entry["action"] == "failed"
        ]

    def _lock(self, name: str, locks: contextlib.ExitStack) -> bool:
        try:
            locks.enter_context(server_lock(name, wait=not self.dry, what="removing"))
        except LockError as exc:
            self._fail(name, "lock", str(exc), "wait for it, and run again")
            return False
        return True

    def _take_down(self, name: str) -> bool:
        """Stop a server, and take its unit, its container and its rules away."""
        entry, began = self.entries[name], time.monotonic()
        entry.update(action="removed", changed=True)
        if self.dry:
            return True
        unit = Unit(name)
        try:
            # A unit or a container that only has the name is somebody else's.
            if not unit.path.exists() or is_our_unit(unit.path):
                unit.remove()
            for trace in unit_traces().ours:
                path = Path(trace.name)
                if trace.server == name and (path.is_symlink() or trace.kind == "file"):
                    path.unlink()
            self._reloaded = self._reloaded or unit.reloaded
            for container in containers():
                if container.server == name:
                    remove_container(container.id)
            if chain_of(name) in chains():
                remove_chain(chain_of(name))
        except (CommandError, OSError) as exc:
            self._fail(name, "host", str(exc), f"read journalctl -u {unit.name} on the host, and run again")
            return False
        entry["seconds"] = {"total": time.monotonic() - began}
        return True

    def _take_what_they_used(self, went: t.Collection[str]) -> bool:
        """Remove models and images where that was asked for; whether nothing hindered it."""
        # Somebody else's change may need what nobody uses yet.
        everything = self.scope.servers is None and not held_locks()
        done: list[Done] = []
        if self.scope.models:
            done.append(remove_models(self.scope.model_dir, went, everything, self.dry))
        if self.scope.images:
            done.append(remove_images(went, everything, containers(), self.dry))
        for part in done:
            self.removed += part.removed
            self.notes += part.notes
            self.problems += part.problems
        return not any(part.problems for part in done)

    def _forget(self, name: str) -> None:
        """Remove the generations of a server, and its lock while it is held."""
        store = Store(name)
        store.remove()
        if store.directory.exists():
            self._fail(name, "files", f"{store.directory} could not be removed", "see that root can write there")
            return
        with contextlib.suppress(FileNotFoundError):
            (_lock.LOCK_DIR / f"llmops-{name}.lock").unlink()

    def _take_what_all_share(self) -> None:
        """Remove the agent and what else no server needs when there is none, once nobody is at work."""
        with server_lock(_AGENT, what="removing the agent of"):
            _agent.remove()
        for chain in chains():
            remove_chain(chain)
        at_work = bool(_model_job.JOBS.is_dir() and _model_job.jobs())
        for trace in [*file_traces().ours, *(trace for trace in unit_traces().ours if trace.kind == "file")]:
            path = Path(trace.name)
            if path == LIBRARY or (path == _model_job.JOBS and at_work):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(trace.name, ignore_errors=True)
            elif path.exists() or path.is_symlink():
                path.unlink()
        for folder in (_generations.STATE_DIR, _generations.STATE_DIR.parent):
            # What others keep there, and the models, stay.
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _fail(self, name: str, check: str, cause: str, remedy: str) -> None:
        words = {"action": "failed", "changed": False, "ok": False, "failed": True}
        self.entries[name].update(words, failed_check=check, cause=cause, remedy=remedy)

    @property
    def failures(self) -> list[str]:
        """All that hindered the removal, of the host and of its servers, a line each."""
        failed = [entry for entry in self.entries.values() if entry.get("failed")]
        return [*self.problems, *("server {name}: {cause}; {remedy}".format(**entry) for entry in failed)]
