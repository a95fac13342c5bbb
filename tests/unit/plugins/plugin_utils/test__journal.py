# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils import _journal
from ansible_collections.llmops.serving.plugins.plugin_utils._journal import (
    JOURNAL,
    JournalError,
    begin,
    disqualified,
    note,
    read,
    tell_together,
)

if t.TYPE_CHECKING:
    from pathlib import Path

HEADER: dict[str, t.Any] = {
    "kind": "tournament",
    "host": {"gpus": [{"name": "T4"}]},
    "tools": {"llmops.serving": "1"},
    "candidates": [{"name": "vllm", "status": "measured", "reason": "", "server": {"x": 1}, "url": "u", "length": {}}],
}


def test_what_is_noted_is_read_as_one_document(tmp_path: Path) -> None:
    begin(tmp_path / "r", HEADER)
    note(tmp_path / "r", "vllm", {"image": "i@sha256:1", "loads": [{"start": 1.0}]})
    note(tmp_path / "r", "vllm", {"steps": [{"n": 1}], "memory": {"host_peak": 5, "gpu_peak": None}, "argv": ["vllm"]})
    note(tmp_path / "r", "vllm", {"steps": [{"n": 2}], "memory": {"host_peak": 3, "gpu_peak": 7},
                                  "gpus": [{"clock_mhz": 1590.0}], "tools": {"aiohttp": "3"}})  # fmt: skip
    document = read(tmp_path / "r")
    (one,) = document["candidates"]
    assert (one["image"], one["loads"], one["steps"]) == ("i@sha256:1", [{"start": 1.0}], [{"n": 1}, {"n": 2}])
    assert one["memory"] == {"container_peak": None, "host_peak": 5, "gpu_peak": 7}
    assert document["tools"] == {"llmops.serving": "1", "aiohttp": "3"}
    assert document["host"]["gpus"] == [{"name": "T4", "clock_mhz": 1590.0}]
    assert not {"server", "url", "length", "tools"} & one.keys(), "what only the run needed is left out"


def test_a_candidate_that_comes_later_brings_its_description(tmp_path: Path) -> None:
    begin(tmp_path / "r", HEADER)
    note(
        tmp_path / "r",
        "parallel=8",
        {"candidate": {"name": "parallel=8", "engine": "vllm", "changed": {"parallel": 8}}},
    )
    assert read(tmp_path / "r")["candidates"][1]["changed"] == {"parallel": 8}


def test_power_is_kept_over_both_starts(tmp_path: Path) -> None:
    begin(tmp_path / "r", HEADER)
    for mean, most, looks in ((100.0, 150.0, 30), (200.0, 140.0, 10)):
        note(tmp_path / "r", "vllm", {"power_w": {"mean": mean, "max": most}, "samples": looks})
    document = read(tmp_path / "r")
    assert document["candidates"][0]["power_w"] == {"mean": 125.0, "max": 150.0}, "by how long was looked"
    document["profile"] = {}
    tell_together(document)
    assert document["candidates"][0]["power_w"] is None, "of all that were loaded, and of none alone"


def test_garbage_disqualifies() -> None:
    answers = [
        {"prompt": "?", "text": "ok", "ok": True, "why": ""},
        {"prompt": "?", "text": "#@!", "ok": False, "why": "no words"},
    ]
    said = disqualified(answers)
    assert (said["status"], said["reason"]) == ("disqualified", "1 of 2 answers make no sense: 'no words'")
    assert said["remedy"]
    assert disqualified(answers[:1]) == {}


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    begin(tmp_path / "r", HEADER)
    with (tmp_path / "r" / JOURNAL).open("a", encoding="utf-8") as file:
        file.write('{"name": "vllm", "words": {"image": "half')
    assert read(tmp_path / "r")["candidates"][0]["image"] == ""


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs(tmp_path)

    class Full(t.NamedTuple):
        f_bavail: int
        f_frsize: int

    assert real.f_bavail
    monkeypatch.setattr(_journal.os, "statvfs", lambda _place: Full(3, 1 << 20))
    with pytest.raises(JournalError, match=r"benchmark_output: .* has 3 MiB free, and a report may take 32: free some"):
        begin(tmp_path / "r", HEADER)
    assert not (tmp_path / "r" / JOURNAL).exists()


def test_a_place_that_is_taken_or_no_directory_is_told(tmp_path: Path) -> None:
    begin(tmp_path / "r", HEADER)
    with pytest.raises(JournalError, match="is not empty"):
        begin(tmp_path / "r", HEADER)
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"benchmark_output: .* cannot be written: Not a directory"):
        begin(tmp_path / "file" / "r", HEADER)


def test_a_disk_that_fills_up_later_is_told(tmp_path: Path) -> None:
    begin(tmp_path / "r", HEADER)
    (tmp_path / "r" / JOURNAL).unlink()
    (tmp_path / "r" / JOURNAL).symlink_to("/dev/full")
    with pytest.raises(JournalError, match="No space left on device: free some space there"):
        note(tmp_path / "r", "vllm", {"image": "x"})


def test_a_journal_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be read"):
        read(tmp_path)


def test_lines_are_json(tmp_path: Path) -> None:
    begin(tmp_path / "r", HEADER)
    note(tmp_path / "r", "vllm", {"reason": "line\nbreak \N{SNOWMAN}"})
    lines = (tmp_path / "r" / JOURNAL).read_text(encoding="utf-8").splitlines()
    assert [list(json.loads(line)) for line in lines] == [["header"], ["name", "words"]]
