# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a repository are fetched."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_select import TreeFile, licence_file, select
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, ModelSpec


def selected(
    paths: str, allow_pickle: bool = False, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()
) -> set[str]:
    spec = ModelSpec("x", "repo", "a/b", "0" * 40, allow_pickle=allow_pickle, include=include, exclude=exclude)
    return {entry.path for entry in select(spec, [TreeFile(path, 1) for path in paths.split()]).wanted}


@pytest.mark.parametrize(
    ("tree", "wanted"),
    [
        ("config.json model.safetensors", "config.json model.safetensors"),
        ("config.json model.safetensors pytorch_model.bin tf_model.h5", "config.json model.safetensors"),
        ("model.safetensors flax_model.msgpack rust_model.ot training_args.bin", "model.safetensors"),
        ("model.safetensors onnx/model.onnx onnx/model_O1.onnx openvino/openvino_model.bin", "model.safetensors"),
        ("config.json onnx/model.onnx onnx/model.onnx_data", "config.json onnx/model.onnx onnx/model.onnx_data"),
        ("model-1.safetensors consolidated.safetensors original/consolidated.00.pth", "model-1.safetensors"),
        ("consolidated.safetensors params.json", "consolidated.safetensors params.json"),
        ("model.gguf README.md", "model.gguf README.md"),
        ("model.safetensors 1_Pooling/config.json", "model.safetensors 1_Pooling/config.json"),
        ("model.safetensors optimizer.pt scheduler.pt rng_state_0.pth", "model.safetensors"),
    ],
)
def test_selection(tree: str, wanted: str) -> None:
    assert selected(tree) == set(wanted.split())


@pytest.mark.parametrize(
    ("tree", "wanted"),
    [
        ("pytorch_model.bin config.json", "pytorch_model.bin config.json"),
        ("model.safetensors pytorch_model.bin sparse_linear.pt", "model.safetensors sparse_linear.pt"),
    ],
)
def test_with_pickle_allowed(tree: str, wanted: str) -> None:
    assert selected(tree, allow_pickle=True) == set(wanted.split())


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ("config.json pytorch_model.bin", "has weights as pickle only (pytorch_model.bin), which run code"),
        ("model.safetensors 2_Dense/pytorch_model.bin", "pickle only (2_Dense/pytorch_model.bin)"),
        ("a.bin b.bin c.pt d.ckpt e.pkl", "(a.bin, b.bin, c.pt, and 2 more)"),
        ("README.md tokenizer.json", "serving_models['x'].repo: a/b has no weights"),
        ("tf_model.h5", "has no weights"),
    ],
)
def test_refused(tree: str, message: str) -> None:
    with pytest.raises(ModelError) as error:
        selected(tree)
    assert message in str(error.value)


ALL = "config.json model.safetensors fp16/model.safetensors onnx/model.onnx consolidated.safetensors README.md"


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        ("", "*.md fp16/*", "config.json model.safetensors"),
        ("", "README.md", "config.json model.safetensors fp16/model.safetensors"),
        # What is named comes, whatever is left out otherwise.
        ("onnx/* *.json", "", "config.json onnx/model.onnx"),
        ("*.SafeTensors", "", "model.safetensors fp16/model.safetensors consolidated.safetensors"),
        ("*.safetensors", "consolidated*", "model.safetensors fp16/model.safetensors"),
        ("fp16/*", "", "fp16/model.safetensors"),
        ("model.safetensors", "fp16/*", "model.safetensors"),
    ],
)
def test_patterns_choose(include: str, exclude: str, wanted: str) -> None:
    found = selected(ALL, include=tuple(include.split()), exclude=tuple(exclude.split()))
    assert found == set(wanted.split())


def test_patterns_tell_what_they_skip() -> None:
    spec = ModelSpec("x", "repo", "a/b", "0" * 40, exclude=("*.md", "fp16/*"))
    found = select(spec, [TreeFile(path, 1) for path in ALL.split()])
    assert set(found.skipped) == set(ALL.split()) - {"config.json", "model.safetensors"}


@pytest.mark.parametrize(
    ("include", "exclude", "message"),
    [
        (
            "*.json",
            "",
            "no weights (safetensors, GGUF, ONNX) at this revision among the files that include and exclude",
        ),
        ("", "*.safetensors *.onnx *.bin", "among the files that include and exclude leave"),
        ("*.bin", "", "has weights as pickle only (pytorch_model.bin)"),
    ],
)
def test_patterns_that_leave_no_model(include: str, exclude: str, message: str) -> None:
    with pytest.raises(ModelError) as error:
        selected(ALL + " pytorch_model.bin", include=tuple(include.split()), exclude=tuple(exclude.split()))
    assert message in str(error.value)


def test_pickle_that_is_named_and_allowed() -> None:
    found = selected(ALL + " pytorch_model.bin", allow_pickle=True, include=("*.bin",))
    assert found == {"pytorch_model.bin"}


def test_skipped_paths_are_told() -> None:
    spec = ModelSpec("x", "repo", "a/b", "0" * 40)
    found = select(spec, [TreeFile("model.safetensors", 5), TreeFile("pytorch_model.bin", 7)])
    assert (found.skipped, found.size) == (("pytorch_model.bin",), 5)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["README.md", "LICENSE"], "LICENSE"),
        (["licence.txt"], "licence.txt"),
        (["LICENSE-MIT", "x"], "LICENSE-MIT"),
        (["sub/LICENSE", "licenses.py"], ""),
    ],
)
def test_licence(paths: list[str], expected: str) -> None:
    assert licence_file(paths) == expected
