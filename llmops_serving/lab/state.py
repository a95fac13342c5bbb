# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the lab lives on disk, and what it remembers between two calls."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops_serving.lab.errors import LabError
from llmops_serving.lab.images import DEFAULT_ENGINES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

STATE_VERSION = 1
#: A cold start takes ten minutes.
LOCK_TIMEOUT_S = 1800.0
LOCK_POLL_S = 0.2


@dataclass(frozen=True)
class FileFacts:
    """One file of a hub repository as its bytes are, not as a faulty hub may announce them."""

    sha256: str
    size: int


@dataclass(frozen=True)
class RepoFacts:
    """One repository of the hub: the commit `main` points to and the files of that commit."""

    revision: str
    files: Mapping[str, FileFacts]


@dataclass(frozen=True)
class HostFacts:
    """One running lab host."""

    suite: str
    ssh_port: int
    #: container port -> port on 127.0.0.1 of the build machine
    ports: Mapping[int, int]
    #: what it was asked to serve with
    engines: tuple[str, ...] = DEFAULT_ENGINES


@dataclass(frozen=True)
class LabState:
    """Everything a later call, the inventory or a test needs to know."""

    #: process id of the Docker daemon that the lab started, None if it found one running
    daemon_pid: int | None = None
    #: what was done to the machine that `down` must undo: networks, volumes and images have labels, this has not
    registry_push_port: int | None = None
    repos: Mapping[str, RepoFacts] = field(default_factory=dict)
    hosts: Mapping[str, HostFacts] = field(default_factory=dict)

    def to_json(self) -> str:
        """Give the state as JSON text."""
        return json.dumps({"version": STATE_VERSION, **dataclasses.asdict(self)}, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> LabState:
        """Read what `to_json` wrote.

        Raises:
            LabError: the text is of another version or no state at all.
        """
        try:
            raw: dict[str, Any] = json.loads(text)
            if raw.get("version") != STATE_VERSION:
                raise LabError(
                    f"the lab's state has version {raw.get('version')!r}, this llmops writes {STATE_VERSION}: "
                    "run `llmops lab down`, then `llmops lab up`"
                )
            return cls(
                daemon_pid=raw["daemon_pid"],
                registry_push_port=raw["registry_push_port"],
                repos={
                    name: RepoFacts(repo["revision"], {f: FileFacts(**facts) for f, facts in repo["files"].items()})
                    for name, repo in raw["repos"].items()
                },
                hosts={
                    name: HostFacts(
                        host["suite"],
                        host["ssh_port"],
                        {int(inside): out for inside, out in host["ports"].items()},
                        # States of before had one choice.
                        tuple(host.get("engines", DEFAULT_ENGINES)),
                    )
                    for name, host in raw["hosts"].items()
                },
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LabError(f"the lab's state file cannot be read ({error}): run `llmops lab down`") from error


class Paths:
    """The places of the lab under one directory."""

    def __init__(self, root: Path | None = None) -> None:
        """Use `root`, or the directory that LLMOPS_LAB_DIR or the user's cache directory give."""
        self.root = root if root is not None else default_root(os.environ, Path.home())
        self.state = self.root / "state.json"
        self.lock = self.root / "lock"
        self.logs = self.root / "logs"
        self.pki = self.root / "pki"
        self.ca_cert = self.pki / "ca.crt"
        self.ssh_key = self.root / "ssh" / "id_ed25519"
        self.known_hosts = self.root / "ssh" / "known_hosts"
        self.api_key = self.root / "secrets" / "api_key"
        self.hub_token = self.root / "secrets" / "hub_token"
        self.models = self.root / "models"
        self.hub = self.root / "hub"
        self.build = self.root / "build"
        self.daemon_log = self.logs / "dockerd.log"
        self.hub_access_log = self.logs / "hub" / "access.jsonl"

    def make(self) -> None:
        """Create the directories; secrets only for their owner."""
        for path in (self.root, self.logs, self.models, self.build):
            path.mkdir(parents=True, exist_ok=True)
        for path in (self.pki, self.ssh_key.parent, self.api_key.parent):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def load(self) -> LabState:
        """Read the state; an absent file is an empty lab."""
        try:
            return LabState.from_json(self.state.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return LabState()

    def save(self, state: LabState) -> None:
        """Write the state so that a reader sees the old one or the new one."""
        temporary = self.state.with_suffix(".new")
        temporary.write_text(state.to_json(), encoding="utf-8")
        temporary.replace(self.state)

    @contextmanager
    def exclusive(self, say: Callable[[str], object], timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
        """Let one process at a time change this lab; the others wait for it.

        Args:
            say: told once if there is something to wait for.
            timeout_s: seconds to wait.

        Raises:
            LabError: another process was at it for all that time.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + timeout_s
        waiting = False
        with self.lock.open("w") as handle:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise LabError(
                            f"another process is changing the lab in {self.root} for more than {timeout_s:.0f} s: "
                            "end it"
                        ) from None
                    if not waiting:
                        waiting = True
                        say("waiting for another process that is changing the lab")
                    time.sleep(LOCK_POLL_S)
            yield


def default_root(environ: Mapping[str, str], home: Path) -> Path:
    """Tell the directory of the lab: LLMOPS_LAB_DIR, else llmops-lab in the user's cache directory."""
    if given := environ.get("LLMOPS_LAB_DIR"):
        return Path(given).expanduser().absolute()
    cache = environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else home / ".cache") / "llmops-lab"
