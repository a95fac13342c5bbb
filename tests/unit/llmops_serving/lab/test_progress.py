# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time

import pytest

from llmops_serving.lab import progress


def test_a_stage_begins_and_ends_with_a_line() -> None:
    lines: list[tuple[str, str]] = []
    with progress.Reporter(lambda stage, message: lines.append((stage, message))).stage("image x", "building") as stage:
        stage.note("compiling")
    assert lines[:2] == [("image x", "building"), ("image x", "compiling")]
    assert lines[-1][1].startswith("done in ")


def test_a_failed_stage_is_not_done() -> None:
    lines: list[str] = []
    reporter = progress.Reporter(lambda _stage, message: lines.append(message))
    with pytest.raises(RuntimeError), reporter.stage("x", "begin"):
        raise RuntimeError
    assert lines == ["begin"]


def test_a_silent_stage_says_that_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT_S", 0.0)
    lines: list[str] = []
    with progress.Reporter(lambda _stage, message: lines.append(message)).stage("x", "long work"):
        time.sleep(1.3)
    assert any(line.startswith("long work (") for line in lines)
