# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle's registry answers what Docker asks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._registry import check_image
from ansible_collections.llmops.serving.plugins.module_utils._registry_client import OCI_INDEX, OCI_MANIFEST
from llmops_serving.bundle.document import blob_path
from llmops_serving.bundle.registry import Registry
from llmops_serving.bundle.web import Answer, FileBody, Request

if TYPE_CHECKING:
    from pathlib import Path

    from llmops_serving.bundle.document import Bundle
    from llmops_serving.bundle.load import Loaded


def ask(bundle: Bundle, made: Path, path: str, method: str = "GET") -> Answer:
    """Ask, and expect an answer."""
    answer = Registry(bundle, made).answer(Request(method, path))
    assert answer is not None
    return answer


def test_what_a_tag_means_is_what_it_meant_upstream(bundle: Bundle, made: Path) -> None:
    app = next(image for image in bundle.images if image.reference == "ghcr.io/org/app:v1")
    for wanted in ("v1", app.digest):
        answer = ask(bundle, made, f"/v2/ghcr.io/org/app/manifests/{wanted}")
        assert (answer.status, answer.headers["Docker-Content-Digest"]) == (200, app.digest)
        assert answer.headers["Content-Type"] == OCI_INDEX
        assert isinstance(answer.body, FileBody)
        assert answer.body.path == made / blob_path(app.digest)
    child = ask(bundle, made, f"/v2/ghcr.io/org/app/manifests/{app.manifests[1].digest}")
    assert (child.status, child.headers["Content-Type"]) == (200, OCI_MANIFEST)


def test_blobs_and_manifests_are_blobs(bundle: Bundle, made: Path) -> None:
    app = bundle.images[0]
    for blob in (*app.blobs, *app.manifests):
        answer = ask(bundle, made, f"/v2/ghcr.io/org/app/blobs/{blob.digest}", "HEAD")
        assert answer.status == 200
        assert answer.headers["ETag"] == f'"{blob.digest}"'


def test_what_there_is_can_be_listed(bundle: Bundle, made: Path) -> None:
    names = json.loads(str(ask(bundle, made, "/v2/_catalog").body, "utf-8"))["repositories"]  # type: ignore[arg-type]
    assert names[0].startswith("127.0.0.1-")
    assert names[1:] == ["docker.io/library/tool", "ghcr.io/org/app"]
    assert ask(bundle, made, "/v2/ghcr.io/org/app/tags/list").body == b'{"name": "ghcr.io/org/app", "tags": ["v1"]}'
    assert ask(bundle, made, "/v2/").status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v2/ghcr.io/org/other/manifests/v1", 404, "NAME_UNKNOWN"),
        ("GET", "/v2/ghcr.io/org/app/manifests/v2", 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/ghcr.io/org/app/blobs/sha256:" + "0" * 64, 404, "BLOB_UNKNOWN"),
        ("GET", "/v2/ghcr.io/org/app/blobs/../../etc/passwd", 404, "UNSUPPORTED"),
        ("GET", "/v2/ghcr.io", 404, "UNSUPPORTED"),
        ("POST", "/v2/ghcr.io/org/app/blobs/uploads/", 405, "UNSUPPORTED"),
        ("PUT", "/v2/ghcr.io/org/app/manifests/v1", 405, "UNSUPPORTED"),
        ("DELETE", "/v2/ghcr.io/org/app/manifests/v1", 405, "UNSUPPORTED"),
    ],
)
def test_refusals(  # noqa: PLR0913, PLR0917  what is asked, and of whom
    bundle: Bundle, made: Path, method: str, path: str, status: int, code: str
) -> None:
    answer = ask(bundle, made, path, method)
    assert answer.status == status
    assert isinstance(answer.body, bytes)
    assert json.loads(answer.body)["errors"][0]["code"] == code


def test_others_are_not_its_business(bundle: Bundle, made: Path) -> None:
    assert Registry(bundle, made).answer(Request("GET", "/org/chat/info/refs")) is None


def test_a_host_finds_its_image(loaded: Loaded, tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text(loaded.served.ca)
    reference = f"{loaded.served.registry}/ghcr.io/org/app:v1"
    answer = check_image(reference, ca_path=str(ca), architecture="x86_64", certs_d=str(tmp_path))
    assert (answer.problem, answer.digest) == (None, loaded.bundle.images[0].digest)
    # The other architecture was left where it was.
    assert "has no digest" in str(check_image(reference, architecture="aarch64").problem)
