# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from benchmarks.models_kit import report
from benchmarks.models_kit.report import AIMS, Kill, Measured, Run, Table, aims_table, kill_table, ratio, speed_table
from benchmarks.models_kit.tools import OURS, OURS_REPO, VERIFIED, cases

MIB = 1 << 20


def run(wall: float, cpu: float = 1.0, *, rss: int = 50, disk: int = 100, verified: float | None = None) -> Run:
    return Run(wall, cpu, rss * MIB, disk * MIB, 100 * MIB, verified)


SPEED = Measured(
    "one file of 100 MiB",
    100 * MIB,
    {
        OURS: [run(2.0, verified=1.5), run(4.0, verified=3.0), run(3.0, verified=2.0)],
        "curl": [run(1.0, 0.5, rss=10), run(8.0, 0.5, rss=12), run(3.0, 0.5), run(0.0)][:3],
        "wget && sha256sum": [run(8.0, 4.0, disk=205), run(16.0, 4.0), run(9.0, 4.0)],
    },
    {},
)


def cell(table: Table, row: str, column: str) -> str:
    return {cells[0]: cells for cells in table.rows}[row][table.head.index(column)]


def test_a_ratio_compares_within_each_round() -> None:
    # The medians alone would say 1.0: a slow second round slows both.
    assert ratio([10.0, 100.0, 30.0], [5.0, 50.0, 30.0]) == 2.0


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        (OURS, "s, median (min)", "3.00 (2.00)"),
        (OURS, "time / ours", "1.00"),
        (VERIFIED, "s, median (min)", "2.00 (1.50)"),
        (VERIFIED, "time / ours", "0.75"),
        (VERIFIED, "CPU s", ""),
        ("curl", "time / ours", "1.00"),
        ("curl", "CPU / ours", "0.50"),
        ("curl", "memory MiB", "50"),
        ("wget && sha256sum", "time / ours", "4.00"),
        ("wget && sha256sum", "disk / size", "2.05"),
    ],
)
def test_the_table_of_speeds(row: str, column: str, expected: str) -> None:
    assert cell(speed_table(SPEED), row, column) == expected


def test_a_store_without_the_moment_of_verification_has_no_such_row() -> None:
    runs = {OURS: [run(2.0, verified=1.0), run(2.0)]}
    assert [row[0] for row in speed_table(Measured("x", MIB, runs, {})).rows] == [OURS]


@pytest.mark.parametrize(
    ("first", "second", "twice"),
    [(50, 50, 0), (50, 100, 50), (55, 50, 5), (40, 50, 0)],
    ids=["resumed", "from the start", "a little twice", "less than the whole, as from a cache"],
)
def test_what_was_sent_twice(first: int, second: int, twice: int) -> None:
    assert Kill(first, second, 100, 0).twice == twice


def test_the_table_of_kills_shows_the_median_round_and_the_largest_rest() -> None:
    kills = {
        "hf download": [
            Kill(50 * MIB, 100 * MIB, 100 * MIB, 40 * MIB),
            Kill(60 * MIB, 100 * MIB, 100 * MIB, 60 * MIB),
            Kill(80 * MIB, 100 * MIB, 100 * MIB, 0),
        ]
    }
    table = kill_table(Measured("x", 100 * MIB, {}, kills))
    assert table.rows == (("hf download", "60", "100", "60", "60%", "100%", "60"),)


def test_aims_are_judged_and_those_without_their_case_left_out() -> None:
    kills = {OURS: [Kill(50 * MIB, 52 * MIB, 100 * MIB, 0)], OURS_REPO: [Kill(50 * MIB, 60 * MIB, 100 * MIB, 0)]}
    table = aims_table({"file": SPEED_WITH_ALL, "killed": Measured("x", 100 * MIB, {}, kills)})
    judged = {row[0]: (row[1], row[3]) for row in table.rows}
    assert judged == {
        "file: time until verified, to that of curl, which verifies nothing": ("0.67", "yes"),
        "file: times faster than wget && sha256sum": ("4.00", "yes"),
        "file: times faster than hf download": ("1.00", "NO"),
        "file: times faster than aria2c -x8 --checksum": ("1.00", "NO"),
        "all: peak disk, to the model's size": ("1.00", "yes"),
        "all: peak memory": ("50.00 MiB", "yes"),
        "killed: bytes sent twice, of the model's size": ("10.00 %", "NO"),
        "killed: left over": ("0.00 MiB", "yes"),
    }


SPEED_WITH_ALL = Measured(
    SPEED.title,
    SPEED.size,
    {**SPEED.runs, "hf download": SPEED.runs[OURS], "aria2c -x8 --checksum": SPEED.runs[OURS]},
    {},
)


def test_every_aim_finds_its_tools_among_the_cases() -> None:
    measured = {
        case.name: Measured(
            case.title,
            case.repo.size,
            {} if case.killed else {tool.name: [run(2.0, verified=1.0)] for tool in case.tools},
            {tool.name: [Kill(1, 1, 2, 0)] for tool in case.tools} if case.killed else {},
        )
        for case in cases(64 * MIB)
    }
    assert len(aims_table(measured).rows) == len(AIMS)


def test_tables_are_aligned_for_terminals_and_marked_up_for_documents() -> None:
    table = Table("two tools", (report.TOOL, "s"), ((OURS, "1.00"), ("wget && sha256sum", "13.00")))
    assert table.text().splitlines() == [
        "two tools",
        "tool                   s",
        "ours                1.00",
        "wget && sha256sum  13.00",
    ]
    assert table.markdown().splitlines() == [
        "**Two tools**",
        "",
        "| tool | s |",
        "|---|---:|",
        "| ours | 1.00 |",
        "| `wget && sha256sum` | 13.00 |",
    ]
