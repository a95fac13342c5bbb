# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Names of container images: refuse those that float, send the others to a mirror."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._registry_names import Reference, parse_reference

if t.TYPE_CHECKING:
    from collections.abc import Mapping


class ImageError(ValueError):
    """An image name cannot be used; the message says why and what to write."""


def pinned(text: str) -> Reference:
    """Parse an image reference and refuse those that may mean another image tomorrow.

    Args:
        text: Such as `vllm/vllm-openai:v0.33.0` or `ghcr.io/ggml-org/llama.cpp@sha256:…`.

    Returns:
        The reference, with Docker Hub's registry and `library/` filled in.

    Raises:
        ImageError: It is no reference, or it has neither digest nor a tag other than `latest`.
    """
    try:
        image = parse_reference(text)
    except ValueError as exc:
        raise ImageError(str(exc).removeprefix("image: ")) from exc
    if not image.digest and image.tag == "latest":
        message = f"{text!r} names no fixed version: add a tag other than latest, or a digest"
        raise ImageError(message)
    return image


def mirrored(image: Reference, mirrors: Mapping[str, str]) -> Reference:
    """Send an image's name to a mirror.

    Args:
        image: The image by its own name.
        mirrors: Prefixes of names and what takes their place, such as `{"ghcr.io": "registry.lab:5000/ghcr.io"}`.

    Returns:
        The image under the mirror of the longest prefix that fits, or the image as it is.
    """
    name = f"{image.registry}/{image.name}"
    fits = [prefix for prefix in mirrors if name == prefix or name.startswith(prefix.rstrip("/") + "/")]
    if not fits:
        return image
    prefix = max(fits, key=len)
    registry, _slash, path = (mirrors[prefix].rstrip("/") + name.removeprefix(prefix.rstrip("/"))).partition("/")
    return dataclasses.replace(image, registry=registry, name=path)
