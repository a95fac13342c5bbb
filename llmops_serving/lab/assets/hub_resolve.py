# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the hub answers to a path that is not git's: a pure function of its manifest and the request.

Standard library only: it runs inside the hub's container and in unit tests. Shapes as huggingface.co has them:
https://huggingface.co/docs/hub/models-downloading and the headers that huggingface_hub reads (X-Repo-Commit,
X-Linked-Etag, X-Linked-Size, X-Error-Code, X-Error-Message).

Manifest: {"cdn": host, "repos": {"org/name": {"revision": sha1, "gated": bool, "files": {path: entry}}}}.
Entry of an LFS file: {"lfs": true, "oid": sha256 as announced, "size": bytes as announced, "object": path on the other
host if it is not the usual one}; of any other file: {"lfs": false, "blob": sha1 of git, "size": bytes, "type": media
type}.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

_RESOLVE = re.compile(r"^/([^/]+/[^/]+)/(?:resolve|raw)/([^/]+)/(.+)$")
_API = re.compile(r"^/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?$")
_REPO = re.compile(r"^/(?:api/models/)?([^/]+/[^/]+?)(?:\.git)?(?:/.*)?$")
BRANCHES = ("main", "HEAD")


@dataclass(frozen=True)
class Answer:
    """Status, headers and body; `file` names what nginx sends instead of the body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    file: str | None = None


def token_of(authorization: str) -> str:
    """Take the token out of an Authorization header: Bearer, or the password of Basic."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def repo_of(path: str) -> str:
    """Tell which repository a path belongs to, "" if none."""
    found = _REPO.match(unquote(path))
    return found.group(1) if found else ""


def authorize(manifest: dict[str, Any], path: str, authorization: str, token: str) -> Answer | None:
    """Refuse what needs the hub's token; None means that the request may go on."""
    repo = manifest["repos"].get(repo_of(path))
    if repo is None or not repo.get("gated"):
        return None
    given = token_of(authorization)
    if given and hmac.compare_digest(given, token):
        return None
    message = "Invalid credentials in Authorization header"
    if not given:
        message = (
            f"Access to model {repo_of(path)} is restricted. You must have access to it and be authenticated to access"
            " it. Please log in."
        )
    challenge = 'Basic realm="Authentication required", charset="UTF-8"'
    return _error(401, "GatedRepo", message, {"WWW-Authenticate": challenge})


def resolve(manifest: dict[str, Any], path: str) -> Answer:
    """Answer a request for a file or for the description of a repository."""
    path = unquote(path)
    found = _API.match(path) or _RESOLVE.match(path)
    repo = manifest["repos"].get(found.group(1)) if found else None
    if found is None or repo is None:
        return _error(404, "RepoNotFound", "Repository not found")
    name, revision = found.group(1, 2)
    if revision is not None and revision not in {repo["revision"], *BRANCHES}:
        return _error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    if found.re is _API:
        return _describe(name, repo)
    return _send(manifest, name, repo, found.group(3))


def _send(manifest: dict[str, Any], name: str, repo: dict[str, Any], file: str) -> Answer:
    entry = repo["files"].get(file)
    if entry is None:
        return _error(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": repo["revision"]})
    headers = {"X-Repo-Commit": repo["revision"], "Access-Control-Expose-Headers": "X-Repo-Commit,X-Linked-Etag,ETag"}
    if entry["lfs"]:
        oid = entry["oid"]
        object_path = entry.get("object") or f"/{name}/{oid}"
        headers |= {
            "X-Linked-Etag": f'"{oid}"',
            "X-Linked-Size": str(entry["size"]),
            "ETag": f'"{oid}"',
            "Location": f"https://{manifest['cdn']}{quote(object_path)}",
            "Content-Type": "text/plain; charset=utf-8",
            "Accept-Ranges": "bytes",
        }
        return Answer(302, headers, f"Found. Redirecting to {headers['Location']}".encode())
    headers |= {"ETag": f'"{entry["blob"]}"', "Content-Type": entry["type"]}
    return Answer(200, headers, file=f"/{name}/{entry['blob']}")


def _describe(name: str, repo: dict[str, Any]) -> Answer:
    body = {
        "id": name,
        "modelId": name,
        "sha": repo["revision"],
        "private": False,
        "gated": "manual" if repo.get("gated") else False,
        "siblings": [{"rfilename": file} for file in sorted(repo["files"])],
    }
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(body).encode())


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Answer:
    extra = {"X-Error-Code": code, "X-Error-Message": message, "Content-Type": "text/plain; charset=utf-8"}
    return Answer(status, {**extra, **(headers or {})}, message.encode())
