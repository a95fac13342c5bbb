# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Collect what a host knows about a server's failure, while it still knows it. Looks only, and never fails."""

from __future__ import annotations

import calendar
import re
import shutil
import signal
import time
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, run
from ansible_collections.llmops.serving.plugins.module_utils._evidence_container import Container, look_at
from ansible_collections.llmops.serving.plugins.module_utils._evidence_journal import (
    Said,
    read_docker,
    read_kernel,
    read_unit,
)
from ansible_collections.llmops.serving.plugins.module_utils._hide import Veil, veil_of_host
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import SMI_COMMAND, parse_smi

if t.TYPE_CHECKING:
    from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit

MEMINFO = Path("/proc/meminfo")
T = t.TypeVar("T")
# Where a full disk stops a server: what Docker writes, what the collection keeps, and the rest.
PLACES = ("/var/lib/docker", "/var/lib/llmops", "/")
_STAMP = "%Y-%m-%dT%H:%M:%SZ"
_TIMEOUT = 10.0
_SMI_TIMEOUT = 10.0
_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30
# Below this nothing can be written that is worth it.
_FULL = 16 * _MIB
_LONGEST = 1000
_PROPERTIES = (
    "LoadState,ActiveState,SubState,Result,ExecMainCode,ExecMainStatus,NRestarts,UnitFileState,NeedDaemonReload,"
    "InvocationID,ExecMainStartTimestampMonotonic,StateChangeTimestampMonotonic"
)
# CLD_KILLED and CLD_DUMPED of waitid(2), as `systemctl show` and as the journal write them: the status is a signal.
_BY_SIGNAL = ("2", "3", "killed", "dumped")
_LAST_EXIT = re.compile(r"Main process exited, code=(?P<code>\w+), status=(?P<status>\d+)/")
_MEANINGS = {
    125: "docker could not start the container",
    126: "the container's program cannot be run",
    127: "the container's program is not in the image",
    128 + signal.SIGILL: "the processor lacks an instruction that the engine uses (SIGILL)",
    128 + signal.SIGABRT: "aborted (SIGABRT)",
    128 + signal.SIGBUS: "crashed (SIGBUS)",
    128 + signal.SIGFPE: "crashed (SIGFPE)",
    128 + signal.SIGKILL: "killed (SIGKILL)",
    128 + signal.SIGSEGV: "crashed (SIGSEGV)",
    128 + signal.SIGTERM: "ended on demand (SIGTERM)",
}


class Evidence(t.NamedTuple):
    """What a host knows about a server.

    Attributes:
        unit: How systemd sees the unit: `load`, `active`, `sub`, `result`, `exit_code` (None while it has not ended),
            `restarts`, `enabled`, `stale` (its file is newer than what systemd has read), `invocation`, `started` and
            `changed` (UTC, ISO 8601, or empty).
        container: `status`, `oom_killed`, `memory_limit` (bytes, 0 for none), `processes` (each `pid`, `state`, `rss`
            in bytes, `name`) of the one there is; `ids`, its own and those of the ones before, and `last_run_s`, how
            many seconds the one ran that ended last.
        log: What the engine wrote, oldest first.
        kernel: Messages of the kernel about want of memory, GPUs, disks and crashes.
        docker: What Docker says of the container: events, and errors of its daemon.
        systemd: What systemd says of the unit.
        told: What follows from the rest, in words.
        memory: Bytes of the host's memory: `total`, `available`, `swap_total`, `swap_free`.
        disks: Each with `path`, `total` and `free` in bytes.
        gpus: As `parse_smi` gives them.
        unread: What could not be looked at, and why.
    """

    unit: dict[str, t.Any]
    container: dict[str, t.Any]
    log: list[str]
    kernel: list[str]
    docker: list[str]
    systemd: list[str]
    told: list[str]
    memory: dict[str, int]
    disks: list[dict[str, t.Any]]
    gpus: list[dict[str, t.Any]]
    unread: list[str]

    def lines(self) -> list[str]:
        """Give all lines in the order in which rules are matched: the engine's own, then what its host says.

        Those of the host begin with `kernel: `, `docker event: `, `dockerd: ` or `systemd: `; then follow those that
        were made up, such as `exit code 137: killed (SIGKILL)`.
        """
        return [
            *self.log,
            *(f"kernel: {line}" for line in self.kernel),
            *self.docker,
            *(f"systemd: {line}" for line in self.systemd),
            *self.told,
        ]

    def age(self) -> float | None:
        """Give the seconds since the unit's program was started; None if it was not, or nobody knows."""
        started = self.unit.get("started")
        return time.time() - calendar.timegm(time.strptime(started, _STAMP)) if started else None

    def to_dict(self, lines: int = 200) -> dict[str, t.Any]:
        """Give plain values, for JSON.

        Args:
            lines: How many of the last lines of each log are kept.
        """
        words = self._asdict()
        for name in ("log", "kernel", "docker", "systemd"):
            words[name] = words[name][-lines:] if lines else []
        return words


def collect(unit: Unit, since: float, invocation: str = "", starts: int = 0, veil: Veil | None = None) -> Evidence:
    """Collect what the host knows about a server.

    Args:
        unit: The server's unit.
        since: Seconds since the epoch; what was written before is left out.
        invocation: Of one start of the unit, to leave out what was said of others.
        starts: How many of the last starts count; 0 for all.
        veil: What covers secrets in each line; that of all servers of the host, by default.

    Returns:
        The evidence. What cannot be read is a word in `unread`.
    """
    server = unit.name[len("llmops-") : -len(".service")]
    look = _Look()
    veil = veil or look.at("the secrets", veil_of_host, None)
    state: dict[str, t.Any] = look.at("the unit", lambda: _state(unit.name), {})
    said = look.at("the journal", lambda: read_unit(unit.name, since, invocation, starts), Said([], [], since))
    ended = _last_end(state, said.systemd)
    container = look.at("Docker", lambda: look_at("llmops-" + server, said.began, since), Container({}, [], []))
    names = ["llmops-" + server, *container.ids]
    killed = ended == 128 + signal.SIGKILL
    kernel: list[str] = look.at("the kernel's messages", lambda: read_kernel(said.began, names, killed), [])
    dockerd: list[str] = look.at("the journal of Docker", lambda: read_docker(said.began, names), [])
    memory: dict[str, int] = look.at("the memory", _memory, {})
    disks: list[dict[str, t.Any]] = look.at("the disks", _disks, [])
    gpus: list[dict[str, t.Any]] = look.at("the GPUs", _gpus, [])
    evidence = Evidence(
        unit={word: ended if word == "exit_code" else value for word, value in state.items()},
        container=container.words,
        log=said.engine,
        kernel=kernel,
        docker=[*container.events, *(f"dockerd: {line}" for line in dockerd)],
        systemd=said.systemd,
        told=[*_exit_words(ended), *container.told, *_disk_words(disks), *look.told],
        memory=memory,
        disks=disks,
        gpus=gpus,
        unread=look.failed,
    )
    return _covered(evidence, veil)


def _covered(evidence: Evidence, veil: Veil | None) -> Evidence:
    """Take secrets out of every line, and then cut it; without knowing them only that may be shown."""

    def shown(lines: list[str]) -> list[str]:
        return [veil.cover(line)[:_LONGEST] for line in lines] if veil else []

    return evidence._replace(
        log=shown(evidence.log),
        kernel=shown(evidence.kernel),
        docker=shown(evidence.docker),
        systemd=shown(evidence.systemd),
        told=shown(evidence.told),
        unread=shown(evidence.unread) or evidence.unread[:1],
    )


def last_starts(active: str, restarts: int) -> int:
    """Tell how many of a unit's last starts say how it fares: one that runs through, or the one before it too.

    Args:
        active: systemd's ActiveState of the unit.
        restarts: How often systemd has restarted it.
    """
    return 1 if active == "active" and not restarts else 2


class _Look:
    """Looks at one thing after the other, whatever happens."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        # Of programs that say something when they fail which a rule may know.
        self.told: list[str] = []

    def at(self, what: str, read: t.Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except (CommandError, OSError, ValueError, KeyError, IndexError) as exc:
            words = str(exc) or type(exc).__name__
            self.failed.append(f"{what} cannot be read: {words}")
            if isinstance(exc, CommandError) and what in {"Docker", "the GPUs"}:
                self.told.append(words)
            return otherwise


def _state(unit: str) -> dict[str, t.Any]:
    done = run(["systemctl", "show", "--property", _PROPERTIES, unit], timeout=_TIMEOUT)
    words = dict(line.partition("=")[::2] for line in done.out.splitlines())
    return {
        "load": words.get("LoadState", ""),
        "active": words.get("ActiveState", ""),
        "sub": words.get("SubState", ""),
        "result": words.get("Result", ""),
        "exit_code": _status(words.get("ExecMainCode", "0"), int(words.get("ExecMainStatus") or 0)),
        "restarts": int(words.get("NRestarts") or 0),
        "enabled": words.get("UnitFileState", ""),
        "stale": words.get("NeedDaemonReload") == "yes",
        "invocation": words.get("InvocationID", ""),
        "started": _wall_clock(words.get("ExecMainStartTimestampMonotonic", "")),
        "changed": _wall_clock(words.get("StateChangeTimestampMonotonic", "")),
    }


def _wall_clock(since_boot: str) -> str:
    """Turn microseconds since the boot into UTC, for the text of systemd's other timestamps depends on its version."""
    if not since_boot.isdigit() or since_boot == "0":
        return ""
    at = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC) + int(since_boot) / 1e6
    return time.strftime(_STAMP, time.gmtime(at))


def _status(code: str, status: int) -> int | None:
    """Give what a shell would: None of a program that runs, and 128 and the signal of one that was ended by it."""
    if code in {"", "0"}:
        return None
    return 128 + status if code in _BY_SIGNAL else status


def _last_end(state: t.Mapping[str, t.Any], systemd: t.Sequence[str]) -> int | None:
    """Find how the engine ended last: as systemd has it, or as it has said of a start before the one that runs."""
    code: int | None = state.get("exit_code")
    ends = [match for match in map(_LAST_EXIT.search, systemd) if match]
    if code is not None or not ends:
        return code
    return _status(ends[-1].group("code"), int(ends[-1].group("status")))


def _exit_words(code: int | None) -> list[str]:
    if code is None:
        return []
    meaning = _MEANINGS.get(code, "ended by itself" if code == 0 else "failed")
    return [f"exit code {code}: {meaning}"]


def _memory() -> dict[str, int]:
    rows = dict(line.split(":", 1) for line in MEMINFO.read_text(encoding="ascii").splitlines() if ":" in line)
    names = {"total": "MemTotal", "available": "MemAvailable", "swap_total": "SwapTotal", "swap_free": "SwapFree"}
    return {word: int(rows[name].split()[0]) * _KIB for word, name in names.items() if name in rows}


def _disks() -> list[dict[str, t.Any]]:
    found: dict[int, dict[str, t.Any]] = {}
    for path in filter(Path.exists, map(Path, PLACES)):
        usage = shutil.disk_usage(str(path))
        found.setdefault(path.stat().st_dev, {"path": str(path), "total": usage.total, "free": usage.free})
    return list(found.values())


def _disk_words(disks: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    return [
        "no space left on {}: {:.2f} of {:.1f} GiB are free".format(
            disk["path"], disk["free"] / _GIB, disk["total"] / _GIB
        )
        for disk in disks
        if disk["free"] < _FULL
    ]


def _gpus() -> list[dict[str, t.Any]]:
    if shutil.which(SMI_COMMAND[0]) is None:
        return []
    return parse_smi(run(list(SMI_COMMAND), timeout=_SMI_TIMEOUT).out)
