# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Long work shows itself, on a terminal and without one."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from ansible_collections.llmops.serving.plugins.module_utils._model_progress import CHECK
from llmops_serving.bundle import progress
from llmops_serving.bundle.progress import Bars, Sending, Stopped, duration
from tests.unit.llmops_serving.bundle.conftest import bars, said


def test_what_came_is_counted_and_what_is_only_hashed_is_not() -> None:
    shown = bars()
    shown.plan("chat", 100, 20)
    shown.add("chat", 50)
    shown.add("chat", -10)
    shown.done("chat")
    shown.plan("bundle", 100, doing=CHECK)
    shown.add("bundle", 7)
    shown.add("unknown", 7)
    shown.done("unknown")
    shown.close()
    assert shown.fetched == 50


def test_lines_now_and_then_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT_S", 0.01)
    with bars() as shown:
        shown.plan("chat", 4 << 20, 1 << 20)
        shown.add("chat", 1 << 20)
        deadline = time.monotonic() + 10
        while "fetch chat" not in said(shown) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "fetch chat: 2.0 MiB of 4.0 MiB" in said(shown)


def test_bars_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with Bars(console) as shown:
        shown.plan("chat", 4 << 20)
        shown.add("chat", 3 << 20)
        shown.say("a line")
        shown._bars.refresh()
    assert isinstance(console.file, io.StringIO)
    assert "3.0/4.2 MB" in console.file.getvalue() or "3.0/4.0 MiB" in console.file.getvalue()
    assert "a line" in console.file.getvalue()


def test_who_still_counts_hears_that_it_is_over() -> None:
    with bars() as shown:
        shown.plan("chat", 100)
    with pytest.raises(Stopped):
        shown.add("chat", 1)


@pytest.mark.parametrize(("seconds", "expected"), [(0.2, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3725, "62 min 5 s")])
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_a_file_that_went_out_whole_is_a_line_however_many_connections_brought_it() -> None:
    shown = bars()
    sending = Sending(shown)
    first = sending.begin("10.0.0.7", "model.gguf", 1000)
    second = sending.begin("10.0.0.7", "model.gguf", 1000)
    sending.sent(first, 400)
    sending.end(first)
    assert said(shown) == ""
    sending.sent(second, 500)
    sending.end(second)
    # Not whole yet: its head alone says nothing.
    assert said(shown) == ""
    third = sending.begin("10.0.0.7", "model.gguf", 1000)
    sending.sent(third, 100)
    sending.end(third)
    assert said(shown) == "10.0.0.7  model.gguf  1000 B in 0 s\n"
    sending.refused("10.0.0.8", "404 GET /x")
    assert said(shown).endswith("10.0.0.8  404 GET /x\n")
    assert shown.fetched == 0
