# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large a model in GGUF files is: a pure parser of their header, and what llama.cpp caches for it."""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._ggml import GGML_TYPES
from ansible_collections.llmops.serving.plugins.module_utils._shape import (
    LAYERS_MAX,
    LayerCache,
    NeedMore,
    Shape,
    ShapeError,
    is_count,
    product,
    total,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
_GGUF_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_GGUF_STRING, _GGUF_ARRAY = 8, 9
_GGUF_VERSIONS = (2, 3)
_GGUF_NESTING_MAX = 8
_GGUF_DIMENSIONS_MAX = 4  # GGML_MAX_DIMS of ggml.h
# Longer arrays belong to the tokeniser: only their length is kept.
_GGUF_ARRAY_KEPT = 4096
_GGUF_HEADER_MAX = 1 << 30

# llama.cpp src/models/*.cpp, set_swa_pattern: architecture -> every how many layers one keeps all tokens, and the
# window where the file does not say. Others ignore a window (phi3), and keep all tokens.
_GGUF_PATTERNS: dict[str, tuple[int, int]] = {
    "gemma2": (2, 4096),
    "gemma3": (6, 0),
    "gemma3n": (5, 0),
    "gemma4": (6, 0),
    "gpt-oss": (2, 0),
    "cohere2": (4, 0),
    "llama4": (4, 8192),
}
_GGUF_ENCODERS = (
    "bert",
    "modern-bert",
    "nomic-bert",
    "nomic-bert-moe",
    "neo-bert",
    "jina-bert-v2",
    "jina-bert-v3",
    "eurobert",
    "gemma-embedding",
    "t5encoder",
)
_GGUF_RECURRENT = ("mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7")
_GGUF_INTERVALS = ("qwen3next", "qwen35", "qwen35moe")
_GGUF_KV_FROM_START = {"gemma3n": 20}


class Skipped(t.NamedTuple):
    """An array of a GGUF file of which only the length is kept."""

    length: int


class GgufTensor(t.NamedTuple):
    """A tensor of a GGUF file: its name, dimensions and GGML type."""

    name: str
    dimensions: tuple[int, ...]
    kind: int


def parse_gguf(data: bytes) -> tuple[dict[str, t.Any], list[GgufTensor]]:
    """Read the header of a GGUF file (versions 2 and 3, little endian).

    Args:
        data: The file's first bytes.

    Returns:
        The metadata (strings, numbers, lists of numbers; ``Skipped`` for long arrays and those of strings) and all
        tensors.

    Raises:
        NeedMore: The header goes on behind the data.
        ShapeError: It is no GGUF file that is known here.
    """
    reader = _Reader(data)
    if reader.take(4) != b"GGUF":
        raise ShapeError("no GGUF file: it begins otherwise")
    version = reader.number("I")
    if version not in _GGUF_VERSIONS:
        raise ShapeError(f"GGUF version 2 or 3 in little endian expected, found {version}")
    tensors, pairs = reader.number("Q"), reader.number("Q")
    metadata: dict[str, t.Any] = {}
    for _pair in range(pairs):
        key = reader.string()
        metadata[key] = reader.value(reader.number("I"))
    return metadata, [reader.tensor() for _tensor in range(tensors)]


class _Reader:
    """Reads a GGUF header forwards; says how much is missing where the buffer ends."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def skip(self, count: int) -> int:
        """Go on, and return the place before."""
        start, end = self.position, self.position + count
        if end > _GGUF_HEADER_MAX:
            raise ShapeError("GGUF header with an absurd length")
        if end > len(self.data):
            raise NeedMore(end)
        self.position = end
        return start

    def take(self, count: int) -> bytes:
        start = self.skip(count)
        return self.data[start : start + count]

    def number(self, layout: str) -> int:
        return int(self.scalar(layout))

    def scalar(self, layout: str) -> t.Any:
        return struct.unpack_from("<" + layout, self.data, self.skip(struct.calcsize("<" + layout)))[0]

    def string(self) -> str:
        return self.take(self.number("Q")).decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> t.Any:
        if kind in _GGUF_SCALARS:
            return self.scalar(_GGUF_SCALARS[kind])
        if kind == _GGUF_STRING:
            return self.string()
        if kind != _GGUF_ARRAY or depth >= _GGUF_NESTING_MAX:
            raise ShapeError(f"GGUF value of unknown type {kind}")
        return self._array(self.number("I"), self.number("Q"), depth)

    def _array(self, kind: int, count: int, depth: int) -> t.Any:
        if kind in _GGUF_SCALARS:
            layout = _GGUF_SCALARS[kind]
            start = self.skip(count * struct.calcsize("<" + layout))
            if count > _GGUF_ARRAY_KEPT:
                return Skipped(count)
            return list(struct.unpack_from(f"<{count}{layout}", self.data, start))
        for _item in range(count):
            if kind == _GGUF_STRING:
                self.skip(self.number("Q"))
            else:
                self.value(kind, depth + 1)
        return Skipped(count)

    def tensor(self) -> GgufTensor:
        name = self.string()
        count = self.number("I")
        if count > _GGUF_DIMENSIONS_MAX:
            raise ShapeError(f"GGUF tensor with {count} dimensions")
        dimensions = tuple(self.number("Q") for _dimension in range(count))
        kind = self.number("I")
        self.skip(8)
        return GgufTensor(name, dimensions, kind)


def shape_of_gguf(metadata: Mapping[str, t.Any], tensors: Sequence[GgufTensor]) -> Shape:
    """The shape of a model in GGUF files.

    Args:
        metadata: Its metadata (of the first file, where it is split).
        tensors: Its tensors (of all files).

    Raises:
        ShapeError: Something is missing that the size depends on.
    """
    found = _Gguf(metadata)
    weights = total([_ggml_tensor(tensor) for tensor in tensors])
    quantized = weights.dtype not in ("float16", "float32", "bfloat16", "float64")
    encoder = found.arch in _GGUF_ENCODERS or found.get("attention.causal") is False
    tokens = metadata.get("tokenizer.ggml.tokens")
    return Shape(
        weight_bytes=weights.size,
        tensors=weights.tensors,
        parameters=weights.parameters,
        dtype=weights.dtype,
        quantization="gguf" if quantized else "",
        bits=weights.size * 8 / weights.parameters if weights.parameters else None,
        hidden_size=found.hidden,
        layers=found.layers,
        heads=max(found.heads),
        kv_heads=max(found.kv_heads),
        head_dim=found.key_length,
        intermediate_size=max(found.per_layer("feed_forward_length", 0)),
        vocab_size=found.count("vocab_size") or (tokens.length if isinstance(tokens, Skipped) else 0),
        cache=() if encoder else found.cache(),
        latent=found.latent and not encoder,
        max_context=found.count("context_length") or None,
        encoder=encoder,
    )


def _ggml_tensor(tensor: GgufTensor) -> tuple[str, int, int]:
    if tensor.kind not in GGML_TYPES:
        raise ShapeError(f"tensor {tensor.name} is of the unknown GGML type {tensor.kind}")
    dtype, block, size = GGML_TYPES[tensor.kind]
    numbers = product(tensor.dimensions)
    return dtype, -(-numbers // block) * size, numbers


class _Gguf:
    """What the metadata of an architecture says, layer by layer."""

    def __init__(self, metadata: Mapping[str, t.Any]) -> None:
        self.metadata = metadata
        self.arch = str(metadata.get("general.architecture") or "")
        self.hidden = self.required("embedding_length")
        self.layers = self.required("block_count")
        if self.layers > LAYERS_MAX:
            raise ShapeError(f"{self.layers} layers")
        self.heads = self.per_layer("attention.head_count", 0)
        # A layer with a fixed state (Mamba, short convolution) has 0 heads of K and V.
        kv = self.per_layer("attention.head_count_kv", -1)
        self.kv_heads = self.heads if min(kv) < 0 else kv
        width = self.hidden // max(1, *self.heads)
        self.key_length = self.count("attention.key_length") or width
        self.value_length = self.count("attention.value_length") or width
        # Files from before llama.cpp kept the latent lack key_length_mla; they are served with full heads.
        self.latent = bool(self.count("attention.kv_lora_rank") and self.count("attention.key_length_mla"))

    def get(self, key: str) -> t.Any:
        return self.metadata.get(f"{self.arch}.{key}")

    def count(self, key: str) -> int:
        """A number, 0 when it is missing."""
        value = self.get(key)
        if value is None or isinstance(value, Skipped):
            return 0
        if not is_count(value):
            raise ShapeError(f"{self.arch}.{key} is no number of things")
        return int(value)

    def required(self, key: str) -> int:
        value = self.count(key)
        if not value:
            raise ShapeError(f"{self.arch}.{key} is missing")
        return value

    def per_layer(self, key: str, default: int) -> list[int]:
        """A number for each layer, of one for all or of a list."""
        value = self.get(key)
        if isinstance(value, list):
            if len(value) < self.layers or not all(is_count(entry) for entry in value):
                raise ShapeError(f"{self.arch}.{key} is no list for all layers")
            return [int(entry) for entry in value[: self.layers]]
        return [default if value is None else self.count(key)] * self.layers

    def cache(self) -> tuple[LayerCache, ...]:
        if self.arch in _GGUF_RECURRENT:
            return ()
        if not max(self.heads):
            raise ShapeError(f"{self.arch}.attention.head_count is missing")
        windows = self._windows()
        found = [LayerCache(self._values(layer, windows[layer]), windows[layer]) for layer in self._caching()]
        return tuple(layer for layer in found if layer.values)

    def _caching(self) -> list[int]:
        shared = self.count("attention.shared_kv_layers")
        last = self.layers - shared if shared else _GGUF_KV_FROM_START.get(self.arch, self.layers)
        layers = list(range(min(last, self.layers)))
        interval = self.count("full_attention_interval") or (4 if self.arch in _GGUF_INTERVALS else 0)
        return [layer for layer in layers if not interval or (layer + 1) % interval == 0]

    def _windows(self) -> list[int | None]:
        """The window of each layer: a pattern in the file, else the architecture's own."""
        period, default = _GGUF_PATTERNS.get(self.arch, (0, 0))
        window = self.count("attention.sliding_window") or default
        pattern = self.get("attention.sliding_window_pattern")
        if isinstance(pattern, list) and len(pattern) >= self.layers:
            slides = [bool(entry) for entry in pattern[: self.layers]]
        else:
            period = self.count("attention.sliding_window_pattern") if is_count(pattern) else period
            slides = [bool(period) and (layer + 1) % period != 0 for layer in range(self.layers)]
        return [window if window and slide else None for slide in slides]

    def _values(self, layer: int, window: int | None) -> int:
        if self.latent:
            # key_length is the latent with its rotary part; V is a view of it (llama-kv-cache.cpp: no V for MLA).
            return self.key_length
        key, value = self.key_length, self.value_length
        if window is not None:
            key = self.count("attention.key_length_swa") or key
            value = self.count("attention.value_length_swa") or value
        return self.kv_heads[layer] * (key + value)
