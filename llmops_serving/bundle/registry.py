# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The registry of a bundle: the pull part of the OCI distribution specification, over an OCI image layout.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from llmops_serving.bundle.document import Blob, blob_path
from llmops_serving.bundle.variables import place_of
from llmops_serving.bundle.web import Answer, FileBody, Request, json_answer

if TYPE_CHECKING:
    from pathlib import Path

    from llmops_serving.bundle.document import Bundle

_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|tags)/(?P<wanted>[^/]+)\Z")
_VERSION = {"Docker-Distribution-API-Version": "registry/2.0"}


class Registry:
    """Answers what hosts ask of a registry.

    Args:
        bundle: What the bundle holds.
        folder: Where it is.
    """

    def __init__(self, bundle: Bundle, folder: Path) -> None:
        """Know which image has which name."""
        self._folder = folder
        self._manifests: dict[str, dict[str, Blob]] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._blobs: dict[str, dict[str, Blob]] = {}
        for image in bundle.images:
            name, place = image.name, place_of(image.name)
            self._manifests.setdefault(place, {}).update({blob.digest: blob for blob in image.manifests})
            self._blobs.setdefault(place, {}).update({blob.digest: blob for blob in image.blobs})
            tags = self._tags.setdefault(place, {})
            if name.tag:
                tags[name.tag] = image.digest

    def answer(self, request: Request) -> Answer | None:
        """Answer a request; None when it is none to a registry."""
        if request.path in {"/v2", "/v2/"}:
            return json_answer({}, headers=_VERSION)
        if request.path == "/v2/_catalog":
            return json_answer({"repositories": sorted(self._manifests)}, headers=_VERSION)
        if not request.path.startswith("/v2/"):
            return None
        if request.method not in {"GET", "HEAD"}:
            return _error(HTTPStatus.METHOD_NOT_ALLOWED, "UNSUPPORTED", "a bundle is only read")
        match = _PATH.match(request.path)
        if match is None:
            return _error(HTTPStatus.NOT_FOUND, "UNSUPPORTED", "no such address")
        return self._find(match["name"], match["kind"], match["wanted"])

    def _find(self, name: str, kind: str, wanted: str) -> Answer:
        if name not in self._manifests:
            return _error(HTTPStatus.NOT_FOUND, "NAME_UNKNOWN", f"the bundle has no image {name}")
        if kind == "tags":
            return json_answer({"name": name, "tags": sorted(self._tags[name])}, headers=_VERSION)
        if kind == "manifests":
            digest = self._tags[name].get(wanted, wanted)
            blob = self._manifests[name].get(digest)
            if blob is None:
                return _error(HTTPStatus.NOT_FOUND, "MANIFEST_UNKNOWN", f"the bundle has no {wanted} of {name}")
            return self._send(blob, blob.media_type, f"{name}:{wanted[:19]}")
        # A manifest is a blob as well.
        blob = self._blobs[name].get(wanted) or self._manifests[name].get(wanted)
        if blob is None:
            return _error(HTTPStatus.NOT_FOUND, "BLOB_UNKNOWN", f"the bundle has no {wanted} of {name}")
        return self._send(blob, "application/octet-stream", f"{name}@{wanted[:19]}")

    def _send(self, blob: Blob, media_type: str, label: str) -> Answer:
        headers = {
            **_VERSION,
            "Content-Type": media_type,
            "Docker-Content-Digest": blob.digest,
            "ETag": f'"{blob.digest}"',
        }
        return Answer(HTTPStatus.OK, headers, FileBody(self._folder / blob_path(blob.digest), blob.size, label))


def _error(status: int, code: str, message: str) -> Answer:
    return json_answer({"errors": [{"code": code, "message": message}]}, status, _VERSION)
