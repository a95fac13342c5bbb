# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The questions that a model hub answers over HTTP: files, repositories, revisions, LFS objects."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from ansible_collections.llmops.serving.plugins.module_utils._model_check import HEAD, check_head
from ansible_collections.llmops.serving.plugins.module_utils._model_http import (
    NO_AUTH,
    Answer,
    Auth,
    HttpClient,
    HttpError,
    content_range,
    origin,
    wrong_size,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_select import TreeFile
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import (
    ModelError,
    ModelSpec,
    quote_path,
    split_url,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LFS_TYPE = "application/vnd.git-lfs+json"
_LFS_BATCH = 100
_REFS = "/info/refs?service=git-upload-pack"
# Small files that most model repositories have: the one that answers proves repository and revision.
_COMMON_FILES = ("config.json", ".gitattributes", "README.md")
_UNAUTHORISED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
_LISTING_MAX = 64 << 20


@dataclass(frozen=True)
class RemoteFile:
    """What a hub says about a file before it is fetched: bytes (None: unknown) and sha256 (empty: unknown)."""

    size: int | None
    sha256: str


@dataclass(frozen=True)
class Listing:
    """The files of a repository as the hub lists them, and whether it tells their sizes."""

    files: tuple[TreeFile, ...]
    sized: bool


@dataclass(frozen=True)
class GitRemote:
    """A repository's git address.

    Attributes:
        url: Address for ``git fetch``, after redirects.
        lfs: Address of the LFS batch API's parent.
        v2: Whether the server speaks protocol version 2.
    """

    url: str
    lfs: str
    v2: bool


@dataclass(frozen=True)
class Link:
    """Where an LFS object can be fetched, and the headers that the LFS server wants to see there."""

    href: str
    headers: Mapping[str, str]


class Hub:
    """A model hub: git smart HTTP, the LFS batch API and ``resolve`` addresses."""

    def __init__(self, url: str, token: str, client: HttpClient) -> None:
        """Prepare a hub.

        Args:
            url: Its checked address without a trailing slash.
            token: Secret for this hub, empty for none; ``user:password`` is sent as basic authentication.
            client: How to ask.
        """
        self.url = url
        self.token = token
        self.client = client
        self.auth = Auth(origin(url), _bearer(token)) if token else NO_AUTH
        self.git_auth = Auth(origin(url), _basic(token)) if token else NO_AUTH

    def auth_for(self, spec: ModelSpec) -> Auth:
        """The credential for a model's files: none for a ``url`` model, whose host is not the hub."""
        return NO_AUTH if spec.kind == "url" else self.auth

    def file_url(self, spec: ModelSpec, path: str) -> str:
        """The address of a file: https://huggingface.co/docs/hub/en/api names it ``resolve``."""
        if spec.kind == "url":
            return spec.url
        return f"{self.url}/{spec.repo}/resolve/{spec.revision}/{quote_path(path)}"

    def head(self, spec: ModelSpec, path: str) -> RemoteFile:
        """Ask for a file's size, sha256 and first bytes, in one small request.

        A ranged GET instead of HEAD: signed CDN addresses are valid for GET alone, and the first bytes tell HTML pages
        and pointers from weights.

        Raises:
            ModelError: It cannot be had, or is not what it should be.
        """
        try:
            answer, start = self.client.fetch(
                self.file_url(spec, path),
                self.auth_for(spec),
                {"Range": f"bytes=0-{HEAD - 1}"},
                limit=HEAD,
            )
        except HttpError as error:
            if error.status == 416:  # noqa: PLR2004 - HTTP: a range of an empty file
                raise ModelError(spec.content_var, f"{path} is empty; check the hub's copy") from error
            raise self.explain(spec, error, path) from error
        commit = answer.first.get("x-repo-commit", "")
        if spec.revision and commit and commit != spec.revision:
            raise ModelError(
                spec.var("revision"),
                f"the hub answers with commit {commit} instead of {spec.revision}; pin the commit that you mean",
            )
        found = self._remote_file(answer)
        if spec.sha256 and found.sha256 and found.sha256 != spec.sha256:
            raise ModelError(
                spec.var("sha256"),
                f"wrong sha256: {path} has {found.sha256} on the hub, expected {spec.sha256}; correct sha256 "
                "or the revision",
            )
        check_head(path, start, spec.content_var)
        total = content_range(answer)[1]
        if found.size is not None and total not in (None, found.size):
            raise wrong_size(spec.content_var, path, answer, total or 0, found.size)
        return found

    @staticmethod
    def _remote_file(answer: Answer) -> RemoteFile:
        size = content_range(answer)[1]
        linked = answer.first.get("x-linked-size", "")
        etag = re.sub(r'\A(W/)?"|"\Z', "", answer.first.get("x-linked-etag", ""))
        return RemoteFile(int(linked) if linked.isdigit() else size, etag if re.match(r"[0-9a-f]{64}\Z", etag) else "")

    def remote(self, spec: ModelSpec) -> GitRemote:
        """Find a repository's git address and see that it may be read.

        Raises:
            ModelError: It is not there, gated, or the hub cannot be reached.
        """
        base = f"{self.url}/{spec.repo}"
        failure: HttpError | None = None
        for url in (base, base if base.endswith(".git") else base + ".git"):
            try:
                answer, data = self.client.fetch(url + _REFS, self.git_auth, {"Git-Protocol": "version=2"}, limit=4096)
            except HttpError as error:
                failure = failure or error
                if error.status != _NOT_FOUND:
                    break
                continue
            if "git-upload-pack" not in answer.headers.get("content-type", ""):
                raise ModelError(
                    "serving_hub_url",
                    f"{self.url} answers for {spec.repo}, but not as a git server "
                    f"('{answer.headers.get('content-type', '')}'); correct the address, or look at the hub",
                )
            # Redirects end here: git is given the last address and follows none itself.
            final = answer.url.split("/info/refs", 1)[0]
            lfs = final if final.endswith(".git") else final + ".git"
            return GitRemote(final, lfs + "/info/lfs", b"version 2" in data)
        if failure is None:
            raise AssertionError("the loop ran, and neither returned nor raised otherwise")
        raise self.explain(spec, failure) from failure

    def check_revision(self, spec: ModelSpec, remote: GitRemote) -> None:
        """See that a repository has the pinned commit, without git and without fetching it.

        Asks as git's protocol version 2 does (git-scm.com/docs/protocol-v2: command=fetch) and hangs up after the
        first line. A server that speaks another version leaves the question to the fetch.

        Raises:
            ModelError: The server says that it has no such commit.
        """
        if not remote.v2:
            return
        lines = ["command=fetch\n", None, f"want {spec.revision}\n", "deepen 1\n", "no-progress\n", "done\n"]
        body = b"".join(b"0001" if line is None else _pkt(line) for line in lines) + b"0000"
        headers = {
            "Content-Type": "application/x-git-upload-pack-request",
            "Accept": "application/x-git-upload-pack-result",
            "Git-Protocol": "version=2",
        }
        try:
            _answer, data = self.client.fetch(remote.url + "/git-upload-pack", self.git_auth, headers, body, limit=512)
        except HttpError as error:
            raise self.explain(spec, error) from error
        if data[4:8] == b"ERR " and b"not our ref" in data:
            raise self.no_revision(spec)

    def listing(self, spec: ModelSpec) -> Listing | None:
        """The repository's files, where the hub has Hugging Face's API for it; else None.

        Source: ``GET /api/models/{repo}/revision/{revision}?blobs=true`` of https://huggingface.co/docs/hub/en/api.

        Raises:
            ModelError: The hub cannot be reached, or says that the repository is gated.
        """
        url = f"{self.url}/api/models/{spec.repo}/revision/{spec.revision}?blobs=true"
        try:
            _answer, data = self.client.fetch(url, self.auth, limit=_LISTING_MAX)
        except HttpError as error:
            if error.kind != "status" or error.headers.get("x-error-code") == "GatedRepo":
                raise self.explain(spec, error) from error
            # A hub without this API may call that "repository not found": git knows better.
            return None
        answer = _json(data)
        siblings = answer.get("siblings") if isinstance(answer, dict) and answer.get("sha") == spec.revision else None
        if not isinstance(siblings, list) or not all(isinstance(entry, dict) for entry in siblings):
            return None
        files = tuple(_tree_file(entry) for entry in siblings if isinstance(entry.get("rfilename"), str))
        return Listing(files, all(isinstance(entry.get("size"), int) for entry in siblings))

    def lfs_links(self, spec: ModelSpec, remote: GitRemote, files: Sequence[TreeFile]) -> dict[str, Link]:
        """Ask the LFS batch API where objects are.

        Args:
            spec: The wanted model.
            remote: Its repository.
            files: Files whose content is an LFS object.

        Returns:
            Object id to link.

        Raises:
            ModelError: An object is missing or may not be read.
        """
        links: dict[str, Link] = {}
        for first in range(0, len(files), _LFS_BATCH):
            part = files[first : first + _LFS_BATCH]
            body = json.dumps(
                {
                    "operation": "download",
                    "transfers": ["basic"],
                    "hash_algo": "sha256",
                    "objects": [{"oid": entry.oid, "size": entry.size} for entry in part],
                }
            ).encode()
            try:
                _answer, data = self.client.fetch(
                    remote.lfs + "/objects/batch",
                    self.git_auth,
                    {"Accept": _LFS_TYPE, "Content-Type": _LFS_TYPE},
                    body,
                )
            except HttpError as error:
                raise self._explain_lfs(spec, error, part[0]) from error
            answer = _json(data)
            objects = answer.get("objects") if isinstance(answer, dict) else None
            if not isinstance(objects, list):
                raise ModelError(
                    "serving_hub_url",
                    f"{self.url} gives no LFS answer for {spec.repo}; the hub needs git LFS's batch API",
                )
            for entry in part:
                links[entry.oid] = self._link(spec, entry, objects)
        return links

    def _link(self, spec: ModelSpec, entry: TreeFile, objects: Sequence[Any]) -> Link:
        for found in objects:
            if not isinstance(found, dict) or found.get("oid") != entry.oid:
                continue
            action = (found.get("actions") or {}).get("download") or {}
            if isinstance(action.get("href"), str):
                headers = {str(name): str(value) for name, value in (action.get("header") or {}).items()}
                return Link(self._absolute(spec, entry, action["href"]), headers)
            code = (found.get("error") or {}).get("code")
            if code in (_UNAUTHORISED, _FORBIDDEN):
                raise self._gated(spec, int(code))
            break
        raise self._no_object(spec, entry)

    def _absolute(self, spec: ModelSpec, entry: TreeFile, href: str) -> str:
        try:
            found = urljoin(self.url + "/", href)
        except ValueError:
            found = ""
        if split_url(found) is None:
            raise ModelError(
                "serving_hub_url",
                f"{self.url} names no http(s) address for {entry.path} of {spec.repo}; look at the hub's LFS server",
            )
        return found

    @staticmethod
    def _no_object(spec: ModelSpec, entry: TreeFile) -> ModelError:
        return ModelError(
            spec.var("revision"),
            f"{spec.repo} has a pointer for {entry.path}, but the hub lacks its LFS object "
            f"{entry.oid[:12]}; upload it there (git lfs push --all) or pin a revision that is whole",
        )

    def _explain_lfs(self, spec: ModelSpec, error: HttpError, first: TreeFile) -> ModelError:
        if error.status == _NOT_FOUND and "git-lfs" in error.headers.get("content-type", ""):
            # Some servers answer so when they have none of the objects.
            return self._no_object(spec, first)
        if error.status == _NOT_FOUND:
            return ModelError(
                "serving_hub_url",
                f"{self.url} has {spec.repo} as git repository, but no LFS batch API for it (404); the hub "
                "needs git LFS",
            )
        return self.explain(spec, error)

    def explain(self, spec: ModelSpec, error: HttpError, path: str = "") -> ModelError:
        """Turn a failed request into one line with variable, cause and remedy.

        Args:
            spec: The model asked for.
            error: What happened.
            path: The file asked for, empty when it was the repository.

        Returns:
            The error to raise.
        """
        if error.kind != "status" or (error.wait is not None and error.transient):
            return self._no_answer(spec, error)
        if spec.kind == "url":
            return self._explain_url(spec, error)
        if error.away:
            return ModelError(
                "serving_hub_url",
                f"the hub sends {path or 'the objects'} of {spec.repo} to {error.host}, which answers "
                f"{error.status}; check that host",
            )
        if error.status in (_UNAUTHORISED, _FORBIDDEN):
            return self._gated(spec, error.status)
        if error.status == _NOT_FOUND:
            return self._missing(spec, error, path)
        return ModelError(
            "serving_hub_url", f"{error.host} answers {error.status} for {spec.repo}; look at the hub, then run again"
        )

    def _no_answer(self, spec: ModelSpec, error: HttpError) -> ModelError:
        where = spec.var("url") if spec.kind == "url" else "serving_hub_url"
        if error.kind == "tls":
            return ModelError(
                where,
                f"the certificate of {error.host} is not trusted ({error.detail}); {_tls_remedy(error.detail)}",
            )
        if error.kind == "status":
            more = "" if self.token or spec.kind == "url" else ", or set serving_hub_token for a higher limit"
            return ModelError(
                where, f"{error.host} answers {error.status} and asks to wait {error.wait:.0f} s; run again then{more}"
            )
        return ModelError(
            where,
            f"no answer from {error.host}: {error.detail}; check the address, DNS, proxy and firewall of the host",
        )

    def _gated(self, spec: ModelSpec, status: int) -> ModelError:
        page = f"{self.url}/{spec.repo}"
        if self.token:
            return ModelError(
                spec.var("repo"),
                f"{spec.repo} is gated, and the account of serving_hub_token may not read it ({status}): "
                f"accept the licence at {page} with that account, and see that the token is valid",
            )
        return ModelError(
            spec.var("repo"),
            f"{spec.repo} is gated or private, or does not exist ({status}): accept the licence at {page} "
            "and set serving_hub_token, or correct the name",
        )

    @staticmethod
    def _explain_url(spec: ModelSpec, error: HttpError) -> ModelError:
        advice = "correct the address"
        if error.status in (_UNAUTHORISED, _FORBIDDEN):
            advice = "use a public or a signed address (serving_hub_token goes to the hub only)"
        return ModelError(spec.var("url"), f"{error.host} answers {error.status}; {advice}")

    def no_repo(self, spec: ModelSpec) -> ModelError:
        """The repository is not there."""
        return ModelError(
            spec.var("repo"), f"{self.url} has no repository {spec.repo} (404); correct the name, or serving_hub_url"
        )

    @staticmethod
    def no_revision(spec: ModelSpec) -> ModelError:
        """The repository has no such commit."""
        return ModelError(
            spec.var("revision"),
            f"{spec.repo} has no commit {spec.revision}; pin one that it has (git ls-remote shows the newest)",
        )

    @staticmethod
    def _no_file(spec: ModelSpec, path: str) -> ModelError:
        return ModelError(
            spec.content_var,
            f"{spec.repo} has no file {path} at revision {spec.revision[:12]}; correct the file's name or the revision",
        )

    def _missing(self, spec: ModelSpec, error: HttpError, path: str) -> ModelError:
        """Tell a missing repository, revision and file apart: by the hub's word, else by asking around."""
        code = error.headers.get("x-error-code", "")
        if code == "RepoNotFound" or (not path and not code):
            return self.no_repo(spec)
        if code == "RevisionNotFound":
            return self.no_revision(spec)
        try:
            known = code == "EntryNotFound" or self._has_revision(spec)
        except ModelError as problem:
            return problem
        if known:
            return self._no_file(spec, path)
        return ModelError(
            spec.var("revision"),
            f"{spec.repo} has no file {path} at revision {spec.revision} (404); correct the file's name "
            "or the revision",
        )

    def _has_revision(self, spec: ModelSpec) -> bool:
        """Whether the commit is known to be there; raises when repository or commit is known to be missing."""
        remote = self.remote(spec)
        self.check_revision(spec, remote)
        return remote.v2 or any(self._answers(spec, name) for name in _COMMON_FILES)

    def _answers(self, spec: ModelSpec, path: str) -> bool:
        try:
            self.client.fetch(self.file_url(spec, path), self.auth, limit=1)
        except HttpError:
            return False
        return True


def _tree_file(entry: Mapping[str, Any]) -> TreeFile:
    size = entry.get("size")
    return TreeFile(entry["rfilename"], size if isinstance(size, int) else 0)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8"))
    except ValueError:
        return None


def _pkt(line: str) -> bytes:
    return f"{len(line) + 4:04x}{line}".encode()


def git_login(token: str) -> tuple[str, str]:
    """User and password for git and LFS: hubs take any user name beside a token."""
    user, colon, password = token.partition(":")
    return (user, password) if colon else ("token", token)


def _basic(token: str) -> str:
    return "Basic " + base64.b64encode(":".join(git_login(token)).encode()).decode()


def _bearer(token: str) -> str:
    return _basic(token) if ":" in token else "Bearer " + token


def _tls_remedy(detail: str) -> str:
    """What to do about a certificate that is refused."""
    if re.search("not yet valid|expired", detail):
        # Which of the two is wrong, the refusal does not tell.
        return "set the clock of the host (timedatectl), or renew the certificate"
    return "set serving_ca to the certificate of its authority, or install that on the host"
