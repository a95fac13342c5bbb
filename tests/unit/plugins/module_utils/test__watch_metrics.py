# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics as the engines wrote them (tests/fixtures/metrics), read with what their definitions name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._watch_metrics import Reading, read_metrics
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions

RECORDED = Path(__file__).parents[3] / "fixtures" / "metrics"
# By engine: requests at work and waiting, and by series what had been done when they were recorded.
SAID = {
    "llama_cpp": (
        0,
        {
            "llamacpp:n_decode_total": 70,
            "llamacpp:prompt_tokens_total": 38,
            "llamacpp:tokens_predicted_total": 70,
        },
    ),
    "vllm": (0, {"vllm:generation_tokens_total": 56, "vllm:prompt_tokens_total": 75, "vllm:kv_cache_usage_perc": 0}),
    "aphrodite": (
        0,
        {
            "aphrodite:generation_tokens_total": 56,
            "aphrodite:prompt_tokens_total": 95,
            "aphrodite:kv_cache_usage_perc": 0,
        },
    ),
    # Its requests are counted in two series each, streamed or not, and its scheduler's tokens in three.
    "sglang": (
        0,
        {
            "sglang:realtime_tokens_total": 57 + 58 + 148,
            "sglang:generation_tokens_total": 56 + 12,
            "sglang:prompt_tokens_total": None,
        },
    ),
    # It had answered nothing but its health and its models.
    "infinity": (None, {}),
}


@pytest.mark.parametrize("engine", SAID)
def test_what_a_definition_names_is_in_the_engines_metrics(engine: str) -> None:
    text = (RECORDED / f"{engine.replace('_', '-')}.txt").read_text(encoding="utf-8")
    words = definitions()[engine]["watchdog"]
    requests, progress = SAID[engine]
    reading = read_metrics(text, words)
    assert reading.requests == requests
    assert set(reading.progress) == set(progress)
    wanted = {series: value for series, value in progress.items() if value is not None}
    assert {series: reading.progress[series] for series in wanted} == wanted


def test_every_engine_says_how_it_gets_on() -> None:
    assert [name for name, found in definitions().items() if not found["watchdog"].get("progress")] == []


WORDS = {"running": ["at_work"], "waiting": ["queue"], "progress": ['done{route="/v1/a"}', "steps_total"]}
CASES = {
    "labels are looked for in any order": (
        'done{code="200",route="/v1/a"} 3\ndone{route="/metrics",code="200"} 9\n',
        Reading(None, {'done{route="/v1/a"}': 3}),
    ),
    "all lines of a series are added up": (
        'steps_total{rank="0"} 1\nsteps_total{rank="1"} 2.5\n',
        Reading(None, {"steps_total": 3.5}),
    ),
    "what runs and what waits are requests": ("at_work 2\nqueue 3\n", Reading(5, {})),
    "one of them is enough": ("queue 3\n", Reading(3, {})),
    "a time may follow": ("steps_total 7 1795426320160\n", Reading(None, {"steps_total": 7})),
    "another name that begins alike is another series": ("steps_total_created 7\n", Reading(None, {})),
    "no number is no value": ("at_work NaN\nsteps_total rubbish\nqueue +Inf\n", Reading(None, {})),
    "comments and rubbish": ("# HELP at_work 3\n\n<html>at_work 3</html>\n", Reading(None, {})),
}


@pytest.mark.parametrize("case", CASES)
def test_lines(case: str) -> None:
    text, reading = CASES[case]
    assert read_metrics(text, WORDS) == reading
