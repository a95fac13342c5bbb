# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `benchmarks/models.py` makes of its runs: tables, and the aims with what was reached."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.models_kit.tools import OURS, OURS_REPO, VERIFIED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MIB = 1 << 20
TOOL = "tool"


@dataclass(frozen=True)
class Run:
    """One run of a tool, in seconds and bytes; `verified` is None where there is no such moment."""

    wall: float
    cpu: float
    rss: int
    disk: int
    sent: int
    verified: float | None = None
    synced: float | None = None


@dataclass(frozen=True)
class Kill:
    """A killed run and the one after it: bytes that the server sent in each, and what is left over in the end."""

    first: int
    second: int
    size: int
    left: int

    @property
    def twice(self) -> int:
        """Bytes that were sent more than once."""
        return max(0, self.first + self.second - self.size)


@dataclass(frozen=True)
class Measured:
    """All runs of a case, by tool and in the order of the rounds; a case has either speeds or kills."""

    title: str
    #: bytes of the model
    size: int
    runs: Mapping[str, Sequence[Run]]
    kills: Mapping[str, Sequence[Kill]]


@dataclass(frozen=True)
class Table:
    """A title, a head, and rows of the same length."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """Give it for a terminal: the first column to the left, figures to the right."""
        widths = [max(len(row[column]) for row in (self.head, *self.rows)) for column in range(len(self.head))]
        lines = [
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (self.head, *self.rows)
        ]
        return "\n".join([self.title, *lines]) + "\n"

    def markdown(self) -> str:
        """Give it for a document."""
        rule = "|".join(["---", *["---:"] * (len(self.head) - 1)])
        code = self.head[0] == TOOL
        names = [f"`{row[0]}`" if code and not row[0].startswith(OURS) else row[0] for row in self.rows]
        lines = [" | ".join((name, *row[1:])) for name, row in zip(names, self.rows, strict=True)]
        return (
            "\n".join(
                [
                    f"**{self.title[:1].upper()}{self.title[1:]}**",
                    "",
                    f"| {' | '.join(self.head)} |",
                    f"|{rule}|",
                    *(f"| {line} |" for line in lines),
                ]
            )
            + "\n"
        )


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the ratios of each round, whose two runs met the same mood of the machine."""
    return statistics.median(one / other for one, other in zip(over, under, strict=True))


def speed_table(case: Measured) -> Table:
    """Give the table of a case without kills."""
    ours = case.runs[OURS]
    rows = []
    for name, runs in case.runs.items():
        wall = [run.wall for run in runs]
        rows.append(
            (
                name,
                _seconds(wall),
                f"{statistics.median(run.cpu for run in runs):.2f}",
                f"{max(run.rss for run in runs) / MIB:.0f}",
                f"{max(run.disk for run in runs) / case.size:.2f}",
                f"{ratio(wall, [run.wall for run in ours]):.2f}",
                f"{ratio([run.cpu for run in runs], [run.cpu for run in ours]):.2f}",
            )
        )
        if name == OURS and (verified := _verified(runs)):
            rows.append(
                (VERIFIED, _seconds(verified), "", "", "", f"{ratio(verified, [run.wall for run in ours]):.2f}", "")
            )
    head = (TOOL, "s, median (min)", "CPU s", "memory MiB", "disk / size", "time / ours", "CPU / ours")
    return Table(case.title, head, tuple(rows))


def kill_table(case: Measured) -> Table:
    """Give the table of a case with kills."""
    rows = []
    for name, kills in case.kills.items():
        middle = sorted(kills, key=lambda kill: kill.twice)[len(kills) // 2]
        rows.append(
            (
                name,
                *(f"{count / MIB:.0f}" for count in (middle.first, middle.second, middle.twice)),
                f"{middle.twice / middle.size:.0%}",
                f"{middle.twice / middle.first:.0%}",
                f"{max(kill.left for kill in kills) / MIB:.0f}",
            )
        )
    head = (
        TOOL,
        "until killed, MiB",
        "then, MiB",
        "twice, MiB",
        "twice / size",
        "twice / until killed",
        "left over, MiB",
    )
    return Table(case.title, head, tuple(rows))


def _seconds(taken: Sequence[float]) -> str:
    return f"{statistics.median(taken):.2f} ({min(taken):.2f})"


def _verified(runs: Sequence[Run]) -> list[float]:
    """The moments of verification, empty unless every run has one."""
    found = [run.verified for run in runs if run.verified is not None]
    return found if len(found) == len(runs) else []


@dataclass(frozen=True)
class Aim:
    """A bound for a figure of one or more cases; the figure is None where its case was not measured."""

    text: str
    bound: float
    at_most: bool
    figure: Callable[[Mapping[str, Measured]], float | None]
    unit: str = ""


def _walls(case: Measured, tool: str) -> list[float]:
    return _verified(case.runs[OURS]) if tool == VERIFIED else [run.wall for run in case.runs[tool]]


def _time(case: str, over: str, under: str) -> Callable[[Mapping[str, Measured]], float | None]:
    def figure(measured: Mapping[str, Measured]) -> float | None:
        found = measured.get(case)
        one, other = (_walls(found, tool) if found else [] for tool in (over, under))
        return ratio(one, other) if one and other else None

    return figure


def _cpu(case: str, other: str) -> Callable[[Mapping[str, Measured]], float | None]:
    def figure(measured: Mapping[str, Measured]) -> float | None:
        found = measured.get(case)
        if found is None:
            return None
        return ratio([run.cpu for run in found.runs[OURS]], [run.cpu for run in found.runs[other]])

    return figure


def _disk(measured: Mapping[str, Measured]) -> float | None:
    return max((run.disk / case.size for case in measured.values() for run in case.runs.get(OURS, ())), default=None)


def _memory(measured: Mapping[str, Measured]) -> float | None:
    return max((run.rss / MIB for case in measured.values() for run in case.runs.get(OURS, ())), default=None)


def _twice(measured: Mapping[str, Measured]) -> float | None:
    kills = measured["killed"].kills if "killed" in measured else {}
    ours = [kill for name in (OURS, OURS_REPO) for kill in kills.get(name, ())]
    return max((kill.twice / kill.size * 100 for kill in ours), default=None)


def _left(measured: Mapping[str, Measured]) -> float | None:
    kills = measured["killed"].kills if "killed" in measured else {}
    return max((kill.left / MIB for name in (OURS, OURS_REPO) for kill in kills.get(name, ())), default=None)


AIMS = (
    Aim(
        "file: time until verified, to that of curl, which verifies nothing",
        1.15,
        True,
        _time("file", VERIFIED, "curl"),
    ),
    Aim("file: times faster than wget && sha256sum", 3.5, False, _time("file", "wget && sha256sum", OURS)),
    Aim("file: times faster than hf download", 4.0, False, _time("file", "hf download", OURS)),
    Aim("file: times faster than aria2c -x8 --checksum", 4.0, False, _time("file", "aria2c -x8 --checksum", OURS)),
    Aim("capped: time, to that of aria2c -x16", 1.05, True, _time("capped", OURS, "aria2c -x16")),
    Aim("one: times faster than git clone", 2.2, False, _time("one", "git clone", OURS)),
    Aim("eight: times faster than git clone", 3.0, False, _time("eight", "git clone", OURS)),
    Aim("one: CPU seconds, to those of git clone", 0.34, True, _cpu("one", "git clone")),
    Aim("eight: CPU seconds, to those of git clone", 0.34, True, _cpu("eight", "git clone")),
    Aim("all: peak disk, to the model's size", 1.01, True, _disk),
    Aim("all: peak memory", 200.0, True, _memory, " MiB"),
    Aim("killed: bytes sent twice, of the model's size", 5.0, True, _twice, " %"),
    Aim("killed: left over", 0.5, True, _left, " MiB"),
)


def aims_table(measured: Mapping[str, Measured]) -> Table:
    """Give the table of aims as far as their cases were measured."""
    rows = []
    for aim in AIMS:
        found = aim.figure(measured)
        if found is None:
            continue
        reached = found <= aim.bound if aim.at_most else found >= aim.bound
        bound = f"at {'most' if aim.at_most else 'least'} {aim.bound:g}{aim.unit}"
        rows.append((aim.text, f"{found:.2f}{aim.unit}", bound, "yes" if reached else "NO"))
    return Table("what was aimed at", ("of ours", "measured", "aim", "reached"), tuple(rows))
