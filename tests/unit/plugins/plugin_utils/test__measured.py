# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._measured import (
    failure_words,
    host_words,
    served_words,
    step_words,
)

FACTS: dict[str, t.Any] = {
    "distribution": {"name": "Debian GNU/Linux 12"},
    "kernel": "6.1",
    "docker": {"version": None},
    "cpu": {"model": "EPYC", "mhz": 2400.0, "governor": ""},
    "cores": 8,
    "memory": {"total": 10, "available": 5},
    "gpus": [
        {"name": "T4", "memory_total": 16, "uuid": "GPU-1", "driver_version": "580.1"},
        {"name": "", "memory_total": None, "uuid": None},
    ],
}
ASKED = {"label": "2 at once", "concurrency": 2, "rate": None, "batch": None, "repetition": 1, "requests": 30}


def test_a_host_is_told_with_the_gpus_that_answer() -> None:
    found = host_words("gpu1", FACTS)
    assert (found["cpu"]["cores"], found["docker"], found["driver"]) == (8, "", "580.1")
    assert found["gpus"] == [{"name": "T4", "memory": 16}]


def test_a_start_is_told_with_its_phases_and_a_server_that_ran_already_without() -> None:
    entry = {"name": "s", "image": "i@sha256:1", "action": "created", "seconds": {"start": 1, "wait": 2.0, "gate": 3.0}}
    assert served_words({"results": [{"name": "other"}, entry]}, "s") == {
        "image": "i@sha256:1", "loads": [{"start": 1, "wait": 2.0, "gate": 3.0}],
    }  # fmt: skip
    assert served_words({**entry, "action": "unchanged"}, "s") == {"image": "i@sha256:1"}


@pytest.mark.parametrize(
    ("result", "reason", "remedy"),
    [
        ({"results": [{}, {"failed": True, "failed_check": "wait", "cause": "not ready", "remedy": "set more"}]},
         "wait: not ready", "set more"),
        ({"cause": "c", "remedy": "r (nothing served under this name before, and nothing is left)"}, "start: c", "r"),
        ({"msg": ["one", "two"]}, "one; two", ""),
        ({"msg": "POST: HTTP 429: slow down; lower benchmark_concurrency"}, "POST: HTTP 429: slow down",
         "lower benchmark_concurrency"),
        ({"msg": "it broke\nbadly"}, "it broke badly", ""),
        ({}, "failed without a message", ""),
    ],
)  # fmt: skip
def test_a_failure_is_one_line(result: dict[str, t.Any], reason: str, remedy: str) -> None:
    assert failure_words(result) == {"status": "failed", "reason": reason, "remedy": remedy}


def test_a_step_keeps_what_it_was_asked() -> None:
    measured = {"seconds": 1.0, "concurrency": None, "samples": {"ttft_ms": [1.0]}}
    words = step_words([{"step": measured, "benchmark_step": ASKED}, {"skipped": True}], 2)
    (step,) = words["steps"]
    assert (step["concurrency"], step["repetition"], step["start"], step["seconds"]) == (2, 1, 2, 1.0)
    assert "status" not in words


def test_a_step_without_an_answer_is_told_in_the_place_of_numbers() -> None:
    good = {"step": {"seconds": 1.0}, "benchmark_step": ASKED}
    bad = {"failed": True, "msg": "HTTP 429: slow down; lower it", "benchmark_step": {**ASKED, "concurrency": 64}}
    words = step_words([good, bad], 1)
    assert words["steps"][1]["errors"] == [{"what": "HTTP 429: slow down; lower it", "count": 1}]
    assert words["steps"][1]["samples"] == {}
    assert "status" not in words, "one level that fails does not take away the others"


def test_a_candidate_without_any_answer_has_failed() -> None:
    words = step_words([{"failed": True, "msg": "no connection; see its log", "benchmark_step": ASKED}], 1)
    assert (words["status"], words["reason"], words["remedy"]) == ("failed", "no connection", "see its log")
