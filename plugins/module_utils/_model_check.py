# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a file what its name says? Cheap checks of a model file's format, each with its own message."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._ggml import GGML_TYPES
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError

if TYPE_CHECKING:
    from pathlib import Path

# Bytes of a file's head that check_head wants.
HEAD = 1024
WEIGHT_SUFFIXES = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".onnx")
POINTER_MAX = 1024

_POINTER_START = b"version https://git-lfs.github.com/spec/"
_POINTER_OID = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_POINTER_SIZE = re.compile(rb"^size (\d+)$", re.MULTILINE)
_SAFETENSORS_HEADER_MAX = 100_000_000  # the limit of the format's own reader (safetensors/src/tensor.rs)

# ggml/docs/gguf.md: value type -> bytes; 8 is a string, 9 an array.
_GGUF_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_GGUF_UINT32, _GGUF_STRING, _GGUF_ARRAY = 4, 8, 9
_GGUF_VERSIONS = (2, 3)
_GGUF_NESTING_MAX = 8
_GGUF_ALIGNMENT = 32


class _EndOfFileError(Exception):
    """The file ends inside its own header."""


class _UnknownFormatError(Exception):
    """The header has something that no version of the format that is known here has."""

    def __init__(self, what: str, value: int) -> None:
        super().__init__(f"{what} {value}")


@dataclass(frozen=True)
class Pointer:
    """What a git-LFS pointer file says: the object's sha256 and its size in bytes."""

    oid: str
    size: int


def parse_pointer(data: bytes) -> Pointer | None:
    """Read a git-LFS pointer, None when the bytes are something else.

    Source: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
    """
    if len(data) > POINTER_MAX or not data.startswith(_POINTER_START):
        return None
    oid, size = _POINTER_OID.search(data), _POINTER_SIZE.search(data)
    return Pointer(oid.group(1).decode(), int(size.group(1))) if oid and size else None


def check_head(path: str, head: bytes, variable: str) -> None:
    """Refuse a weight file by its first bytes.

    Args:
        path: The file's name, for its suffix and for messages.
        head: Its first ``HEAD`` bytes, or all when it is shorter.
        variable: The inventory variable that messages name.

    Raises:
        ModelError: git-LFS pointer, HTML page, empty file, or not the magic of GGUF.
    """
    if not path.lower().endswith(WEIGHT_SUFFIXES):
        return
    if not head:
        raise ModelError(variable, f"{path} is empty; check the hub's copy")
    if head.startswith(_POINTER_START):
        raise ModelError(
            variable,
            f"{path} is a git-LFS pointer, not the weights: this hub serves the repository without its "
            "LFS objects; upload them there (git lfs push --all) or set serving_hub_url to a hub that "
            "has them",
        )
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:14].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise ModelError(
            variable,
            f"{path} is an HTML page, not the weights: a login, a proxy or an error page answered; check "
            "the address, and serving_hub_token for a gated repository",
        )
    if path.lower().endswith(".gguf") and not head.startswith(b"GGUF"):
        raise ModelError(
            variable, f"{path} is no GGUF file: it begins with {head[:4]!r} instead of b'GGUF'; name a GGUF file"
        )


def check_file(file: Path, path: str, variable: str) -> None:
    """Refuse a file on disk that is not whole or not of its format.

    Args:
        file: The file.
        path: Its name for messages.
        variable: The inventory variable that messages name.

    Raises:
        ModelError: As ``check_head``, and truncated safetensors and GGUF files.
    """
    with file.open("rb") as stream:
        check_head(path, stream.read(HEAD), variable)
        stream.seek(0)
        size = file.stat().st_size
        if path.lower().endswith(".safetensors"):
            _check_safetensors(stream, size, path, variable)
        elif path.lower().endswith(".gguf"):
            _check_gguf(stream, size, path, variable)


def _truncated(path: str, variable: str, seen: int, wanted: int) -> ModelError:
    return ModelError(
        variable,
        f"{path} is truncated: it has {seen} bytes and its header speaks of {wanted}; the hub's copy "
        "is damaged, upload it again or pin another revision",
    )


def _check_safetensors(stream: IO[bytes], size: int, path: str, variable: str) -> None:
    """Check length, JSON and data range of the header: https://huggingface.co/docs/safetensors#format."""
    broken = ModelError(variable, f"{path} is no safetensors file: its header does not parse; name another file")
    prefix = stream.read(8)
    if len(prefix) < 8:  # noqa: PLR2004 - the format's 64-bit length field
        raise _truncated(path, variable, size, 8)
    (length,) = struct.unpack("<Q", prefix)
    if length > _SAFETENSORS_HEADER_MAX:
        raise broken
    if length > size - 8:
        raise _truncated(path, variable, size, 8 + length)
    try:
        header = json.loads(stream.read(length).decode("utf-8"))
        end = max([0] + [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise broken from None
    if 8 + length + end > size:
        raise _truncated(path, variable, size, 8 + length + end)


def _check_gguf(stream: IO[bytes], size: int, path: str, variable: str) -> None:
    """Walk the header and see that each tensor's data lies inside the file."""
    try:
        end = _gguf_end(stream, size)
    except _EndOfFileError:
        raise ModelError(
            variable,
            f"{path} is truncated: its {size} bytes end inside the GGUF header; the hub's copy is "
            "damaged, upload it again or pin another revision",
        ) from None
    except _UnknownFormatError as error:
        raise ModelError(variable, f"{path} is no GGUF file that llama.cpp reads: {error}; name another file") from None
    if end > size:
        raise _truncated(path, variable, size, end)


def _gguf_end(stream: IO[bytes], size: int) -> int:
    reader = _Reader(stream, size)
    reader.take(4)
    version = reader.number("<I")
    if version not in _GGUF_VERSIONS:
        raise _UnknownFormatError("version 2 or 3 expected, found", version)
    tensors, pairs = reader.number("<Q"), reader.number("<Q")
    alignment = _GGUF_ALIGNMENT
    for _pair in range(pairs):
        key = reader.string()
        kind = reader.number("<I")
        if key == b"general.alignment" and kind == _GGUF_UINT32:
            alignment = reader.number("<I") or _GGUF_ALIGNMENT
        else:
            reader.skip_value(kind)
    ends = [0]
    for _tensor in range(tensors):
        reader.string()
        count = 1
        for _dimension in range(reader.number("<I")):
            count *= reader.number("<Q")
        # The formats grow with llama.cpp; of a file with one that is unknown here only the start is checked.
        known = GGML_TYPES.get(reader.number("<I"))
        offset = reader.number("<Q")
        ends.append(offset + (count // known[1] * known[2] if known else 0))
    start = (reader.position + alignment - 1) // alignment * alignment
    return start + max(ends)


class _Reader:
    """Reads a GGUF header forwards, never past the file's end."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self.stream = stream
        self.size = size
        self.position = 0

    def take(self, count: int) -> bytes:
        if count > self.size - self.position:
            raise _EndOfFileError
        self.position += count
        return self.stream.read(count)

    def skip(self, count: int) -> None:
        if count > self.size - self.position:
            raise _EndOfFileError
        self.position += count
        self.stream.seek(self.position)

    def number(self, layout: str) -> int:
        value: Any = struct.unpack(layout, self.take(struct.calcsize(layout)))[0]
        return int(value)

    def string(self) -> bytes:
        return self.take(self.number("<Q"))

    def skip_value(self, kind: int, depth: int = 0) -> None:
        if kind in _GGUF_SCALARS:
            self.skip(_GGUF_SCALARS[kind])
        elif kind == _GGUF_STRING:
            self.skip(self.number("<Q"))
        elif kind == _GGUF_ARRAY and depth < _GGUF_NESTING_MAX:
            inner, count = self.number("<I"), self.number("<Q")
            if inner in _GGUF_SCALARS:
                self.skip(_GGUF_SCALARS[inner] * count)
            else:
                for _item in range(count):
                    self.skip_value(inner, depth + 1)
        else:
            raise _UnknownFormatError("unknown value type", kind)
