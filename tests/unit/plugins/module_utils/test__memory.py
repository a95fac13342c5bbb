# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _memory
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, Completed

RECORDED = Path(__file__).parents[3] / "fixtures/host/nvidia-smi"
MEMINFO = "MemTotal:       24000000 kB\nMemFree:  1 kB\nMemAvailable:   12000000 kB\nHugePages_Total:       0\n"


def play(monkeypatch: pytest.MonkeyPatch, out: str | None) -> None:
    monkeypatch.setattr(_memory.shutil, "which", lambda _: None if out is None else "/usr/bin/nvidia-smi")

    def run(argv: list[str]) -> Completed:
        if out == "broken":
            raise CommandError(f"{argv[0]}: driver/library version mismatch")
        return Completed(0, out or "", "")

    monkeypatch.setattr(_memory, "run", run)


@pytest.mark.parametrize("smi", [None, "broken", ""])
def test_a_host_without_gpus_computes_in_its_own_memory(
    smi: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    play(monkeypatch, smi)
    (tmp_path / "meminfo").write_text(MEMINFO, encoding="ascii")
    assert _memory.measure(tmp_path / "meminfo") == (24_000_000 * 1024, 12_000_000 * 1024)


def test_the_fullest_gpu_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (RECORDED / "h100.csv").read_text(encoding="utf-8").splitlines()
    cells = [cell.strip() for cell in lines[3].split(",")]
    # Columns of the recorded answer: index, uuid, name, memory.total, memory.free …
    cells[4] = "1024"
    play(monkeypatch, "\n".join([*lines[:3], ", ".join(cells), *lines[4:]]))
    assert _memory.measure() == (int(cells[3]) << 20, 1024 << 20)


SHARES: list[tuple[int, int, float, str]] = [
    (80, 80, 2, "0.97"),
    (80, 40, 2.5, "0.46"),
    # Rounded down, for up would not fit.
    (10, 9, 0, "0.90"),
    (24, 1, 2, "0.00"),
]


@pytest.mark.parametrize(("total", "free", "reserve", "fits"), SHARES)
def test_the_share_that_fits_leaves_the_reserve(
    total: int, free: int, reserve: float, fits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_memory, "measure", lambda: _memory.Memory(total << 30, free << 30))
    words: dict[str, t.Any] = _memory.memory_words(reserve)
    assert words == {"free_gib": f"{free:.1f}", "total_gib": f"{total:.1f}", "fits": fits}
