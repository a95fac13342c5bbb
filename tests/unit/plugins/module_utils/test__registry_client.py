# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who asks a registry, what is sent to it, and what its silence means."""

from __future__ import annotations

import io
import socket
import ssl
import urllib.error
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._registry_client import (
    Login,
    RegistryClient,
    RegistryError,
    why,
)
from ansible_collections.llmops.serving.plugins.module_utils._registry_names import digest_of, parse_reference
from tests.unit.plugins.fake_registry import DIGEST, TOKEN, Registry, manifest, serve

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (urllib.error.URLError(socket.gaierror(-2, "Name or service not known")), "unknown to the name service"),
        (urllib.error.URLError(ConnectionRefusedError(111, "refused")), "refuses the connection"),
        (TimeoutError("timed out"), "does not answer within 3 s"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"), "does not speak TLS"),
        (OSError(113, "No route to host"), "cannot be asked ([Errno 113] No route to host)"),
    ],
)
def test_causes(error: Exception, says: str) -> None:
    text = why(error, "registry.lab:5000", 3.0)
    assert text.startswith("registry registry.lab:5000 ")
    assert says in text


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Give a registry without TLS that holds one image."""
    for running in serve(Registry()):
        running.add("org/app", "v1", manifest(5))
        yield running


def client(registry: Registry, login: Login | None = None, actions: str = "pull") -> RegistryClient:
    """Ask for the image of the registry."""
    image = parse_reference(f"127.0.0.1:{registry.port}/org/app:v1")
    return RegistryClient(image, ssl.create_default_context(), 5.0, insecure=True, login=login, actions=actions)


def test_a_manifest_says_what_it_is(registry: Registry) -> None:
    found = client(registry).manifest("v1")
    assert (found.body, found.digest) == (manifest(5), digest_of(manifest(5)))
    assert found.media_type == found.parsed["mediaType"]
    registry.add("org/app", "v2", b'{"layers": []}')
    # An OCI manifest need not say it itself: then its registry does.
    assert client(registry).manifest("v2").media_type == "application/vnd.oci.image.manifest.v1+json"


def test_a_registry_that_wants_a_password_gets_it_when_it_asks(registry: Registry) -> None:
    login = Login("ann", "s3cret")
    registry.basic = login.basic
    assert client(registry, login).manifest("v1").digest
    assert "authorization" not in registry.asked[-2][1]
    with pytest.raises(RegistryError, match=r"denies anonymous access to org/app \(HTTP 401\)"):
        client(registry).manifest("v1")
    with pytest.raises(RegistryError, match="denies 'bob' access to org/app") as caught:
        client(registry, Login("bob", "wr0ng")).manifest("v1")
    assert "wr0ng" not in str(caught.value)
    assert "s3cret" not in repr(login)


def test_a_token_is_asked_for_with_the_password_and_for_what_is_to_be_done(registry: Registry) -> None:
    registry.guarded = True
    login = Login("ann", "s3cret")
    assert client(registry, login, "pull,push").manifest("v1").digest
    (path, headers), *others = [(path, headers) for path, headers in registry.asked if path.startswith("/token")]
    assert not others
    assert headers["authorization"] == login.basic
    assert path.endswith("scope=repository%3Aorg%2Fapp%3Apull%2Cpush")


@pytest.mark.parametrize("life", [None, 3600])
def test_a_link_to_a_blob_has_a_token_that_holds(
    registry: Registry, life: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.guarded, registry.life = True, life
    asking = client(registry)
    asking.manifest("v1")
    link, headers = asking.blob_link(DIGEST)
    assert link == f"http://127.0.0.1:{registry.port}/v2/org/app/blobs/{DIGEST}"
    assert headers == {"Authorization": f"Bearer {TOKEN}"}
    assert len([path for path, _headers in registry.asked if path.startswith("/token")]) == 1
    monkeypatch.setattr("time.monotonic", lambda: 1e12)
    asking.blob_link(DIGEST)
    assert len([path for path, _headers in registry.asked if path.startswith("/token")]) == 2


def test_what_is_sent_is_sent_again_with_a_token(registry: Registry) -> None:
    registry.guarded = True
    body = io.BytesIO(b"some layer")
    digest = digest_of(b"some layer")
    asking = client(registry, actions="pull,push")
    reply = asking.ask(f"blobs/uploads/1?digest={digest}", method="PUT", headers={"Content-Length": "10"}, body=body)
    assert reply.status == 201
    assert registry.contents[f"/v2/org/app/blobs/{digest}"] == b"some layer"
    assert asking.ask(f"blobs/{digest}", method="HEAD").status == 200


def test_nothing_is_sent_to_another_host_than_the_registry(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="wants an upload to go to another host"):
        client(registry).ask("https://elsewhere.example/v2/org/app/blobs/uploads/1", method="PUT", body=b"x")
    assert registry.asked == []
