# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk to a registry of container images: manifests, tokens, and what an answer means.

Speaks the OCI distribution specification (https://github.com/opencontainers/distribution-spec) and the token
authentication of the reference registry (https://distribution.github.io/distribution/spec/auth/token/).
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._registry_names import Reference, digest_of, is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
ACCEPT = ", ".join((OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST))

CERTS_D = "/etc/docker/certs.d"
MANIFEST_LIMIT = 4 * 1024 * 1024  # what registries accept at most
# A token that does not say how long it holds does so for this long (the specification of the token), in seconds.
_TOKEN_LIFE = 60


class RegistryError(Exception):
    """A question to a registry that has no good answer; the message is one line with cause and remedy."""


@dataclass(frozen=True)
class Login:
    """Who asks a registry, where that is not just anybody."""

    user: str
    secret: str = field(repr=False)

    @property
    def basic(self) -> str:
        """The header for basic authentication."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()


@dataclass(frozen=True)
class Manifest:
    """A manifest or an index as the registry gave it: its bytes, what they say, their digest and media type."""

    body: bytes = field(repr=False)
    parsed: dict[str, Any] = field(repr=False)
    digest: str
    media_type: str


@dataclass(frozen=True)
class Reply:
    """An answer, whatever its status; headers by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def tls_context(registry: str, ca_path: str | None, certs_d: str = CERTS_D) -> ssl.SSLContext:
    """Trust what the system trusts, what Docker trusts for this registry, and what is in a file besides."""
    context = ssl.create_default_context()
    places = sorted(Path(certs_d, registry).glob("*.crt"))
    for place in [*places, *([Path(ca_path)] if ca_path else [])]:
        try:
            context.load_verify_locations(str(place))
        except (OSError, ssl.SSLError):
            # An unreadable file shows itself as an unknown authority, with the remedy.
            continue
    return context


class RegistryClient:
    """Requests to one repository of one registry."""

    def __init__(  # noqa: PLR0913  each is a fact about the network that only the caller knows
        self,
        image: Reference,
        tls: ssl.SSLContext,
        timeout: float,
        *,
        insecure: bool,
        login: Login | None = None,
        actions: str = "pull",
    ) -> None:
        """Prepare a client; nothing is asked yet.

        Args:
            image: The registry and the repository.
            tls: What to trust.
            timeout: Seconds for each request.
            insecure: Whether a certificate need not be trusted, and plain HTTP will do.
            login: Who asks, None for just anybody.
            actions: What a token is asked for: ``pull`` or ``pull,push``.
        """
        self.image = image
        self.timeout = timeout
        # https first also where http is allowed: Docker does the same.
        self.schemes = ("https", "http") if insecure else ("https",)
        self._login = login
        self._actions = actions
        self._authorization = ""
        self._challenge: Mapping[str, str] = {}
        self._renew_at = 0.0
        if insecure:
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE
        handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=tls)]
        if is_loopback(image.api_host):
            # Docker never asks a proxy for its own machine.
            handlers.append(urllib.request.ProxyHandler({}))
        self.opener = urllib.request.build_opener(*handlers)

    def manifest(self, wanted: str) -> Manifest:
        """Fetch a manifest or an index.

        Args:
            wanted: A tag or a digest.

        Returns:
            What came, with its digest computed from the bytes: a header proves nothing.

        Raises:
            RegistryError: There is none, it may not be read, or what came is none.
        """
        reply = self.ask(f"manifests/{wanted}")
        if reply.status != http.client.OK:
            raise RegistryError(self._refusal(reply, wanted))
        digest = digest_of(reply.body)
        if wanted.startswith("sha256:") and digest != wanted:
            message = (
                f"{self.image.registry} answers {wanted} with content of another digest ({digest}), so it is damaged; "
                "push the image to it again, or name another mirror in serving_registries"
            )
            raise RegistryError(message)
        parsed = _json(reply.body)
        kind = reply.headers.get("content-type", "").partition(";")[0]
        if not isinstance(parsed, dict):
            message = (
                f"{self.image.api_host} answers {kind or 'something'} instead of an image manifest: that is no "
                "container registry, or a proxy's page; correct the registry in serving_registries or image"
            )
            raise RegistryError(message)
        told = parsed.get("mediaType")
        return Manifest(reply.body, parsed, digest, told if isinstance(told, str) else kind)

    def blob(self, digest: str) -> bytes:
        """Fetch a small blob, such as an image's configuration.

        Args:
            digest: Its digest.

        Returns:
            Its bytes; none when the registry does not give them, or others.
        """
        reply = self.ask(f"blobs/{digest}")
        return reply.body if reply.status == http.client.OK and digest == digest_of(reply.body) else b""

    def blob_link(self, digest: str) -> tuple[str, dict[str, str]]:
        """Give the address of a blob, and the headers that its registry wants; after a first question was answered."""
        if self._authorization and self._challenge and time.monotonic() > self._renew_at:
            self._authorization = self._fetch_token()
        headers = {"Authorization": self._authorization} if self._authorization else {}
        return self._url(self.schemes[0], f"blobs/{digest}"), headers

    def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Reply:
        """Send a request about the repository, with a token where the registry wants one.

        Args:
            path: Below the repository, such as ``manifests/v1``, or a whole address on this registry.
            method: The method.
            headers: Further headers.
            body: What to send, bytes or a file at its beginning, which is read again after a refusal.

        Returns:
            The answer, whatever its status.

        Raises:
            RegistryError: There is no answer.
        """
        reply = self._ask(path, method, headers, body)
        if reply.status == http.client.UNAUTHORIZED and self._authorize(reply):
            if body is not None and not isinstance(body, bytes):
                body.seek(0)
            reply = self._ask(path, method, headers, body)
        return reply

    def _ask(self, path: str, method: str, headers: Mapping[str, str] | None, body: Any) -> Reply:
        problem: RegistryError | None = None
        for scheme in self.schemes:
            request = urllib.request.Request(  # noqa: S310  the scheme comes from the tuple above
                self._url(scheme, path), data=body, headers={"Accept": ACCEPT, **(headers or {})}, method=method
            )
            try:
                reply = self._send(request, self.image.api_host)
            except RegistryError as error:
                problem = problem or error
                continue
            self.schemes = (scheme,)
            return reply
        raise problem or AssertionError("schemes is never empty")

    def _url(self, scheme: str, path: str) -> str:
        base = f"{scheme}://{self.image.api_host}/v2/{self.image.name}/"
        # Registries say where an upload goes on: an address of their own, whole or without a host.
        found = urllib.parse.urljoin(base, path) if path.startswith(("/", "http://", "https://")) else base + path
        if urllib.parse.urlsplit(found).netloc != self.image.api_host:
            raise RegistryError(f"{self.image.api_host} wants an upload to go to another host; look at that registry")
        return found

    def _send(self, request: urllib.request.Request, host: str) -> Reply:
        if self._authorization and host == self.image.api_host:
            # Not among the headers that follow a redirect: the blob store of another host must not see the token.
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            with self.opener.open(request, timeout=self.timeout) as response:
                return Reply(response.status, _lower(response.headers), response.read(MANIFEST_LIMIT + 1))
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, _lower(error.headers), error.read(MANIFEST_LIMIT))
        except (OSError, http.client.HTTPException) as error:
            raise RegistryError(why(error, host, self.timeout)) from error

    def _authorize(self, reply: Reply) -> bool:
        """Answer a challenge; False where there is no answer but the one that was refused."""
        scheme, _space, rest = reply.headers.get("www-authenticate", "").partition(" ")
        before = self._authorization
        if scheme.lower() == "basic" and self._login:
            self._authorization = self._login.basic
            return self._authorization != before
        values = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        if scheme.lower() != "bearer" or urllib.parse.urlsplit(values.get("realm", "")).scheme not in ("http", "https"):
            return False
        if before and time.monotonic() <= self._renew_at:
            # Fresh, and refused.
            return False
        self._challenge = values
        self._authorization = self._fetch_token()
        return bool(self._authorization)

    def _fetch_token(self) -> str:
        values, image = self._challenge, self.image
        realm = urllib.parse.urlsplit(values["realm"])
        query = [("service", values["service"])] if values.get("service") else []
        scope = values.get("scope") if self._actions == "pull" else ""
        query.append(("scope", scope or f"repository:{image.name}:{self._actions}"))
        address = realm._replace(query="&".join(filter(None, (realm.query, urllib.parse.urlencode(query)))))
        request = urllib.request.Request(address.geturl())  # noqa: S310  its scheme was checked
        # A password goes to a realm with TLS, or to this machine: any other could read it on its way.
        if self._login and (realm.scheme == "https" or is_loopback(realm.netloc)):
            request.add_unredirected_header("Authorization", self._login.basic)
        self._authorization = ""
        reply = self._send(request, realm.netloc)
        answer = _json(reply.body)
        if reply.status != http.client.OK or not isinstance(answer, dict):
            return ""
        token, life = answer.get("token") or answer.get("access_token"), answer.get("expires_in")
        # Renewed before it ends: what begins with it must also be sent with it.
        self._renew_at = time.monotonic() + (life if isinstance(life, int) and life > 0 else _TOKEN_LIFE) * 0.6
        return f"Bearer {token}" if isinstance(token, str) else ""

    def _refusal(self, reply: Reply, wanted: str) -> str:
        """Say in one line why a registry gives no manifest, with the remedy."""
        image = self.image
        if reply.status == http.client.NOT_FOUND:
            what = f"{'digest' if wanted.startswith('sha256:') else 'tag'} {wanted} of {image.name}"
            if _first_error(reply.body).get("code") == "NAME_UNKNOWN":
                what = f"repository {image.name}"
            return (
                f"{image.registry} has no {what}; correct image to one that exists, or push it to the mirror named in "
                "serving_registries"
            )
        return self.refusal(reply, f"access to {image.name}")

    def refusal(self, reply: Reply, what: str) -> str:
        """Say in one line why a registry refuses something, with the remedy.

        Args:
            reply: Its answer.
            what: What is refused, such as ``access to org/app``.
        """
        image = self.image
        if reply.status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
            who = f"{self._login.user!r}" if self._login else "anonymous"
            return (
                f"{image.registry} denies {who} {what} (HTTP {reply.status}): the repository is private or does not "
                "exist; correct image, or name a mirror that may be read in serving_registries"
            )
        if reply.status == http.client.TOO_MANY_REQUESTS:
            return (
                f"{image.registry} allows no more requests from here for now (HTTP 429); wait, or name a mirror in "
                "serving_registries"
            )
        return (
            f"{image.api_host} answers HTTP {reply.status}{_detail(reply.body)}; look at the registry, or name another "
            "one in serving_registries"
        )


def for_architecture(client: RegistryClient, top: dict[str, Any], architecture: str) -> dict[str, Any]:
    """Follow an index to the manifest of an architecture; a manifest leads to itself.

    Args:
        client: How to ask.
        top: What the registry gave for a tag or a digest.
        architecture: By the name that Go gives it, such as ``amd64``.

    Raises:
        RegistryError: The image is not built for it.
    """
    manifests = top.get("manifests")
    if not isinstance(manifests, list):
        return top
    platforms = [(entry.get("platform") or {}, entry.get("digest")) for entry in manifests if isinstance(entry, dict)]
    for told, digest in platforms:
        if told.get("os") == "linux" and told.get("architecture") == architecture and isinstance(digest, str):
            return client.manifest(digest).parsed
    offered = sorted({str(told.get("architecture")) for told, _digest in platforms} - {"unknown", "None"})
    message = (
        f"exists for {', '.join(offered) or 'no architecture'} only, but this host is {architecture}; set "
        f"image to one that is built for {architecture}"
    )
    raise RegistryError(message)


def why(error: Exception, host: str, timeout: float) -> str:
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
        first = _json(body)["errors"][0]
    except (KeyError, IndexError, TypeError):
        return {}
    return first if isinstance(first, dict) else {}


def _json(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"))
    except ValueError:
        return None


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
