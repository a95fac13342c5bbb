# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""How many bytes the weights, the KV cache and the buffers of one server are. Pure arithmetic.

What an engine takes is data: `memory` of its definition (docs/engines.md). Where the truth depends on what cannot be
known before the start, the smaller number is taken, so that nothing that works is refused.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.llmops.serving.plugins.module_utils._shape import Shape

GIB = 1 << 30

# Bytes of one number in the KV cache. Blocks of GGML's types: 32 numbers and their scale of two bytes (llama.cpp,
# ggml/src/ggml-common.h); nvfp4: a scale of one byte for 16 numbers.
_CACHE_BYTES = {
    "bf16": 2.0,
    "bfloat16": 2.0,
    "f16": 2.0,
    "f32": 4.0,
    "float16": 2.0,
    "float32": 4.0,
    "int8": 1.0,
    "iq4_nl": 18 / 32,
    "nvfp4": 0.5 + 1 / 16,
    "q4_0": 18 / 32,
    "q4_1": 20 / 32,
    "q5_0": 22 / 32,
    "q5_1": 24 / 32,
    "q8_0": 34 / 32,
}
_SMALLEST_CACHE_BYTES = 0.5
# Repositories of these kinds may say themselves that their KV cache has 8 bits.
_MAY_QUANTISE_CACHE = ("compressed-tensors", "modelopt", "quark")
_FLOATS = ("bfloat16", "float16", "float32")
# An engine that finds its own context tries no smaller one (llama.cpp, --fit-ctx).
SMALLEST_CONTEXT = 4096


class Sizes(t.NamedTuple):
    """What a server needs on each of its GPUs, or in RAM.

    Attributes:
        weights: Bytes of the weights.
        buffers: Bytes of what a step computes with.
        base: Bytes that its processes hold besides: CUDA and libraries.
        context: Tokens of a full-length request, None if neither the server nor the model says.
        requests: Requests whose KV cache must be there at once.
        token: Bytes of the KV cache for a token, as long as no window is full.
    """

    weights: int
    buffers: int
    base: int
    context: int | None
    requests: int
    token: float


def option(demand: t.Mapping[str, t.Any], name: str | None) -> t.Any:
    """Give the value of a server's option of that name, None where it has none or takes it away."""
    value = demand["options"].get(name) if name else None
    return None if value is False else value


def number(value: t.Any, otherwise: int) -> int:
    """Read a number out of an option."""
    text = str(value).strip()
    return int(text) if text.isdigit() else otherwise


def sizes(demand: t.Mapping[str, t.Any], shapes: t.Sequence[Shape], split: int) -> Sizes:
    """Say how large the parts of a server are.

    Args:
        demand: What the server asks (`demand` of plugin_utils/_demands.py).
        shapes: The shapes of its models.
        split: GPUs that share its weights evenly; 1 where there are none.

    Returns:
        The sizes on one of these GPUs.
    """
    memory = demand["memory"]
    return Sizes(
        weights=sum(_weights(demand, shape) for shape in shapes) // split,
        buffers=sum(_buffers(demand, shape, split) for shape in shapes),
        base=int(memory.get("base_gib", 0) * GIB),
        context=demand["context_length"] or shapes[0].max_context,
        requests=(demand["parallel"] or 1) if memory.get("cache") == "full" else 1,
        token=sum(layer.values for layer in shapes[0].cache) * value_bytes(demand, shapes[0]) / parts(shapes[0], split),
    )


def _weights(demand: t.Mapping[str, t.Any], shape: Shape) -> int:
    """Give the bytes of the weights as the engine computes with them."""
    memory = demand["memory"]
    width: float | None = _width(demand)
    if width and not shape.quantization and shape.parameters and shape.dtype in _FLOATS:
        if demand["quantization"]:
            # Quantised when it is loaded, to 8 or to 4 bits.
            width = 1 if "8" in demand["quantization"] else 0.5
        return int(shape.parameters * width)
    if memory.get("embedding_in_ram"):
        return shape.weight_bytes - _embedding(shape)
    return shape.weight_bytes


def _embedding(shape: Shape) -> int:
    """Give the bytes of the table of tokens."""
    bits = shape.bits or (shape.weight_bytes * 8 / shape.parameters if shape.parameters else 0)
    return int(shape.vocab_size * shape.hidden_size * bits / 8)


def _width(demand: t.Mapping[str, t.Any]) -> int | None:
    """Give the bytes of one number that is computed with, None where that is as it is stored."""
    asked = demand["dtype"]
    if asked in ("float", "float32"):
        return 4
    width: int | None = demand["memory"].get("value_bytes")
    if not width or not asked or asked == "auto":
        return width
    return 1 if "8" in str(asked) else 2


def _buffers(demand: t.Mapping[str, t.Any], shape: Shape, split: int) -> int:
    """Give the least that one step needs: what the widest layer computes, and the scores of all words, in two bytes."""
    memory = demand["memory"]
    step = memory.get("step")
    if not step:
        return 0
    tokens = number(option(demand, step.get("option")), step["tokens"])
    requests = min(demand["parallel"] or step["requests"], tokens)
    if demand["context_length"]:
        tokens = min(tokens, demand["context_length"] * requests)
    # Both parts of a gated layer, its input and its output.
    width = (2 * shape.intermediate_size // split + 2 * shape.hidden_size) * 2
    scores = 0 if shape.encoder else requests * shape.vocab_size * 2
    return tokens * width + scores


def value_bytes(demand: t.Mapping[str, t.Any], shape: Shape) -> float:
    """Give the bytes of one number in the KV cache, the mean of keys and values.

    Args:
        demand: What the server asks.
        shape: The shape of its model.

    Returns:
        Bytes, often no whole number in quantised caches.
    """
    names = demand["memory"].get("cache_types") or []
    if shape.latent:
        # The latent is kept once, as keys.
        names = names[:1]
    told = [_type_bytes(demand, shape, option(demand, name)) for name in names]
    return sum(told) / len(told) if told else _type_bytes(demand, shape, None)


def _type_bytes(demand: t.Mapping[str, t.Any], shape: Shape, name: t.Any) -> float:
    text = str(name or "auto").lower()
    if text != "auto":
        return 1.0 if text.startswith("fp8") else _CACHE_BYTES.get(text, _SMALLEST_CACHE_BYTES)
    if shape.quantization.startswith(_MAY_QUANTISE_CACHE):
        return 1.0
    return 4.0 if demand["dtype"] in ("float", "float32") else 2.0


def parts(shape: Shape, split: int) -> int:
    """Say into how many parts the KV cache falls on that many GPUs.

    Args:
        shape: The shape of the model.
        split: GPUs that share it.

    Returns:
        1 for a latent cache, which each GPU keeps in full; with fewer heads than GPUs each head is kept several times.
    """
    return 1 if shape.latent else max(1, min(split, shape.kv_heads or 1))


def cache_bytes(demand: t.Mapping[str, t.Any], shape: Shape, tokens: int, requests: int, split: int) -> int:
    """Say how large the KV cache of some requests is.

    Args:
        demand: What the server asks.
        shape: The shape of its model.
        tokens: Tokens of each.
        requests: How many.
        split: GPUs that share the model.

    Returns:
        Bytes on one GPU.
    """
    memory = demand["memory"]
    rounded = -(-tokens // memory.get("round", 1)) * memory.get("round", 1)
    window = memory.get("window") or {}
    extra = number(option(demand, window.get("option")), window.get("tokens", 0))
    kept = 0
    for layer in shape.cache:
        limit = rounded
        if layer.window is not None and not option(demand, window.get("unless")):
            # Cells for a window and for the step that moves it on, in whole rounds.
            step = memory.get("round", 1)
            limit = min(rounded, -(-(layer.window + extra) // step) * step)
        kept += layer.values * limit
    return int(kept * value_bytes(demand, shape) * requests) // parts(shape, split)
