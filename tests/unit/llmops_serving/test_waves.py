# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What waves a playbook is asked for, and how far they came."""

from __future__ import annotations

from typing import Any

import pytest

from llmops_serving.errors import UsageError
from llmops_serving.results import parse_events
from llmops_serving.waves import Waves, wave_variables, waves_of


@pytest.mark.parametrize(
    ("serial", "most", "words"),
    [
        (None, None, {}),
        (2, None, {"serving_serial": [2]}),
        ("1", 0.0, {"serving_serial": [1], "serving_max_fail_percentage": 0.0}),
        ("25%", 33.3, {"serving_serial": ["25%"], "serving_max_fail_percentage": 33.3}),
        ("1, 25%,100%", 100, {"serving_serial": [1, "25%", "100%"], "serving_max_fail_percentage": 100}),
    ],
)
def test_words(serial: int | str | None, most: float | None, words: dict[str, Any]) -> None:
    assert wave_variables(serial, most) == words


@pytest.mark.parametrize(
    ("serial", "most", "said"),
    [
        ("", None, "--serial : nothing is no size of a wave"),
        ("0", None, "--serial 0: 0 is no size of a wave: 1, 25% or 1,25%,100%"),
        (-1, None, "-1 is no size"),
        ("1.5", None, "1.5 is no size"),
        ("0%", None, "0% is no size"),
        ("101%", None, "101% is no size"),
        ("1,,2", None, "nothing is no size"),
        ("all", None, "all is no size"),
        (None, 5.0, "name their size with --serial"),
        (1, -1.0, "--max-fail-percentage -1: from 0 to 100"),
        (1, 100.5, "--max-fail-percentage 100.5: from 0 to 100"),
    ],
)
def test_what_is_no_wave(serial: int | str | None, most: float | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        wave_variables(serial, most)


def event(host: str, kind: str = "ok", action: str = "ansible.builtin.set_fact", **result: Any) -> dict[str, Any]:
    data = {"host": host, "task": "T", "task_action": action, "resolved_action": action, "res": result}
    return {"event": f"runner_on_{kind}", "event_data": data}


def begins(*hosts: str) -> list[dict[str, Any]]:
    wave = {"hosts": list(hosts), "all": ["a", "b", "c", "d"]}
    return [event(host, ansible_facts={"serving_wave": wave}) for host in hosts]


def ends(*hosts: str) -> list[dict[str, Any]]:
    return [event(host, ansible_facts={"serving_wave_ended": True}) for host in hosts]


STOPPED = [*begins("a", "b"), *ends("a"), event("c", "failed", "ansible.builtin.fail", msg="not touched")]


@pytest.mark.parametrize(
    ("events", "failed", "waves"),
    [
        ([event("a", ansible_facts={"other": 1}), event("a"), {"event": "verbose"}], [], None),
        ([*begins("a", "b", "c", "d"), *ends("a", "b", "c", "d")], [], Waves((("a", "b", "c", "d"),))),
        (STOPPED, ["b"], Waves((("a", "b"),), (), ("c", "d"))),
        # Nothing failed on b: it was stopped with the others.
        (STOPPED, [], Waves((("a", "b"),), ("b",), ("c", "d"))),
        ([*begins("a"), *ends("a"), *begins("b", "c")], ["b"], Waves((("a",), ("b", "c")), ("c",), ("d",))),
    ],
)
def test_how_far_they_came(events: list[dict[str, Any]], failed: list[str], waves: Waves | None) -> None:
    assert waves_of(events, failed) == waves


def test_hosts_that_were_not_touched_are_no_failures() -> None:
    failed = event("b", "failed", "ansible.builtin.command", msg="no")
    stats = {"event": "playbook_on_stats", "event_data": {"failures": {"b": 1, "c": 1}, "dark": {}, "changed": {}}}
    result = parse_events([*STOPPED, failed, stats], command="apply", rc=2)
    assert [(host.name, host.ok) for host in result.hosts] == [("a", True), ("b", False)]
    assert (result.ok, result.exit_code) == (False, 1)
    assert result.to_dict()["waves"] == {"begun": [["a", "b"]], "cut_short": [], "not_reached": ["c", "d"]}


def test_a_run_without_waves_says_nothing_of_them() -> None:
    assert "waves" not in parse_events([event("a")], command="apply").to_dict()
