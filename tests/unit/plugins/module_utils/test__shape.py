# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large published models are, by their config.json; the numbers of the cache are worked out by hand here."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._shape import (
    LayerCache,
    NeedMore,
    Shape,
    ShapeError,
    parse_safetensors_header,
    shape_of_config,
)


def header(*tensors: tuple[str, list[int], int]) -> dict[str, Any]:
    """A header of tensors, each of a type, a shape and bytes."""
    found: dict[str, Any] = {}
    place = 0
    for dtype, shape, size in tensors:
        found[f"t{len(found)}"] = {"dtype": dtype, "shape": shape, "data_offsets": [place, place + size]}
        place += size
    return found


ONE = header(("BF16", [1000], 2000))


def shape(config: dict[str, Any], *headers: dict[str, Any]) -> Shape:
    return shape_of_config(config, headers or (ONE,))


QWEN2_05B = {
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 896,
    "intermediate_size": 4864,
    "max_position_embeddings": 32768,
    "max_window_layers": 24,
    "model_type": "qwen2",
    "num_attention_heads": 14,
    "num_hidden_layers": 24,
    "num_key_value_heads": 2,
    "sliding_window": 32768,
    "torch_dtype": "bfloat16",
    "use_sliding_window": False,
    "vocab_size": 151936,
}
LLAMA_3_8B = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 8192,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rope_scaling": None,
    "torch_dtype": "bfloat16",
    "vocab_size": 128256,
}
MISTRAL_7B_V01 = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 32768,
    "model_type": "mistral",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "sliding_window": 4096,
    "vocab_size": 32000,
}
GEMMA_2_9B = {
    "head_dim": 256,
    "hidden_size": 3584,
    "intermediate_size": 14336,
    "max_position_embeddings": 8192,
    "model_type": "gemma2",
    "num_attention_heads": 16,
    "num_hidden_layers": 42,
    "num_key_value_heads": 8,
    "sliding_window": 4096,
    "vocab_size": 256000,
}
GEMMA_3_27B = {
    "architectures": ["Gemma3ForConditionalGeneration"],
    "model_type": "gemma3",
    "text_config": {
        "head_dim": 128,
        "hidden_size": 5376,
        "intermediate_size": 21504,
        "model_type": "gemma3_text",
        "num_attention_heads": 32,
        "num_hidden_layers": 62,
        "num_key_value_heads": 16,
        "sliding_window": 1024,
    },
    "torch_dtype": "bfloat16",
    "vision_config": {"hidden_size": 1152, "num_attention_heads": 16, "num_hidden_layers": 27},
}
GEMMA_3_4B = {
    "model_type": "gemma3",
    "text_config": {
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "model_type": "gemma3_text",
        "num_hidden_layers": 34,
        "sliding_window": 1024,
    },
}
QWEN3_NEXT_80B = {
    "full_attention_interval": 4,
    "head_dim": 256,
    "hidden_size": 2048,
    "intermediate_size": 5120,
    "max_position_embeddings": 262144,
    "model_type": "qwen3_next",
    "num_attention_heads": 16,
    "num_hidden_layers": 48,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
}
DEEPSEEK_V2_LITE = {
    "hidden_size": 2048,
    "intermediate_size": 10944,
    "kv_lora_rank": 512,
    "max_position_embeddings": 163840,
    "model_type": "deepseek_v2",
    "num_attention_heads": 16,
    "num_hidden_layers": 27,
    "num_key_value_heads": 16,
    "q_lora_rank": None,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "vocab_size": 102400,
}
GPT_OSS_20B = {
    "head_dim": 64,
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "layer_types": ["sliding_attention", "full_attention"] * 12,
    "max_position_embeddings": 131072,
    "model_type": "gpt_oss",
    "num_attention_heads": 64,
    "num_hidden_layers": 24,
    "num_key_value_heads": 8,
    "quantization_config": {"modules_to_not_convert": ["lm_head"], "quant_method": "mxfp4"},
    "sliding_window": 128,
    "vocab_size": 201088,
}
JAMBA_V01 = {
    "attn_layer_offset": 4,
    "attn_layer_period": 8,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "model_type": "jamba",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "vocab_size": 65536,
}
FALCON_7B = {
    "hidden_size": 4544,
    "model_type": "falcon",
    "multi_query": True,
    "new_decoder_architecture": False,
    "num_attention_heads": 71,
    "num_hidden_layers": 32,
    "vocab_size": 65024,
}
XLM_R_LARGE = {
    "architectures": ["XLMRobertaForSequenceClassification"],
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "max_position_embeddings": 8194,
    "model_type": "xlm-roberta",
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "torch_dtype": "float32",
    "vocab_size": 250002,
}
DISTILBERT_SST2 = {
    "architectures": ["DistilBertForSequenceClassification"],
    "dim": 768,
    "hidden_dim": 3072,
    "max_position_embeddings": 512,
    "model_type": "distilbert",
    "n_heads": 12,
    "n_layers": 6,
    "vocab_size": 30522,
}
MINILM_L6 = {
    "architectures": ["BertModel"],
    "hidden_size": 384,
    "intermediate_size": 1536,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 12,
    "num_hidden_layers": 6,
    "vocab_size": 30522,
}


def test_reads_a_header() -> None:
    text = json.dumps({"__metadata__": {"format": "pt"}, **ONE}).encode()
    data = struct.pack("<Q", len(text)) + text
    assert parse_safetensors_header(data + b"weights") == ONE
    for end in range(len(data)):
        with pytest.raises(NeedMore) as caught:
            parse_safetensors_header(data[:end])
        assert caught.value.size == (8 if end < 8 else len(data))


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<Q", 100_000_001),
        b"<!doctype html><html>",
        struct.pack("<Q", 2) + b"{]",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 200_000) + b"[" * 200_000,
    ],
)
def test_no_header(data: bytes) -> None:
    with pytest.raises(ShapeError):
        parse_safetensors_header(data)


# What a class of transformers fills in, where the file says only this much.
@pytest.mark.parametrize(
    ("model_type", "said", "expected"),
    [
        # 35 layers, the last 15 read an earlier cache; 2 * 2 * 256, every fifth keeps all.
        ("gemma3n_text", {}, ([(1024, 512)] * 4 + [(1024, None)]) * 4),
        # 2 * 4 * 256 under the window, 2 * 4 * 512 in every sixth layer.
        (
            "gemma4_text",
            {"hidden_size": 2304, "num_hidden_layers": 30},
            ([(2048, 512)] * 5 + [(4096, None)]) * 5,
        ),
        # 2 * 8 * 128, every fourth layer keeps all, the others a chunk.
        (
            "llama4_text",
            {"hidden_size": 5120, "num_hidden_layers": 8, "num_attention_heads": 40},
            ([(2048, 8192)] * 3 + [(2048, None)]) * 2,
        ),
        # 2 * 4 * 256 in every fourth layer.
        (
            "qwen3_5_text",
            {"hidden_size": 4096, "num_hidden_layers": 8, "num_attention_heads": 16},
            [(2048, None)] * 2,
        ),
        # 2 * 8 * (4096 / 32).
        (
            "mixtral",
            {"hidden_size": 4096, "num_hidden_layers": 2, "num_attention_heads": 32},
            [(2048, None)] * 2,
        ),
        # 2 * 64 * (8192 / 64): as many heads of K and V as of Q.
        (
            "cohere2",
            {"hidden_size": 8192, "num_hidden_layers": 5, "num_attention_heads": 64},
            [(16384, 4096)] * 3 + [(16384, None), (16384, 4096)],
        ),
        # Its window is off where it is not switched on; 2 * 16 * 128.
        (
            "qwen2",
            {"hidden_size": 2048, "num_hidden_layers": 2, "num_attention_heads": 16, "sliding_window": 4096},
            [(4096, None)] * 2,
        ),
    ],
)
def test_cache_by_what_the_file_leaves_out(
    model_type: str, said: dict[str, Any], expected: list[tuple[int, int | None]]
) -> None:
    assert shape({"model_type": model_type, **said}).cache == tuple(LayerCache(*layer) for layer in expected)


# Values: numbers in one layer for one token, K and V: 2 * heads of K and V * numbers of a head.
@pytest.mark.parametrize(
    ("config", "expected"),
    [
        # 24 layers of 2 * 2 * 64 (896 / 14 heads); the window is switched off.
        (QWEN2_05B, [(256, None)] * 24),
        # 32 layers of 2 * 8 * 128.
        (LLAMA_3_8B, [(2048, None)] * 32),
        # As Llama 3, all layers with a window.
        (MISTRAL_7B_V01, [(2048, 4096)] * 32),
        # 2 * 8 * 256, a window in every other layer, from the first on.
        (GEMMA_2_9B, [(4096, 4096), (4096, None)] * 21),
        # 2 * 16 * 128, every sixth layer keeps all; 62 = 10 * 6 + 2.
        (GEMMA_3_27B, ([(4096, 1024)] * 5 + [(4096, None)]) * 10 + [(4096, 1024)] * 2),
        # Its file leaves 8 heads, 4 of K and V, and 256 out: 2 * 4 * 256; 34 = 5 * 6 + 4.
        (GEMMA_3_4B, ([(2048, 1024)] * 5 + [(2048, None)]) * 5 + [(2048, 1024)] * 4),
        # 2 * 2 * 256 in every fourth of 48 layers, nothing in the others.
        (QWEN3_NEXT_80B, [(1024, None)] * 12),
        # The latent: 512 + 64, in 27 layers.
        (DEEPSEEK_V2_LITE, [(576, None)] * 27),
        # 2 * 8 * 64.
        (GPT_OSS_20B, [(1024, 128), (1024, None)] * 12),
        # 2 * 8 * 128 in layers 4, 12, 20 and 28.
        (JAMBA_V01, [(2048, None)] * 4),
        # One head for all: 2 * 1 * 64.
        (FALCON_7B, [(128, None)] * 32),
        (XLM_R_LARGE, []),
        (DISTILBERT_SST2, []),
        (MINILM_L6, []),
        # The window begins at layer 20.
        (
            {**QWEN2_05B, "use_sliding_window": True, "max_window_layers": 20},
            [(256, None)] * 20 + [(256, 32768)] * 4,
        ),
        ({**LLAMA_3_8B, "is_decoder": True, "model_type": "bert"}, [(2048, None)] * 32),
        ({**LLAMA_3_8B, "use_bidirectional_attention": True}, []),
        ({**LLAMA_3_8B, "hybrid_override_pattern": "M-M*-*E"}, [(2048, None)] * 2),
        ({**LLAMA_3_8B, "full_attn_idxs": [2, 5]}, [(2048, None)] * 2),
        ({**LLAMA_3_8B, "linear_attn_config": {"full_attn_layers": [4, 8], "kda_layers": [1]}}, [(2048, None)] * 2),
        ({**LLAMA_3_8B, "sliding_window": 9, "sliding_window_pattern": "LG"}, [(2048, 9), (2048, None)] * 16),
        ({**LLAMA_3_8B, "attention_chunk_size": 9, "no_rope_layers": [1, 0] * 16}, [(2048, 9), (2048, None)] * 16),
        ({**LLAMA_3_8B, "layer_types": ["something_new"] * 32}, [(2048, None)] * 32),
        ({**LLAMA_3_8B, "layer_types": ["mamba", "attention"] * 16}, [(2048, None)] * 16),
        ({**LLAMA_3_8B, "num_kv_shared_layers": 12}, [(2048, None)] * 20),
        ({**LLAMA_3_8B, "model_type": "mamba2"}, []),
        # Unfolded: 2 * 16 * (128 + 64).
        ({**DEEPSEEK_V2_LITE, "model_type": "minicpm3"}, [(6144, None)] * 27),
    ],
)
def test_cache_of_published_models(config: dict[str, Any], expected: list[tuple[int, int | None]]) -> None:
    assert shape(config).cache == tuple(LayerCache(*layer) for layer in expected)


@pytest.mark.parametrize(
    ("config", "numbers"),
    [
        (QWEN2_05B, (896, 24, 14, 2, 64, 4864, 151936, 32768)),
        (GEMMA_3_4B, (2560, 34, 8, 4, 256, 10240, 262208, 131072)),
        (XLM_R_LARGE, (1024, 24, 16, 16, 64, 4096, 250002, 8192)),
        (DISTILBERT_SST2, (768, 6, 12, 12, 64, 3072, 30522, 512)),
        (FALCON_7B, (4544, 32, 71, 1, 64, 0, 65024, None)),
    ],
)
def test_numbers(config: dict[str, Any], numbers: tuple[int | None, ...]) -> None:
    found = shape(config)
    assert numbers == (
        found.hidden_size,
        found.layers,
        found.heads,
        found.kv_heads,
        found.head_dim,
        found.intermediate_size,
        found.vocab_size,
        found.max_context,
    )


@pytest.mark.parametrize(
    ("config", "encoder", "latent"),
    [
        (QWEN2_05B, False, False),
        (DEEPSEEK_V2_LITE, False, True),
        (XLM_R_LARGE, True, False),
        (DISTILBERT_SST2, True, False),
        (MINILM_L6, True, False),
        ({**MINILM_L6, "is_decoder": True}, False, False),
        ({**QWEN2_05B, "model_type": "mamba"}, False, False),
    ],
)
def test_encoder_and_latent(config: dict[str, Any], encoder: bool, latent: bool) -> None:
    found = shape(config)
    assert (found.encoder, found.latent) == (encoder, latent)


def test_cache_bytes() -> None:
    # 24 layers * 256 numbers * 2 bytes = 12 KiB for a token.
    assert shape(QWEN2_05B).cache_bytes(8192, 2) == 8192 * 12288
    # 12 layers with a window of 128 tokens, 12 without, 1024 numbers each.
    assert shape(GPT_OSS_20B).cache_bytes(100, 2) == 24 * 100 * 1024 * 2
    assert shape(GPT_OSS_20B).cache_bytes(1000, 2) == (12 * 128 + 12 * 1000) * 1024 * 2
    # 4.5 bits: q4_0.
    assert shape(LLAMA_3_8B).cache_bytes(1, 18 / 32) == 32 * 2048 * 18 // 32
    assert shape(MINILM_L6).cache_bytes(512, 2) == 0


def test_weights() -> None:
    found = shape(LLAMA_3_8B, header(("F32", [10], 40)), header(("BF16", [30, 10], 600), ("F32", [], 4)))
    assert (found.weight_bytes, found.tensors, found.parameters, found.dtype) == (644, 3, 311, "bfloat16")
    assert found.bits == pytest.approx(644 * 8 / 311)
    assert found.quantization == ""


@pytest.mark.parametrize(
    ("options", "tensor", "expected"),
    [
        ({"quant_method": "awq", "bits": 4}, ("I32", [100], 400), ("awq", 4.0, "int32", None)),
        ({"quant_method": "awq"}, ("I32", [100], 400), ("awq", 4.0, "int32", None)),
        ({"quant_method": "gptq", "bits": 8}, ("I32", [100], 400), ("gptq", 8.0, "int32", None)),
        ({"quant_method": "fp8"}, ("F8_E4M3", [400], 400), ("fp8", 8.0, "fp8", 400)),
        ({"quant_method": "mxfp4"}, ("U8", [400], 400), ("mxfp4", 4.0, "int8", None)),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, ("U8", [4], 4), ("bitsandbytes", 4.0, "int8", None)),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 8}}}},
            ("I8", [400], 400),
            ("compressed-tensors", 8.0, "int8", None),
        ),
        ({"quant_method": "new"}, ("U8", [400], 400), ("new", None, "int8", None)),
    ],
)
def test_quantised(
    options: dict[str, Any], tensor: tuple[str, list[int], int], expected: tuple[str, float | None, str, int | None]
) -> None:
    found = shape({**LLAMA_3_8B, "quantization_config": options}, header(tensor))
    assert (found.quantization, found.bits, found.dtype, found.parameters) == expected


def test_weights_from_the_index() -> None:
    found = shape_of_config(LLAMA_3_8B, [], 16_060_522_496, 291)
    assert (found.weight_bytes, found.tensors, found.parameters) == (16_060_522_496, 291, 8_030_261_248)
    assert (found.dtype, found.bits) == ("bfloat16", 16.0)
    found = shape_of_config({**LLAMA_3_8B, "quantization_config": {"quant_method": "fp8"}}, [], 9_000, 291)
    assert (found.weight_bytes, found.parameters, found.dtype, found.bits) == (9000, None, "", 8.0)


@pytest.mark.parametrize(
    ("change", "headers"),
    [
        ({"hidden_size": None}, [ONE]),
        ({"num_hidden_layers": None}, [ONE]),
        ({"num_attention_heads": "32"}, [ONE]),
        ({"num_hidden_layers": 1_000_000}, [ONE]),
        ({"num_hidden_layers": -1}, [ONE]),
        ({}, []),
        ({}, [{}]),
        ({}, [{"t": {"dtype": "BF16", "shape": [1]}}]),
        ({}, [{"t": {"dtype": "BF16", "shape": ["1"], "data_offsets": [0, 2]}}]),
        ({}, [{"t": {"dtype": "BF16", "shape": [1], "data_offsets": [2, 0]}}]),
        ({}, [{"t": {"dtype": 7, "shape": [1], "data_offsets": [0, 2]}}]),
        ({}, [{"t": {"dtype": "BF16", "shape": 1, "data_offsets": [0, 2]}}]),
        ({}, [{"t": []}]),
    ],
)
def test_no_shape(change: dict[str, Any], headers: list[dict[str, Any]]) -> None:
    with pytest.raises(ShapeError):
        shape_of_config({**LLAMA_3_8B, **change}, headers)


@pytest.mark.parametrize("config", [GEMMA_3_27B, MINILM_L6, GPT_OSS_20B])
def test_plain_data_and_back(config: dict[str, Any]) -> None:
    found = shape(config)
    assert Shape.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize("data", [{}, {"cache": [[1, None]]}, {"cache": 7}])
def test_no_plain_data(data: dict[str, Any]) -> None:
    with pytest.raises(ShapeError):
        Shape.from_dict(data)
