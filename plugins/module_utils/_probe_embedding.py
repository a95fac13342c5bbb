# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedding probe: are the vectors whole, finite, the same alone and in a batch, and do they carry meaning."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._probe import (
    Context,
    Probe,
    in_order,
    is_number,
    own_routes,
    shape_error,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.module_utils._http import Answer

_PATH = "/embeddings"
_FLOAT32 = 4
# Elements that differ by less are the same number in every precision an engine computes in.
_SPREAD = 1e-6
_SHOWN = 4


def cosine(left: Sequence[float], right: Sequence[float]) -> float:
    """Cosine of the angle between two vectors of one length, from -1 to 1; 0 if one of them is zero."""
    product = math.fsum(left[index] * right[index] for index in range(len(left)))
    norms = math.sqrt(math.fsum(x * x for x in left)) * math.sqrt(math.fsum(x * x for x in right))
    return product / norms if norms else 0.0


def run(context: Context) -> None:
    """Embeds three texts at once and one alone, and judges the vectors."""
    report, options = context.report, context.options
    texts = [options["text"], options["near"], options["far"]]
    report.stage = "answer"
    answer = _ask(context, texts)
    report.latency = answer.seconds
    report.raw = answer.body
    vectors = _vectors(answer)
    report.add("answer", True, f"POST {answer.url} in {answer.seconds * 1000:.0f} ms")
    report.demand(
        "count",
        vectors is not None and len(vectors) == len(texts),
        f"{0 if vectors is None else len(vectors)} vectors, indexed from 0, for {len(texts)} texts",
        "the engine or a proxy loses or mixes inputs of a batch: update it",
    )
    vectors = vectors or []
    sizes = [len(vector) for vector in vectors]
    remedy = "vectors of unequal length cannot be compared: see whether the engine pools (llama.cpp: --pooling mean)"
    report.demand("equal_dimension", len(set(sizes)) == 1 and sizes[0] > 0, f"dimensions {sizes}", remedy)
    report.sample = "{} dimensions: {}".format(sizes[0], ", ".join(_shown(x) for x in vectors[0][:_SHOWN]))
    if options["dimension"] is not None:
        detail = "{}, expected {}".format(sizes[0], options["dimension"])
        report.add("dimension", sizes[0] == options["dimension"], detail, "correct dimension, or serve the right model")
    context.check_model(answer.body, required=False)
    _check_numbers(context, vectors)
    _check_single(context, texts, vectors)
    if options["semantic"]:
        near, far = cosine(vectors[0], vectors[1]), cosine(vectors[0], vectors[2])
        report.add(
            "semantic",
            near > far,
            f"cosine {near:.3f} to the near text, {far:.3f} to the far one",
            "the vectors carry no meaning: check the weights, the pooling method and that this is an embedding model, "
            "or set semantic to false for an untrained one",
        )


def _check_numbers(context: Context, vectors: Sequence[Sequence[Any]]) -> None:
    """Finite and not constant; without these no comparison means anything."""
    bad = sum(1 for vector in vectors for x in vector if not is_number(x))
    context.report.demand(
        "finite",
        bad == 0,
        f"{bad} elements are NaN, infinite or no numbers" if bad else "all elements are finite",
        "the model overflows: serve it in another dtype (float32 or bfloat16 instead of float16)",
    )
    # A vector of one element can only be constant.
    flat = [index for index, vector in enumerate(vectors) if len(vector) > 1 and max(vector) - min(vector) < _SPREAD]
    same = all(_distance(vectors[0], vector) < _SPREAD for vector in vectors[1:])
    detail = "the vectors vary"
    if flat:
        detail = f"all elements of vector {flat[0]} are {vectors[flat[0]][0]:g}"
    elif same:
        detail = "different texts have the same vector"
    remedy = "the model computes nothing: check that its weights are complete and the tokenizer belongs to it"
    context.report.demand("not_constant", not flat and not same, detail, remedy)


def _distance(left: Sequence[float], right: Sequence[float]) -> float:
    return max(abs(left[index] - right[index]) for index in range(len(left)))


def _check_single(context: Context, texts: Sequence[str], vectors: Sequence[Sequence[float]]) -> None:
    """The shortest text alone: in a batch it is the one that gets padding, where mistakes show."""
    report, tolerance = context.report, context.options["tolerance"]
    report.stage = "batch_equals_single"
    index = min(range(len(texts)), key=lambda number: len(texts[number]))
    alone = _vectors(_ask(context, texts[index])) or []
    if len(alone) != 1 or len(alone[0]) != len(vectors[index]) or not all(is_number(x) for x in alone[0]):
        same, detail = False, f"the text alone gives {len(alone)} vectors, or one of another dimension"
    else:
        likeness = cosine(alone[0], vectors[index])
        same, detail = likeness >= 1 - tolerance, f"cosine {likeness:.5f} between alone and in a batch"
    remedy = "the result depends on the other texts of a batch, a fault of padding or pooling: update the engine, or "
    remedy += "raise tolerance if the precision it computes in explains it"
    report.add("batch_equals_single", same, detail, remedy)


def _ask(context: Context, texts: Any) -> Answer:
    payload = {"input": texts}
    if context.options["encoding_format"]:
        payload["encoding_format"] = context.options["encoding_format"]
    return context.post(own_routes(context.endpoint, _PATH), payload)


def _vectors(answer: Answer) -> list[list[Any]] | None:
    """The vectors in the order of the inputs; None if their indices are wrong.

    Source: OpenAI's form `{"data": [{"index", "embedding"}]}`, floats or base64 of little-endian float32; llama.cpp's
    own route and TEI's send a bare list, the former with each vector in a list of its own.

    Raises:
        HttpError: It is none of these.
    """
    body = answer.body
    entries = body.get("data") if isinstance(body, dict) else body
    if not isinstance(entries, list) or not entries:
        raise shape_error(answer, "list `data` of embeddings")
    ordered = in_order(entries)
    if ordered is None:
        return None
    vectors = [_vector(entry) for entry in ordered]
    if any(vector is None for vector in vectors):
        raise shape_error(answer, "vector in each entry of `data`")
    return [vector for vector in vectors if vector is not None]


def _vector(entry: Any) -> list[Any] | None:
    vector = entry.get("embedding") if isinstance(entry, dict) else entry
    if isinstance(vector, str):
        return _decoded(vector)
    if isinstance(vector, list) and len(vector) == 1 and isinstance(vector[0], list):
        vector = vector[0]
    return vector if isinstance(vector, list) else None


def _decoded(text: str) -> list[Any] | None:
    try:
        data = base64.b64decode(text, validate=True)
        return list(struct.unpack(f"<{len(data) // _FLOAT32}f", data))
    except (binascii.Error, struct.error):
        return None


def _shown(value: Any) -> str:
    return f"{value:.4f}" if is_number(value) else str(value)


def check(options: Mapping[str, Any]) -> list[str]:
    """Problems of the options beyond their types."""
    problems = [f"{name} is empty: give a text" for name in ("text", "near", "far") if not options[name].strip()]
    if options["dimension"] is not None and options["dimension"] < 1:
        problems.append("dimension is {}: it must be at least 1".format(options["dimension"]))
    if not 0 <= options["tolerance"] < 1:
        problems.append("tolerance is {}: it must be from 0 to below 1".format(options["tolerance"]))
    return problems


PROBE = Probe(
    name="embedding",
    capability="embed",
    options={
        "text": {"type": "str", "default": "A cat sits on the mat."},
        "near": {"type": "str", "default": "A kitten is resting on a rug."},
        "far": {"type": "str", "default": "The stock market fell sharply today."},
        "dimension": {"type": "int"},
        "semantic": {"type": "bool", "default": True},
        "tolerance": {"type": "float", "default": 0.01},
        "encoding_format": {"type": "str", "choices": ["float", "base64"]},
    },
    check=check,
    run=run,
)
