# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A model store under test: runs that fill it, and what may be found in it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops_serving.lab.state import FileFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.store.faults import Gate

TOP = Path(__file__).resolve().parents[2]
RUNNER = Path(__file__).with_name("runner.py")
LIMIT_S = 90
#: What the runner does besides, and what it does unless a test asks: retries come soon (how long a server is waited for
#: when it says so does not change), and all else is as on any host.
KNOBS = {"retry_base": 0.005, "lock_wait": None, "file_limit": 0, "dies_at_manifest": 0}


@dataclass(frozen=True)
class Want:
    """A model to fetch and the truth about it.

    Attributes:
        name: In `serving_models`.
        options: Its options there.
        files: What its folder must hold.
        weights: Bytes that come from the objects' host.
    """

    name: str
    options: dict[str, Any]
    files: Mapping[str, FileFacts]
    weights: int

    @property
    def models(self) -> dict[str, Any]:
        """The module's option."""
        return {self.name: self.options}

    @property
    def key(self) -> str:
        """Its version's folder."""
        options = self.options
        address = hashlib.sha256(options.get("url", "").encode()).hexdigest()
        return str(options.get("revision") or options.get("sha256") or address)[:12]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(facts.size for facts in self.files.values())


class Run:
    """A run of the module in a process of its own."""

    def __init__(self, task: dict[str, Any]) -> None:
        given = task.pop("environment")
        # Nothing of this machine's own way to the internet.
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self.process = subprocess.Popen(  # noqa: S603 - our own runner
            [sys.executable, str(RUNNER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**kept, **given, "PYTHONPATH": f"{TOP / '.collections'}:{TOP}"},
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(task))
        self.process.stdin.close()
        self.process.stdin = None
        self.memory = 0

    def result(self) -> dict[str, Any]:
        """Wait for its end and give the module's result."""
        try:
            out, err = self.process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert self.process.returncode == 0, f"exit {self.process.returncode}\n{err}"
        assert not err, err
        answer = json.loads(out)
        self.memory = answer["memory"]
        result: dict[str, Any] = answer["result"]
        return result

    def reaches(self, gate: Gate) -> None:
        """Wait until the gate holds all that it still wants."""
        while not gate.held.wait(0.01):
            assert self.process.poll() is None, f"it ended before {gate.limit} bytes: {self.result()}"

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it by a signal."""
        self.process.send_signal(number)
        self.is_killed(number)

    def is_killed(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Wait until a signal has ended it."""
        self.process.communicate(timeout=LIMIT_S)
        assert self.process.returncode == -number

    def end(self) -> None:
        """Leave no process behind, whatever the test did."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@dataclass
class Place:
    """A folder for models, and how to fill it."""

    root: Path
    hub_url: str
    ca: Path
    runs: list[Run] = field(default_factory=list)

    def start(
        self,
        models: Mapping[str, Any],
        *,
        check_mode: bool = False,
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Run:
        """Start a run; options are the module's, or those of `KNOBS`."""
        knobs = {name: options.pop(name, default) for name, default in KNOBS.items()}
        given = {"models": models, "path": str(self.root), "hub_url": self.hub_url, "ca_path": str(self.ca), **options}
        run = Run({"params": given, "check_mode": check_mode, "environment": environment or {}, **knobs})
        self.runs.append(run)
        return run

    def run(self, models: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """Run to the end."""
        return self.start(models, **options).result()

    def fetch(self, want: Want, **options: Any) -> dict[str, Any]:
        """Run to the end, which must be good; gives the model's part of the result."""
        result = self.run(want.models, **options)
        assert "msg" not in result, result["msg"]
        found: dict[str, Any] = result["models"][want.name]
        return found

    def fails(self, models: Mapping[str, Any], **options: Any) -> str:
        """Run to the end, which must be a failure; gives its message."""
        result = self.run(models, **options)
        assert "msg" in result, "it went well"
        return str(result["msg"])

    def folder(self, want: Want) -> Path:
        """The final place of a model."""
        return self.root / want.name / want.key

    def visible(self, want: Want) -> list[str]:
        """What is there under the model's name."""
        name = self.root / want.name
        return sorted(str(path.relative_to(name)) for path in name.rglob("*")) if name.is_dir() else []

    def unfinished(self) -> list[Path]:
        """What is left of interrupted runs."""
        partial = self.root / ".partial"
        return sorted(partial.iterdir()) if partial.is_dir() else []

    def listed(self) -> set[str]:
        """The upper two levels."""
        return {str(path.relative_to(self.root)) for pattern in ("*", "*/*") for path in self.root.glob(pattern)}

    def blocks(self) -> int:
        """Bytes of the disk that it takes."""
        total = 0
        for folder, _folders, files in os.walk(self.root):
            for name in [*files, "."]:
                # Files come and go while it is counted.
                with contextlib.suppress(OSError):
                    total += (Path(folder) / name).lstat().st_blocks * 512
        return total

    @contextlib.contextmanager
    def watch(self) -> Iterator[list[int]]:
        """Sample the disk that it takes; the last element is the highest."""
        highest, done = [0], threading.Event()

        def sample() -> None:
            while not done.wait(0.004):
                highest.append(max(highest[-1], self.blocks()))

        thread = threading.Thread(target=sample, daemon=True)
        thread.start()
        try:
            yield highest
        finally:
            done.set()
            thread.join()

    def must_hold(self, *wants: Want) -> None:
        """See that these models are there, whole and right, and nothing else."""
        left = self.unfinished()
        assert left == [], f"unfinished: {left}"
        allowed = {".lock", ".partial"}
        for want in wants:
            own = (want.name, f"{want.name}/{want.key}", f"{want.name}/{want.key}.json")
            allowed |= {*own, f"{want.name}/{want.key}.marks.json"}
        orphans = self.listed() - allowed
        assert not orphans, f"nobody knows {orphans}"
        for want in wants:
            self._must_hold(want)

    def _must_hold(self, want: Want) -> None:
        folder = self.folder(want)
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
        assert found.keys() == want.files.keys(), f"not the wanted files: {found.keys() ^ want.files.keys()}"
        wrong = [name for name, path in found.items() if facts_of(path) != want.files[name]]
        assert wrong == [], f"not what they should be: {wrong}"
        odd = [name for name, path in found.items() if path.is_symlink() or path.stat().st_mode & 0o777 != 0o644]
        assert odd == [], f"no plain files of mode 0644: {odd}"
        manifest = json.loads((self.root / want.name / f"{want.key}.json").read_text(encoding="utf-8"))
        told = {file["path"]: FileFacts(file["sha256"], file["size"]) for file in manifest["files"]}
        assert told == want.files, f"the manifest says {told}"


def facts_of(path: Path) -> FileFacts:
    """Hash a file."""
    with path.open("rb") as file:
        return FileFacts(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def wait_for(what: str, true: Any) -> None:
    """Wait until a function's answer is true."""
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.002)
