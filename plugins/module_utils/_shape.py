# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large a model and its KV cache are, from the heads of its files: pure parsers that read no file themselves.

What a layer keeps for a token follows transformers 5.19 (``models/*/configuration_*.py``), vLLM 0.32
(``transformers_utils/model_arch_config_convertor.py``) and llama.cpp (``src/models/*.cpp``). Where a config says
something that is not known here, the larger cache is taken.
"""

from __future__ import annotations

import json
import struct
import typing as t
from dataclasses import asdict, dataclass

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SAFETENSORS_HEADER_MAX = 100_000_000  # the limit of the format's own reader (safetensors/src/tensor.rs)
# More than any published model has; a config that says more is broken, and must not fill the memory.
LAYERS_MAX = 4096
_NUMBER_MAX = 1 << 40

# safetensors/src/tensor.rs Dtype: name -> (name here, bits of one number).
_SAFETENSORS_TYPES = {
    "BOOL": ("int8", 8),
    "U8": ("int8", 8),
    "I8": ("int8", 8),
    "F4": ("float4", 4),
    "F8_E4M3": ("fp8", 8),
    "F8_E5M2": ("fp8", 8),
    "F8_E8M0": ("fp8", 8),
    "U16": ("int16", 16),
    "I16": ("int16", 16),
    "F16": ("float16", 16),
    "BF16": ("bfloat16", 16),
    "U32": ("int32", 32),
    "I32": ("int32", 32),
    "F32": ("float32", 32),
    "U64": ("int64", 64),
    "I64": ("int64", 64),
    "F64": ("float64", 64),
}
_FLOAT_BITS = {"float16": 16, "bfloat16": 16, "float32": 32}

# ---- config.json: the names that models give the same thing (vLLM's convertor lists them).
_HIDDEN = ("hidden_size", "n_embd", "dim", "d_model")
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num", "num_attention_groups")
_HEAD_DIM = ("head_dim", "attention_head_dim", "kv_channels", "hidden_size_per_head")
_INTERMEDIATE = ("intermediate_size", "n_inner", "hidden_dim", "ffn_hidden_size", "ffn_dim", "d_ff")
_CONTEXT = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length")
_VOCAB = ("vocab_size", "padded_vocab_size")

# Encoders by model type: transformers' masked language models, and remote code that embedding models bring.
_ENCODERS = frozenset(
    {
        "albert",
        "bert",
        "big_bird",
        "camembert",
        "convbert",
        "data2vec-text",
        "deberta",
        "deberta-v2",
        "distilbert",
        "electra",
        "ernie",
        "esm",
        "eurobert",
        "flaubert",
        "gte",
        "ibert",
        "jina_embeddings_v3",
        "layoutlm",
        "longformer",
        "luke",
        "megatron-bert",
        "mobilebert",
        "modernbert",
        "mpnet",
        "mra",
        "neobert",
        "new",
        "nomic_bert",
        "nystromformer",
        "rembert",
        "roberta",
        "roberta-prelayernorm",
        "roc_bert",
        "roformer",
        "squeezebert",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
        "yoso",
    }
)
# Their positions begin behind the padding's, so two of the embeddings are never a token's.
_OFFSET_POSITIONS = ("camembert", "roberta", "xlm-roberta")
# A fixed state instead of a cache: no layer keeps anything for a token.
_RECURRENT = ("falcon_mamba", "mamba", "mamba2", "rwkv", "rwkv7", "xlstm")
# Low-rank attention that vLLM unfolds: these keep full heads, not the latent.
_UNFOLDED = ("minicpm3",)

# What a published config.json leaves out because its class fills it in.
_DEFAULTS: dict[str, dict[str, t.Any]] = {
    "gemma": {"head_dim": 256},
    "gemma2": {"head_dim": 256, "num_key_value_heads": 4, "sliding_window": 4096, "sliding_window_pattern": 2},
    "gemma3_text": {
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "vocab_size": 262208,
        "max_position_embeddings": 131072,
        "sliding_window": 4096,
        "sliding_window_pattern": 6,
    },
    "gemma3n_text": {
        "hidden_size": 2048,
        "num_hidden_layers": 35,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 256,
        "vocab_size": 262400,
        "max_position_embeddings": 32768,
        "sliding_window": 512,
        "sliding_window_pattern": 5,
        "num_kv_shared_layers": 15,
    },
    "gemma4_text": {
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "global_head_dim": 512,
        "vocab_size": 262144,
        "max_position_embeddings": 131072,
        "sliding_window": 512,
        "sliding_window_pattern": 6,
    },
    "cohere2": {"sliding_window": 4096, "sliding_window_pattern": 4},
    "olmo3": {"sliding_window": 4096, "sliding_window_pattern": 4},
    "gpt_oss": {"head_dim": 64, "num_key_value_heads": 8, "sliding_window": 128, "sliding_window_pattern": 2},
    "llama4_text": {
        "head_dim": 128,
        "num_key_value_heads": 8,
        "attention_chunk_size": 8192,
        "sliding_window_pattern": 4,
    },
    "mistral": {"num_key_value_heads": 8},
    "mixtral": {"num_key_value_heads": 8},
    "qwen2": {"use_sliding_window": False},
    "qwen2_moe": {"use_sliding_window": False},
    "qwen3": {"use_sliding_window": False, "head_dim": 128},
    "qwen3_moe": {"use_sliding_window": False},
    "qwen3_next": {"head_dim": 256, "num_key_value_heads": 2, "full_attention_interval": 4},
    "qwen3_5_text": {"head_dim": 256, "num_key_value_heads": 4, "full_attention_interval": 4},
    "qwen3_5_moe_text": {"head_dim": 256, "num_key_value_heads": 2, "full_attention_interval": 4},
    "jamba": {"num_key_value_heads": 8, "attn_layer_period": 8, "attn_layer_offset": 4},
    "distilbert": {
        "vocab_size": 30522,
        "max_position_embeddings": 512,
        "n_layers": 6,
        "n_heads": 12,
        "dim": 768,
        "hidden_dim": 3072,
    },
}

# What a layer keeps: all tokens, those of a window, or none.
_FULL, _WINDOW, _NONE = "full", "window", "none"
# transformers 5.19 configuration_utils.py, ALLOWED_ATTN_LAYER_TYPES and the older names; any other keeps all.
_KINDS = {
    "sliding_attention": _WINDOW,
    "chunked_attention": _WINDOW,
    "hybrid_sliding": _WINDOW,
    "linear_attention": _NONE,
    "mamba": _NONE,
    "mamba2": _NONE,
    "recurrent": _NONE,
    "conv": _NONE,
    "moe": _NONE,
    "mlp": _NONE,
}

_METHOD_BITS = {"awq": 4.0, "fp8": 8.0, "fbgemm_fp8": 8.0, "mxfp4": 4.0, "modelopt_fp4": 4.0, "bitnet": 2.0}


class ShapeError(ValueError):
    """A file that does not say how large its model is."""


class NeedMore(Exception):  # noqa: N818 - no error: the file goes on behind the buffer
    """The buffer ends inside the header.

    Attributes:
        size: Bytes from the file's start that are needed at least to go on.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes are needed")
        self.size = size


class LayerCache(t.NamedTuple):
    """What one layer caches.

    Attributes:
        values: Numbers cached for one token, K and V together, before any split over GPUs.
        window: Tokens kept; None for all.
    """

    values: int
    window: int | None


@dataclass(frozen=True)
class Shape:
    """How large a model is.

    Attributes:
        weight_bytes: Bytes of all tensors as stored.
        tensors: How many there are, 0 when only their sum is known.
        parameters: Numbers in them, None when they are packed.
        dtype: Type of most bytes: ``bfloat16``, ``float16``, ``float32``, ``int8``, ``fp8``, ``int32`` (packed), or
            the GGML type's name, such as ``q4_K``; empty when not known.
        quantization: ``quant_method`` of config.json, ``gguf`` for a quantised GGUF file, else empty.
        bits: Bits of one weight, None when not known.
        hidden_size: Width of the model.
        layers: All layers, also those that cache nothing.
        heads: Attention heads (the most of any layer).
        kv_heads: Heads of K and V (the most of any layer).
        head_dim: Numbers of one head of K.
        intermediate_size: Width of the feed-forward layers, 0 when not known.
        vocab_size: Tokens of the vocabulary, 0 when not known.
        cache: What the layers cache, one entry for each that caches; empty for encoders.
        latent: Whether the cache is one latent (MLA) that is not split over GPUs.
        max_context: The longest context in tokens, None when not known.
        encoder: Whether all tokens are read at once, so that nothing is cached.
    """

    weight_bytes: int
    tensors: int
    parameters: int | None
    dtype: str
    quantization: str
    bits: float | None
    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    cache: tuple[LayerCache, ...]
    latent: bool
    max_context: int | None
    encoder: bool

    def to_dict(self) -> dict[str, t.Any]:
        """Plain data that JSON can hold; ``from_dict`` reads it back."""
        return {**asdict(self), "cache": [list(layer) for layer in self.cache]}

    @classmethod
    def from_dict(cls, data: Mapping[str, t.Any]) -> Shape:
        """Read what ``to_dict`` wrote.

        Raises:
            ShapeError: It is something else.
        """
        try:
            return cls(**{**data, "cache": tuple(LayerCache(*layer) for layer in data["cache"])})
        except (TypeError, KeyError) as error:
            raise ShapeError(f"no shape of a model: {error}") from None

    def cache_bytes(self, tokens: int, bytes_per_value: float) -> int:
        """Bytes of the KV cache for one sequence, all GPUs together.

        Args:
            tokens: Its length.
            bytes_per_value: Bytes of one cached number, such as 2 for bfloat16.
        """
        numbers = sum(
            layer.values * (tokens if layer.window is None else min(tokens, layer.window)) for layer in self.cache
        )
        return int(numbers * bytes_per_value)


# ---- safetensors


def parse_safetensors_header(data: bytes) -> dict[str, t.Any]:
    """Read the header of a safetensors file: https://huggingface.co/docs/safetensors#format.

    Args:
        data: The file's first bytes.

    Returns:
        Tensor's name to its ``dtype``, ``shape`` and ``data_offsets``, without ``__metadata__``.

    Raises:
        NeedMore: The header goes on behind the data.
        ShapeError: It is no safetensors file.
    """
    if len(data) < 8:  # noqa: PLR2004 - the format's 64-bit length field
        raise NeedMore(8)
    (length,) = struct.unpack_from("<Q", data)
    if length > SAFETENSORS_HEADER_MAX:
        raise ShapeError("no safetensors file: its header is too long")
    if len(data) < 8 + length:
        raise NeedMore(8 + length)
    header = parse_json(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return header


def parse_json(data: bytes) -> dict[str, t.Any]:
    """Read a JSON object.

    Raises:
        ShapeError: It is something else.
    """
    try:
        found = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ShapeError("no JSON") from None
    if not isinstance(found, dict):
        raise ShapeError("no JSON object")
    return found


class Weights(t.NamedTuple):
    size: int
    tensors: int
    parameters: int | None
    dtype: str


def _count(header: Mapping[str, t.Any]) -> list[tuple[str, int, int]]:
    """Type, bytes and numbers of each tensor."""
    found = []
    for name, entry in header.items():
        try:
            start, end = entry["data_offsets"]
            numbers = product(entry["shape"])
            dtype = entry["dtype"]
        except (TypeError, KeyError, ValueError):
            raise ShapeError(f"tensor {name} has no type, shape or place") from None
        if not (is_count(start) and is_count(end) and start <= end and isinstance(dtype, str)):
            raise ShapeError(f"tensor {name} has no type or place")
        found.append((_SAFETENSORS_TYPES.get(dtype, (dtype.lower(), 0))[0], end - start, numbers))
    return found


def _weigh(headers: Sequence[Mapping[str, t.Any]]) -> Weights:
    found = [tensor for header in headers for tensor in _count(header)]
    return total(found)


def total(found: Sequence[tuple[str, int, int]]) -> Weights:
    if not found:
        raise ShapeError("no tensors")
    by_type: dict[str, int] = {}
    for dtype, size, _numbers in found:
        by_type[dtype] = by_type.get(dtype, 0) + size
    most = max(by_type, key=lambda dtype: by_type[dtype])
    return Weights(sum(entry[1] for entry in found), len(found), sum(entry[2] for entry in found), most)


# ---- config.json


def shape_of_config(
    config: Mapping[str, t.Any],
    headers: Sequence[Mapping[str, t.Any]],
    weight_bytes: int | None = None,
    tensors: int = 0,
) -> Shape:
    """The shape of a model in safetensors files.

    Args:
        config: Its config.json.
        headers: The headers of all its files, as ``parse_safetensors_header`` gives them.
        weight_bytes: Bytes of all tensors, used without headers (``metadata.total_size`` of the index).
        tensors: How many there are, used without headers.

    Raises:
        ShapeError: Something is missing that the size depends on.
    """
    whole, config = config, _text_config(config)
    model_type = str(config.get("model_type") or "")
    config = {**_DEFAULTS.get(model_type, {}), **{key: value for key, value in config.items() if value is not None}}
    quantization, bits = _quantization(whole, config)
    weights = _config_weights(whole, config, headers, weight_bytes, tensors)
    if quantization and weights.dtype not in _FLOAT_BITS and weights.dtype != "fp8":
        # Several weights lie packed in one stored number.
        weights = weights._replace(parameters=None)
    if not quantization and weights.parameters:
        bits = weights.size * 8 / weights.parameters
    hidden, heads = _number(config, _HIDDEN), _number(config, _HEADS)
    encoder = _is_encoder(config, model_type)
    latent = bool(config.get("kv_lora_rank")) and model_type not in _UNFOLDED and not encoder
    layers = _layer_count(config)
    return Shape(
        weight_bytes=weights.size,
        tensors=weights.tensors,
        parameters=weights.parameters,
        dtype=weights.dtype,
        quantization=quantization,
        bits=bits,
        hidden_size=hidden,
        layers=layers,
        heads=heads,
        kv_heads=_kv_heads(config, heads),
        head_dim=_number(config, _HEAD_DIM, hidden // heads),
        intermediate_size=_first_number(config, _INTERMEDIATE),
        vocab_size=_first_number(config, _VOCAB),
        cache=() if encoder else _config_cache(config, model_type, layers, latent),
        latent=latent,
        max_context=_max_context(config, model_type),
        encoder=encoder,
    )


def _text_config(config: Mapping[str, t.Any]) -> Mapping[str, t.Any]:
    """The part that describes the language model: models that also see or hear nest it."""
    for name in ("text_config", "llm_config", "language_config", "thinker_config"):
        nested = config.get(name)
        if isinstance(nested, dict):
            return _text_config(nested)
    return config


def _config_weights(
    whole: Mapping[str, t.Any],
    config: Mapping[str, t.Any],
    headers: Sequence[Mapping[str, t.Any]],
    weight_bytes: int | None,
    tensors: int,
) -> Weights:
    if headers:
        return _weigh(headers)
    if weight_bytes is None or not is_count(weight_bytes) or weight_bytes == 0:
        raise ShapeError("neither headers nor the size of the weights")
    if _quantization(whole, config)[0]:
        return Weights(weight_bytes, tensors, None, "")
    places = (config, whole)
    dtype = next((str(place[key]) for place in places for key in ("dtype", "torch_dtype") if place.get(key)), "")
    dtype = dtype.rsplit(".", 1)[-1]
    size = _FLOAT_BITS.get(dtype)
    return Weights(weight_bytes, tensors, weight_bytes * 8 // size if size else None, dtype)


def _quantization(whole: Mapping[str, t.Any], config: Mapping[str, t.Any]) -> tuple[str, float | None]:
    """Method and bits of one weight: ``quantization_config``, or ``compression_config`` of older files."""
    for place in (whole, config):
        for name in ("quantization_config", "compression_config"):
            found = place.get(name)
            if isinstance(found, dict):
                method = str(found.get("quant_method") or "unknown").lower().replace("_tensors", "-tensors")
                return method, _bits(method, found)
    return "", None


def _bits(method: str, found: Mapping[str, t.Any]) -> float | None:
    for name in ("bits", "w_bit", "num_bits"):
        if is_count(found.get(name)) and found[name]:
            return float(found[name])
    for name, bits in (("load_in_4bit", 4.0), ("load_in_8bit", 8.0)):
        if found.get(name) is True:
            return bits
    groups = found.get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        weights = group.get("weights") if isinstance(group, dict) else None
        if isinstance(weights, dict) and is_count(weights.get("num_bits")):
            return float(weights["num_bits"])
    return _METHOD_BITS.get(method)


def _is_encoder(config: Mapping[str, t.Any], model_type: str) -> bool:
    if config.get("is_decoder") is True:
        return False
    # Gemma's embedding models are its decoders, read in both directions.
    both_ways = config.get("use_bidirectional_attention")
    return model_type in _ENCODERS or both_ways is True or both_ways == "all"


def _max_context(config: Mapping[str, t.Any], model_type: str) -> int | None:
    found = _first_number(config, _CONTEXT)
    if model_type in _OFFSET_POSITIONS and found > 2:  # noqa: PLR2004 - padding's place and the one before
        found -= 2
    return found or None


def _kv_heads(config: Mapping[str, t.Any], heads: int) -> int:
    # Falcon and GPT BigCode: one head for all, unless the newer layout gives a number.
    if config.get("multi_query") is True and not config.get("new_decoder_architecture"):
        return 1
    return _number(config, _KV_HEADS, heads)


def _layer_count(config: Mapping[str, t.Any]) -> int:
    pattern = config.get("hybrid_override_pattern")
    layers = len(pattern) if isinstance(pattern, str) and pattern else _number(config, _LAYERS)
    if layers > LAYERS_MAX:
        raise ShapeError(f"{layers} layers")
    return layers


def _config_cache(config: Mapping[str, t.Any], model_type: str, layers: int, latent: bool) -> tuple[LayerCache, ...]:
    if model_type in _RECURRENT:
        return ()
    kinds = _config_kinds(config, layers)
    # The last layers of Gemma 3n and 4 read what an earlier one cached.
    kinds = kinds[: max(0, layers - _first_number(config, ("num_kv_shared_layers",)))]
    window = _first_number(config, ("sliding_window", "attention_chunk_size")) or None
    if config.get("use_sliding_window") is False:
        window = None
    wide, narrow = _layer_values(config, model_type, latent)
    return tuple(
        LayerCache(narrow, window) if kind == _WINDOW else LayerCache(wide, None) for kind in kinds if kind != _NONE
    )


def _layer_values(config: Mapping[str, t.Any], model_type: str, latent: bool) -> tuple[int, int]:
    """Numbers that a token leaves in a layer that keeps all tokens, and in one with a window."""
    if latent:
        # The indexer of sparse attention (DeepSeek V3.2) keeps its keys beside the latent.
        names = ("kv_lora_rank", "qk_rope_head_dim", "index_head_dim")
        return (sum(_first_number(config, (name,)) for name in names),) * 2
    hidden, heads = _number(config, _HIDDEN), _number(config, _HEADS)
    kv_heads = _kv_heads(config, heads)
    if model_type in _UNFOLDED:
        return (2 * heads * (_number(config, ("qk_nope_head_dim",)) + _number(config, ("qk_rope_head_dim",))),) * 2
    head_dim = _number(config, _HEAD_DIM, hidden // heads)
    # Gemma 4 has other heads in the layers that keep all tokens.
    wide_dim = _number(config, ("global_head_dim",), head_dim)
    wide_heads = _number(config, ("num_global_key_value_heads",), kv_heads)
    return 2 * wide_heads * wide_dim, 2 * kv_heads * head_dim


def _config_kinds(config: Mapping[str, t.Any], layers: int) -> list[str]:
    """What each layer keeps, by the first rule that the config has a key for."""
    for name in ("layer_types", "layers_block_type"):
        listed = config.get(name)
        if isinstance(listed, list) and len(listed) >= layers:
            return [_KINDS.get(str(kind), _FULL) for kind in listed[:layers]]
    for rule in (_hybrid_kinds, _linear_kinds, _no_rope_kinds, _pattern_kinds):
        kinds = rule(config, layers)
        if kinds is not None:
            return kinds
    if not config.get("sliding_window"):
        return [_FULL] * layers
    # Qwen: the layers from this one on have the window; elsewhere all have it.
    first = _first_number(config, ("max_window_layers",))
    return _choose(layers, lambda layer: layer < first, _WINDOW)


def _choose(layers: int, full: Callable[[int], bool], other: str) -> list[str]:
    return [_FULL if full(layer) else other for layer in range(layers)]


def _hybrid_kinds(config: Mapping[str, t.Any], layers: int) -> list[str] | None:
    """Attention in some layers, a fixed state in the others, as the families of hybrids write it."""
    pattern = config.get("hybrid_override_pattern")
    if isinstance(pattern, str) and pattern:  # Nemotron-H
        return _choose(layers, lambda layer: pattern[layer] == "*", _NONE)
    period = _first_number(config, ("attn_layer_period",))
    if period:  # Jamba
        offset = _first_number(config, ("attn_layer_offset",))
        return _choose(layers, lambda layer: layer % period == offset, _NONE)
    for name in ("attn_layer_indices", "full_attn_idxs"):  # Bamba, LFM2
        listed = config.get(name)
        if isinstance(listed, list):
            return _choose(layers, lambda layer: layer in listed, _NONE)  # noqa: B023 - used before the next turn
    return None


def _linear_kinds(config: Mapping[str, t.Any], layers: int) -> list[str] | None:
    """Linear attention in most layers: Qwen3-Next by a period, Kimi Linear by a list that counts from 1."""
    interval = _first_number(config, ("full_attention_interval",))
    if interval:
        return _choose(layers, lambda layer: (layer + 1) % interval == 0, _NONE)
    linear = config.get("linear_attn_config")
    listed = linear.get("full_attn_layers") if isinstance(linear, dict) else None
    if isinstance(listed, list):
        return _choose(layers, lambda layer: layer + 1 in listed, _NONE)
    return None


def _no_rope_kinds(config: Mapping[str, t.Any], layers: int) -> list[str] | None:
    """Llama 4: layers without rotary positions (0) keep all tokens, the others a chunk."""
    listed = config.get("no_rope_layers")
    if config.get("attention_chunk_size") and isinstance(listed, list) and len(listed) >= layers:
        return _choose(layers, lambda layer: not listed[layer], _WINDOW)
    return None


def _pattern_kinds(config: Mapping[str, t.Any], layers: int) -> list[str] | None:
    """Every n-th layer keeps all tokens, the others a window; EXAONE 4 writes one letter for each layer."""
    if not (config.get("sliding_window") or config.get("attention_chunk_size")):
        return None
    pattern = config.get("sliding_window_pattern")
    if isinstance(pattern, str) and pattern:
        return _choose(layers, lambda layer: pattern[layer % len(pattern)] != "L", _WINDOW)
    period = _first_number(config, ("sliding_window_pattern",))
    return _choose(layers, lambda layer: (layer + 1) % period == 0, _WINDOW) if period else None


# ---- numbers from outside


def is_count(value: t.Any) -> bool:
    return isinstance(value, int) and 0 <= value <= _NUMBER_MAX


def product(dimensions: t.Any) -> int:
    found = 1
    for dimension in dimensions:
        if not is_count(dimension):
            raise ShapeError(f"a dimension of {dimension!r}")
        found *= dimension
    return found


def _number(config: Mapping[str, t.Any], names: Sequence[str], default: int = 0) -> int:
    """The first of these keys that holds a number above 0, else the default; never 0."""
    found = _first_number(config, names) or default
    if not found:
        raise ShapeError(f"{names[0]} is missing")
    return found


def _first_number(config: Mapping[str, t.Any], names: Sequence[str]) -> int:
    """The first of these keys that holds a number above 0, else 0; a list gives its largest (Gemma 3n's widths)."""
    for name in names:
        value = config.get(name)
        if isinstance(value, list) and value and all(is_count(entry) for entry in value):
            value = max(value)
        if is_count(value) and not isinstance(value, bool) and value:
            return int(t.cast("int", value))
    return 0
