# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._fit import server_fits
from ansible_collections.llmops.serving.plugins.module_utils._fit_memory import cache_bytes, sizes
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import parse_smi
from ansible_collections.llmops.serving.plugins.module_utils._shape import LayerCache, Shape
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._demands import demand
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site

FIXTURES = Path(__file__).parents[3] / "fixtures"
GIB = 1 << 30
KIB = 1 << 10
PLAIN: dict[str, Any] = {
    "tensors": 1,
    "parameters": None,
    "dtype": "bfloat16",
    "quantization": "",
    "bits": None,
    "latent": False,
    "max_context": None,
    "encoder": False,
}


def shape(**words: Any) -> Shape:
    """A model in which all layers cache alike, in two bytes a parameter unless said otherwise."""
    told = {**PLAIN, "weight_bytes": 2 * (words.get("parameters") or 0), **words}
    layer = LayerCache(2 * told["kv_heads"] * told["head_dim"], None)
    return Shape(**{"cache": () if told["encoder"] else (layer,) * told["layers"], **told})


def sizes_of(text: str) -> dict[str, int]:
    """Hidden size, layers, heads, heads of keys and values, their size, width of the feed-forward layers, words."""
    names = ("hidden_size", "layers", "heads", "kv_heads", "head_dim", "intermediate_size", "vocab_size")
    return dict(zip(names, map(int, text.split()), strict=True))


QWEN = shape(parameters=494_032_768, max_context=32768, **sizes_of("896 24 14 2 64 4864 151936"))
# The GGUF file of a fifth of the size: 398 MB.
GGUF = dataclasses.replace(QWEN, weight_bytes=397_805_248, dtype="q4_K", quantization="gguf", bits=6.4, parameters=None)
LLAMA_8B = shape(parameters=8_030_261_248, max_context=8192, **sizes_of("4096 32 32 8 128 14336 128256"))
LLAMA_70B = shape(parameters=70_553_706_496, max_context=131072, **sizes_of("8192 80 64 8 128 28672 128256"))
AWQ_8B = dataclasses.replace(
    LLAMA_8B, weight_bytes=5_740_000_000, quantization="awq", dtype="int32", bits=4, parameters=None
)
XLM_R = shape(
    parameters=567_754_752,
    weight_bytes=4 * 567_754_752,
    dtype="float32",
    encoder=True,
    max_context=8192,
    **sizes_of("1024 24 16 16 64 4096 250002"),
)
BERT = shape(
    parameters=66_955_010,
    weight_bytes=4 * 66_955_010,
    dtype="float32",
    encoder=True,
    max_context=512,
    **sizes_of("768 6 12 12 64 3072 30522"),
)
# Gemma 2 9B: of 42 layers each second one looks back 4096 tokens.
GEMMA = dataclasses.replace(
    shape(parameters=9_241_705_984, max_context=8192, **sizes_of("3584 42 16 8 256 14336 256000")),
    cache=(LayerCache(4096, 4096), LayerCache(4096, None)) * 21,
)
# DeepSeek V2 Lite: one latent of 512 and 64 numbers a layer.
DEEPSEEK = dataclasses.replace(
    shape(parameters=15_706_484_224, max_context=163840, **sizes_of("2048 27 16 16 192 10944 102400")),
    cache=(LayerCache(576, None),) * 27,
    latent=True,
)
SHAPES: dict[str, Shape | None] = {
    "qwen": QWEN,
    "gguf": GGUF,
    "llama-8b": LLAMA_8B,
    "llama-70b": LLAMA_70B,
    "llama-8b-awq": AWQ_8B,
    "user-bge-m3": XLM_R,
    "bge-reranker-v2-m3": XLM_R,
    "sst2": BERT,
    "gemma": GEMMA,
    "deepseek": DEEPSEEK,
    "unread": None,
}
REVISION = "0123456789ab" + "c" * 28


def site(accelerator: str = "cuda") -> Site:
    return Site(
        models={name: {"repo": "a/b", "revision": REVISION} for name in SHAPES},
        model_dir="/srv/models",
        registries={},
        accelerator=accelerator,
        engines=definitions(),
        images={"aphrodite": "own.example/aphrodite:1"},
    )


def server(name: str, engine: str, model: str | list[str], **words: Any) -> dict[str, Any]:
    models = {"models": model} if isinstance(model, list) else {"model": model}
    return {"name": name, "engine": engine, "port": 8000, **models, **words}


CHAT = server("chat", "vllm", "qwen", context_length=8192, gpu_memory_fraction=0.4)
SMALL = server("small", "llama_cpp", "gguf", context_length=4096, parallel=2)
EMBED = server("embed", "infinity", ["user-bge-m3", "bge-reranker-v2-m3", "sst2"])


def host(machine: str, gpus: int | None = None, **words: Any) -> dict[str, Any]:
    """A host with the GPUs of a recorded machine, all or some of them, and 64 GiB of RAM."""
    found = parse_smi((FIXTURES / f"host/nvidia-smi/{machine}.csv").read_text(encoding="utf-8"))[:gpus]
    return {
        "gpus": [{**gpu, "mig_devices": [], "processes": []} for gpu in found],
        "memory": {"total": 64 * GIB, "available": 60 * GIB},
        "held": {},
        **words,
    }


def without_gpus(total: float, available: float, **words: Any) -> dict[str, Any]:
    memory = {"total": int(total * GIB), "available": int(available * GIB)}
    return {"gpus": [], "memory": memory, "held": {}, **words}


def holds(facts: dict[str, Any], process: str, gib: float, server: str | None = None) -> dict[str, Any]:
    """Let a process, "4711 python3", hold memory of the first GPU."""
    size, (pid, name) = int(gib * GIB), process.split()
    facts["gpus"][0]["memory_free"] -= size
    facts["gpus"][0]["processes"].append({"pid": int(pid), "name": name, "memory": size, "server": server})
    return facts


def fits(servers: list[dict[str, Any]], facts: dict[str, Any], accelerator: str = "cuda") -> list[dict[str, Any]]:
    return server_fits([demand(entry, site(accelerator)) for entry in servers], SHAPES, facts)


def one(entry: dict[str, Any], facts: dict[str, Any], accelerator: str = "cuda") -> dict[str, Any]:
    return fits([entry], facts, accelerator)[0]


# -- the servers of inventories/gpu


@pytest.mark.parametrize(
    ("machine", "requests"),
    [
        # A token of Qwen2-0.5B: 24 layers x 2 heads x 64 numbers x 2 (K and V) x 2 bytes = 12288 bytes = 12 KiB, and
        # so a request 8192 x 12 KiB = 96 MiB. Weights 494 032 768 x 2 = 942.3 MiB. Buffers 2048 x (2 x 4864 + 2 x 896)
        # x 2 + 256 x 151936 x 2 = 45.0 + 74.2 = 119.2 MiB.
        # On a T4 0.4 x 16384 = 6553.6 MiB: (6553.6 - 942.3 - 119.2) / 96.
        ("t4", 57),
        # (0.4 x 49152 - 942.3 - 119.2) / 96
        ("l40s", 193),
        # (0.4 x 40960 - 942.3 - 119.2) / 96
        ("a100", 159),
        # (0.4 x 81920 - 942.3 - 119.2) / 96
        ("h100", 330),
    ],
)
def test_the_servers_of_the_course_share_one_gpu(machine: str, requests: int) -> None:
    facts = host(machine, 1)
    chat, small, embed = fits([CHAT, SMALL, EMBED], facts)
    assert [found["verdict"] for found in (chat, small, embed)] == ["fits"] * 3
    assert not [found for found in (chat, small, embed) if found["problem"] or found["remedy"]]
    assert chat["requests"] == requests
    # 4096 x 12 KiB x 2 slots
    assert {part["what"]: part["bytes"] for part in small["sum"]}["KV cache"] == 4096 * 12 * KIB * 2
    # Float16 of the three models: (2 x 567 754 752 + 66 955 010) x 2 bytes.
    assert embed["sum"][0]["bytes"] == (2 * 567_754_752 + 66_955_010) * 2
    # Each finds what those before it leave.
    total, free = facts["gpus"][0]["memory_total"], facts["gpus"][0]["memory_free"]
    assert chat["have"] == free
    assert chat["need"] == int(0.4 * total) + int(0.3 * GIB)
    assert small["have"] == free - chat["need"]
    assert embed["have"] == free - chat["need"] - small["need"]


def test_a_line_can_be_checked_by_hand() -> None:
    chat, small, embed = fits([CHAT, SMALL, EMBED], host("t4", 1))
    assert chat["line"] == (
        "weights 0.92 + buffers 0.12 + KV cache 5.36 (the rest of 0.4 x 16.00) + CUDA 0.30 = 6.70 GiB of 15.71 GiB "
        "free on GPU 0 (NVIDIA T4); room for 57 requests of 8192 tokens x 12 KiB at once"
    )
    # 397.8 MB less the table of tokens, 151936 x 896 x 6.4 bits, which stays in RAM.
    assert small["line"] == (
        "weights 0.27 + KV cache 0.09 (4096 tokens x 12 KiB x 2) + CUDA and buffers 0.30 = 0.66 GiB of 9.01 GiB left "
        "on GPU 0 (NVIDIA T4) beside chat; room for 2 requests of 4096 tokens at once"
    )
    assert embed["line"] == (
        "weights 2.24 + CUDA and buffers 0.50 = 2.74 GiB of 8.34 GiB left on GPU 0 (NVIDIA T4) beside chat, small"
    )


def adds_up(line: str) -> bool:
    """Tell whether the parts of a line are its sum."""
    left = re.sub(r"\([^)]*\)", "", line).partition(" GiB")[0]
    parts, _equals, total = left.partition(" = ")
    numbers = [float(word) for word in re.findall(r"\d+\.\d\d", parts)]
    return not total or round(sum(numbers), 2) == float(total)


# -- what engines take


@pytest.mark.parametrize(
    ("entry", "pool", "needs"),
    [
        # SGLang: 0.3 of what is free when CUDA is up, 16084 - 307.2 MiB, less the weights.
        (server("s", "sglang", "qwen", options={"mem-fraction-static": 0.3}), 0.3 * (16084 - 307.2) - 942.3, None),
        # By itself it leaves 1.5 + 0.125 GiB of 16: 0.898.
        (server("s", "sglang", "qwen"), 0.898 * (16084 - 307.2) - 942.3, None),
        # Told how many tokens: 20000 x 12 KiB.
        (
            server("s", "sglang", "qwen", options={"max-total-tokens": 20000}, context_length=8192),
            20000 * 12 / 1024,
            None,
        ),
        # TGI: 0.3 of the GPU, of which 300 MiB (16384 - 16084) and CUDA are in use.
        (server("s", "tgi", "qwen", gpu_memory_fraction=0.3), 0.3 * 16384 - 300 - 307.2 - 942.3, None),
        # vLLM told how much: that, whatever the share is.
        (server("s", "vllm", "qwen", kv_cache_gib=2), 2048, 942.3 + 119.2 + 2048 + 307.2),
        # An 8-bit cache is as large, and holds twice as many.
        (
            server("s", "vllm", "qwen", gpu_memory_fraction=0.4, options={"kv-cache-dtype": "fp8"}),
            0.4 * 16384 - 1061.5,
            None,
        ),
        (server("s", "aphrodite", "qwen", gpu_memory_fraction=0.4), 0.4 * 16384 - 1061.5, 0.4 * 16384 + 307.2),
    ],
)
def test_what_a_share_holds(entry: dict[str, Any], pool: float, needs: float | None) -> None:
    found = one(entry, host("t4", 1))
    assert found["verdict"] == "fits"
    parts = {part["what"]: part["bytes"] for part in found["sum"]}
    assert parts["KV cache"] / 2**20 == pytest.approx(pool, abs=0.5)
    assert found["need"] == sum(parts.values())
    if needs is not None:
        assert found["need"] / 2**20 == pytest.approx(needs, abs=0.5)


def test_a_cache_of_eight_bits_holds_twice_as_many_requests() -> None:
    full, half = (
        one(server("s", "vllm", "qwen", context_length=8192, gpu_memory_fraction=0.4, options=options), host("t4", 1))
        for options in ({}, {"kv-cache-dtype": "fp8_e4m3"})
    )
    # 5492.1 MiB / 96 and / 48
    assert (full["requests"], half["requests"]) == (57, 114)


@pytest.mark.parametrize(
    ("options", "bytes_per_value"),
    [
        ({}, 2),
        ({"cache-type-k": "q8_0", "cache-type-v": "q8_0"}, 34 / 32),
        # Keys of 8 bits and values of 4: (34 + 18) / 64.
        ({"cache-type-k": "q8_0", "cache-type-v": "q4_0"}, 52 / 64),
        ({"cache-type-k": "f32", "cache-type-v": "f32"}, 4),
    ],
)
def test_types_of_the_cache(options: dict[str, Any], bytes_per_value: float) -> None:
    found = one({**SMALL, "options": options}, host("t4", 1))
    # 24 layers x 256 numbers x 4096 tokens x 2 slots
    assert found["sum"][1]["bytes"] == int(24 * 256 * 4096 * 2 * bytes_per_value)


def test_windows_of_gemma() -> None:
    asked = demand(server("g", "vllm", "gemma"), site())
    # 21 layers keep 8192 tokens and 21 keep 4096, of 4096 numbers in two bytes.
    assert cache_bytes(asked, GEMMA, 8192, 1, 1) == 21 * (8192 + 4096) * 4096 * 2
    llama = demand(server("g", "llama_cpp", "gemma"), site())
    # llama.cpp keeps one step of 512 more, and with swa-full everything.
    assert cache_bytes(llama, GEMMA, 8192, 1, 1) == 21 * (8192 + 4608) * 4096 * 2
    full = demand(server("g", "llama_cpp", "gemma", options={"swa-full": True}), site())
    assert cache_bytes(full, GEMMA, 8192, 1, 1) == 42 * 8192 * 4096 * 2


def test_a_latent_is_kept_on_every_gpu() -> None:
    asked = demand(server("d", "vllm", "deepseek"), site())
    # 27 layers x 576 numbers x 2 bytes = 31104 bytes a token, however many GPUs.
    assert [cache_bytes(asked, DEEPSEEK, 1024, 1, split) for split in (1, 4)] == [31104 * 1024] * 2


def test_heads_are_split_and_then_copied() -> None:
    asked = demand(server("q", "vllm", "qwen"), site())
    assert [cache_bytes(asked, QWEN, 16, 1, split) // 16 for split in (1, 2, 14)] == [12 * KIB, 6 * KIB, 6 * KIB]


@pytest.mark.parametrize(
    ("entry", "accelerator", "weights"),
    [
        (server("s", "vllm", "sst2"), "cuda", 66_955_010 * 2),
        (server("s", "vllm", "sst2", dtype="float32"), "cuda", 66_955_010 * 4),
        (server("s", "infinity", ["sst2"]), "cuda", 66_955_010 * 2),
        (server("s", "infinity", ["sst2"]), "cpu", 66_955_010 * 4),
        (server("s", "tei", "sst2"), "cuda", 66_955_010 * 2),
        (server("s", "tei", "sst2"), "cpu", 66_955_010 * 4),
        (server("s", "vllm", "llama-8b-awq"), "cuda", 5_740_000_000),
        # Quantised when it is loaded.
        (server("s", "vllm", "llama-8b", quantization="fp8"), "cuda", 8_030_261_248),
        (server("s", "sglang", "llama-8b", quantization="bitsandbytes"), "cuda", 8_030_261_248 // 2),
        (server("s", "llama_cpp", "gguf"), "cpu", 397_805_248),
        (server("s", "llama_cpp", "gguf"), "cuda", 397_805_248 - int(151936 * 896 * 6.4 / 8)),
    ],
)
def test_weights_in_the_format_that_is_computed_with(entry: dict[str, Any], accelerator: str, weights: int) -> None:
    asked = demand(entry, site(accelerator))
    told = [SHAPES[name] for name in asked["models"]]
    assert sizes(asked, [found for found in told if found], 1).weights == weights


# -- what does not fit


def test_a_model_too_large_for_one_gpu() -> None:
    chat = server("chat", "vllm", "llama-8b")
    found = one(chat, host("t4"))
    # 8 030 261 248 x 2 = 14.96 GiB, more than 0.92 x 16 - 1 GiB of cache for 8192 x 128 KiB.
    assert found["problem"] == (
        "serving_servers['chat'].tensor_parallel_size: weights 14.96 + buffers 0.20 + KV cache 1.00 (8192 tokens x 128 "
        "KiB) = 16.16 GiB, and there are 14.72 GiB (0.92 x 16.00) on GPU 0 (NVIDIA T4): set tensor_parallel_size of "
        "the server to 2"
    )
    assert one({**chat, "tensor_parallel_size": 2}, host("t4"))["verdict"] == "fits"
    alone = one(chat, host("t4", 1))
    assert alone["remedy"] == "serve a smaller or quantised model (4 bits: 4.9 GiB)"
    assert one({**chat, "model": "llama-8b-awq"}, host("t4", 1))["verdict"] == "fits"


def test_seventy_thousand_million_parameters() -> None:
    chat = server("chat", "vllm", "llama-70b")
    found = one(chat, host("h100"))
    # 141.1 GB of weights; of two GPUs each would hold 65.7 + 20 GiB.
    assert found["remedy"] == "set tensor_parallel_size of the server to 4"
    four = one({**chat, "tensor_parallel_size": 4}, host("h100"))
    # A quarter of the weights is 32.85 GiB; (0.92 x 80 - 32.85 - 0.18) GiB for requests of 131072 x 80 KiB = 10 GiB.
    assert (four["verdict"], four["requests"]) == ("fits", 4)
    assert "on each of GPUs 0, 1, 2, 3" in four["line"]
    two = one({**chat, "tensor_parallel_size": 2}, host("h100"))
    # (0.92 x 80 - 65.71 - 0.23) GiB / 160 KiB = 50211, so 50176 = 196 x 256
    assert two["remedy"] == "set context_length of the server to 50176"
    assert one({**chat, "tensor_parallel_size": 2, "context_length": 50176}, host("h100"))["verdict"] == "fits"
    assert one({**chat, "tensor_parallel_size": 2, "context_length": 50176 + 256}, host("h100"))["verdict"] != "fits"


def test_two_shares_that_are_too_much_together() -> None:
    servers = [{**CHAT, "gpu_memory_fraction": 0.6}, {**CHAT, "name": "b", "gpu_memory_fraction": 0.6}]
    first, second = fits(servers, host("t4", 1))
    assert first["verdict"] == "fits"
    assert second["problem"] == (
        "serving_servers['b'].gpu_memory_fraction: share 9.60 (0.6 x 16.00) + CUDA 0.30 = 9.90 GiB, and there are 5.81 "
        "GiB left on GPU 0 (NVIDIA T4) beside chat: set gpu_memory_fraction of the server to 0.47, and "
        "gpu_memory_fraction of server chat to 0.47"
    )
    cured = [{**entry, "gpu_memory_fraction": 0.47} for entry in servers]
    assert [found["verdict"] for found in fits(cured, host("t4", 1))] == ["fits", "fits"]


def test_a_share_that_leaves_too_little_for_the_next() -> None:
    facts = host("t4", 1)
    chat = {**CHAT, "gpu_memory_fraction": None}
    small = {**SMALL, "context_length": 32768}
    _chat, found = fits([chat, small], facts)
    # 0.27 + 0.75 + 0.30 = 1.31 GiB, and 15.71 - 15.02 are left; 0.88 leaves 15.71 - 14.38.
    assert found["remedy"] == "set gpu_memory_fraction of server chat to 0.88"
    assert [told["verdict"] for told in fits([{**chat, "gpu_memory_fraction": 0.88}, small], facts)] == ["fits"] * 2


def test_a_program_of_others_holds_what_is_missing() -> None:
    facts = holds(host("t4", 1), "4711 python3", 12.3)
    found = one(CHAT, facts)
    assert (
        ", where process 4711 (python3) holds 12.3 GiB: set gpu_memory_fraction of the server to 0.19"
        in found["problem"]
    )
    full = holds(host("t4", 1), "4711 python3", 15)
    found = one(CHAT, full)
    assert found["remedy"] == "stop process 4711 (python3, 15.0 GiB) on GPU 0"
    assert found["problem"].startswith("serving_servers['chat'].gpus: ")
    # With a free GPU beside it nothing needs to be stopped.
    assert one(CHAT, holds(host("t4"), "4711 python3", 15))["remedy"] == 'set gpus of the server to ["1"]'


def test_programs_that_hold_too_little_are_not_to_blame() -> None:
    found = one(
        server("s", "llama_cpp", "gguf", context_length=32768, parallel=64), holds(host("t4", 1), "1 Xorg", 0.1)
    )
    assert found["verdict"] == "does not fit"
    assert "Xorg" not in found["problem"]


def test_what_a_server_holds_already_counts_as_free() -> None:
    facts = host("t4", 1)
    uuid = facts["gpus"][0]["uuid"]
    servers = [CHAT, SMALL, EMBED]
    first = fits(servers, facts)
    for number, entry in enumerate(servers):
        holds(facts, f"{100 + number} engine", first[number]["need"] / GIB, server=entry["name"])
        facts["held"][entry["name"]] = {"memory": 0, "gpus": {uuid: first[number]["need"]}}
    again = fits(servers, facts)
    assert [found["verdict"] for found in again] == ["fits"] * 3
    assert again[0]["have"] == pytest.approx(first[0]["have"], abs=4)
    # One that is not in question stays where it is, and is named.
    big = {**CHAT, "gpu_memory_fraction": 0.8}
    found = fits([big, EMBED], facts)[0]
    assert found["verdict"] == "fits"
    assert found["have"] == pytest.approx(first[0]["have"] - first[1]["need"], abs=4)
    facts["gpus"][0]["processes"][1]["memory"] = 4 * GIB
    assert "server small holds 4.0 GiB" in fits([{**big, "gpu_memory_fraction": 0.97}, EMBED], facts)[0]["problem"]


@pytest.mark.parametrize(
    ("entry", "gpus", "cause", "remedy"),
    [
        ({"tensor_parallel_size": 4}, 2, "4 is more than the 2 GPUs of the host", 1),
        ({"tensor_parallel_size": 2, "gpus": ["0"]}, 4, "2 is more than the one GPU in gpus of the server", 1),
        (
            {"tensor_parallel_size": 4},
            4,
            "4 does not divide the 14 attention heads of the model (1, 2 do)",
            1,
        ),
        ({"context_length": 40000}, 1, "40000 is more than the 32768 tokens that the model was made for", 32768),
    ],
)
@pytest.mark.parametrize("engine", ["vllm", "aphrodite", "sglang"])
def test_what_cannot_work_at_all(engine: str, entry: dict[str, Any], gpus: int, cause: str, remedy: int) -> None:
    found = one(server("x", engine, "qwen", **entry), host("t4", gpus))
    word = next(iter(entry))
    assert found["problem"] == f"serving_servers['x'].{word}: {cause}: set {word} of the server to {remedy}"


@pytest.mark.parametrize(
    "entry",
    [
        # It computes beyond what the model was made for, however badly.
        server("x", "llama_cpp", "gguf", context_length=40000),
        server("x", "tgi", "qwen", context_length=40000),
        server("x", "vllm", "qwen", context_length=40000, options={"hf-overrides": "{}"}),
    ],
)
def test_a_longer_context_than_the_models(entry: dict[str, Any]) -> None:
    assert one(entry, host("t4", 1))["verdict"] == "fits"


@pytest.mark.parametrize("engine", ["vllm", "aphrodite", "sglang"])
def test_a_longer_context_that_is_allowed(engine: str) -> None:
    asked = demand(server("x", engine, "qwen", context_length=40000), site())
    allowed = {**asked, "environment": {asked["memory"]["context_env"]: "1"}}
    assert [server_fits([each], SHAPES, host("t4", 1))[0]["verdict"] for each in (asked, allowed)] == [
        "does not fit",
        "fits",
    ]


# -- what makes itself smaller


def test_engines_that_shorten_their_context() -> None:
    facts = holds(host("t4", 1), "1 python3", 15)
    # 0.71 GiB are left: 0.27 + 0.30 and 4096 x 12 KiB fit, the model's 32768 x 12 KiB = 0.38 do not.
    small = one(server("small", "llama_cpp", "gguf"), facts)
    assert (small["verdict"], small["problem"]) == ("fits with", "")
    asked = re.fullmatch(r"set context_length of the server to (\d+)", small["remedy"])
    assert asked
    assert one(server("small", "llama_cpp", "gguf", context_length=int(asked[1])), facts)["verdict"] == "fits"
    # 0.1 x 15.41 - 0.92 = 0.62 GiB are 54 thousand tokens; with 0.07 they are 13 thousand of 32768.
    sglang = one(server("s", "sglang", "qwen", options={"mem-fraction-static": 0.07}), host("t4", 1))
    assert (sglang["verdict"], sglang["requests"], sglang["problem"]) == ("fits with", 0, "")
    assert sglang["remedy"].startswith("set context_length of the server to ")
    told = server("s", "sglang", "qwen", context_length=32768, options={"mem-fraction-static": 0.07})
    assert one(told, host("t4", 1))["verdict"] == "does not fit"


# -- what is not known


@pytest.mark.parametrize(
    "entry",
    [
        server("x", "vllm", "unread", gpu_memory_fraction=0.9),
        server("x", "llama_cpp", "unread"),
        server("x", "vllm", "llama-70b", options={"cpu-offload-gb": 100}),
        server("x", "vllm", "llama-70b", options={"pipeline-parallel-size": 8}),
        server("x", "llama_cpp", "llama-70b", options={"n-gpu-layers": 10}),
        server("x", "llama_cpp", "llama-70b", options={"cpu-moe": True}),
        server("x", "llama_cpp", "llama-70b", options={"no-kv-offload": True}),
        server("x", "infinity", ["sst2"], options={"device-id": "0,1"}),
        server("x", "vllm", "llama-70b", gpus=["0:0"]),
        server("x", "vllm", "llama-70b", gpus=["MIG-4711"]),
        server("x", "vllm", "llama-70b", gpus=["9"]),
    ],
)
def test_what_is_not_known_is_never_refused(entry: dict[str, Any]) -> None:
    found = one(entry, host("t4"))
    assert (found["verdict"], found["problem"], found["remedy"]) == ("unknown", "", "")
    assert found["line"]


def test_a_gpu_that_is_divided() -> None:
    facts = host("a100", 1)
    facts["gpus"][0]["mig"] = True
    assert one(server("x", "vllm", "llama-70b"), facts)["verdict"] == "unknown"


def test_a_share_is_checked_though_the_model_is_not_known() -> None:
    facts = holds(host("t4", 1), "4711 python3", 8)
    found = one(server("x", "vllm", "unread", gpu_memory_fraction=0.9), facts)
    assert found["problem"].startswith("serving_servers['x'].gpu_memory_fraction: share 14.40 (0.9 x 16.00)")
    assert found["verdict"] == "does not fit"
    # What it takes is counted, and the next one sees it.
    unread, small = fits([server("x", "vllm", "unread", gpu_memory_fraction=0.9), SMALL], host("t4", 1))
    assert small["have"] == host("t4", 1)["gpus"][0]["memory_free"] - unread["need"]


def test_a_gpu_without_memory_of_its_own_shares_the_hosts() -> None:
    facts = host("gb200", 1, memory={"total": 128 * GIB, "available": 100 * GIB})
    facts["gpus"][0].update(memory_total=None, memory_free=None)
    found = one(CHAT, facts)
    assert (found["verdict"], found["where"], found["have"]) == ("fits", "RAM", 100 * GIB)
    assert found["need"] == int(0.4 * 128 * GIB) + int(0.3 * GIB)


def test_what_cannot_start_takes_nothing_from_the_others() -> None:
    refused, small = fits([server("x", "vllm", "llama-70b"), SMALL], host("t4", 1))
    assert refused["verdict"] == "does not fit"
    assert small["have"] == host("t4", 1)["gpus"][0]["memory_free"]


def test_layers_lie_on_all_gpus_together() -> None:
    big = dataclasses.replace(
        LLAMA_70B, weight_bytes=42 * GIB, quantization="gguf", dtype="q4_K", bits=4.85, parameters=None
    )
    asked = demand(server("big", "llama_cpp", "gguf", context_length=8192), site())
    verdicts = [server_fits([asked], {"gguf": big}, host("t4", gpus))[0]["verdict"] for gpus in (2, 3, 4)]
    # 42 less 0.6 GiB of weights, 2.5 of cache, 0.3 on each: 44.8 of 31.4, of 47.1, of 62.8.
    assert verdicts == ["does not fit", "fits", "fits"]
    first = server_fits([{**asked, "gpus": ["0", "1"]}], {"gguf": big}, host("t4", 4))[0]
    assert first["remedy"] == "set gpus of the server to [all]"


# -- hosts without GPUs


def test_all_servers_of_a_cpu_share_its_memory() -> None:
    chat = {**CHAT, "gpu_memory_fraction": None}
    facts = without_gpus(16, 12)
    found = fits([chat, SMALL, EMBED], facts, "cpu")
    assert [told["verdict"] for told in found] == ["fits"] * 3
    # 0.92 of weights, 2 of cache, 1.2 of Python and PyTorch: 4.12 GiB.
    assert found[0]["need"] == 494_032_768 * 2 + 2 * GIB + int(1.2 * GIB)
    assert found[1]["have"] == 12 * GIB - found[0]["need"]
    # Float32: (2 x 567 754 752 + 66 955 010) x 4 = 4.48 GiB, and 0.7.
    assert found[2]["need"] == (2 * 567_754_752 + 66_955_010) * 4 + int(0.7 * GIB)
    tight = fits([chat, SMALL, EMBED], without_gpus(12, 9), "cpu")[2]
    assert tight["problem"] == (
        "serving_servers['embed'].models: weights 4.48 + process 0.70 = 5.18 GiB, and there are 4.37 GiB left in RAM "
        "beside chat, small: set kv_cache_gib of server chat to 1.1"
    )


def test_memory_that_servers_hold_on_a_cpu() -> None:
    chat = {**CHAT, "gpu_memory_fraction": None}
    facts = without_gpus(8, 1, held={"chat": {"memory": 4 * GIB, "gpus": {}}, "other": {"memory": 4 * GIB, "gpus": {}}})
    assert one(chat, facts, "cpu")["have"] == 5 * GIB
    assert one(chat, without_gpus(8, 1), "cpu")["verdict"] == "does not fit"


@pytest.mark.parametrize(
    ("entry", "remedy"),
    [
        # 8192 x 128 KiB = 1 GiB
        ({"model": "llama-8b", "kv_cache_gib": 0.5}, "set kv_cache_gib of the server to 1"),
        ({"model": "llama-8b", "kv_cache_gib": 0.5, "context_length": 8192}, "set kv_cache_gib of the server to 1"),
        ({"model": "qwen", "kv_cache_gib": 30}, "set kv_cache_gib of the server to 27.8"),
    ],
)
def test_the_cache_of_vllm_on_a_cpu(entry: dict[str, Any], remedy: str) -> None:
    facts = without_gpus(64, 30)
    found = one({"name": "x", "engine": "vllm", "port": 1, **entry}, facts, "cpu")
    assert (found["verdict"], found["remedy"]) == ("does not fit", remedy)
    size = float(remedy.rpartition(" ")[2])
    assert (
        one({"name": "x", "engine": "vllm", "port": 1, **entry, "kv_cache_gib": size}, facts, "cpu")["verdict"]
        == "fits"
    )


def test_sglang_on_a_cpu_takes_its_cache_in_full() -> None:
    found = one(server("s", "sglang", "qwen", context_length=8192, parallel=4), without_gpus(8, 6), "cpu")
    assert found["need"] == 494_032_768 * 2 + 8192 * 12 * KIB * 4 + int(1.3 * GIB)
    less = one(server("s", "sglang", "qwen", context_length=32768, parallel=16), without_gpus(8, 6), "cpu")
    assert less["remedy"] == "set context_length of the server to 20480"


def test_shared_memory_that_is_larger_than_ram_is_remarked() -> None:
    found = one(server("x", "vllm", "qwen", kv_cache_gib=0.5), without_gpus(3, 2.9), "cpu")
    assert found["verdict"] == "fits"
    assert found["line"].endswith("; its /dev/shm may grow to 4 GiB, more than the 3.0 GiB of RAM")


# -- properties

ENGINES = ["vllm", "aphrodite", "sglang", "tgi", "llama_cpp"]


def many() -> list[tuple[list[dict[str, Any]], str, int, float]]:
    """Servers and hosts of many kinds, most of which do not fit."""
    found = []
    models = ["qwen", "llama-8b", "llama-70b", "gemma", "deepseek"]
    for engine, model, context, fraction in itertools.product(ENGINES, models, [None, 8192], [None, 0.3, 0.9]):
        words: dict[str, Any] = {"context_length": context}
        if engine in ("vllm", "aphrodite", "tgi"):
            words["gpu_memory_fraction"] = fraction
        elif engine == "sglang" and fraction:
            words["options"] = {"mem-fraction-static": fraction}
        elif engine == "llama_cpp":
            words["parallel"] = {None: 1, 0.3: 4, 0.9: 16}[fraction]
        entry = server("x", engine, model, **words)
        for machine, gpus, taken in [("t4", 1, 0), ("t4", 4, 0), ("t4", 1, 10), ("l40s", 2, 30), ("h100", 1, 0)]:
            found.append(([entry], machine, gpus, taken))
            found.append(([CHAT, entry], machine, gpus, taken))
    return found


def applied(
    servers: list[dict[str, Any]], remedy: str, facts: dict[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, Any], bool]:
    """Do what a remedy says, by reading its words; whether they were all understood comes last."""
    changed = {entry["name"]: copy.deepcopy(entry) for entry in servers}
    own = servers[-1]["name"]
    understood = False
    for word, name, value in re.findall(r"(\w+) of (?:the server|server (\w+)) to (\[[^\]]*\]|[\d.]+)", remedy):
        parsed = value.strip("[]").replace('"', "").split(", ") if value.startswith("[") else float(value)
        whole = word in ("context_length", "parallel", "tensor_parallel_size")
        changed[name or own][word] = int(value) if whole else parsed
        understood = True
    for value in re.findall(r"and gpus to \[([^\]]*)\]", remedy):
        changed[own]["gpus"] = value.replace('"', "").split(", ")
    for value, name in re.findall(
        r"set options: {mem-fraction-static: ([\d.]+)} of (?:the server|server (\w+))", remedy
    ):
        changed[name or own].setdefault("options", {})["mem-fraction-static"] = float(value)
        understood = True
    facts = copy.deepcopy(facts)
    for gpu in facts["gpus"]:
        for process in gpu["processes"] if remedy.startswith("stop process") else []:
            if f"{process['pid']} (" in remedy:
                gpu["memory_free"] += process["memory"]
                understood = True
    return list(changed.values()), facts, understood


def test_every_remedy_works() -> None:
    seen: dict[str, int] = {}
    for servers, machine, gpus, taken in many():
        facts = host(machine, gpus)
        if taken:
            holds(facts, "4711 python3", taken)
        found = fits(servers, facts)[-1]
        assert adds_up(found["line"]), found["line"]
        assert bool(found["problem"]) is (found["verdict"] == "does not fit")
        if found["problem"]:
            assert found["problem"].startswith("serving_servers['x'].")
            assert found["problem"].endswith(found["remedy"])
        if found["verdict"] not in ("does not fit", "fits with") or "serve a smaller" in found["remedy"]:
            seen[found["verdict"]] = seen.get(found["verdict"], 0) + 1
            continue
        cured, after, understood = applied(servers, found["remedy"], facts)
        assert understood, found["remedy"]
        again = fits(cured, after)
        assert again[-1]["verdict"] == "fits", (found["line"], found["remedy"], again[-1]["line"])
        kind = re.sub(r"[\d.]+", "N", found["remedy"])[:40]
        seen[kind] = seen.get(kind, 0) + 1
    # The cases are of many kinds, or this proves little.
    assert seen["fits"] > 100
    assert len(seen) >= 8, seen


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", ["qwen", "gemma", "deepseek"])
def test_a_longer_context_never_needs_less(engine: str, model: str) -> None:
    known = SHAPES[model]
    assert known
    asked = demand(server("x", engine, model), site())
    needs = [cache_bytes(asked, known, tokens, 1, 1) for tokens in range(0, 20000, 100)]
    assert needs == sorted(needs)
    assert needs[0] == 0
    assert needs[-1] > 0


@pytest.mark.parametrize("engine", ["vllm", "aphrodite", "sglang", "tgi"])
def test_a_larger_share_never_holds_less(engine: str) -> None:
    found = []
    for hundredths in range(10, 95, 5):
        share: dict[str, Any] = {"gpu_memory_fraction": hundredths / 100}
        if engine == "sglang":
            share = {"options": {"mem-fraction-static": hundredths / 100}}
        entry = server("x", engine, "qwen", context_length=8192, **share)
        found.append(one(entry, host("t4", 1))["requests"] or 0)
    assert found == sorted(found)
    assert found[-1] > found[0]


# -- definitions


@pytest.mark.parametrize("engine", sorted(definitions()))
@pytest.mark.parametrize("variant", ["cpu", "cuda"])
def test_memory_of_a_definition_names_options_that_there_are(engine: str, variant: str) -> None:
    if variant not in definitions()[engine]["images"]:
        return
    entry = server("x", engine, ["sst2"] if engine == "infinity" else "qwen")
    memory = demand(entry, site(variant))["memory"]
    assert memory["takes"] in ("share", "exact")
    assert memory["base_gib"] > 0
    names = [*memory.get("unknown_with", []), *memory.get("unknown_unless", {}), *memory.get("cache_types", [])]
    names += memory.get("context_options", [])
    names += [memory[key] for key in ("share_option", "total_option") if memory.get(key)]
    for rule in (memory.get("step") or {}, memory.get("window") or {}):
        names += [rule[key] for key in ("option", "unless") if key in rule]
    # By the names that options have once they are merged, or they would never be found.
    flags = definitions()[engine]["flags"]
    assert [name for name in names if f"--{name}" not in flags.merged({name: "1"})] == []


# -- recorded by others on real GPUs

RECORDED = json.loads((FIXTURES / "shapes/recorded.json").read_text(encoding="utf-8"))


def recorded_shape(entry: dict[str, Any]) -> Shape:
    return shape(**entry["shape"])


def asked_like(entry: dict[str, Any]) -> dict[str, Any]:
    words: dict[str, Any] = {"context_length": entry.get("context"), "gpu_memory_fraction": entry.get("fraction")}
    if entry.get("tensor_parallel"):
        words["tensor_parallel_size"] = entry["tensor_parallel"]
    return demand(server("x", entry["engine"], "qwen", **words), site())


@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: f"{entry['engine']} {entry['model']}")
def test_what_engines_said_of_themselves(entry: dict[str, Any]) -> None:
    known, asked, split = recorded_shape(entry), asked_like(entry), entry.get("tensor_parallel", 1)
    ours = sizes(asked, [known], split)
    told = 0
    if "weights_gib" in entry:
        assert ours.weights / GIB == pytest.approx(entry["weights_gib"], rel=0.02)
        told += 1
    if "buffers_at_most_gib" in entry:
        # Ours is the least there is, so that nothing is refused that works.
        assert 0 < ours.buffers / GIB <= entry["buffers_at_most_gib"]
        told += 1
    for line in entry.get("cache", []):
        # Exact, as far as the line has digits.
        within = {"rel": line["within"]} if "within" in line else {"abs": 0.01}
        assert cache_bytes(asked, known, line["tokens"], 1, split) / GIB == pytest.approx(line["gib"], **within)
        told += 1
    assert told


@pytest.mark.parametrize(
    "entry", [entry for entry in RECORDED if "share_gib" in entry], ids=lambda entry: entry["model"]
)
def test_what_a_share_became(entry: dict[str, Any]) -> None:
    total = int(entry["gpu_gib"] * GIB)
    facts = host("t4", 1)
    facts["gpus"][0].update(memory_total=total, memory_free=total)
    found = server_fits([asked_like(entry)], {"qwen": recorded_shape(entry)}, facts)[0]
    if not entry.get("starts", True):
        assert found["verdict"] == "does not fit"
        assert f"{entry['share_gib']:.2f} GiB" in found["line"]
        return
    parts = {part["what"]: part["bytes"] / GIB for part in found["sum"]}
    assert sum(parts.values()) - parts["CUDA"] == pytest.approx(entry["share_gib"], abs=0.02)
    assert parts["KV cache"] == pytest.approx(entry["pool_gib"], rel=entry["pool_within"])
