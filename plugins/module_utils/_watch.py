# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Watch what a server takes of its host while it is under load: memory, the GPUs' memory, power."""

from __future__ import annotations

import json
import shutil
import time
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, run

INTERVAL_S = 1.0
# How soon the end is noticed; somebody waits for it.
_NOTICE_S = 0.1
_ADD_EVERY_S = 5.0
_KIB, _MIB = 1 << 10, 1 << 20
_SMI = ("nvidia-smi", "--query-gpu=memory.used,power.draw", "--format=csv,noheader,nounits")
_LIMITS = ("nvidia-smi", "--query-gpu=clocks.max.sm,power.limit", "--format=csv,noheader,nounits")


class Sample(t.NamedTuple):
    """What one look saw; None for what cannot be seen.

    Attributes:
        container: Bytes of the container's control group, without file cache that can be let go, as `docker stats`
            counts them; where the kernel keeps no account of it, what its processes have in memory.
        host: Bytes in use on the whole host: total without available, proc_meminfo(5).
        gpu: Bytes in use on all GPUs together.
        power_w: Watts of all GPUs together.
    """

    container: int | None
    host: int | None
    gpu: int | None
    power_w: float | None


class Watch:
    """Looks at one container of this host."""

    def __init__(self, container: str, root: Path = Path("/")) -> None:
        """Name the container; `root` is where /proc and /sys are."""
        self.container = container
        self._root = root
        self._group: Path | None = None
        self._again = 0.0
        self._added: int | None = None
        self._has_gpus = shutil.which(_SMI[0]) is not None

    def look(self) -> Sample:
        """Take a sample."""
        gpu, power = _gpus() if self._has_gpus else (None, None)
        return Sample(self._container_bytes(), self._host_bytes(), gpu, power)

    def gpus(self) -> list[dict[str, float | None]]:
        """Give each GPU's highest clock in MHz and limit of power in watts, None for what it does not tell."""
        rows = _ask(_LIMITS) if self._has_gpus else []
        return [{"clock_mhz": row[0], "power_limit_w": row[1] if len(row) > 1 else None} for row in rows]

    def _container_bytes(self) -> int | None:
        # The container may be another after a new start, so its group is looked for whenever the known one is gone.
        if self._group is None or not self._group.is_dir():
            self._group = self._find_group()
        if self._group is None:
            return None
        try:
            current = int((self._group / "memory.current").read_text(encoding="ascii"))
            rows = (self._group / "memory.stat").read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return self._processes_bytes(self._group)
        except (OSError, ValueError):
            return None
        stat = dict(row.split() for row in rows)
        return current - int(stat.get("inactive_file", 0))

    def _processes_bytes(self, group: Path) -> int | None:
        """Add up the processes of a group, pages that several share once, proc_pid_smaps(5)."""
        if time.monotonic() < self._again:
            return self._added
        try:
            pids = (group / "cgroup.procs").read_text(encoding="ascii").split()
        except OSError:
            return None
        sizes = []
        for pid in pids:
            try:
                text = (self._root / "proc" / pid / "smaps_rollup").read_text(encoding="ascii")
            except OSError:
                continue  # it has ended
            sizes += [int(line.split()[1]) * _KIB for line in text.splitlines() if line.startswith("Pss:")]
        # It takes the kernel some 20 ms for a large process, which must not be a part of what is measured.
        self._again, self._added = time.monotonic() + _ADD_EVERY_S, sum(sizes) if sizes else None
        return self._added

    def _find_group(self) -> Path | None:
        try:
            text = (self._root / "proc" / str(self.inspect()["State"]["Pid"]) / "cgroup").read_text(encoding="utf-8")
        except (CommandError, OSError, ValueError, KeyError):
            return None
        # Control groups of version 2 are one line, cgroups(7); the first version has no account that is comparable.
        paths = [line.partition("::")[2] for line in text.splitlines() if line.startswith("0::")]
        group = self._root / "sys/fs/cgroup" / paths[0].lstrip("/") if paths else None
        return group if group is not None and (group / "cgroup.procs").is_file() else None

    def inspect(self) -> dict[str, t.Any]:
        """Ask Docker about the container.

        Raises:
            CommandError: There is none of that name.
        """
        found: dict[str, t.Any] = json.loads(run(["docker", "inspect", self.container]).out)[0]
        return found

    def command_line(self) -> list[str]:
        """Give the engine's own words, as Docker was told them; no key is among them."""
        try:
            config = self.inspect()["Config"]
        except (CommandError, ValueError, LookupError):
            return []
        return [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]

    def _host_bytes(self) -> int | None:
        try:
            text = (self._root / "proc/meminfo").read_text(encoding="ascii")
            rows = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
            total, free = (int(rows[name].split()[0]) * _KIB for name in ("MemTotal", "MemAvailable"))
        except (OSError, ValueError, KeyError):
            return None
        return total - free


def watch_while(watch: Watch, lease: Path, seconds: float, interval: float = INTERVAL_S) -> dict[str, t.Any]:
    """Look as long as a file is there and the time is not over.

    Args:
        watch: What is looked at.
        lease: The file. Taken away, it ends the watch.
        seconds: The longest time.
        interval: Seconds from look to look.

    Returns:
        As `peaks`, with the engine's command line under `argv` and what the GPUs can do under `gpus`.
    """
    told = {"argv": watch.command_line(), "gpus": watch.gpus()}
    samples, until = [watch.look()], time.monotonic() + seconds
    due = time.monotonic() + interval
    while lease.exists() and time.monotonic() < until:
        if time.monotonic() >= due:
            samples.append(watch.look())
            due += interval
        time.sleep(min(interval, _NOTICE_S))
    return {**peaks(samples), **told}


def peaks(samples: t.Sequence[Sample]) -> dict[str, t.Any]:
    """Sum samples up.

    Returns:
        `memory` with `container_peak`, `host_peak` and `gpu_peak` in bytes, `power_w` with `mean` and `max` in watts,
        each None where nothing could be seen, and the number of `samples`.
    """

    def highest(name: str) -> int | None:
        return max(
            (value for value in (getattr(sample, name) for sample in samples) if value is not None), default=None
        )

    power = [sample.power_w for sample in samples if sample.power_w is not None]
    return {
        "memory": {f"{name}_peak": highest(name) for name in ("container", "host", "gpu")},
        "power_w": {"mean": round(sum(power) / len(power), 1), "max": max(power)} if power else None,
        "samples": len(samples),
    }


def _gpus() -> tuple[int | None, float | None]:
    """Ask nvidia-smi for the memory and the power of all GPUs."""
    rows = _ask(_SMI)
    memory = [row[0] for row in rows if row[0] is not None]
    power = [row[1] for row in rows if len(row) > 1 and row[1] is not None]
    return int(sum(memory) * _MIB) if memory else None, round(sum(power), 1) if power else None


def _ask(command: t.Sequence[str]) -> list[list[float | None]]:
    """Read a table of numbers; nvidia-smi says [N/A] for what a GPU does not tell."""
    try:
        lines = run(list(command)).out.splitlines()
    except CommandError:
        return []
    return [[_number(cell) for cell in line.split(",")] for line in lines if line.strip()]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
