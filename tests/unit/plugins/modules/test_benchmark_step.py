# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules benchmark_prepare and benchmark_step, run as Ansible runs them, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.doc_fragments._bench import ModuleDocFragment
from ansible_collections.llmops.serving.plugins.module_utils._bench_prepare import PREPARE
from ansible_collections.llmops.serving.plugins.module_utils._bench_step import CONNECTION, STEP
from ansible_collections.llmops.serving.plugins.modules import benchmark_prepare, benchmark_step
from tests.unit.plugins.fake_stream import KEY, Served, fake_stream
from tests.unit.plugins.run_module import run_module

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

WORK = {"input_tokens": 40, "output_tokens": 4, "length": {"ignore_eos": True, "min_tokens": "output_tokens"}}

WORDS = {"water": 1, "house": 1, "time": 1, "light": 1}


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with fake_stream() as served:
        yield served


def run(name: str, server: Served, model: str = "steady", key: str = KEY, **words: Any) -> tuple[int, dict[str, Any]]:
    return run_module(name, url=server.url, api_key=key, model=model, work=WORK, **words)


@pytest.mark.parametrize("check", [False, True])
def test_a_server_is_prepared_and_measured_and_nothing_changes(server: Served, check: bool) -> None:
    question = {"prompt": "What is the capital of France?", "expect": "Paris"}
    status, prepared = run("benchmark_prepare", server, questions=[question], _ansible_check_mode=check)
    assert (status, prepared["changed"]) == (0, False), prepared
    words: dict[str, Any] = {"words": prepared["words"], "overhead": prepared["overhead"]}
    load: dict[str, Any] = {"concurrency": 2, "requests": 4, "seconds": 0.1, "limits": {"lateness": 9.0}}
    status, result = run("benchmark_step", server, **words, **load, _ansible_check_mode=check)
    assert (status, result["changed"]) == (0, False), result
    assert result["step"]["requests"]["good"] == result["step"]["requests"]["sent"] >= 4
    assert result["step"]["tokens"]["off_input"] == 0
    assert result["step"]["itl"]["p50_ms"] > 5
    for module, found in ((benchmark_prepare, prepared), (benchmark_step, result)):
        documented = yaml.safe_load(module.RETURN)
        assert set(documented) == (set(found) - {"changed", "invocation"}) | {"msg"}
    assert set(yaml.safe_load(benchmark_step.RETURN)["step"]["contains"]) == set(result["step"])
    assert KEY not in str([prepared, result])


def test_a_server_that_cannot_be_measured_fails_in_one_line_without_the_key(server: Served) -> None:
    runs: dict[str, dict[str, Any]] = {"benchmark_prepare": {}, "benchmark_step": {"concurrency": 1, "words": WORDS}}
    for name, words in runs.items():
        status, result = run(name, server, "limited", **words)
        assert (status, result["failed"], result["changed"]) == (1, True, False)
        assert "HTTP 429 (slow down), Retry-After: 7; the server is overloaded" in result["msg"]
        assert "\n" not in result["msg"]
        assert KEY not in str(result)


def test_an_empty_key_is_no_key(server: Served) -> None:
    status, result = run("benchmark_step", server, key="", concurrency=1, words=WORDS)
    assert status == 1
    assert "HTTP 401" in result["msg"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({}, "one of the following is required: concurrency, rate"),
        ({"rate": 1.0, "concurrency": 1}, "parameters are mutually exclusive: concurrency|rate"),
    ],
)
def test_a_step_has_one_kind_of_load(server: Served, words: dict[str, Any], said: str) -> None:
    status, result = run("benchmark_step", server, **words)
    assert status == 1
    assert said in result["msg"]


@pytest.mark.parametrize(
    ("module", "own"),
    [(benchmark_prepare, PREPARE), (benchmark_step, STEP)],
    ids=["benchmark_prepare", "benchmark_step"],
)
def test_the_documentation_says_what_the_code_does(module: ModuleType, own: Mapping[str, Any]) -> None:
    shared = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    documented = shared | yaml.safe_load(module.DOCUMENTATION)["options"]
    spec = {**CONNECTION, **own}
    assert plain(documented, "suboptions") == plain(spec, "options")
    name = module.__name__.rpartition(".")[2]
    for example in yaml.safe_load(module.EXAMPLES):
        assert set(example[f"llmops.serving.{name}"]) <= set(spec)


def plain(options: Mapping[str, Any], below: str) -> dict[str, Any]:
    """What documentation and argument spec both say of options."""
    words = ("type", "default", "elements", "choices")
    return {
        name: {word: option.get(word) for word in words}
        | {"required": option.get("required", False), "below": plain(option.get(below, {}), below)}
        for name, option in options.items()
    }
