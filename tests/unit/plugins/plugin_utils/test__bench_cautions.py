# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_cautions import cautions
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_summary import summarise
from tests.unit.plugins.bench_documents import LLAMA, VLLM, document, measured, refuse

if t.TYPE_CHECKING:
    from collections.abc import Callable

    Document = dict[str, t.Any]


def cautions_of(given: Document) -> list[str]:
    return cautions(given, summarise(given))


def two(**profile: t.Any) -> Document:
    return document([measured(LLAMA, levels=(1, 2)), measured(VLLM, levels=(1, 2))], **profile)


def test_a_sound_tournament_has_none() -> None:
    assert cautions_of(two()) == []


def _steps(given: Document, engine: int = 0) -> list[dict[str, t.Any]]:
    return list(given["candidates"][engine]["steps"])


def _tiny(given: Document) -> None:
    given["host"]["cpu"]["cores"] = 2


def _from_host(given: Document) -> None:
    given["profile"]["from"] = "host"


def _other_prompts(given: Document) -> None:
    _steps(given)[1]["prompts"] = "other"


def _short(given: Document) -> None:
    _steps(given)[0]["requests"] |= {"good": 37, "short": 3}


def _off_input(given: Document) -> None:
    _steps(given)[0]["tokens"]["off_input"] = 5


def _streamed(given: Document) -> None:
    _steps(given)[0]["tokens"]["from"] = "stream"


def _one_repetition(given: Document) -> None:
    for candidate in given["candidates"]:
        candidate["steps"] = [step for step in candidate["steps"] if step["repetition"] == 1]


def _few_requests(given: Document) -> None:
    _steps(given)[0]["requests"] |= {"sent": 8, "good": 8}


def _other_parallel(given: Document) -> None:
    given["candidates"][0]["words"]["parallel"] = 1


def _other_dtype(given: Document) -> None:
    given["candidates"][1]["words"]["dtype"] = "float16"


def _other_format(given: Document) -> None:
    given["candidates"][0]["model"]["format"] = "gguf"


def _lost(given: Document) -> None:
    _steps(given)[0]["requests"] |= {"good": 35, "failed": 4, "cut": 1}


def _refused(given: Document) -> None:
    refuse(_steps(given)[0])


# What is done to a sound tournament, and the one caution that it must get.
CASES: list[tuple[Callable[[Document], None], str]] = [
    (_tiny, "the host has only 2 cores"),
    (_from_host, "the load client shares the host's 16 cores"),
    (_other_prompts, "the engines were not sent the same prompts at 2 at once"),
    (_short, "llama.cpp, 1 at once: 3 of 120 answers ended before their set length"),
    (_off_input, "llama.cpp, 1 at once: 5 prompts were not of the set length"),
    (_streamed, "the tokens of llama.cpp are counted by the chunks of the stream"),
    (_one_repetition, "only 1 repetition, .*: set benchmark_repetitions to 3 or more"),
    (_few_requests, "only 8 requests in a step, too few for a p99: set benchmark_requests to 30 or more"),
    (_other_parallel, r"do not have the same parallel \(llama.cpp 1, vLLM 16\)"),
    (_other_dtype, r"do not have the same dtype \(llama.cpp unset, vLLM float16\)"),
    (_other_format, r"different formats \(gguf: llama.cpp; safetensors: vLLM\)"),
    (_lost, "llama.cpp, 1 at once: of 120 requests 4 failed and 1 were cut off"),
    (_refused, "llama.cpp, 1 at once: no numbers, the load client was the bottleneck .*CPU share 0.97"),
]


@pytest.mark.parametrize(("change", "said"), CASES)
def test_each_weakness_is_told_once(change: Callable[[Document], None], said: str) -> None:
    given = two()
    change(given)
    lines = cautions_of(given)
    assert len(lines) == 1, lines
    assert re.search(said, lines[0]), lines
    assert "\n" not in lines[0]


def test_a_faster_engine_is_sent_more_prompts_and_that_is_no_fault() -> None:
    given = two()
    step = _steps(given)[0]
    step["prompts"] = "of fewer prompts"
    step["requests"] |= {"sent": 39, "good": 39}
    assert cautions_of(given) == []


def test_what_a_tuning_run_changes_on_purpose_is_no_fault() -> None:
    given = two()
    _other_parallel(given)
    given["candidates"][0]["changed"] = {"parallel": 1}
    assert cautions_of(given) == []


def test_a_count_of_tokens_that_the_stream_does_not_bear_out_is_told() -> None:
    given = two()
    for step in _steps(given):
        step["tokens"]["chunks"] = step["tokens"]["output"] * 2
    (line,) = cautions_of(given)
    assert "its count is doubtful" in line
