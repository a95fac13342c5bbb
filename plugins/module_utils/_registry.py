# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a registry whether an image can be pulled, without Docker.

Speaks the pull part of the OCI distribution specification (https://github.com/opencontainers/distribution-spec) and the
token authentication of the reference registry (https://distribution.github.io/distribution/spec/auth/token/).
"""

from __future__ import annotations

import hashlib
import http.client
import json
import platform
import re
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST))

DOCKER_HUB = "docker.io"
# docker.io is a name, not the host that speaks the API; index.docker.io is its old name.
API_HOSTS = {DOCKER_HUB: "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
CERTS_D = "/etc/docker/certs.d"
MANIFEST_LIMIT = 4 * 1024 * 1024  # what registries accept at most
TIMEOUT = 10.0

# uname's names -> the names that Go, and so the images, use.
ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "armv7l": "arm"}

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    r"^(?:(?P<host>(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
    r"|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?)/)?"
    rf"(?P<name>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?$"
)


class _Problem(Exception):  # noqa: N818  never leaves this file: a sentence on its way to ImageAnswer.problem
    """Why the question has no good answer, in one line."""


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
    client = _Client(
        image, _tls(image.registry, ca_path, certs_d), timeout, insecure=_is_insecure(image, insecure_registries)
    )
    try:
        body, digest = client.manifest(image.wanted)
        machine = architecture or platform.machine()
        manifest = _for_machine(client, body, ARCHITECTURES.get(machine, machine))
    except _Problem as problem:
        return ImageAnswer(ok=False, problem=f"image: {reference}: {problem}")
    requires = _requires(client, manifest) if for_gpus else ""
    return ImageAnswer(ok=True, digest=digest, size=_size(manifest), requires=requires)


def _is_insecure(image: Reference, insecure: Sequence[str]) -> bool:
    return _is_loopback(image.api_host) or image.registry in insecure


def _is_loopback(netloc: str) -> bool:
    host = urllib.parse.urlsplit(f"//{netloc}").hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _tls(registry: str, ca_path: str | None, certs_d: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    places = sorted(Path(certs_d, registry).glob("*.crt"))
    for place in [*places, *([Path(ca_path)] if ca_path else [])]:
        try:
            context.load_verify_locations(str(place))
        except (OSError, ssl.SSLError):
            # An unreadable file shows itself as an unknown authority, with the remedy.
            continue
    return context


class _Client:
    """Requests to one repository of one registry."""

    def __init__(self, image: Reference, tls: ssl.SSLContext, timeout: float, *, insecure: bool) -> None:
        self.image = image
        self.timeout = timeout
        # https first also where http is allowed: Docker does the same.
        self.schemes = ("https", "http") if insecure else ("https",)
        self.token = ""
        if insecure:
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE
        handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=tls)]
        if _is_loopback(image.api_host):
            # Docker never asks a proxy for its own machine.
            handlers.append(urllib.request.ProxyHandler({}))
        self.opener = urllib.request.build_opener(*handlers)

    def manifest(self, wanted: str) -> tuple[dict[str, Any], str]:
        """Fetch a manifest or an index.

        Args:
            wanted: A tag or a digest.

        Returns:
            The parsed body and its digest, computed from the bytes: a header proves nothing.
        """
        status, headers, body = self._ask(wanted)
        if status == http.client.UNAUTHORIZED and not self.token:
            self.token = self._fetch_token(headers)
            if self.token:
                status, headers, body = self._ask(wanted)
        if status != http.client.OK:
            raise _Problem(_refusal(self.image, status, wanted, body))
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if wanted.startswith("sha256:") and digest != wanted:
            message = (
                f"{self.image.registry} answers {wanted} with content of another digest ({digest}), so it is damaged; "
                "push the image to it again, or name another mirror in serving_registries"
            )
            raise _Problem(message)
        try:
            parsed = json.loads(body.decode("utf-8"))
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            message = (
                f"{self.image.api_host} answers {_kind(headers)} instead of an image manifest: that is no container "
                "registry, or a proxy's page; correct the registry in serving_registries or image"
            )
            raise _Problem(message)
        return parsed, digest

    def blob(self, digest: str) -> bytes:
        """Fetch a small blob, such as an image's configuration.

        Args:
            digest: Its digest.

        Returns:
            Its bytes; none when the registry does not give them, or others.
        """
        status, _headers, body = self._ask(digest, "blobs")
        return body if status == http.client.OK and digest == f"sha256:{hashlib.sha256(body).hexdigest()}" else b""

    def _ask(self, wanted: str, kind: str = "manifests") -> tuple[int, dict[str, str], bytes]:
        problem: _Problem | None = None
        for scheme in self.schemes:
            request = urllib.request.Request(  # noqa: S310  the scheme comes from the tuple above
                f"{scheme}://{self.image.api_host}/v2/{self.image.name}/{kind}/{wanted}", headers={"Accept": ACCEPT}
            )
            try:
                answer = self._send(request, self.image.api_host)
            except _Problem as error:
                problem = problem or error
                continue
            self.schemes = (scheme,)
            return answer
        raise problem or AssertionError("schemes is never empty")

    def _send(self, request: urllib.request.Request, host: str) -> tuple[int, dict[str, str], bytes]:
        if self.token and host == self.image.api_host:
            # Not among the headers that follow a redirect: the blob store of another host must not see the token.
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            with self.opener.open(request, timeout=self.timeout) as response:
                return response.status, dict(response.headers), response.read(MANIFEST_LIMIT + 1)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read(MANIFEST_LIMIT)
        except (OSError, http.client.HTTPException) as error:
            raise _Problem(_why(error, host, self.timeout)) from error

    def _fetch_token(self, headers: dict[str, str]) -> str:
        scheme, _space, rest = _header(headers, "www-authenticate").partition(" ")
        values = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        realm = urllib.parse.urlsplit(values.get("realm", ""))
        if scheme.lower() != "bearer" or realm.scheme not in ("http", "https"):
            return ""
        query = [(key, values[key]) for key in ("service", "scope") if values.get(key)]
        if not values.get("scope"):
            query.append(("scope", f"repository:{self.image.name}:pull"))
        address = realm._replace(query="&".join(filter(None, (realm.query, urllib.parse.urlencode(query)))))
        status, _headers, body = self._send(
            urllib.request.Request(address.geturl()),  # noqa: S310  checked above
            realm.netloc,
        )
        if status != http.client.OK:
            return ""
        try:
            answer = json.loads(body.decode("utf-8"))
        except ValueError:
            return ""
        token = (answer.get("token") or answer.get("access_token")) if isinstance(answer, dict) else ""
        return token if isinstance(token, str) else ""


def _refusal(image: Reference, status: int, wanted: str, body: bytes) -> str:
    """Say in one line why a registry gives no manifest, with the remedy."""
    if status == http.client.NOT_FOUND:
        what = f"{'digest' if wanted.startswith('sha256:') else 'tag'} {wanted} of {image.name}"
        if _first_error(body).get("code") == "NAME_UNKNOWN":
            what = f"repository {image.name}"
        return (
            f"{image.registry} has no {what}; correct image to one that exists, or push it to the mirror named in "
            "serving_registries"
        )
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        return (
            f"{image.registry} denies anonymous access to {image.name} (HTTP {status}): the repository is private or "
            "does not exist; correct image, or name a mirror that may be read in serving_registries"
        )
    if status == http.client.TOO_MANY_REQUESTS:
        return (
            f"{image.registry} allows no more requests from here for now (HTTP 429); wait, or name a mirror in "
            "serving_registries"
        )
    return (
        f"{image.api_host} answers HTTP {status}{_detail(body)}; look at the registry, or name another one in "
        "serving_registries"
    )


def _for_machine(client: _Client, body: dict[str, Any], architecture: str) -> dict[str, Any]:
    """Follow an index to the manifest of an architecture; a manifest leads to itself."""
    manifests = body.get("manifests")
    if not isinstance(manifests, list):
        return body
    platforms = [(entry.get("platform") or {}, entry.get("digest")) for entry in manifests if isinstance(entry, dict)]
    for told, digest in platforms:
        if told.get("os") == "linux" and told.get("architecture") == architecture and isinstance(digest, str):
            return client.manifest(digest)[0]
    offered = sorted({str(told.get("architecture")) for told, _digest in platforms} - {"unknown", "None"})
    message = (
        f"exists for {', '.join(offered) or 'no architecture'} only, but this host is {architecture}; set "
        f"image to one that is built for {architecture}"
    )
    raise _Problem(message)


def _size(manifest: dict[str, Any]) -> int | None:
    layers = manifest.get("layers")
    if not isinstance(layers, list):
        return None
    sizes = [layer.get("size") for layer in layers if isinstance(layer, dict)]
    return sum(size for size in sizes if isinstance(size, int)) if all(isinstance(s, int) for s in sizes) else None


def _requires(client: _Client, manifest: dict[str, Any]) -> str:
    try:
        configuration = json.loads(client.blob(manifest["config"]["digest"]).decode("utf-8"))
        environment = dict(entry.partition("=")[::2] for entry in configuration["config"]["Env"])
    except (_Problem, ValueError, KeyError, TypeError, AttributeError):
        # Only a hint is missing then: whoever made the image may have left it out as well.
        return ""
    # Whoever switches the check off in the image says that it runs on more drivers than the variable tells.
    disabled = environment.get("NVIDIA_DISABLE_REQUIRE", "").lower() in ("1", "true")
    return "" if disabled else environment.get("NVIDIA_REQUIRE_CUDA", "")


def _why(error: Exception, host: str, timeout: float) -> str:
    """Say in one line why a registry could not be asked, with the remedy."""
    cause: Any = error.reason if isinstance(error, urllib.error.URLError) else error
    remedy = "correct the registry in serving_registries, or its name in image"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"registry {host} shows a certificate that this host does not trust ({cause.verify_message}); put its "
            f"authority into {CERTS_D}/{host}/ca.crt or into the host's trust store, or {remedy}"
        )
    if isinstance(cause, ssl.SSLError):
        return (
            f"registry {host} does not speak TLS ({cause}); for a registry without TLS add it to insecure-registries "
            f"in docker_daemon_options, or {remedy}"
        )
    if isinstance(cause, socket.gaierror):
        return f"registry {host} is unknown to the name service; {remedy}, or look at /etc/resolv.conf"
    if isinstance(cause, ConnectionRefusedError):
        return f"registry {host} refuses the connection: nothing listens there; start it, or {remedy}"
    if isinstance(cause, (socket.timeout, TimeoutError)):  # two classes before Python 3.10
        return f"registry {host} does not answer within {timeout:g} s; look at network, firewall and proxy, or {remedy}"
    return f"registry {host} cannot be asked ({cause}); look at the network, or {remedy}"


def _detail(body: bytes) -> str:
    message = str(_first_error(body).get("message", ""))
    return f" ({' '.join(message.split())[:200]})" if message else ""


def _first_error(body: bytes) -> dict[str, Any]:
    try:
        errors = json.loads(body.decode("utf-8"))["errors"]
        first = errors[0]
    except (ValueError, KeyError, IndexError, TypeError):
        return {}
    return first if isinstance(first, dict) else {}


def _kind(headers: dict[str, str]) -> str:
    return (_header(headers, "content-type") or "something").partition(";")[0]


def _header(headers: dict[str, str], name: str) -> str:
    # Header names are written in any case.
    return next((value for key, value in headers.items() if key.lower() == name), "")
