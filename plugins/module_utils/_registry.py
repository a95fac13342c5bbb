# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a registry whether an image can be pulled, without Docker."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._registry_client import (
    CERTS_D,
    RegistryClient,
    RegistryError,
    for_architecture,
    tls_context,
)
from ansible_collections.llmops.serving.plugins.module_utils._registry_names import is_loopback, parse_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT = 10.0

# uname's names -> the names that Go, and so the images, use.
ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "armv7l": "arm"}


@dataclass(frozen=True)
class ImageAnswer:
    """What a registry says about an image.

    Attributes:
        ok: Whether the image can be pulled.
        digest: The digest of what the reference names (of the index for a multi-architecture image), or None.
        size: The sum of the compressed layers for this machine in bytes, or None when unknown.
        problem: One line naming cause and remedy, or None.
        requires: What the image says about the drivers it runs on (its variable NVIDIA_REQUIRE_CUDA), "" if nothing,
            it was not asked for, or the image does not let itself be asked.
    """

    ok: bool
    digest: str | None = None
    size: int | None = None
    problem: str | None = None
    requires: str = ""


def check_image(  # noqa: PLR0913  each option is a fact about the network that only the caller knows
    reference: str,
    *,
    timeout: float = TIMEOUT,
    ca_path: str | None = None,
    insecure_registries: Sequence[str] = (),
    architecture: str | None = None,
    certs_d: str = CERTS_D,
    for_gpus: bool = False,
) -> ImageAnswer:
    """Ask the registry whether an image exists and how large it is. Nothing is pulled, nothing is written.

    Args:
        reference: The image as Docker would be given it, registry mirrors applied.
        timeout: Seconds for each request.
        ca_path: A file with further certificate authorities in PEM.
        insecure_registries: What daemon.json lists under ``insecure-registries``, host names with port. Loopback
            registries always count among them, as for Docker.
        architecture: The machine's architecture; default: this machine's.
        certs_d: Docker's directory of per-registry certificate authorities.
        for_gpus: Ask for `requires` as well, which takes one more request.

    Returns:
        The answer; every failure is in its ``problem``, nothing is raised.
    """
    try:
        image = parse_reference(reference)
    except ValueError as error:
        return ImageAnswer(ok=False, problem=str(error))
    client = RegistryClient(
        image,
        tls_context(image.registry, ca_path, certs_d),
        timeout,
        insecure=is_loopback(image.api_host) or image.registry in insecure_registries,
    )
    try:
        top = client.manifest(image.wanted)
        machine = architecture or platform.machine()
        manifest = for_architecture(client, top.parsed, ARCHITECTURES.get(machine, machine))
    except RegistryError as problem:
        return ImageAnswer(ok=False, problem=f"image: {reference}: {problem}")
    requires = _requires(client, manifest) if for_gpus else ""
    return ImageAnswer(ok=True, digest=top.digest, size=_size(manifest), requires=requires)


def _size(manifest: dict[str, Any]) -> int | None:
    layers = manifest.get("layers")
    if not isinstance(layers, list):
        return None
    sizes = [layer.get("size") for layer in layers if isinstance(layer, dict)]
    return sum(size for size in sizes if isinstance(size, int)) if all(isinstance(s, int) for s in sizes) else None


def _requires(client: RegistryClient, manifest: dict[str, Any]) -> str:
    try:
        configuration = json.loads(client.blob(manifest["config"]["digest"]).decode("utf-8"))
        environment = dict(entry.partition("=")[::2] for entry in configuration["config"]["Env"])
    except (RegistryError, ValueError, KeyError, TypeError, AttributeError):
        # Only a hint is missing then: whoever made the image may have left it out as well.
        return ""
    # Whoever switches the check off in the image says that it runs on more drivers than the variable tells.
    disabled = environment.get("NVIDIA_DISABLE_REQUIRE", "").lower() in ("1", "true")
    return "" if disabled else environment.get("NVIDIA_REQUIRE_CUDA", "")
