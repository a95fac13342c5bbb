# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hub of a bundle: git over HTTP, git LFS's batch API, and the addresses of files that huggingface.co has.

https://huggingface.co/docs/hub/models-downloading, https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md,
https://git-scm.com/docs/git-http-backend
"""

from __future__ import annotations

import json
import mimetypes
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from llmops_serving.bundle.document import GIT
from llmops_serving.bundle.repositories import backend_command, git_environment
from llmops_serving.bundle.variables import file_path
from llmops_serving.bundle.web import Answer, FileBody, Program, Request, json_answer

if TYPE_CHECKING:
    from pathlib import Path

    from llmops_serving.bundle.document import Bundle, Model

_GIT = re.compile(r"/(?P<repo>.+?)(?:\.git)?/(?P<what>info/refs|git-upload-pack|git-receive-pack)\Z")
_BATCH = re.compile(r"/(?P<repo>.+?)(?:\.git)?/info/lfs/objects/batch\Z")
_OBJECT = re.compile(r"/lfs/(?P<oid>[0-9a-f]{64})\Z")
_API = re.compile(r"/api/models/(?P<repo>.+?)(?:/revision/(?P<revision>[^/]+))?\Z")
_RESOLVE = re.compile(r"/(?P<repo>.+?)/(?:resolve|raw)/(?P<revision>[^/]+)/(?P<path>.+)\Z")
_LFS_TYPE = "application/vnd.git-lfs+json"
_UPLOAD_PACK = "git-upload-pack"


@dataclass(frozen=True)
class _Stored:
    """A file of the bundle: where it is, bytes, sha256, and how people call it."""

    path: Path
    size: int
    sha256: str
    label: str


@dataclass
class _Version:
    """A repository at a commit: its files here, and the list of all that it has."""

    files: dict[str, _Stored] = field(default_factory=dict)
    listing: dict[str, dict[str, Any]] = field(default_factory=dict)
    git: bool = False


class Hub:
    """Answers what hosts ask of a hub.

    Args:
        bundle: What the bundle holds.
        folder: Where it is.
    """

    def __init__(self, bundle: Bundle, folder: Path) -> None:
        """Know which file has which address."""
        self._folder = folder
        self._repos: dict[str, dict[str, _Version]] = {}
        self._objects: dict[str, _Stored] = {}
        self._addresses: dict[str, _Stored] = {}
        for model in bundle.models:
            self._add(model)

    def _add(self, model: Model) -> None:
        folder = self._folder / model.folder
        stored = [
            _Stored(folder / file.path, file.size, file.sha256, f"{model.name}/{file.path}") for file in model.files
        ]
        self._objects.update({one.sha256: one for one in stored})
        if model.kind == "url":
            self._addresses[file_path(model)] = stored[0]
            return
        version = self._repos.setdefault(model.repo, {}).setdefault(model.revision, _Version())
        for path, one in zip(model.paths, stored, strict=True):
            version.files[path] = one
            version.listing.setdefault(path, _sibling(path, one.size, one.sha256))
        for entry in model.tree:
            version.listing[entry.path] = _sibling(entry.path, entry.size, entry.oid)
        version.git = version.git or bool(model.tree)

    def answer(self, request: Request) -> Answer | None:
        """Answer a request; None when it is none to a hub."""
        for pattern, answer in (
            (_GIT, self._git),
            (_BATCH, self._batch),
            (_OBJECT, self._object),
            (_API, self._describe),
            (_RESOLVE, self._resolve),
        ):
            if match := pattern.match(request.path):
                return answer(request, match)
        found = self._addresses.get(request.path)
        return _send(found, {}) if found else None

    def _git(self, request: Request, match: re.Match[str]) -> Answer:
        repo, what = match["repo"], match["what"]
        asked = {parse_qs(request.query).get("service", [""])[0]} if what == "info/refs" else {what}
        if asked != {_UPLOAD_PACK}:
            return Answer(HTTPStatus.FORBIDDEN, {"Content-Type": "text/plain"}, b"a bundle is only read\n")
        if not any(version.git for version in self._repos.get(repo, {}).values()):
            return _missing("RepoNotFound", f"the bundle has no repository {repo}")
        environment = {
            **git_environment(),
            "GIT_PROJECT_ROOT": str(self._folder / GIT),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
            "GATEWAY_INTERFACE": "CGI/1.1",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": f"/{repo}.git/{what}",
            "QUERY_STRING": request.query,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(request.body)),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "REMOTE_ADDR": request.client,
        }
        return Answer(HTTPStatus.OK, {}, Program(tuple(backend_command()), environment, f"{repo}.git"))

    def _batch(self, request: Request, match: re.Match[str]) -> Answer:
        headers = {"Content-Type": _LFS_TYPE}
        if match["repo"] not in self._repos:
            return json_answer({"message": f"the bundle has no repository {match['repo']}"}, 404, headers)
        try:
            asked = json.loads(request.body)
            objects = [(str(one["oid"]), one.get("size", 0)) for one in asked["objects"]]
        except (ValueError, KeyError, TypeError):
            return json_answer({"message": "that is no request to the batch API of git LFS"}, 422, headers)
        if asked.get("operation") != "download":
            return json_answer({"message": "a bundle is only read"}, 403, headers)
        answers = [self._link(oid, size, request.base) for oid, size in objects]
        return json_answer({"transfer": "basic", "objects": answers}, headers=headers)

    def _link(self, oid: str, size: int, base: str) -> dict[str, Any]:
        found = self._objects.get(oid)
        if found is None:
            return {"oid": oid, "size": size, "error": {"code": 404, "message": "the bundle does not have this object"}}
        return {"oid": oid, "size": found.size, "actions": {"download": {"href": f"{base}/lfs/{oid}"}}}

    def _object(self, _request: Request, match: re.Match[str]) -> Answer:
        found = self._objects.get(match["oid"])
        if found is None:
            return _missing("EntryNotFound", f"the bundle has no object {match['oid']}")
        return _send(found, {"Content-Type": "application/octet-stream"})

    def _describe(self, _request: Request, match: re.Match[str]) -> Answer:
        repo, revision = match["repo"], match["revision"]
        found = self._version(repo, revision)
        if isinstance(found, Answer):
            return found
        commit, version = found
        listing = [version.listing[path] for path in sorted(version.listing)]
        told = {"id": repo, "modelId": repo, "sha": commit, "private": False, "gated": False, "siblings": listing}
        return json_answer(told)

    def _resolve(self, _request: Request, match: re.Match[str]) -> Answer:
        found = self._version(match["repo"], match["revision"])
        if isinstance(found, Answer):
            return found
        commit, version = found
        stored = version.files.get(match["path"])
        if stored is None:
            left_out = match["path"] in version.listing
            why = "was left out of the bundle, because no server needs it" if left_out else "is not in the bundle"
            return _missing("EntryNotFound", f"{match['path']} of {match['repo']} {why}", {"X-Repo-Commit": commit})
        headers = {
            "X-Repo-Commit": commit,
            "X-Linked-Etag": f'"{stored.sha256}"',
            "X-Linked-Size": str(stored.size),
            "Content-Type": mimetypes.guess_type(match["path"])[0] or "application/octet-stream",
        }
        return _send(stored, headers)

    def _version(self, repo: str, revision: str | None) -> tuple[str, _Version] | Answer:
        versions = self._repos.get(repo)
        if not versions:
            return _missing("RepoNotFound", f"the bundle has no repository {repo}")
        # Only people ask by the name of a branch, and they mean what there is.
        commit = next(reversed(versions)) if revision in {None, "main", "HEAD"} else str(revision)
        if commit not in versions:
            return _missing("RevisionNotFound", f"the bundle has {repo} at {', '.join(versions)}, not at {revision}")
        return commit, versions[commit]


def _sibling(path: str, size: int, oid: str) -> dict[str, Any]:
    lfs = {"lfs": {"sha256": oid, "size": size}} if oid else {}
    return {"rfilename": path, "size": size, **lfs}


def _send(stored: _Stored, headers: dict[str, str]) -> Answer:
    told = {"ETag": f'"{stored.sha256}"', **headers}
    return Answer(HTTPStatus.OK, told, FileBody(stored.path, stored.size, stored.label))


def _missing(code: str, message: str, headers: dict[str, str] | None = None) -> Answer:
    told = {"X-Error-Code": code, "X-Error-Message": message, "Content-Type": "text/plain; charset=utf-8"}
    return Answer(HTTPStatus.NOT_FOUND, {**told, **(headers or {})}, f"{message}\n".encode())
