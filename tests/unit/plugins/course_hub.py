# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The models of the course on a hub that has nothing of them but what is read to size them: configurations and headers.

Shapes are those of the real repositories; the tensors of a header add up to the real number of parameters, which each
model's page tells.
"""

from __future__ import annotations

import json
import math
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.unit.plugins.fake_hub import FakeHub

_BYTES = {"BF16": 2, "F16": 2, "F32": 4, "I32": 4}
Tensors = dict[str, tuple[str, tuple[int, ...]]]

QWEN2 = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864,
    "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "max_position_embeddings": 32768,
    "sliding_window": 32768, "use_sliding_window": False, "max_window_layers": 24, "vocab_size": 151936,
    "tie_word_embeddings": True, "torch_dtype": "bfloat16",
}  # fmt: skip
QWEN2_AWQ = QWEN2 | {
    "torch_dtype": "float16",
    "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True},
}
XLM_ROBERTA = {
    "architectures": ["XLMRobertaModel"], "model_type": "xlm-roberta", "hidden_size": 1024, "intermediate_size": 4096,
    "num_hidden_layers": 24, "num_attention_heads": 16, "max_position_embeddings": 8194, "torch_dtype": "float32",
}  # fmt: skip
DISTILBERT = {
    "architectures": ["DistilBertForSequenceClassification"], "model_type": "distilbert", "dim": 768,
    "hidden_dim": 3072, "n_layers": 6, "n_heads": 12, "max_position_embeddings": 512, "vocab_size": 30522,
}  # fmt: skip


def _qwen2(quantised: bool = False) -> Tensors:
    tensors: Tensors = {"model.embed_tokens.weight": ("F16" if quantised else "BF16", (151936, 896))}
    for layer in range(24):
        for name, (rows, columns, biased) in {
            "q": (896, 896, True), "k": (128, 896, True), "v": (128, 896, True), "o": (896, 896, False),
            "gate": (4864, 896, False), "up": (4864, 896, False), "down": (896, 4864, False),
        }.items():  # fmt: skip
            place = f"model.layers.{layer}.{name}_proj"
            if quantised:
                # AWQ: eight weights of 4 bits in one int32, a scale and a zero for each 128 of them.
                tensors[f"{place}.qweight"] = ("I32", (columns, rows // 8))
                tensors[f"{place}.qzeros"] = ("I32", (columns // 128, rows // 8))
                tensors[f"{place}.scales"] = ("F16", (columns // 128, rows))
            else:
                tensors[f"{place}.weight"] = ("BF16", (rows, columns))
            if biased:
                tensors[f"{place}.bias"] = ("F16" if quantised else "BF16", (rows,))
        for norm in ("input", "post_attention"):
            tensors[f"model.layers.{layer}.{norm}_layernorm.weight"] = ("F16" if quantised else "BF16", (896,))
    tensors["model.norm.weight"] = ("F16" if quantised else "BF16", (896,))
    return tensors


def _bert(vocabulary: int, hidden: int, inner: int, layers: int, positions: int) -> Tensors:
    """A BERT's matrices and biases; its norms are a thousandth of them."""
    tensors: Tensors = {
        "embeddings.word": ("F32", (vocabulary, hidden)),
        "embeddings.position": ("F32", (positions, hidden)),
    }
    for layer in range(layers):
        for name in "qkvo":
            tensors[f"{layer}.{name}"] = ("F32", (hidden, hidden))
        tensors |= {f"{layer}.in": ("F32", (inner, hidden)), f"{layer}.out": ("F32", (hidden, inner))}
        tensors[f"{layer}.biases"] = ("F32", (4 * hidden + inner + hidden,))
    return tensors


def header(tensors: Tensors) -> bytes:
    """The beginning of a safetensors file, up to where its weights begin."""
    entries: dict[str, Any] = {}
    offset = 0
    for name, (kind, shape) in tensors.items():
        end = offset + math.prod(shape) * _BYTES[kind]
        entries[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def size_of(tensors: Tensors) -> int:
    """Bytes of the weights."""
    return sum(math.prod(shape) * _BYTES[kind] for kind, shape in tensors.values())


def _text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def gguf_qwen25() -> bytes:
    """The beginning of qwen2.5-0.5b-instruct-q4_k_m.gguf, its tensors summed up in four of the types it has."""
    numbers = {
        b"block_count": 24, b"context_length": 32768, b"embedding_length": 896, b"feed_forward_length": 4864,
        b"attention.head_count": 14, b"attention.head_count_kv": 2,
    }  # fmt: skip
    # GGML's numbers of types: Q5_0 is 6, Q8_0 is 8, Q4_K is 12, F32 is 0. Rows of 896 are no multiple of 256, so most
    # of this model is Q5_0 in place of Q4_K.
    tensors: dict[bytes, tuple[int, tuple[int, ...]]] = {
        b"token_embd.weight": (8, (896, 151936)),
        b"blk.q5_0": (6, (896, 24 * (2 * 896 + 2 * 128 + 2 * 4864) - 24 * 512)),
        b"blk.q4_k": (12, (4864, 24 * 896)),
        b"norms": (0, (896, 49)),
    }
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(numbers) + 2)
    head += _text(b"general.architecture") + struct.pack("<I", 8) + _text(b"qwen2")
    for name, value in numbers.items():
        head += _text(b"qwen2." + name) + struct.pack("<II", 4, value)
    head += _text(b"tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 3) + _text(b"a") + _text(b"b") + _text(b"c")
    for name, (kind, shape) in tensors.items():
        head += _text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        head += struct.pack("<IQ", kind, 0)
    return head


#: By repository, the files that size it.
REPOSITORIES: dict[str, Mapping[str, bytes]] = {
    "Qwen/Qwen2-0.5B-Instruct": {"config.json": json.dumps(QWEN2).encode(), "model.safetensors": header(_qwen2())},
    "Qwen/Qwen2-0.5B-Instruct-AWQ": {
        "config.json": json.dumps(QWEN2_AWQ).encode(),
        "model.safetensors": header(_qwen2(quantised=True)),
    },
    "Qwen/Qwen2.5-0.5B-Instruct-GGUF": {"qwen2.5-0.5b-instruct-q4_k_m.gguf": gguf_qwen25()},
    # bge-m3 with a smaller vocabulary.
    "deepvk/USER-bge-m3": {
        "config.json": json.dumps(XLM_ROBERTA | {"vocab_size": 46166}).encode(),
        "model.safetensors": header(_bert(46166, 1024, 4096, 24, 8194)),
    },
    "BAAI/bge-reranker-v2-m3": {
        "config.json": json.dumps(XLM_ROBERTA | {"vocab_size": 250002}).encode(),
        "model.safetensors": header(_bert(250002, 1024, 4096, 24, 8194)),
    },
    "distilbert/distilbert-base-uncased-finetuned-sst-2-english": {
        "config.json": json.dumps(DISTILBERT).encode(),
        "model.safetensors": header(_bert(30522, 768, 3072, 6, 512)),
    },
}
#: Parameters as the models' pages tell them.
PARAMETERS = {
    "Qwen/Qwen2-0.5B-Instruct": 494_032_768,
    "deepvk/USER-bge-m3": 359_026_688,
    "BAAI/bge-reranker-v2-m3": 567_755_777,
    "distilbert/distilbert-base-uncased-finetuned-sst-2-english": 66_955_010,
}


def offer(hub: FakeHub, models: Mapping[str, Mapping[str, str]]) -> None:
    """Offer the models of an inventory at the commits that it pins."""
    for model in models.values():
        repo, revision = model["repo"], model["revision"]
        files = REPOSITORIES[repo]
        for path, data in files.items():
            hub.add_file(repo, revision, path, data, lfs=not path.endswith(".json"))
        siblings = [{"rfilename": path, "size": len(data)} for path, data in files.items()]
        hub.answers[f"/api/models/{repo}/revision/{revision}?blobs=true"] = {"sha": revision, "siblings": siblings}
        hub.answers[f"/api/models/{repo}/revision/{revision}"] = {"sha": revision, "siblings": siblings}
