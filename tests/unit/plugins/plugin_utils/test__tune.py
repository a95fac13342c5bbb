# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._tune import (
    OWN,
    Knob,
    knobs,
    leave_out_tries,
    next_turn,
    tune_plan,
)
from tests.unit.plugins.plugin_utils.test__bench_plan import ASKED
from tests.unit.plugins.plugin_utils.test__tournament import SITE

SERVER: dict[str, t.Any] = {"name": "chat", "engine": "llama_cpp", "model": "qwen-gguf", "port": 8001, "parallel": 4}


def plan(server: dict[str, t.Any] | None = None, name: str = "chat", **asked: t.Any) -> t.Any:
    return tune_plan([server or SERVER], SITE, ASKED | {"concurrency": [2]} | asked, name)


def step(rate: float, start: int, repetition: int) -> dict[str, t.Any]:
    """A step of 10 seconds in which 10 equal requests together wrote `rate` tokens a second."""
    n = 10
    return {
        "concurrency": 2, "rate": None, "batch": None, "repetition": repetition, "start": start, "began": 0,
        "seconds": 10.0, "requests": {"sent": n, "good": n, "failed": 0, "short": 0, "cut": 0}, "errors": [],
        "tokens": {"input": n, "output": int(rate * 10), "set_input": 1, "off_input": 0, "chunks": n, "from": "usage"},
        "items": 0, "itl": None, "prompts": "p",
        "samples": {"ttft_ms": [1.0] * n, "tpot_ms": [1.0] * n, "e2el_ms": [2000.0] * n,
                    "output_tokens": [rate] * n, "itl_ms": [1.0] * n},
        "client": {"cpu_share": 0.1, "late_p50_ms": 0.0, "late_p99_ms": 0.0, "late_max_ms": 0.0, "bottleneck": False,
                   "why": ""},
    }  # fmt: skip


class Search:
    """A search on a host whose speed is a function of the server's words."""

    def __init__(self, speed: t.Callable[[dict[str, t.Any]], float], server: dict[str, t.Any] | None = None) -> None:
        self.speed, self.planned = speed, plan(server)
        self.document: dict[str, t.Any] = {
            "format": "llmops-benchmark", "version": 1, "kind": "tune", "began": "2026-01-01T00:00:00Z", "seconds": 0.0,
            "seed": 1, "tools": {}, "host": {"name": "h", "cpu": {"cores": 4}}, "inventory": self.planned["inventory"],
            "profile": self.planned["profile"],
            "candidates": [{**one, "steps": [], "loads": []} for one in self.planned["candidates"]],
        }  # fmt: skip
        self.turns: list[dict[str, t.Any]] = []

    def run(self, budget: float = 1e9, each: float = 60.0, tries: int = 0) -> list[str]:
        words: dict[str, t.Any] = {"cores": 4, "budget": budget, "tries": tries}
        while turn := next_turn(self.document, self.planned["server"], SITE, elapsed=each * len(self.turns), **words):
            self.turns.append(turn)
            known = {one["name"]: one for one in self.document["candidates"]}
            if turn["candidate"] not in known:
                known[turn["candidate"]] = {**turn["description"], "steps": []}
                self.document["candidates"].append(known[turn["candidate"]])
            rate = self.speed(turn["server"])
            if rate:
                known[turn["candidate"]]["steps"] += [step(rate, turn["start"], n) for n in turn["repetitions"]]
            else:
                known[turn["candidate"]]["status"] = "failed"
        return [turn["candidate"] for turn in self.turns]


def test_the_plan_tries_the_server_as_a_guest() -> None:
    found = plan({**SERVER, "api_key": ["s3cret"], "bind": "0.0.0.0"})  # noqa: S104  not bound to
    assert found["problems"] == []
    assert (found["server"]["name"], found["server"]["port"]) == ("tournament-try", 18000)
    assert "s3cret" not in str(found)
    assert found["candidates"][0]["name"] == OWN


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"name": "chatt"}, "tournament_server: this host has no server 'chatt': choose among chat"),
        ({"profile": "rerank"}, "benchmark_profile: rerank is for rerank, and qwen-gguf is for chat"),
        ({"profile": "nope"}, "benchmark_profile: there is no profile 'nope'"),
    ],
)
def test_what_makes_no_sense_is_one_line(words: dict[str, t.Any], said: str) -> None:
    (problem,) = plan(**words)["problems"]
    assert problem.startswith(said)


def test_knobs_are_what_the_engine_and_the_accelerator_have() -> None:
    found = {knob.name: knob for knob in knobs(SERVER, SITE, 8)}
    assert found["cpu_threads"].values == (2, 4, 8)
    assert not found["ubatch-size"].is_word
    assert "gpu_memory_fraction" not in {knob.name for knob in knobs({**SERVER, "engine": "vllm"}, SITE, 8)}


@pytest.mark.parametrize("engine", [name for name, one in SITE.engines.items() if one["tune"]])
def test_every_knob_is_a_word_or_a_flag_of_its_engine(engine: str) -> None:
    definition = SITE.engines[engine]
    for entry in definition["tune"]:
        word, option = entry.get("word"), entry.get("option")
        options = [definition["options"], *(image.get("options", {}) for image in definition["images"].values())]
        assert (word is None) != (option is None)
        assert word is None or any(word in one for one in options)
        assert option is None or definition["flags"].find(f"--{option}") is not None
        assert entry["values"] == "cores" or len(entry["values"]) > 1


def test_a_knob_reads_and_turns_words_and_flags() -> None:
    word, flag = Knob("parallel", True, (1, 2)), Knob("ubatch-size", False, (128, 256))
    assert (word.read(SERVER), flag.read(SERVER)) == (4, None)
    turned = flag.turned(word.turned({**SERVER, "options": {"x": 1}}, 2), 256)
    assert (turned["parallel"], turned["options"]) == (2, {"x": 1, "ubatch-size": 256})


def test_the_search_climbs_to_the_top_and_measures_it_again() -> None:
    names = Search(lambda words: 100.0 + 10 * min(words["parallel"], 16)).run()
    assert names[0] == OWN
    assert "parallel=8" in names
    assert "parallel=16" in names
    assert "parallel=64" not in names, "32 was no better than 16, so there is no way on from there"
    # Both are measured again for the remaining repetitions.
    assert names[-2:] == [OWN, "parallel=16"]


def test_the_server_as_it_is_may_be_the_best() -> None:
    search = Search(lambda words: 100.0 - abs(words["parallel"] - 4) - len(words.get("options") or {}))
    names = search.run()
    assert names.count(OWN) == 1, "there is nothing to compare it with"
    assert search.turns[-1]["start"] == 1


def test_a_setting_that_fails_is_left_alone() -> None:
    names = Search(lambda words: 0.0 if words["parallel"] > 4 else 100.0 + words["parallel"]).run()
    assert "parallel=8" in names
    assert names[-1] != "parallel=8"


def test_a_server_that_cannot_be_measured_as_it_is_ends_the_search() -> None:
    assert Search(lambda _words: 0.0).run() == [OWN]


def test_the_time_that_is_left_ends_the_search_and_leaves_room_for_the_last_measurements() -> None:
    search = Search(lambda words: 100.0 + words["parallel"] * 10)
    names = search.run(budget=14 * 60.0)
    assert len(names) * 60 <= 14 * 60
    assert names[-2] == OWN
    assert names[-1] != OWN


def test_so_many_settings_are_tried_and_no_more() -> None:
    names = Search(lambda words: 100.0 + words["parallel"] * 10).run(tries=2)
    assert names == [OWN, "parallel=8", "parallel=16", OWN, "parallel=16"]


def test_nothing_that_the_inventory_would_refuse_is_tried() -> None:
    search = Search(lambda words: 1.0 + words["parallel"], {**SERVER, "options": {"flash-attn": "on"}})
    assert all(turn["server"]["options"]["flash-attn"] in {"on", "off"} for turn in search.turns)
    search.run()
    assert any("flash-attn=off" in turn["candidate"] for turn in search.turns)


def test_what_found_the_best_try_does_not_count_for_it_and_others_cannot_win() -> None:
    search = Search(lambda words: 100.0 + words["parallel"] * 10)
    search.run(tries=2)
    leave_out_tries(search.document)
    found = {one["name"]: one for one in search.document["candidates"]}
    assert {name: one["status"] for name, one in found.items()} == {
        OWN: "measured", "parallel=8": "tried", "parallel=16": "measured",
    }  # fmt: skip
    for name in (OWN, "parallel=16"):
        assert {step["start"] for step in found[name]["steps"]} == {2}
        assert len({step["repetition"] for step in found[name]["steps"]}) == 3
