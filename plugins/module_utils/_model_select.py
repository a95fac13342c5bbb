# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a repository a server needs: pure rules over the list of its tree."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, ModelSpec, is_pickle

if TYPE_CHECKING:
    from collections.abc import Sequence

SAFE_SUFFIXES = (".safetensors", ".gguf")
_ONNX_SUFFIXES = (".onnx", ".onnx_data")

# Weights of frameworks that no engine here loads (path patterns, matched against path and base name).
OTHER_FRAMEWORKS = (
    "*.h5",
    "*.msgpack",
    "*.ot",
    "*.tflite",
    "tf_model*",
    "flax_model*",
    "openvino/*",
    "openvino_*",
    "*.mlmodel",
    "*.mlpackage/*",
    "coreml/*",
)
# Files of a training run; most are pickles and none is needed to serve.
TRAINING_LEFTOVERS = ("training_args.bin", "optimizer.*", "scheduler.*", "rng_state*", "scaler.pt")
# Second copies of weights that the tree also holds as model*.safetensors.
DUPLICATES = ("consolidated*", "original/*")
_TORCH_DUPLICATES = ("pytorch_model*",)


@dataclass(frozen=True)
class TreeFile:
    """One file of a repository's tree.

    Attributes:
        path: Its path inside the repository.
        size: Bytes of its content (of the LFS object, not of its pointer).
        blob: Its git object id, empty when not known.
        oid: sha256 of the LFS object, empty when the content lies in git itself.
    """

    path: str
    size: int
    blob: str = ""
    oid: str = ""


@dataclass(frozen=True)
class Selection:
    """The files to fetch, and the paths left out."""

    wanted: tuple[TreeFile, ...]
    skipped: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of the wanted files."""
        return sum(entry.size for entry in self.wanted)


def select(spec: ModelSpec, tree: Sequence[TreeFile]) -> Selection:
    """Choose the files of a repository that serve a model.

    Args:
        spec: The wanted model; says whether pickle is allowed. What its ``include`` names is taken as it is; without
            one second copies, other frameworks and leftovers of training stay away.
        tree: All files at the pinned commit.

    Raises:
        ModelError: The weights are there as pickle only, or there are none.
    """
    tree_skipped = [entry.path for entry in tree if not _chosen(spec, entry.path)]
    left_out = set(tree_skipped)
    tree = [entry for entry in tree if entry.path not in left_out]
    safe_folders = {posixpath.dirname(entry.path) for entry in tree if _safe(entry.path)}
    wanted: list[TreeFile] = []
    skipped: list[str] = tree_skipped
    refused: list[str] = []
    for entry in tree:
        beside = posixpath.dirname(entry.path) in safe_folders
        if not spec.include and _skip(entry.path, bool(safe_folders), beside, spec.allow_pickle):
            skipped.append(entry.path)
        elif is_pickle(entry.path) and not spec.allow_pickle:
            refused.append(entry.path)
        else:
            wanted.append(entry)
    if refused:
        raise ModelError(
            spec.var("revision"),
            f"{spec.repo} has weights as pickle only ({_some(refused)}), which run code when they are "
            "loaded; choose a revision or a repository with safetensors, or set "
            f"{spec.var('allow_pickle')}: true if you trust its author",
        )
    weights = (*SAFE_SUFFIXES, *_ONNX_SUFFIXES)
    if not any(entry.path.lower().endswith(weights) or is_pickle(entry.path) for entry in wanted):
        raise ModelError(
            spec.var("repo"),
            f"{spec.repo} has no weights (safetensors, GGUF, ONNX) at this revision"
            + (" among the files that include and exclude leave" if tree_skipped else "")
            + "; check repo and revision",
        )
    return Selection(tuple(wanted), tuple(skipped))


def _chosen(spec: ModelSpec, path: str) -> bool:
    """Whether the model's own patterns let a file through."""
    if spec.include and not _matches(path, [pattern.lower() for pattern in spec.include]):
        return False
    return not _matches(path, [pattern.lower() for pattern in spec.exclude])


def _skip(path: str, has_safe: bool, beside_safe: bool, allow_pickle: bool) -> bool:
    if _matches(path, OTHER_FRAMEWORKS) or _matches(path, TRAINING_LEFTOVERS):
        return True
    if has_safe and (_is_onnx(path) or path.startswith("onnx/")):
        return True
    if _matches(path, DUPLICATES):
        return has_safe
    if beside_safe and is_pickle(path):
        # With pickle allowed, small extra heads (sparse_linear.pt) stay; the second copy of the weights goes.
        return not allow_pickle or _matches(path, _TORCH_DUPLICATES)
    return False


def _safe(path: str) -> bool:
    """Whether the file holds the model's own weights in a safe format (a second copy does not count)."""
    return path.lower().endswith(SAFE_SUFFIXES) and not _matches(path, DUPLICATES)


def _is_onnx(path: str) -> bool:
    return path.lower().endswith(_ONNX_SUFFIXES)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    lower = path.lower()
    return any(fnmatchcase(lower, pattern) or fnmatchcase(posixpath.basename(lower), pattern) for pattern in patterns)


def _some(paths: Sequence[str], limit: int = 3) -> str:
    more = f", and {len(paths) - limit} more" if len(paths) > limit else ""
    return ", ".join(paths[:limit]) + more


def licence_file(paths: Sequence[str]) -> str:
    """The licence's path at the top of the tree, empty when there is none."""
    for path in sorted(paths):
        if re.match(r"(un)?licen[sc]e([._-].*)?\Z|copying([._-].*)?\Z|notice([._-].*)?\Z", path, re.IGNORECASE):
            return path
    return ""
