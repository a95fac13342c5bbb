# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is shown while a run goes on."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from llmops_serving import progress as progress_module
from llmops_serving.progress import ConsoleProgress, Tracker, notices


def event(kind: str, **data: object) -> dict[str, Any]:
    task = {"task": "Run", "resolved_action": "llmops.serving.server"}
    return {"event": kind, "stdout": "", "event_data": {"host": "lab1", **task, **data}}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_items_of_a_loop_are_told_one_by_one_with_their_own_time() -> None:
    clock = Clock()
    tracker = Tracker(clock)
    tracker.feed(event("runner_on_start"))
    clock.now = 30
    first = tracker.feed(event("runner_item_on_ok", res={"changed": True, "_ansible_item_label": "chat"}))
    clock.now = 80
    second = tracker.feed(event("runner_item_on_ok", res={"_ansible_item_label": "embed"}))
    running = tracker.running["lab1"]
    last = tracker.feed(event("runner_on_ok", res={"results": []}, duration=80.0))

    assert first
    assert second
    assert (first.step.label, first.step.status, first.seconds) == ("Run (chat)", "changed", 30)
    assert (second.step.label, second.step.status, second.seconds) == ("Run (embed)", "ok", 50)
    assert running.done == 2
    assert last is None, "the loop as a whole is no step of its own"
    assert not tracker.running


@pytest.mark.parametrize(
    ("kind", "action", "told"),
    [
        ("runner_on_ok", "llmops.serving.model", True),
        ("runner_on_skipped", "llmops.serving.model", False),
        ("runner_on_ok", "ansible.builtin.set_fact", False),
        ("runner_on_failed", "ansible.builtin.set_fact", True),
        ("runner_on_unreachable", "ansible.builtin.set_fact", True),
    ],
)
def test_housekeeping_is_told_only_when_it_fails(kind: str, action: str, told: bool) -> None:
    finished = Tracker().feed(event(kind, resolved_action=action, res={"msg": "no"}))

    assert (finished is not None) == told


def lines(*events: dict[str, Any], raw: bool = False) -> str:
    out = io.StringIO()
    with ConsoleProgress(Console(file=out, width=60), raw=raw) as shown:
        for each in events:
            shown.event(each)
    return out.getvalue()


def test_plain_lines_hold_host_status_step_time_and_reason() -> None:
    printed = lines(
        event("runner_on_start"),
        event("runner_on_failed", res={"msg": "boom " * 20 + "\nmore"}, duration=1.25),
    )

    assert printed.startswith("lab1  failed   Run  1.2 s\n      boom boom")
    assert printed.count("\n") == 2, "a line of a log is not wrapped"


def test_warnings_are_told_once_and_differences_are_shown() -> None:
    warning = {"event": "warning", "stdout": "[WARNING]: odd"}
    diff = {"event": "runner_on_file_diff", "stdout": "--- before\r\n+++ after\r\n-a\r\n+b"}

    assert lines(warning, warning, diff) == "warning: odd\n--- before\n+++ after\n-a\n+b\n"


def test_the_driver_reports_missing_hosts_itself() -> None:
    assert not list(
        notices({"event": "warning", "stdout": "[WARNING]: Could not match supplied host pattern, ignoring: x"})
    )


def test_what_ansible_prints_is_shown_on_demand() -> None:
    assert "PLAY [x]" in lines({"event": "playbook_on_play_start", "stdout": "\r\nPLAY [x] ***"}, raw=True)
    assert not lines({"event": "playbook_on_play_start", "stdout": "\r\nPLAY [x] ***"})


def test_a_long_step_says_that_it_is_still_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "HEARTBEAT_SECONDS", -1.0)
    out = io.StringIO()
    with ConsoleProgress(Console(file=out, width=60)) as shown:
        shown.event(event("runner_on_start"))
        shown.tick()

    assert out.getvalue() == "lab1  Run … 0 s so far\n"


def test_a_terminal_sees_what_runs_now() -> None:
    out = io.StringIO()
    with ConsoleProgress(Console(file=out, width=60, force_terminal=True)) as shown:
        shown.event(event("runner_on_start"))
        shown.say("hello")

    assert "hello" in out.getvalue()
    assert "Run" in out.getvalue()


SAID = "x: 1.2 of 15.3 GiB, 310.0 MiB/s, 46 s left"


def said(text: str, kind: str = "verbose") -> dict[str, Any]:
    return {"event": kind, "stdout": text, "event_data": {}}


def test_a_task_at_work_says_how_far_it_has_come() -> None:
    tracker = Tracker()
    tracker.feed(event("runner_on_start"))

    assert tracker.hear(said(f"  lab1 {SAID}\r\n  lab2 {SAID}")) == [("lab1", SAID)], "lab2 is not at work"
    assert tracker.running["lab1"].said == SAID
    for other in (
        said(f"lab1 {SAID}"),
        said("  lab1 nothing"),
        said(f"  lab1 {SAID}", "warning"),
        event("runner_on_ok"),
    ):
        assert not tracker.hear(other)


def test_what_a_task_says_is_a_line_of_a_log_and_not_said_twice() -> None:
    start, done = event("runner_on_start"), event("runner_on_ok", res={"changed": True}, duration=52.0)
    line = "lab1  x: 1.2 of 15.3 GiB, 310.0 MiB/s, 46 s left\n"

    assert lines(start, said(f"  lab1 {SAID}"), done) == f"{line}lab1  changed  Run  52.0 s\n"
    assert lines(start, said(f"  lab1 {SAID}"), raw=True) == f"  lab1 {SAID}\n"


def test_a_terminal_sees_how_far_a_task_has_come() -> None:
    out = io.StringIO()
    with ConsoleProgress(Console(file=out, width=100, force_terminal=True)) as shown:
        shown.event(event("runner_on_start"))
        shown.event(said(f"  lab1 {SAID}"))
        shown.say("hello")

    assert SAID in out.getvalue()
