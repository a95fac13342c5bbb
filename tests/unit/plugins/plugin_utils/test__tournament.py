# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_plan import load_profile
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site
from ansible_collections.llmops.serving.plugins.plugin_utils._tournament import tournament_plan, turns
from tests.unit.plugins.plugin_utils.test__bench_plan import ASKED

REVISION = "c" * 40
SITE = Site(
    models={
        "qwen": {"repo": "a/b", "revision": REVISION},
        "qwen-gguf": {"repo": "a/b", "revision": REVISION, "file": "x.gguf"},
        "minilm": {"repo": "a/c", "revision": REVISION, "task": "embedding"},
    },
    model_dir="/srv",
    registries={},
    accelerator="cpu",
    engines=definitions(),
    images={"aphrodite": "registry.example/aphrodite:1"},
)
BASE: dict[str, t.Any] = {
    "name": "chat", "engine": "llama_cpp", "model": "qwen-gguf", "port": 8001, "bind": "0.0.0.0", "api_key": ["s3cret"],  # noqa: S104  not bound to
    "context_length": 2048, "parallel": 4, "options": {"flash-attn": "on"}, "gate": {"chat": {"expect": "Paris"}},
}  # fmt: skip
OWN: dict[str, t.Any] = {
    "name": "fast", "engine": "vllm", "model": "qwen", "port": 8000, "context_length": 1024, "kv_cache_gib": 1,
}  # fmt: skip


def plan(*engines: str, servers: t.Any = (BASE, OWN), models: t.Any = ("qwen", "qwen-gguf"), **asked: t.Any) -> t.Any:
    return tournament_plan(servers, SITE, ASKED | asked, list(models), list(engines))


def by_name(found: dict[str, t.Any]) -> dict[str, t.Any]:
    return {candidate["name"]: candidate for candidate in found["candidates"]}


def test_each_engine_gets_the_weights_in_its_format_under_one_name() -> None:
    found = plan("vllm", "llama_cpp", "sglang")
    assert found["problems"] == []
    candidates = by_name(found)
    assert {name: one["server"]["model"] for name, one in candidates.items()} == {
        "vllm": "qwen", "llama_cpp": "qwen-gguf", "sglang": "qwen",
    }  # fmt: skip
    assert found["asks"] == "qwen-gguf", "as the server calls it now"
    named = {name: one["server"].get("served_model_name", one["server"]["model"]) for name, one in candidates.items()}
    assert set(named.values()) == {"qwen-gguf"}
    assert "served_model_name" not in candidates["llama_cpp"]["server"], "it has that name anyway"
    assert plan("vllm", servers=[])["asks"] == "qwen"


def test_an_engine_takes_part_as_the_hosts_own_server_of_it_says() -> None:
    server = by_name(plan("vllm"))["vllm"]["server"]
    assert (server["context_length"], server["kv_cache_gib"]) == (1024, 1)
    assert "parallel" not in server


def test_the_others_get_the_common_words_of_the_first_server_of_the_model() -> None:
    server = by_name(plan("sglang"))["sglang"]["server"]
    assert (server["context_length"], server["parallel"], server["gate"]) == (2048, 4, {"chat": {"expect": "Paris"}})
    assert "options" not in server, "flags are of one engine"


def test_common_words_that_an_engine_lacks_are_left_out() -> None:
    candidate = by_name(plan("llama_cpp", servers=[OWN]))["llama_cpp"]
    assert candidate["server"]["context_length"] == 1024
    assert "kv_cache_gib" not in candidate["server"]
    assert set(candidate["without"]) == {"kv_cache_gib"}, "and that is told"


def test_what_keeps_an_engine_from_the_servers_place_is_told() -> None:
    obstacle = by_name(plan("vllm"))["vllm"]["obstacle"]
    assert "bind: 0.0.0.0 is public" in obstacle
    assert "s3cret" not in obstacle
    assert by_name(plan("llama_cpp"))["llama_cpp"]["obstacle"] == ""


def test_guests_listen_on_loopback_without_a_key_each_on_a_port_of_its_own() -> None:
    candidates = by_name(plan("vllm", "llama_cpp"))
    assert [one["server"]["name"] for one in candidates.values()] == ["tournament-vllm", "tournament-llama_cpp"]
    assert [one["url"] for one in candidates.values()] == ["http://127.0.0.1:18000/v1", "http://127.0.0.1:18001/v1"]
    assert not any({"bind", "api_key"} & one["server"].keys() for one in candidates.values())


def test_for_load_from_the_controller_guests_take_the_address_but_no_plan_holds_the_key() -> None:
    found = plan("llama_cpp", **{"from": "controller"})
    (candidate,) = found["candidates"]
    assert (candidate["url"], candidate["server"]["bind"]) == ("http://192.0.2.7:8001/v1", "0.0.0.0")  # noqa: S104  as above
    assert "s3cret" not in str(found)
    words = {"from": "controller", "urls": {"chat": "http://gate.example/v1"}}
    assert plan("llama_cpp", **words)["candidates"][0]["url"] == "http://gate.example/v1"


@pytest.mark.parametrize(
    ("engine", "models", "reason"),
    [
        ("llama_cpp", ["qwen"], "it reads gguf, and none of the models is that"),
        ("infinity", ["qwen"], "it does no chat"),
        ("tgi", ["qwen"], "TGI has no image for cpu"),
    ],
)
def test_an_engine_that_cannot_is_a_row_with_its_reason(engine: str, models: list[str], reason: str) -> None:
    found = plan("vllm", engine, models=models)
    assert found["problems"] == []
    candidate = by_name(found)[engine]
    assert candidate["status"] == "failed"
    assert reason in candidate["reason"]
    assert candidate["remedy"]


@pytest.mark.parametrize(
    ("engines", "models", "said"),
    [
        ([], ["qwen"], "tournament_engines: is empty"),
        (["vllm"], [], "tournament_models: is empty"),
        (["vlm"], ["qwen"], "tournament_engines: there is no engine 'vlm': did you mean vllm?"),
        (["vllm", "vllm"], ["qwen"], "tournament_engines: vllm is named twice"),
        (["vllm"], ["qwn"], "tournament_models: there is no model 'qwn' in serving_models: did you mean qwen?"),
        (["infinity"], ["qwen"], "infinity: it does no chat"),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_stops(engines: t.Any, models: t.Any, said: str) -> None:
    (problem,) = plan(*engines, models=models)["problems"]
    assert problem.startswith(said)


def test_a_profile_for_another_task_is_told() -> None:
    (problem,) = plan("vllm", profile="rerank")["problems"]
    assert problem == "benchmark_profile: rerank is for rerank, and qwen is for chat: choose another profile"
    found = plan("infinity", models=["minilm"])
    assert (found["problems"], found["profile"]["name"]) == ([], "embedding")


def test_requests_that_fit_no_candidate_are_told_by_its_engine() -> None:
    (problem,) = plan("vllm", profile="rag")["problems"]
    assert problem.startswith("serving_servers['vllm'].context_length: a request of profile rag")


PROFILE = load_profile(ASKED | {"concurrency": [1, 2]}, "chat")


def test_engines_that_need_the_host_alone_are_started_twice() -> None:
    found = turns(["a", "b"], PROFILE, together=False)
    assert [(turn["candidate"], turn["start"]) for turn in found] == [("a", 1), ("b", 1), ("b", 2), ("a", 2)]
    assert all(turn["stop"] for turn in found)
    numbers = [{step["repetition"] for step in turn["steps"]} for turn in found]
    assert numbers == [{1, 2}, {1, 2}, {3}, {3}]


def test_one_repetition_needs_one_start() -> None:
    assert len(turns(["a"], PROFILE | {"repetitions": 1}, together=False)) == 1


def test_engines_that_stay_loaded_take_turns_after_each_repetition() -> None:
    found = turns(["a", "b"], PROFILE, together=True)
    assert [(turn["candidate"], turn["start"], len(turn["steps"])) for turn in found] == [
        ("a", 1, 0), ("b", 1, 0), ("a", 0, 2), ("b", 0, 2), ("b", 0, 2), ("a", 0, 2), ("a", 0, 2), ("b", 0, 2),
    ]  # fmt: skip
    assert not any(turn["stop"] for turn in found)
