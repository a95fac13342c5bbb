# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are not what their names say."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_check import (
    Pointer,
    check_file,
    check_head,
    parse_pointer,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from tests.unit.plugins.fake_hub import gguf, pointer, safetensors, sha256

if TYPE_CHECKING:
    from pathlib import Path

POINTER = pointer(b"weights")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.gguf", gguf()),
        ("x.safetensors", safetensors()),
        ("x.safetensors", struct.pack("<Q", 2) + b"{}"),
        ("README.md", b"<html>"),
        ("config.json", b""),
        ("x.gguf", gguf() + b"padding"),
    ],
)
def test_good(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    check_file(tmp_path / name, name, "v")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.gguf", POINTER, "x.gguf is a git-LFS pointer, not the weights"),
        ("x.safetensors", POINTER, "is a git-LFS pointer"),
        ("x.gguf", b"\n<!DOCTYPE html><html>sign in", "is an HTML page"),
        ("x.safetensors", b"<HTML><body>", "is an HTML page"),
        ("x.gguf", b"", "is empty"),
        ("x.gguf", b"GGML" + gguf()[4:], "is no GGUF file: it begins with b'GGML'"),
        ("x.gguf", b"GGUF" + struct.pack("<I", 99) + gguf()[8:], "version 2 or 3 expected, found 99"),
        ("x.gguf", gguf()[:-1], "is truncated: it has"),
        ("x.gguf", gguf()[:60], "is truncated: its 60 bytes end inside the GGUF header"),
        ("x.gguf", gguf()[:24] + struct.pack("<Q", 1 << 60), "end inside the GGUF header"),
        ("x.safetensors", safetensors()[:-1], "is truncated: it has"),
        ("x.safetensors", safetensors()[:20], "is truncated"),
        ("x.safetensors", b"abc", "is truncated"),
        ("x.safetensors", struct.pack("<Q", 4) + b"[1,2", "its header does not parse"),
        ("x.safetensors", struct.pack("<Q", 1 << 62) + b"zzzz", "its header does not parse"),
        ("x.safetensors", struct.pack("<Q", 2) + b"[]", "its header does not parse"),
    ],
)
def test_bad(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelError, match="serving_models") as error:
        check_file(tmp_path / name, name, "serving_models['x'].file")
    assert message in str(error.value)


def test_head_alone_tells_a_pointer() -> None:
    with pytest.raises(ModelError, match="git-LFS pointer"):
        check_head("a/model.safetensors", POINTER, "v")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (POINTER, Pointer(sha256(b"weights"), 7)),
        (POINTER.replace(b"oid", b"ext-0-foo sha256:" + b"0" * 64 + b"\noid"), Pointer(sha256(b"weights"), 7)),
        (POINTER + b"x" * 2000, None),
        (b"version https://git-lfs.github.com/spec/v1\noid md5:1\nsize 1\n", None),
        (b'{"a": 1}', None),
        (b"", None),
    ],
)
def test_pointer(data: bytes, expected: Pointer | None) -> None:
    assert parse_pointer(data) == expected
