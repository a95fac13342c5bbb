# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GGUF headers, written here byte by byte: whole, cut off anywhere, and broken."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._shape import LayerCache, NeedMore, ShapeError
from ansible_collections.llmops.serving.plugins.module_utils._shape_gguf import (
    GgufTensor,
    Skipped,
    parse_gguf,
    shape_of_gguf,
)

U32, STRING, ARRAY = 4, 8, 9


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def numbers(kind: int, layout: str, *values: Any) -> bytes:
    return struct.pack(f"<IQ{len(values)}{layout}", kind, len(values), *values)


def strings(*values: str) -> bytes:
    return struct.pack("<IQ", STRING, len(values)) + b"".join(map(text, values))


def gguf(
    pairs: list[tuple[str, int, bytes]], tensors: list[tuple[str, tuple[int, ...], int]], version: int = 3
) -> bytes:
    data = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs))
    for key, kind, value in pairs:
        data += text(key) + struct.pack("<I", kind) + value
    for name, dimensions, kind in tensors:
        data += text(name) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, kind, 0)
    return data


# One value of every type that the format has.
PAIRS = [
    ("general.architecture", STRING, text("llama")),
    ("a.u8", 0, b"\xff"),
    ("a.i8", 1, b"\xff"),
    ("a.u16", 2, b"\xff\xff"),
    ("a.i16", 3, b"\xff\xff"),
    ("llama.block_count", U32, struct.pack("<I", 2)),
    ("a.i32", 5, struct.pack("<i", -5)),
    ("a.f32", 6, struct.pack("<f", 0.5)),
    ("a.bool", 7, b"\x01"),
    ("a.u64", 10, struct.pack("<Q", 1 << 60)),
    ("a.i64", 11, struct.pack("<q", -7)),
    ("a.f64", 12, struct.pack("<d", 0.25)),
    ("a.list", ARRAY, numbers(5, "i", 1, -2, 3)),
    ("a.nested", ARRAY, struct.pack("<IQ", ARRAY, 2) + numbers(0, "B", 1) + strings("x")),
    ("tokenizer.ggml.scores", ARRAY, numbers(6, "f", *[0.0] * 5000)),
    ("tokenizer.ggml.tokens", ARRAY, strings("a", "", "bc")),
]
TENSORS = [("token_embd.weight", (256, 3), 12), ("output_norm.weight", (256,), 0)]


@pytest.mark.parametrize("version", [2, 3])
def test_reads_every_type(version: int) -> None:
    metadata, tensors = parse_gguf(gguf(PAIRS, TENSORS, version) + b"weights")
    assert metadata == {
        "general.architecture": "llama",
        "a.u8": 255,
        "a.i8": -1,
        "a.u16": 65535,
        "a.i16": -1,
        "llama.block_count": 2,
        "a.i32": -5,
        "a.f32": 0.5,
        "a.bool": True,
        "a.u64": 1 << 60,
        "a.i64": -7,
        "a.f64": 0.25,
        "a.list": [1, -2, 3],
        "a.nested": Skipped(2),
        "tokenizer.ggml.scores": Skipped(5000),
        "tokenizer.ggml.tokens": Skipped(3),
    }
    assert tensors == [GgufTensor(*tensor) for tensor in TENSORS]


@pytest.mark.parametrize("version", [2, 3])
def test_cut_off_anywhere(version: int) -> None:
    whole = gguf([pair for pair in PAIRS if "scores" not in pair[0]], TENSORS, version)
    for end in range(len(whole)):
        with pytest.raises(NeedMore) as caught:
            parse_gguf(whole[:end])
        assert end < caught.value.size <= len(whole)


def test_broken_anywhere() -> None:
    whole = gguf([pair for pair in PAIRS if "scores" not in pair[0]], TENSORS)
    for place in range(len(whole)):
        for value in (0x00, 0x7F, 0xFF):
            try:
                shape_of_gguf(*parse_gguf(whole[:place] + bytes([value]) + whole[place + 1 :]))
            except (NeedMore, ShapeError):
                continue
            # The rest of this metadata does not describe a model.
            pytest.fail("no shape can come of it")


@pytest.mark.parametrize(
    "data",
    [
        b"<html>",
        b"GGUF" + struct.pack("<I", 1),
        b"GGUF" + struct.pack(">I", 3),  # big endian
        gguf([("a", 13, b"")], []),
        gguf([("a", ARRAY, struct.pack("<IQ", 13, 1))], []),
        gguf([("a", ARRAY, struct.pack("<IQ", ARRAY, 1) * 20)], []),
        gguf([("a", ARRAY, struct.pack("<IQ", 12, 1 << 63))], []),
        gguf([("a", STRING, struct.pack("<Q", 1 << 63))], []),
        gguf([], [("t", (1, 1, 1, 1, 1), 0)]),
    ],
)
def test_no_gguf(data: bytes) -> None:
    with pytest.raises(ShapeError):
        parse_gguf(data)


def model(arch: str, **options: Any) -> dict[str, Any]:
    """Metadata of a model with 4 layers, 8 heads of 16 numbers, 2 of K and V; ``__`` stands for a dot."""
    found = {
        "embedding_length": 128,
        "block_count": 4,
        "feed_forward_length": 256,
        "context_length": 2048,
        "attention.head_count": 8,
        "attention.head_count_kv": 2,
    }
    found.update({name.replace("__", "."): value for name, value in options.items()})
    return {
        "general.architecture": arch,
        "tokenizer.ggml.tokens": Skipped(1000),
        **{f"{arch}.{name}": value for name, value in found.items() if value is not None},
    }


WEIGHTS = [GgufTensor("w", (256, 2), 12), GgufTensor("n", (10,), 0)]


# A layer keeps 2 heads * (16 + 16) numbers = 64 for a token, where not said otherwise.
@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (model("llama"), [(64, None)] * 4),
        (model("llama", attention__head_count_kv=None), [(256, None)] * 4),
        (model("llama", attention__key_length=24, attention__value_length=8), [(64, None)] * 4),
        (model("llama", attention__key_length=64, attention__value_length=64), [(256, None)] * 4),
        # A window that llama.cpp does not know for this architecture is not used.
        (model("phi3", attention__sliding_window=100), [(64, None)] * 4),
        (model("gemma2"), [(64, 4096), (64, None)] * 2),
        (model("gpt-oss", attention__sliding_window=128), [(64, 128), (64, None)] * 2),
        (model("gemma3", attention__sliding_window=512), [(64, 512)] * 4),
        (model("gemma3", block_count=7, attention__sliding_window=512), [(64, 512)] * 5 + [(64, None), (64, 512)]),
        (model("gemma3"), [(64, None)] * 4),
        (model("cohere2", attention__sliding_window=512), [(64, 512)] * 3 + [(64, None)]),
        (model("gemma2", attention__sliding_window_pattern=4), [(64, 4096)] * 3 + [(64, None)]),
        # Gemma 4: a list, other heads under the window, and layers that read an earlier one's cache.
        (
            model(
                "gemma4",
                attention__sliding_window=512,
                attention__sliding_window_pattern=[True, True, False, True],
                attention__key_length=32,
                attention__value_length=32,
                attention__key_length_swa=16,
                attention__value_length_swa=16,
                attention__shared_kv_layers=1,
            ),
            [(64, 512), (64, 512), (128, None)],
        ),
        (model("gemma3n", block_count=30, attention__sliding_window=512), ([(64, 512)] * 4 + [(64, None)]) * 4),
        # Layers without heads of K and V keep a fixed state.
        (model("jamba", attention__head_count_kv=[0, 2, 0, 2]), [(64, None)] * 2),
        (model("qwen3next"), [(64, None)]),
        (model("qwen35", full_attention_interval=2), [(64, None)] * 2),
        (model("mamba", attention__head_count=0, attention__head_count_kv=0), []),
        (
            model(
                "deepseek2",
                attention__head_count_kv=1,
                attention__kv_lora_rank=512,
                attention__key_length=576,
                attention__value_length=512,
                attention__key_length_mla=192,
            ),
            [(576, None)] * 4,
        ),
        # Written before llama.cpp kept the latent: 8 heads of 192 + 128.
        (
            model(
                "deepseek2",
                attention__head_count_kv=8,
                attention__kv_lora_rank=512,
                attention__key_length=192,
                attention__value_length=128,
            ),
            [(2560, None)] * 4,
        ),
        (model("bert"), []),
        (model("nomic-bert"), []),
        (model("new-encoder", attention__causal=False), []),
    ],
)
def test_cache(metadata: dict[str, Any], expected: list[tuple[int, int | None]]) -> None:
    assert shape_of_gguf(metadata, WEIGHTS).cache == tuple(LayerCache(*layer) for layer in expected)


def test_shape() -> None:
    found = shape_of_gguf(model("llama"), WEIGHTS)
    # 2 blocks of 256 numbers in 144 bytes, and 10 numbers of 4 bytes.
    assert (found.weight_bytes, found.tensors, found.parameters) == (328, 2, 522)
    assert (found.dtype, found.quantization, found.bits) == ("q4_K", "gguf", pytest.approx(328 * 8 / 522))
    assert (found.hidden_size, found.layers, found.heads, found.kv_heads, found.head_dim) == (128, 4, 8, 2, 16)
    assert (found.intermediate_size, found.vocab_size, found.max_context) == (256, 1000, 2048)
    assert not found.encoder
    assert not found.latent


@pytest.mark.parametrize(
    ("metadata", "encoder"),
    [(model("llama"), False), (model("bert"), True), (model("gemma-embedding"), True), (model("mamba"), False)],
)
def test_encoder(metadata: dict[str, Any], encoder: bool) -> None:
    assert shape_of_gguf(metadata, WEIGHTS).encoder is encoder


def test_full_precision_is_no_quantisation() -> None:
    found = shape_of_gguf(model("llama"), [GgufTensor("w", (3, 7), 30)])
    assert (found.dtype, found.quantization, found.bits, found.weight_bytes) == ("bfloat16", "", 16.0, 42)


@pytest.mark.parametrize(
    ("metadata", "tensors"),
    [
        ({}, WEIGHTS),
        (model("llama"), []),
        (model("llama"), [GgufTensor("w", (1,), 99)]),
        (model("llama", block_count=None), WEIGHTS),
        (model("llama", block_count=1 << 39), WEIGHTS),
        (model("llama", embedding_length="128"), WEIGHTS),
        (model("llama", attention__head_count=None), WEIGHTS),
        (model("llama", attention__head_count=[8]), WEIGHTS),
        (model("llama", attention__head_count_kv=-2), WEIGHTS),
    ],
)
def test_no_shape(metadata: dict[str, Any], tensors: list[GgufTensor]) -> None:
    with pytest.raises(ShapeError):
        shape_of_gguf(metadata, tensors)
