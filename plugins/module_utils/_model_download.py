# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file to fetch is, and what is known of it when it is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.module_utils._model_http import NO_AUTH, Auth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Download:
    """A file to fetch.

    Attributes:
        label: How messages call it, such as ``tiny.gguf``.
        variable: The inventory variable to name in messages.
        link: Gives address and headers; asked again when an address expires.
        handed_out: Whether the hub handed the address out (an LFS object's): a refusal there is not the hub's own, and
            the object's name is its sha256, so another ETag is no other content.
        auth: Credential for its own origin.
        size: Bytes, None when unknown.
        sha256: Expected digest, empty when unknown.
        on_bytes: Told the count of bytes of each piece that arrives (negative when some are thrown away).
    """

    label: str
    variable: str
    link: Callable[[], tuple[str, Mapping[str, str]]]
    handed_out: bool = False
    auth: Auth = NO_AUTH
    size: int | None = None
    sha256: str = ""
    on_bytes: Callable[[int], None] = lambda _count: None


@dataclass(frozen=True)
class Arrived:
    """A whole, verified file: its bytes, its sha256, and its marks at each ``block`` bytes."""

    size: int
    sha256: str
    block: int
    marks: tuple[str, ...]
