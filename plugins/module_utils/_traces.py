# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Find what the collection has made on a host: everything that it makes anywhere is named here, once.

What is ours is known by a mark that nobody else sets: the collection's name in the first line of a unit, the label
`llmops.server` of a container, an entry below a folder of the collection. What only looks like it is told, and stays.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils import _generations, _lock, _model_job, _unit
from ansible_collections.llmops.serving.plugins.module_utils._chains import chain_of, chains
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, MissingError, run
from ansible_collections.llmops.serving.plugins.module_utils._generations import server_names

MARK = "llmops.serving"
LABEL = "llmops.server"
PREFIX = "llmops-"
# Units that all servers share, also those of which each server has an instance; their names are no servers'.
_SHARED_UNIT = re.compile(r"llmops-(watchdog|recover(@.*)?)\.")
_AT_HAND = re.compile(r"\.llmops-(.+)\.service\.before\Z")
LIBRARY = Path("/usr/local/lib/llmops")
RUN = Path("/run")
# Folders in which others would look for something of the collection's; it has nothing there.
ELSEWHERE = ("/etc", "/opt", "/usr/local/bin", "/usr/local/sbin", "/usr/local/etc", "/usr/lib/systemd/system",
             "/var/cache", "/var/log")  # fmt: skip
# What lies below /var/lib/llmops besides the servers, the models and the record of images.
_STATE = {
    "benchmark": "the load client of benchmarks",
    "gpu-proof.json": "the proof that containers see the GPUs",
    "held.json": "what a tournament holds",
}
# Files that were being written when their writer was killed.
_DRAFTS = (".llmops-", ".held.json.")
_CUT_OFF = "of a change that was cut off"
# What lies below /run; gone after a reboot in any case.
_RUNTIME = {
    "llmops-benchmark": "the lease of a benchmark's watch",
    "llmops-jobs": "work in the model store that outlives its connection",
    "llmops-watchdog": "what the watchdog has counted",
}


class Trace(t.NamedTuple):
    """Something on the host.

    Attributes:
        kind: unit, container, file, folder, image, model, lock, rule, user.
        name: How the host calls it: a path, a unit, a container, an image.
        server: The server that it belongs to; empty where all share it, or it is not ours.
        about: What it is, or why it is told.
        bytes: What it takes of the disk, where that is worth telling.
    """

    kind: str
    name: str
    server: str = ""
    about: str = ""
    bytes: int = 0

    @property
    def line(self) -> str:
        """The trace for people."""
        return f"{self.kind} {self.name}" + (f": {self.about}" if self.about else "")

    def words(self) -> dict[str, t.Any]:
        """Its part of a module's result."""
        return dict(self._asdict(), line=self.line)


class Container(t.NamedTuple):
    """A container: its id, name, the server it is labelled with (empty if not ours), and the id of its image."""

    id: str
    name: str
    server: str
    image: str


class Found(t.NamedTuple):
    """What is ours, and what only looks like it."""

    ours: list[Trace]
    foreign: list[Trace]


def servers_here(containers: t.Iterable[Container]) -> list[str]:
    """Name the servers that the host has anything of: generations, a unit or a container.

    Args:
        containers: The host's containers.
    """
    units = {trace.server for trace in unit_traces().ours if trace.server}
    labels = {container.server for container in containers if container.server}
    return sorted({*server_names(), *units, *labels})


def unit_traces() -> Found:
    """Find units, the links that start them, what systemd remembers of them, and what somebody laid beside them."""
    ours: list[Trace] = []
    foreign: list[Trace] = []
    theirs = set()
    for path in sorted(_unit.UNIT_DIR.glob(PREFIX + "*")):
        server = _server_of(path.name)
        if path.is_dir():
            foreign.append(Trace("folder", str(path), about="laid beside a unit by somebody else"))
        elif is_our_unit(path):
            ours.append(Trace("unit", str(path), server))
        else:
            theirs.add(path.name)
            foreign.append(Trace("unit", str(path), about="not marked as the collection's"))
    ours += [
        Trace("unit", str(path), _server_of(path.name), "starts the unit")
        for path in sorted(_unit.UNIT_DIR.glob("*.*/" + PREFIX + "*"))
        if path.is_symlink() and path.name not in theirs
    ]
    # What was kept at hand for the way back, or was being written when its writer was killed.
    for path in sorted(_unit.UNIT_DIR.glob("." + PREFIX + "*")):
        before = _AT_HAND.match(path.name)
        ours.append(Trace("file", str(path), before.group(1) if before else "", _CUT_OFF))
    named = {Path(trace.name).name for trace in ours} | theirs
    ours += [Trace("unit", name, _server_of(name), "systemd still knows it") for name in _loaded() if name not in named]
    return Found(ours, foreign)


def is_our_unit(path: Path) -> bool:
    """Whether a file is a unit of the collection: it says so in its first line, or the server has generations."""
    if _server_of(path.name) in server_names():
        return True
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return MARK in file.readline()
    except OSError:
        return False


def containers() -> list[Container]:
    """List all containers, also those that do not run; none without Docker.

    Raises:
        CommandError: Docker is there and does not answer.
    """
    try:
        ids = run(["docker", "ps", "--all", "--quiet", "--no-trunc"]).out.split()
        # One may go in between; the others are told all the same.
        told = run(["docker", "inspect", "--type", "container", *ids], check=False).out if ids else "[]"
    except MissingError:
        return []
    try:
        return [_container(entry) for entry in json.loads(told or "[]")]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise CommandError(f"docker inspect: its answer cannot be read: {exc}") from exc


def container_traces(found: t.Iterable[Container]) -> Found:
    """Tell the containers of servers from those that only have such a name.

    Args:
        found: The host's containers.
    """
    ours: list[Trace] = []
    foreign: list[Trace] = []
    for container in found:
        if container.server:
            ours.append(Trace("container", container.name, container.server))
        elif container.name.startswith(PREFIX):
            foreign.append(Trace("container", container.name, about=f"has no label {LABEL}"))
    return Found(ours, foreign)


def file_traces(busy: t.Collection[str] = ()) -> Found:
    """Find files and folders besides units and the model store.

    Args:
        busy: Names of locks that somebody holds, which are of another change and no trace.
    """
    state = _generations.STATE_DIR
    ours = [Trace("folder", str(state / name), name, "generations and secrets") for name in server_names()]
    foreign: list[Trace] = []
    for path in sorted(state.parent.iterdir()) if state.parent.is_dir() else ():
        if path.name in _STATE or path.name.startswith(_DRAFTS):
            ours.append(Trace(_kind(path), str(path), about=_STATE.get(path.name, _CUT_OFF)))
        elif path.name not in ("servers", "models", "images"):
            foreign.append(Trace(_kind(path), str(path), about="not of the collection"))
    for path in sorted(RUN.glob("llmops*")):
        if path.name in _RUNTIME:
            ours.append(Trace(_kind(path), str(path), about=_RUNTIME[path.name] + _work(path)))
        else:
            foreign.append(Trace(_kind(path), str(path), about="not of the collection"))
    for path in sorted(_lock.LOCK_DIR.glob(PREFIX + "*.lock")):
        name = path.name[len(PREFIX) : -len(".lock")]
        if name not in busy:
            ours.append(Trace("lock", str(path), name if name in server_names() else ""))
    if LIBRARY.exists():
        ours.append(Trace(_kind(LIBRARY), str(LIBRARY), about="the agent"))
    for folder in ELSEWHERE:
        foreign += [Trace(_kind(path), str(path), about="not of the collection") for path in _named(Path(folder))]
    return Found(ours, foreign)


def rule_traces(servers: t.Iterable[str]) -> list[Trace]:
    """Find rules of the host's firewall.

    Args:
        servers: Names of servers that may have some.

    Raises:
        CommandError: The firewall cannot be asked.
    """
    owners = {chain_of(name): name for name in servers}
    return [Trace("rule", chain, owners.get(chain, ""), "rules of the firewall") for chain in chains()]


def user_traces() -> list[Trace]:
    """List users that bear the collection's name. It makes none, so they are somebody else's."""
    return [
        Trace("user", entry.pw_name, about="the collection makes no users")
        for entry in pwd.getpwall()
        if entry.pw_name.startswith("llmops")
    ]


def held_locks() -> list[str]:
    """Name the locks that some other process holds: somebody changes these servers, or holds them."""
    names = [path.name[len(PREFIX) : -len(".lock")] for path in sorted(_lock.LOCK_DIR.glob(PREFIX + "*.lock"))]
    found = {name: _lock.holder(name) for name in names}
    return [name for name, who in found.items() if who is not None and who["pid"] != os.getpid()]


def size_of(path: Path) -> int:
    """Sum up what a folder takes of the disk, in bytes."""
    total = 0
    for folder, _folders, names in os.walk(str(path)):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512  # noqa: PTH118
            except OSError:
                continue
    return total


def _server_of(unit: str) -> str:
    if _SHARED_UNIT.match(unit) or not unit.endswith(".service"):
        return ""
    return unit[len(PREFIX) : -len(".service")]


def _loaded() -> list[str]:
    """Name the units that systemd has in mind, whether they have a file or not."""
    try:
        argv = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", PREFIX + "*"]
        lines = run(argv, check=False).out.splitlines()
    except MissingError:
        return []
    # What failed is marked by a dot that --plain leaves in some versions.
    names = [line.replace("●", " ").split() for line in lines]
    return sorted(words[0] for words in names if words and words[0].startswith(PREFIX))


def _container(entry: dict[str, t.Any]) -> Container:
    labels = (entry.get("Config") or {}).get("Labels") or {}
    name = str(entry.get("Name") or entry["Id"][:12]).lstrip("/")
    return Container(entry["Id"], name, str(labels.get(LABEL) or ""), str(entry.get("Image") or ""))


def _kind(path: Path) -> str:
    return "folder" if path.is_dir() and not path.is_symlink() else "file"


def _work(path: Path) -> str:
    """Say which work goes on in the folder of jobs, if it is that."""
    if path != _model_job.JOBS:
        return ""
    running = [str(job["pid"]) for job in _model_job.jobs()] if path.is_dir() else []
    return f"; process {', '.join(running)} is at work: wait for it, or end it" if running else ""


def _named(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.name.startswith("llmops"))
    except OSError:
        return []
