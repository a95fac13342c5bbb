# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked and answered over HTTP, and the rules that hub and registry share."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


@dataclass(frozen=True)
class Request:
    """A request.

    Attributes:
        method: Such as `GET`.
        path: Its path, decoded.
        query: Its query, as it came.
        headers: Its headers, names in lower case.
        body: Its body.
        base: Address of this server as the client knows it, without a path.
        client: The client's address.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    base: str = ""
    client: str = ""


@dataclass(frozen=True)
class FileBody:
    """A file to send: where it is, and how people call it."""

    path: Path
    size: int
    label: str


@dataclass(frozen=True)
class Program:
    """A program of the common gateway interface (RFC 3875) to answer: its words, its environment."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    label: str


@dataclass(frozen=True)
class Answer:
    """An answer: status, headers, and what to send."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | FileBody | Program = b""


class Span(NamedTuple):
    """Bytes of a file: the first one, and the one behind the last."""

    start: int
    end: int


def json_answer(content: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with JSON."""
    told = {"Content-Type": "application/json", **(headers or {})}
    return Answer(status, told, json.dumps(content).encode())


def span_of(request: Request, size: int, etag: str) -> Span | None:
    """Tell which bytes of a file a request wants (RFC 9110, section 14).

    Args:
        request: The request.
        size: Bytes of the file.
        etag: Its ETag.

    Returns:
        The bytes; None where it wants the whole, or something that is answered by the whole.

    Raises:
        ValueError: There are no such bytes.
    """
    match = _RANGE.match(request.headers.get("range", ""))
    if match is None or match.groups() == ("", "") or request.headers.get("if-range", etag) != etag:
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
        # The last no bytes are none.
        start = size if not int(last) else start
    else:
        start, end = int(first), min(int(last) + 1 if last else size, size)
        if last and int(last) < int(first):
            return None
    if start >= size:
        raise ValueError(f"bytes */{size}")
    return Span(start, end)
