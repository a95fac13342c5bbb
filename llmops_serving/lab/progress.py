# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the lab tells what it is doing; rendering is the caller's affair."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds after which a silent stage says that it is still alive.
HEARTBEAT_S = 10.0


class Progress(Protocol):
    """Receives one line per event. Called from several threads."""

    def __call__(self, stage: str, message: str, /) -> None:
        """Take one line: `stage` is a short stable name such as "image infinity", `message` one sentence."""


def silent(_stage: str, _message: str, /) -> None:
    """Drop every line."""


class Reporter:
    """Adds elapsed seconds and a heartbeat to a Progress callback, and serialises the calls."""

    def __init__(self, sink: Progress) -> None:
        """Report into `sink`."""
        self._sink = sink
        self._lock = threading.Lock()

    def say(self, stage: str, message: str) -> None:
        """Pass one line on."""
        with self._lock:
            self._sink(stage, message)

    @contextmanager
    def stage(self, stage: str, message: str) -> Iterator[Stage]:
        """Announce a piece of work, keep saying that it goes on, and tell its seconds when it is done."""
        running = Stage(self, stage, message)
        self.say(stage, message)
        running.start()
        try:
            yield running
        finally:
            running.stop()
        self.say(stage, f"done in {running.elapsed:.1f} s")


class Stage:
    """A piece of work in progress."""

    def __init__(self, reporter: Reporter, name: str, message: str) -> None:
        """Made by `Reporter.stage`."""
        self._reporter = reporter
        self._name = name
        self._message = message
        self._begun = time.monotonic()
        self._quiet_since = self._begun
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    @property
    def elapsed(self) -> float:
        """Seconds since the work began."""
        return time.monotonic() - self._begun

    def start(self) -> None:
        """Begin the heartbeat."""
        self._thread.start()

    def stop(self) -> None:
        """End the heartbeat."""
        self._over.set()
        self._thread.join()

    def note(self, message: str) -> None:
        """Say what is being done now."""
        self._message = message
        self._quiet_since = time.monotonic()
        self._reporter.say(self._name, message)

    def _beat(self) -> None:
        while not self._over.wait(1.0):
            if time.monotonic() - self._quiet_since >= HEARTBEAT_S:
                self._quiet_since = time.monotonic()
                self._reporter.say(self._name, f"{self._message} ({self.elapsed:.0f} s so far)")
