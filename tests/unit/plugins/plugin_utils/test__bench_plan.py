# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_plan import (
    asked_problems,
    benchmark_plan,
    load_profile,
    profiles,
    reach,
    steps,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site

REVISION = "c" * 40
SITE = Site(
    models={
        "gguf": {"repo": "a/b", "revision": REVISION, "file": "x.gguf"},
        "minilm": {"repo": "a/c", "revision": REVISION, "task": "embedding"},
        "sorter": {"repo": "a/d", "revision": REVISION, "task": "rerank"},
        "labels": {"repo": "a/e", "revision": REVISION, "task": "classify"},
    },
    model_dir="/srv",
    registries={},
    accelerator="cpu",
    engines=definitions(),
)
CHAT: dict[str, t.Any] = {"name": "chat", "engine": "llama_cpp", "model": "gguf", "port": 8001, "api_key": ["s3cret"]}
EMBED: dict[str, t.Any] = {
    "name": "embed",
    "engine": "infinity",
    "models": ["minilm", "sorter", "labels"],
    "port": 8005,
}
ASKED: dict[str, t.Any] = {
    "profile": "", "input_tokens": 0, "output_tokens": 0, "shared_tokens": 0, "concurrency": [], "rates": [],
    "batches": [], "requests": 30, "seconds": 10.0, "max_seconds": 300.0, "repetitions": 3, "warmup": 3,
    "objective": {}, "from": "host", "urls": {}, "address": "192.0.2.7",
    "timeout": 120.0, "changes": {},
}  # fmt: skip


def plan(*servers: dict[str, t.Any], only: tuple[str, ...] = (), **asked: t.Any) -> dict[str, t.Any]:
    return benchmark_plan(servers, SITE, ASKED | asked, only)


@pytest.mark.parametrize("name", profiles())
def test_every_profile_can_be_loaded(name: str) -> None:
    profile = load_profile(ASKED | {"profile": name}, "chat")
    assert profile["work"]["task"] in {"chat", "embedding", "rerank"}
    assert steps(profile, [1])
    assert profiles()[name]["title"]
    # The module gets numbers or ready prompts, and nothing that it does not know.
    assert set(profile["work"]) == {"task", "input_tokens", "output_tokens", "shared_tokens", "batch", "prompts"}


def test_the_course_sends_its_seven_prompts_as_they_are() -> None:
    profile = load_profile(ASKED | {"profile": "course", "output_tokens": 9}, "chat")
    assert profile["work"]["prompts"] == ["Tell a fairy tale and write Python code about it" * 200] * 7
    assert profile["work"]["output_tokens"] is None
    assert [step["requests"] for step in steps(profile, [1])] == [7]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"profile": "chatt"}, "benchmark_profile: there is no profile 'chatt': did you mean chat?"),
        ({"profile": "zzz"}, "benchmark_profile: there is no profile 'zzz': choose among chat, rag"),
        ({"objective": {"itl": 5}}, "benchmark_objective.itl: is none: choose among ttft_ms, tpot_ms, e2el_ms"),
        ({"objective": {"ttft_ms": 0}}, "benchmark_objective.ttft_ms: must be milliseconds above 0"),
        ({"concurrency": [0]}, "benchmark_concurrency: 0 is no number of 1 or more"),
        ({"batches": [-1]}, "benchmark_batches: -1 is no number of 1 or more"),
        ({"rates": [0.0]}, "benchmark_rates: 0.0 is no number above 0"),
        ({"requests": 0}, "benchmark_requests: must be 1 or more"),
        ({"repetitions": 0}, "benchmark_repetitions: must be 1 or more"),
        ({"warmup": -1}, "benchmark_warmup: must be 0 or more"),
        ({"from": "hosst"}, "benchmark_from: 'hosst' is no place: choose among host, controller"),
        ({"timeout": 0.0}, "benchmark_timeout: must be above 0"),
    ],
)
def test_what_makes_no_sense_is_one_line(asked: dict[str, t.Any], said: str) -> None:
    (problem,) = asked_problems(ASKED | asked)
    assert problem.startswith(said)


def test_sound_options_have_no_problems() -> None:
    assert asked_problems(ASKED | {"profile": "rag", "objective": {"ttft_ms": 200}, "rates": [0.5]}) == []


def test_each_model_that_can_be_measured_is_a_run() -> None:
    found = plan(CHAT, EMBED)
    assert found["problems"] == []
    assert [(run["name"], run["asks"], run["profile"]["name"]) for run in found["runs"]] == [
        ("chat", "gguf", "chat"),
        ("embed-minilm", "minilm", "embedding"),
        ("embed-sorter", "sorter", "rerank"),
    ]


def test_a_profile_chooses_the_models_it_is_for() -> None:
    assert [run["asks"] for run in plan(CHAT, EMBED, profile="rerank")["runs"]] == ["sorter"]
    (problem,) = plan(CHAT, profile="embedding")["problems"]
    assert "none of the servers has a model for embedding" in problem


def test_a_server_that_is_not_there_is_told() -> None:
    (problem,) = plan(CHAT, only=("chta",))["problems"]
    assert problem == "serving_only: there is no server 'chta': choose among chat"


def test_requests_that_do_not_fit_are_told_beforehand() -> None:
    (problem,) = plan(CHAT | {"context_length": 256})["problems"]
    assert problem.startswith("serving_servers['chat'].context_length: a request of profile chat is 256 + 128 tokens")
    assert plan(CHAT | {"context_length": 256}, input_tokens=128, output_tokens=64)["problems"] == []
    (problem,) = plan(CHAT, profile="shared-prefix", input_tokens=500)["problems"]
    assert problem.startswith("benchmark_shared_tokens: 896 leaves nothing")


def test_no_secret_is_in_a_plan() -> None:
    assert "s3cret" not in str(plan(CHAT))


def test_the_length_of_answers_is_fixed_as_the_engine_can() -> None:
    (run,) = plan(CHAT)["runs"]
    assert run["profile"]["work"]["length"] == {"ignore_eos": True}


def test_steps_are_batches_times_levels_times_repetitions() -> None:
    profile = load_profile(ASKED | {"concurrency": [1, 20], "rates": [2.5], "batches": [1, 8]}, "embedding")
    found = steps(profile, [1, 2])
    assert len(found) == 2 * 2 * 3
    assert found[0] == {"label": "1 in a request, 1 at once, 1 of 3", "repetition": 1, "concurrency": 1, "rate": None,
                        "batch": 1, "requests": 30}  # fmt: skip
    assert found[1]["requests"] == 40, "each of the 20 at once has two"
    assert (found[2]["rate"], found[2]["concurrency"]) == (2.5, None)


def test_rates_alone_take_the_place_of_the_ladder() -> None:
    assert load_profile(ASKED | {"rates": [1.0]}, "chat")["concurrency"] == []


@pytest.mark.parametrize(
    ("server", "asked", "expected"),
    [
        ({}, {}, "http://127.0.0.1:8001/v1"),
        ({"bind": "0.0.0.0"}, {"from": "controller"}, "http://192.0.2.7:8001/v1"),  # noqa: S104  not bound to
        ({"bind": "192.0.2.9"}, {"from": "controller"}, "http://192.0.2.9:8001/v1"),
        ({}, {"from": "controller", "address": ""}, "http://127.0.0.1:8001/v1"),
        ({}, {"from": "controller", "urls": {"chat": "http://gate:80/v1"}}, "http://gate:80/v1"),
    ],
)
def test_a_server_is_asked_where_it_can_be_reached(server: t.Any, asked: t.Any, expected: str) -> None:
    assert reach(CHAT | server, ASKED | asked) == (expected, "")


def test_a_server_on_loopback_is_out_of_reach_of_the_controller() -> None:
    url, problem = reach(CHAT, ASKED | {"from": "controller"})
    assert not url
    assert problem.startswith("benchmark_from: the controller cannot reach server 'chat', which listens on 127.0.0.1")
