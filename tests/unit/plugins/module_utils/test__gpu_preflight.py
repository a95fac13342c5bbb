# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._gpu_preflight import (
    Choice,
    choose_image,
    chosen_gpus,
    driver_of,
    format_problems,
    reload_notices,
    requirement_problem,
)
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import parse_smi
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions

RECORDED = Path(__file__).parents[3] / "fixtures/host/nvidia-smi"
NEW = {"variant": "cuda", "image": "vllm:v0.32.0", "driver": "580", "capability": "7.5"}
OLD = {"variant": "cuda12", "image": "vllm:v0.30.0-cu129", "driver": "525", "capability": "7.0"}
VOLTA = {"driver_version": "580.65.06", "compute_capability": "7.0", "name": "Tesla V100"}
ANY = {"variant": "cuda", "image": "own:1", "driver": "", "capability": ""}


def host(machine: str, /, **changes: Any) -> dict[str, Any]:
    """A host with the GPUs of a recorded machine."""
    gpus = parse_smi((RECORDED / f"{machine}.csv").read_text(encoding="utf-8"))
    return {"gpus": [{**gpu, "mig_devices": [], **changes} for gpu in gpus]}


@pytest.mark.parametrize(
    ("machine", "changes", "variant", "said"),
    [
        ("gb200", {}, "cuda", ""),
        ("h100", {}, "cuda12", "v0.32.0 needs driver 580 or newer, and the host has driver 550.163.01 (CUDA 12.4)"),
        ("t4", {"driver_version": "580.65.06"}, "cuda", ""),
        # A Volta has a new driver and no CUDA 13.
        ("t4", VOLTA, "cuda12", "GPU 0 (Tesla V100) has 7.0"),
        ("t4", {"driver_version": None}, "cuda", ""),
        ("t4", {"driver_version": "580.65.06", "compute_capability": None}, "cuda", ""),
    ],
)  # fmt: skip
def test_the_newest_image_that_suits(machine: str, changes: dict[str, Any], variant: str, said: str) -> None:
    facts = host(machine, **changes)
    choice = choose_image("chat", [NEW, OLD], facts["gpus"], driver_of(facts))
    assert (choice.variant, choice.problem) == (variant, "")
    assert bool(choice.notice) is bool(said)
    assert said in choice.notice


def test_no_image_suits() -> None:
    facts = host("t4", driver_version="470.256.02")
    choice = choose_image("chat", [NEW, OLD], facts["gpus"], driver_of(facts))
    assert choice.problem == (
        "serving_servers['chat'].image: vllm:v0.32.0 needs driver 580 or newer, and the host has driver 470.256.02 and "
        "vllm:v0.30.0-cu129 needs driver 525 or newer, and the host has driver 470.256.02: install a newer driver "
        '(nvidia_driver_enabled: true and nvidia_driver_branch: "580" let the role nvidia_driver do it), or set image '
        "of the server to a release for an older CUDA"
    )


def test_a_gpu_too_old_is_not_cured_by_a_driver() -> None:
    facts = host("t4", driver_version="580.65.06", compute_capability="6.1", name="Tesla P4")
    choice = choose_image("chat", [NEW, OLD], facts["gpus"], driver_of(facts))
    assert "is made for compute capability 7.5 and higher, and GPU 0 (Tesla P4) has 6.1" in choice.problem
    assert choice.problem.endswith("set gpus of the server to newer ones, or image to one made for this GPU")


def test_nothing_to_choose_from_is_nothing_chosen() -> None:
    assert choose_image("chat", [], host("t4")["gpus"], "550") == Choice("", "")


def test_a_gpu_that_is_not_the_drivers_is_nobodys() -> None:
    facts = host("t4")
    facts["gpus"][0] |= {"uuid": None, "driver": "vfio-pci"}
    assert [gpu["index"] for gpu in chosen_gpus(None, facts)] == [1, 2, 3]


def test_an_image_of_ones_own_is_taken_as_it_is() -> None:
    facts = host("t4", driver_version="470.256.02")
    assert choose_image("chat", [ANY], facts["gpus"], driver_of(facts)) == Choice("cuda", "own:1")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, [0, 1, 2, 3]),
        (["all"], [0, 1, 2, 3]),
        (["1", "3"], [1, 3]),
        (["GPU-00000074-0000-0000-0000-000000000002"], [2]),
        (["1:0"], [1]),
        (["9"], []),
    ],
)
def test_gpus_of_a_server(wanted: list[str] | None, expected: list[int]) -> None:
    assert [gpu["index"] for gpu in chosen_gpus(wanted, host("t4"))] == expected


def test_a_mig_device_stands_for_its_gpu() -> None:
    facts = host("a100")
    facts["gpus"][2]["mig_devices"] = [{"index": "2:0", "profile": "1g.5gb", "uuid": "MIG-1"}]
    assert [gpu["index"] for gpu in chosen_gpus(["MIG-1"], facts)] == [2]


@pytest.mark.parametrize(
    ("machine", "requires", "said"),
    [
        ("h100", "cuda>=12.9", ""),
        ("h100", "cuda>=13.0", "own:1 says that it needs cuda>=13.0, so driver 580 or newer, and the host has"),
        ("h100", "cuda>=13.0 brand=tesla,driver>=550,driver<551", ""),
        ("h100", "", ""),
    ],
)  # fmt: skip
def test_what_an_image_says_of_itself(machine: str, requires: str, said: str) -> None:
    facts = host(machine)
    line = requirement_problem("chat", "own:1", requires, facts["gpus"], driver_of(facts))
    assert bool(line) is bool(said)
    assert said in line
    assert not line or ("nvidia_driver_enabled" in line and "set image of the server" in line)


def test_cuda_13_in_an_image_on_a_volta() -> None:
    facts = host("t4", **VOLTA)
    line = requirement_problem("chat", "own:1", "cuda>=13.0", facts["gpus"], driver_of(facts))
    assert "holds CUDA 13, which computes from compute capability 7.5 on, and GPU 0 (Tesla V100) has 7.0" in line


@pytest.mark.parametrize(
    ("engine", "machine", "words", "models", "said"),
    [
        ("vllm", "t4", {"dtype": "bfloat16"}, [], "dtype: bfloat16 needs compute capability 8.0 or higher in vLLM"),
        ("vllm", "a100", {"dtype": "bfloat16"}, [], ""),
        # auto, and a bfloat16 model: vLLM falls back by itself.
        ("vllm", "t4", {}, [], ""),
        ("vllm", "t4", {}, ["awq", "fp8"], ""),
        ("vllm", "volta", {}, ["awq"], "quantization: awq needs compute capability 7.5"),
        ("vllm", "t4", {"quantization": "mxfp4"}, [], "quantization: mxfp4 needs compute capability 8.0"),
        ("sglang", "t4", {}, ["fp8"], "quantization: fp8 needs compute capability 8.0 or higher in SGLang"),
        ("sglang", "l40s", {}, ["fp8"], ""),
        ("llama_cpp", "t4", {"dtype": "bfloat16"}, ["awq"], ""),
    ],
)  # fmt: skip
def test_number_formats(engine: str, machine: str, words: dict[str, str], models: list[str], said: str) -> None:
    facts = host("t4", **VOLTA) if machine == "volta" else host(machine)
    definition = definitions()[engine]
    demand = {
        "server": "chat", "title": definition["title"], "capability": definition["capability"], "dtype": None,
        "quantization": None, **words,
    }  # fmt: skip
    lines = list(format_problems(demand, models, facts["gpus"]))
    assert len(lines) == bool(said)
    assert said in "".join(lines)


def test_a_reload_is_told_beforehand() -> None:
    assert reload_notices([]) == []
    assert "server embed got its GPUs through the toolkit's hook" in reload_notices(["embed"])[0]
    assert "nvidia_container_toolkit_way" in reload_notices(["embed"])[0]
