# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of container images, as Docker reads them (https://github.com/distribution/reference)."""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from dataclasses import dataclass

DOCKER_HUB = "docker.io"
# docker.io is a name, not the host that speaks the API; index.docker.io is its old name.
API_HOSTS = {DOCKER_HUB: "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    r"^(?:(?P<host>(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
    r"|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?)/)?"
    rf"(?P<name>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?$"
)


@dataclass(frozen=True)
class Reference:
    """The parts of an image reference.

    Attributes:
        registry: The registry as written, ``docker.io`` when left out.
        name: The repository, ``library/…`` added for Docker Hub's own.
        tag: The tag; ``latest`` when neither tag nor digest is given, "" when only a digest is.
        digest: ``sha256:…`` or "".
    """

    registry: str
    name: str
    tag: str
    digest: str

    def __str__(self) -> str:
        """The whole reference, as Docker takes it."""
        tag, digest = (f":{self.tag}" if self.tag else ""), (f"@{self.digest}" if self.digest else "")
        return f"{self.registry}/{self.name}{tag}{digest}"

    @property
    def wanted(self) -> str:
        """What to ask for: the digest, which wins as it does for Docker, or the tag."""
        return self.digest or self.tag

    @property
    def api_host(self) -> str:
        """The host, and port, that answers for this registry."""
        return API_HOSTS.get(self.registry, self.registry)


def parse_reference(text: str) -> Reference:
    """Split an image reference the way Docker does.

    The part before the first slash is a registry only when it has a dot or a port or is ``localhost``; otherwise it
    belongs to a name on Docker Hub (https://github.com/distribution/reference).

    Args:
        text: For example ``ghcr.io/ggml-org/llama.cpp:server-b9596``.

    Returns:
        The parts.

    Raises:
        ValueError: The text is no image reference; the message says so in one line.
    """
    first, slash, rest = text.partition("/")
    if not slash or not (set(".:") & set(first) or first == "localhost"):
        rest = text if slash else f"library/{text}"
        first = DOCKER_HUB
    elif first in API_HOSTS and "/" not in rest:
        rest = f"library/{rest}"
    match = _REFERENCE.match(f"{first}/{rest}")
    if match is None or match.group("host") != first:
        hint = "; repository names are lower case" if text != text.lower() else ""
        message = f"image: {text!r} is not an image reference{hint}; write registry/name:tag or …/name@sha256:<64 hex>"
        raise ValueError(message)
    digest = match.group("digest") or ""
    registry = DOCKER_HUB if first in API_HOSTS else first
    return Reference(registry, match.group("name"), match.group("tag") or ("" if digest else "latest"), digest)


def digest_of(body: bytes) -> str:
    """The digest of some bytes, as registries write it."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def is_loopback(netloc: str) -> bool:
    """Whether a host, perhaps with a port, is this machine: Docker asks it without TLS, and through no proxy."""
    host = urllib.parse.urlsplit(f"//{netloc}").hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
