# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._doctor import matched
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._demands import alternatives, demand
from ansible_collections.llmops.serving.plugins.plugin_utils._plan import server_plan
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site, variant_of

REVISION = "0123456789ab" + "c" * 28
SITE = Site(
    models={
        "chat": {"repo": "a/e", "revision": REVISION},
        "gguf": {"repo": "a/b", "revision": REVISION, "file": "x.gguf"},
        "minilm": {"repo": "a/c", "revision": REVISION, "task": "embedding"},
    },
    model_dir="/srv/models",
    registries={"docker.io": "mirror.example/docker.io"},
    accelerator="cuda",
    engines=definitions(),
    images={"aphrodite": "own.example/aphrodite:1"},
)
VLLM: dict[str, Any] = {"name": "chat", "engine": "vllm", "model": "chat", "port": 8000}
LLAMA: dict[str, Any] = {"name": "small", "engine": "llama_cpp", "model": "gguf", "port": 8001}


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (VLLM, [("cuda", "580"), ("cuda12", "525")]),
        ({**VLLM, "variant": "cuda12"}, [("cuda12", "525")]),
        # What an image of one's own needs, the image itself says.
        ({**VLLM, "image": "own.example/vllm:1"}, [("cuda", "")]),
        ({**VLLM, "engine": "aphrodite"}, [("cuda", "")]),
        (LLAMA, [("cuda", "570")]),
    ],
)
def test_images_best_first(server: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    found = alternatives(server, SITE)
    assert [(image["variant"], image["driver"]) for image in found] == expected
    assert all("/" in image["image"] for image in found)
    assert not [image for image in found if image["image"].startswith("docker.io/")], "mirrors are applied"


def test_a_cpu_has_no_choice() -> None:
    assert alternatives(VLLM, dataclasses.replace(SITE, accelerator="cpu")) == []


@pytest.mark.parametrize("engine", sorted(definitions()))
def test_floors_of_all_definitions_are_versions_and_newest_first(engine: str) -> None:
    definition = definitions()[engine]
    for image in definition["images"].values():
        for word in ("driver", "capability"):
            # A float would make 8.10 of 8.1.
            assert isinstance(image.get(word, ""), str)
    for rules in definition["capability"].values():
        assert all(isinstance(floor, str) for floor in rules.values())
    if "cuda" in definition["images"] and "name" in definition["images"]["cuda"]:
        found = alternatives({"name": "x", "engine": engine}, SITE) if engine not in SITE.images else []
        floors = [int(image["driver"]) for image in found]
        assert floors == sorted(floors, reverse=True)
        assert all(floors), "each image of a definition says which driver it needs"


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (VLLM, {"tensor_parallel": 1, "context_length": None, "parallel": None, "fraction": None, "fit": "refuse"}),
        (
            {**VLLM, "context_length": 8192, "gpu_memory_fraction": 0.4, "tensor_parallel_size": 2, "gpus": ["0", "1"]},
            {"tensor_parallel": 2, "context_length": 8192, "fraction": 0.4, "gpus": ["0", "1"]},
        ),
        ({**VLLM, "options": {"kv-cache-dtype": "fp8"}, "fit": "warn"}, {"fit": "warn"}),
        # The engine is told one slot where the inventory says nothing.
        (LLAMA, {"parallel": 1, "title": "llama.cpp", "models": ["gguf"]}),
        ({**LLAMA, "parallel": 4}, {"parallel": 4}),
    ],
)
def test_demands(server: dict[str, Any], words: dict[str, Any]) -> None:
    asked = demand(server, SITE)
    assert {word: asked[word] for word in words} == words
    assert asked["memory"] is definitions()[server["engine"]]["memory"] or asked["memory"]


def test_a_demand_knows_the_options_of_server_and_definition() -> None:
    options = demand({**VLLM, "options": {"kv-cache-dtype": "fp8"}}, SITE)["options"]
    assert (options["kv-cache-dtype"], options["load-format"]) == ("fp8", "safetensors")
    assert demand(LLAMA, SITE)["options"]["gpu-layers"] == "all"


def test_a_demand_on_a_cpu_knows_what_the_engine_is_told_there() -> None:
    asked = demand(VLLM, dataclasses.replace(SITE, accelerator="cpu"))
    assert (asked["accelerator"], asked["kv_gib"]) == ("cpu", 2)


def test_the_variant_that_suits_the_host_is_planned() -> None:
    older = dataclasses.replace(SITE, variants={"chat": "cuda12"})
    assert server_plan(VLLM, older)["image"] == "mirror.example/docker.io/vllm/vllm-openai:v0.30.0-cu129"
    assert variant_of({**VLLM, "variant": "cuda"}, older) == "cuda", "the inventory's own word wins"
    assert variant_of(LLAMA, older) == "cuda"


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("cdi", ["--device", "nvidia.com/gpu=0"]),
        ("runtime", ["--runtime", "nvidia"]),
        ("gpus", ["--gpus", '"device=0"']),
    ],
)
def test_ways_to_the_gpus(way: str, words: list[str]) -> None:
    plan = server_plan({**VLLM, "gpus": ["0"]}, dataclasses.replace(SITE, gpu_way=way))
    run = plan["unit_words"]["run"]
    assert run[run.index(words[0]) : run.index(words[0]) + 2] == words
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in run, "so that GPU 0 of CUDA is GPU 0 of nvidia-smi"
    assert plan["unit_words"]["after"] == (["nvidia-cdi-refresh.service"] if way == "cdi" else [])


def test_what_docker_says_of_gpus_is_understood() -> None:
    rules = server_plan(VLLM, SITE)["doctor"]
    said = "docker: Error response from daemon: CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=7"
    found = matched([said], rules)
    assert found is not None
    assert found.cause == "no CDI specification on the host names nvidia.com/gpu=7"
    assert matched([said], server_plan(VLLM, dataclasses.replace(SITE, accelerator="cpu"))["doctor"]) is None


def test_a_server_on_a_cpu_waits_for_no_gpu() -> None:
    plan = server_plan(VLLM, dataclasses.replace(SITE, accelerator="cpu"))
    assert plan["unit_words"]["after"] == []
    assert not {"--device", "--gpus", "--runtime"} & set(plan["unit_words"]["run"])
