# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to a registry that runs in this process."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import urllib.parse
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _registry
from ansible_collections.llmops.serving.plugins.module_utils._registry import ImageAnswer, check_image
from ansible_collections.llmops.serving.plugins.module_utils._registry_client import (
    DOCKER_MANIFEST,
    OCI_INDEX,
)
from ansible_collections.llmops.serving.plugins.module_utils._registry_names import digest_of
from tests.unit.plugins.fake_registry import DIGEST, Registry, index, manifest, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Give an empty registry without TLS, as a laboratory has it."""
    yield from serve(Registry())


def test_an_image_by_tag_and_by_digest(registry: Registry) -> None:
    digest = registry.add("org/app", "v1", manifest(1000, 200, 3))
    for reference in (f"127.0.0.1:{registry.port}/org/app:v1", f"127.0.0.1:{registry.port}/org/app@{digest}"):
        assert check_image(reference) == ImageAnswer(ok=True, digest=digest, size=1203)
    assert all(kind in registry.asked[0][1]["accept"] for kind in (OCI_INDEX, DOCKER_MANIFEST))


@pytest.mark.parametrize(("machine", "size"), [("x86_64", 10), ("amd64", 10), ("aarch64", 20), ("arm64", 20)])
def test_an_index_gives_the_size_for_the_machine(registry: Registry, machine: str, size: int) -> None:
    amd64 = registry.add("org/app", "amd64", manifest(10, kind=DOCKER_MANIFEST))
    arm64 = registry.add("org/app", "arm64", manifest(20))
    digest = registry.add("org/app", "v1", index(amd64=amd64, arm64=arm64))
    answer = check_image(f"localhost:{registry.port}/org/app:v1", architecture=machine)
    assert (answer.ok, answer.digest, answer.size) == (True, digest, size)


def test_an_index_without_the_machine(registry: Registry) -> None:
    registry.add("org/app", "v1", index(arm64=registry.add("org/app", "arm64", manifest(20))))
    answer = check_image(f"127.0.0.1:{registry.port}/org/app:v1", architecture="x86_64")
    assert answer.problem == (
        f"image: 127.0.0.1:{registry.port}/org/app:v1: exists for arm64 only, but this host is amd64; "
        "set image to one that is built for amd64"
    )


@pytest.mark.parametrize("scope", [True, False])
def test_an_anonymous_token_is_fetched(registry: Registry, scope: bool) -> None:
    registry.guarded, registry.scope_in_challenge = True, scope
    registry.add("org/app", "v1", manifest(5))
    assert check_image(f"127.0.0.1:{registry.port}/org/app:v1").ok
    asked = [path for path, _headers in registry.asked if path.startswith("/token")]
    assert [urllib.parse.parse_qs(urllib.parse.urlsplit(path).query) for path in asked] == [
        {"service": ["stand-in"], "scope": ["repository:org/app:pull"]}
    ]


def test_the_token_does_not_follow_a_redirect(registry: Registry) -> None:
    elsewhere = Registry()
    elsewhere.add("org/app", "v1", manifest(5))
    registry.guarded = True
    for other in serve(elsewhere):
        registry.redirect = f"http://localhost:{other.port}"
        assert check_image(f"127.0.0.1:{registry.port}/org/app:v1").ok
    assert elsewhere.asked
    assert all("authorization" not in headers for _path, headers in elsewhere.asked)


@pytest.mark.parametrize(
    ("change", "reference", "says"),
    [
        ({}, "org/app:v2", "has no tag v2 of org/app; correct image"),
        ({}, "org/other:v1", "has no repository org/other; correct image"),
        ({}, f"org/app@{DIGEST}", f"has no digest {DIGEST} of org/app; correct image"),
        ({"guarded": True, "grants": False}, "org/app:v1", "denies anonymous access to org/app (HTTP 401)"),
        ({"reply": (401, "text/html", b"")}, "org/app:v1", "denies anonymous access to org/app (HTTP 401)"),
        ({"reply": (403, "application/json", b"{}")}, "org/app:v1", "denies anonymous access to org/app (HTTP 403)"),
        ({"reply": (429, "application/json", b"{}")}, "org/app:v1", "allows no more requests from here"),
        (
            {"reply": (503, "application/json", b'{"errors":[{"message":"disk\\nfull"}]}')},
            "org/app:v1",
            "answers HTTP 503 (disk full); look at the registry",
        ),
        ({"reply": (500, "text/plain", b"oops")}, "org/app:v1", "answers HTTP 500; look at the registry"),
        ({"reply": (200, "text/html; charset=x", b"<html>")}, "org/app:v1", "answers text/html instead of an image"),
        ({"reply": (200, "application/json", b"[1]")}, "org/app:v1", "instead of an image manifest"),
        ({"reply": (200, "application/json", b"{}")}, f"org/app@{DIGEST}", "content of another digest (sha256:44136f"),
    ],
)
def test_what_a_registry_may_refuse(registry: Registry, change: dict[str, Any], reference: str, says: str) -> None:
    registry.add("org/app", "v1", manifest(5))
    for name, value in change.items():
        setattr(registry, name, value)
    answer = check_image(f"127.0.0.1:{registry.port}/{reference}")
    assert (answer.ok, answer.digest, answer.size) == (False, None, None)
    assert answer.problem is not None
    assert answer.problem.startswith(f"image: 127.0.0.1:{registry.port}/{reference}: ")
    assert says in answer.problem
    assert "serving_registries" in answer.problem
    assert "\n" not in answer.problem


def with_environment(registry: Registry, tag: str, *environment: str) -> str:
    """Hold an image whose configuration has these variables; give its reference."""
    configuration = json.dumps({"config": {"Env": list(environment)}}).encode()
    digest = digest_of(configuration)
    registry.contents[f"/v2/org/app/blobs/{digest}"] = configuration
    body = json.dumps({"config": {"digest": digest}, "layers": [{"size": 5}]}).encode()
    registry.add("org/app", tag, index(amd64=registry.add("org/app", f"{tag}-amd64", body)))
    return f"127.0.0.1:{registry.port}/org/app:{tag}"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (["PATH=/bin", "NVIDIA_REQUIRE_CUDA=cuda>=12.9 brand=tesla,driver>=535"], "cuda>=12.9 brand=tesla,driver>=535"),
        (["NVIDIA_REQUIRE_CUDA=cuda>=12.9", "NVIDIA_DISABLE_REQUIRE=1"], ""),
        (["NVIDIA_REQUIRE_CUDA=cuda>=12.9", "NVIDIA_DISABLE_REQUIRE=false"], "cuda>=12.9"),
        (["PATH=/bin"], ""),
        ([], ""),
    ],
)  # fmt: skip
def test_what_an_image_says_about_drivers(registry: Registry, environment: list[str], expected: str) -> None:
    reference = with_environment(registry, "v1", *environment)
    assert check_image(reference, architecture="x86_64", for_gpus=True).requires == expected
    before = len(registry.asked)
    assert check_image(reference, architecture="x86_64").requires == ""
    assert not [path for path, _headers in registry.asked[before:] if "/blobs/" in path]


def test_an_image_that_says_nothing_of_itself_is_good_all_the_same(registry: Registry) -> None:
    reference = with_environment(registry, "v1", "NVIDIA_REQUIRE_CUDA=cuda>=13.0")
    place = next(path for path in registry.contents if "/blobs/" in path)
    for damaged in (b"{}", b"<html>", b""):
        registry.contents[place] = damaged
        answer = check_image(reference, architecture="x86_64", for_gpus=True)
        assert (answer.ok, answer.requires) == (True, "")
    registry.add("org/app", "v2", manifest(5))
    assert check_image(f"127.0.0.1:{registry.port}/org/app:v2", for_gpus=True).ok


def test_a_manifest_without_sizes(registry: Registry) -> None:
    for number, body in enumerate((b"{}", b'{"layers": [{}]}')):
        registry.add("org/app", f"v{number}", body)
        answer = check_image(f"127.0.0.1:{registry.port}/org/app:v{number}")
        assert (answer.ok, answer.size) == (True, None)


def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    problem = check_image(f"127.0.0.1:{port}/org/app:v1").problem
    assert problem is not None
    assert f"registry 127.0.0.1:{port} refuses the connection" in problem
    assert "serving_registries" in problem


def test_a_registry_that_does_not_answer() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        problem = check_image(f"127.0.0.1:{silent.getsockname()[1]}/org/app:v1", timeout=0.2).problem
    assert problem is not None
    assert "does not answer within 0.2 s" in problem


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for the name registry.test that signs itself."""
    place = tmp_path_factory.mktemp("authority")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=registry.test"
    )
    subprocess.run(  # noqa: S603  a fixed command
        [*command.split(), "-addext", "subjectAltName=DNS:registry.test", "-keyout", "key.pem", "-out", "ca.crt"],
        cwd=place,
        check=True,
        capture_output=True,
    )
    return place


@pytest.fixture
def secure(authority: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Give a registry with TLS that answers under the name registry.test."""
    real = socket.getaddrinfo

    def lookup(host: str, *rest: Any, **more: Any) -> Any:
        return real("127.0.0.1" if host == "registry.test" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setenv("no_proxy", "registry.test")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(authority / "ca.crt", authority / "key.pem")
    for registry in serve(Registry(), tls):
        registry.add("org/app", "v1", manifest(5))
        yield registry


def test_an_unknown_authority(secure: Registry, tmp_path: Path) -> None:
    answer = check_image(f"registry.test:{secure.port}/org/app:v1", certs_d=str(tmp_path))
    assert answer.problem is not None
    assert "shows a certificate that this host does not trust (self" in answer.problem
    assert f"/etc/docker/certs.d/registry.test:{secure.port}/ca.crt" in answer.problem
    assert secure.asked == []


def test_an_authority_given_or_known_to_docker(secure: Registry, authority: Path, tmp_path: Path) -> None:
    reference = f"registry.test:{secure.port}/org/app:v1"
    assert check_image(reference, ca_path=str(authority / "ca.crt"), certs_d=str(tmp_path)).ok
    place = tmp_path / f"registry.test:{secure.port}"
    place.mkdir()
    (place / "ca.crt").write_bytes((authority / "ca.crt").read_bytes())
    assert check_image(reference, certs_d=str(tmp_path)).ok
    assert not check_image(reference, ca_path=str(tmp_path / "missing.pem"), certs_d="/nonexistent").ok


def test_an_insecure_registry_is_one_only_when_named(secure: Registry, tmp_path: Path) -> None:
    name = f"registry.test:{secure.port}"
    assert check_image(f"{name}/org/app:v1", insecure_registries=[name], certs_d=str(tmp_path)).ok
    assert not check_image(f"{name}/org/app:v1", insecure_registries=["other"], certs_d=str(tmp_path)).ok


def test_plain_http_is_for_loopback_only(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.add("org/app", "v1", manifest(5))
    monkeypatch.setattr(_registry, "is_loopback", lambda _netloc: False)
    monkeypatch.setenv("no_proxy", "*")
    problem = check_image(f"127.0.0.1:{registry.port}/org/app:v1").problem
    assert problem is not None
    assert "does not speak TLS" in problem
    assert "insecure-registries in docker_daemon_options" in problem


def test_loopback_is_never_asked_through_a_proxy(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.add("org/app", "v1", manifest(5))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert check_image(f"127.0.0.1:{registry.port}/org/app:v1").ok
