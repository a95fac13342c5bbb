# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Names of container images: parse, judge, send to a mirror."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Mapping

# A name's first part is a registry when it could be a host name, else the image is one of Docker Hub's.
# https://github.com/distribution/reference
_REFERENCE: t.Final = re.compile(
    r"(?P<name>[a-zA-Z0-9.-]+(?::\d+(?=/))?(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
)


class ImageError(ValueError):
    """An image name cannot be used; the message says why and what to write."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """A container image by its full name."""

    registry: str
    path: str
    tag: str | None
    digest: str | None

    @property
    def name(self) -> str:
        """Registry and path, as in `docker.io/library/debian`."""
        return f"{self.registry}/{self.path}"

    def __str__(self) -> str:
        """Give the reference as Docker takes it, digest and all."""
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(reference: str) -> Image:
    """Parse an image reference and refuse those that may mean another image tomorrow.

    Args:
        reference: Such as `vllm/vllm-openai:v0.33.0` or `ghcr.io/ggml-org/llama.cpp@sha256:…`.

    Returns:
        The image, with Docker Hub's registry and `library/` filled in.

    Raises:
        ImageError: It is no reference, or it has neither digest nor a tag other than `latest`.
    """
    match = _REFERENCE.fullmatch(reference)
    if not match:
        raise ImageError(f"{reference!r} is no image reference: write registry/name:tag or registry/name@sha256:…")
    name, tag, digest = match["name"], match["tag"], match["digest"]
    first, _slash, rest = name.partition("/")
    if not rest or not ("." in first or ":" in first or first == "localhost"):
        first, rest = "docker.io", name if rest else f"library/{name}"
    if digest is None and tag in {None, "latest"}:
        raise ImageError(f"{reference!r} names no fixed version: add a tag other than latest, or a digest")
    return Image(registry=first, path=rest, tag=tag, digest=digest)


def mirrored(image: Image, mirrors: Mapping[str, str]) -> Image:
    """Send an image's name to a mirror.

    Args:
        image: The image by its own name.
        mirrors: Prefixes of names and what takes their place, such as `{"ghcr.io": "registry.lab:5000/ghcr.io"}`.

    Returns:
        The image under the mirror of the longest prefix that fits, or the image as it is.
    """
    fits = [prefix for prefix in mirrors if image.name == prefix or image.name.startswith(prefix.rstrip("/") + "/")]
    if not fits:
        return image
    prefix = max(fits, key=len)
    registry, _slash, path = (mirrors[prefix].rstrip("/") + image.name.removeprefix(prefix.rstrip("/"))).partition("/")
    return Image(registry=registry, path=path, tag=image.tag, digest=image.digest)
