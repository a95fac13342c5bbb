# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository's tree by git, without checkout, hooks, filters or a credential in any argv."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.module_utils._model_check import POINTER_MAX, parse_pointer
from ansible_collections.llmops.serving.plugins.module_utils._model_http import CHUNK, HttpError, origin, retry_delay
from ansible_collections.llmops.serving.plugins.module_utils._model_hub import GitRemote, Hub, git_login
from ansible_collections.llmops.serving.plugins.module_utils._model_select import TreeFile
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, ModelSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_FETCH_LIMIT_S = 3600
_SYMLINKS_MAX = 8
# What git says of a server that is busy, and of a connection that broke: asking again may help.
_PASSING = re.compile(
    r"(returned error:|HTTP) (408|429|50[0234])\b|RPC failed; curl \d|early EOF|unexpected disconnect"
    r"|Connection (reset|refused)|Empty reply|Could not resolve host|non-properly terminated|timed out",
    re.IGNORECASE,
)
# The names of the secrets are in argv, their values only in git's own environment.
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$LLMOPS_GIT_USER" "$LLMOPS_GIT_PASSWORD"; }; f'
)
_ENTRY = re.compile(
    r"(?P<mode>\d{6}) (?P<type>\w+) (?P<blob>[0-9a-f]{40})\s+(?P<size>\d+|-)\t(?P<path>.+)\Z", re.DOTALL
)


@dataclass(frozen=True)
class Git:
    """The git program on the host and the certificates that it shall trust."""

    program: str
    ca_path: str = ""

    def fetch(self, hub: Hub, spec: ModelSpec, remote: GitRemote, folder: Path) -> GitTree:
        """Fetch one commit, its trees and its small files into a new bare repository.

        Args:
            hub: For the credential and for messages.
            spec: The wanted model.
            remote: Its git address.
            folder: Where the bare repository shall be; one that an earlier call left whole is used again.

        Raises:
            ModelError: The commit is not there, or git failed.
        """
        done = folder.with_name(folder.name + ".done")
        if not done.exists():
            self._fetch(hub, spec, remote, folder)
            done.touch()
        listing = self._run(
            ["--git-dir=" + str(folder), "ls-tree", "-r", "-l", "-z", "--full-tree", spec.revision], {}
        ).stdout
        return GitTree(self, folder, spec, listing)

    def _fetch(self, hub: Hub, spec: ModelSpec, remote: GitRemote, folder: Path) -> None:
        shutil.rmtree(str(folder), ignore_errors=True)
        self._run(["init", "--quiet", "--bare", "--template=", str(folder)], {})
        secret: dict[str, str] = {}
        options: list[str] = []
        if hub.token and origin(remote.url) == origin(hub.url):
            secret["LLMOPS_GIT_USER"], secret["LLMOPS_GIT_PASSWORD"] = git_login(hub.token)
            options = ["-c", "credential.helper=" + _HELPER]
        words = ["fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", remote.url, spec.revision]
        attempt = 1
        while True:
            found = self._run([*options, "--git-dir=" + str(folder), *words], secret, check=False)
            if not found.returncode:
                break
            # git does not tell how long a server asks to wait, so the pauses are those of a silent one.
            if not _PASSING.search(found.stderr) or attempt >= hub.client.retry.attempts:
                raise self._explain(hub, spec, found.stderr)
            passing = HttpError("network", remote.url, _cause(found.stderr))
            hub.client.sleep(retry_delay(hub.client.retry, passing, attempt))
            attempt += 1
        commit = self._run(["--git-dir=" + str(folder), "rev-parse", "FETCH_HEAD^{commit}"], {}).stdout.strip()
        if commit != spec.revision:
            raise ModelError(
                spec.var("revision"), f"{spec.revision} names a tag object of commit {commit}; pin the commit"
            )

    def open_blobs(self, folder: Path) -> subprocess.Popen[bytes]:
        """Start ``git cat-file --batch``."""
        return subprocess.Popen(  # noqa: S603 - git by its full path, no shell
            self._argv(["--git-dir=" + str(folder), "cat-file", "--batch"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment({}),
        )

    def _argv(self, arguments: Sequence[str]) -> list[str]:
        settings = {
            "protocol.version": "2",
            "core.hooksPath": os.devnull,
            "credential.helper": "",
            "http.followRedirects": "false",
            # A dead connection ends the fetch: below 1000 bytes/s for 60 s.
            "http.lowSpeedLimit": "1000",
            "http.lowSpeedTime": "60",
            # One pack, which git writes to the disk before it goes on: a power cut leaves no half of a tree behind.
            "fetch.unpackLimit": "1",
            "gc.auto": "0",
            "maintenance.auto": "false",
        }
        if self.ca_path:
            settings["http.sslCAInfo"] = self.ca_path
        argv = [self.program]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        return argv + list(arguments)

    def _run(
        self, arguments: Sequence[str], secret: Mapping[str, str], check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        try:
            found = subprocess.run(  # noqa: S603 - git by its full path, no shell
                self._argv(arguments),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="surrogateescape",
                env=_environment(secret, self.ca_path),
                timeout=_FETCH_LIMIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ModelError("git", f"{self.program} cannot run: {error}; install git on the host") from error
        if check and found.returncode:
            raise ModelError("git", f"{_cause(found.stderr)}")
        return found

    @staticmethod
    def _explain(hub: Hub, spec: ModelSpec, stderr: str) -> ModelError:
        if "not our ref" in stderr or "unadvertised object" in stderr or "couldn't find remote ref" in stderr:
            return hub.no_revision(spec)
        if "Authentication failed" in stderr or "could not read Username" in stderr:
            return ModelError(
                "serving_hub_token",
                f"git at {hub.url} refuses it for {spec.repo}; accept the licence there and set a valid token",
            )
        return ModelError(
            spec.var("repo"),
            f"git could not fetch {spec.repo} from {hub.url}: {_cause(stderr)}; run again, or look at the hub",
        )


@dataclass(frozen=True)
class _Entry:
    mode: str
    blob: str
    size: int
    path: str


class GitTree:
    """The tree of a fetched commit: its files, and their content on demand."""

    def __init__(self, git: Git, folder: Path, spec: ModelSpec, listing: str) -> None:
        """Read a tree.

        Args:
            git: The program.
            folder: The bare repository.
            spec: The model, for messages.
            listing: Output of ``git ls-tree -r -l -z``.

        Raises:
            ModelError: Submodules, symlinks that do not name a file of the tree, unsafe paths.
        """
        self._git = git
        self._folder = folder
        self._spec = spec
        entries = _parse_listing(spec, listing)
        links = {entry.path: entry for entry in entries.values() if entry.mode == "120000"}
        self.files = self._classify(entries, links)

    def _classify(self, entries: Mapping[str, _Entry], links: Mapping[str, _Entry]) -> list[TreeFile]:
        small = [entry for entry in entries.values() if entry.size <= POINTER_MAX]
        content: dict[str, bytes] = {}
        with _Blobs(self._git, self._folder) as blobs:
            for entry in small:
                content[entry.blob] = blobs.read(entry.blob)
        files: list[TreeFile] = []
        for path in entries:
            entry = _follow(self._spec, path, entries, links, content)
            pointer = parse_pointer(content.get(entry.blob, b""))
            if pointer:
                files.append(TreeFile(path, pointer.size, entry.blob, pointer.oid))
            else:
                files.append(TreeFile(path, entry.size, entry.blob))
        return files

    def write(self, files: Sequence[TreeFile], folder: Path) -> dict[str, str]:
        """Write files whose content lies in git.

        Args:
            files: Which of ``self.files``; none of them LFS objects.
            folder: The tree's folder.

        Returns:
            Path to sha256.
        """
        digests: dict[str, str] = {}
        with _Blobs(self._git, self._folder) as blobs:
            for entry in files:
                target = folder / entry.path
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    digests[entry.path] = blobs.copy(entry.blob, file)
        return digests


class _Blobs:
    """One ``git cat-file --batch`` process: object id in, content out."""

    def __init__(self, git: Git, folder: Path) -> None:
        self._process = git.open_blobs(folder)

    def __enter__(self) -> _Blobs:
        return self

    def __exit__(self, *_exception: object) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        self._process.wait()

    def read(self, blob: str) -> bytes:
        size, stream = self._ask(blob)
        data = stream.read(size)
        stream.read(1)
        return data

    def copy(self, blob: str, file: IO[bytes]) -> str:
        left, stream = self._ask(blob)
        digest = hashlib.sha256()
        while left:
            piece = stream.read(min(CHUNK, left))
            if not piece:
                raise ModelError("git", "cat-file ended early; run again")
            file.write(piece)
            digest.update(piece)
            left -= len(piece)
        stream.read(1)
        return digest.hexdigest()

    def _ask(self, blob: str) -> tuple[int, IO[bytes]]:
        question, answer = self._process.stdin, self._process.stdout
        if question is None or answer is None:
            raise AssertionError("git was started with pipes")
        question.write(blob.encode() + b"\n")
        question.flush()
        header = answer.readline().split()
        if len(header) != 3 or header[1] != b"blob":  # noqa: PLR2004 - "<id> <type> <size>"
            raise ModelError("git", f"object {blob} is missing from what the hub sent; run again")
        return int(header[2]), answer


def _parse_listing(spec: ModelSpec, listing: str) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    for line in filter(None, listing.split("\0")):
        match = _ENTRY.match(line)
        if not match or match.group("type") not in ("blob", "commit"):
            raise ModelError("git", f"cannot read the tree of {spec.repo}: {line!r}")
        path = match.group("path")
        if match.group("type") == "commit":
            raise ModelError(
                spec.var("revision"),
                f"{spec.repo} has a submodule ({path}), which is not fetched; pin a revision without it",
            )
        parts = path.split("/")
        if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", path) or any(
            part in ("", ".", "..") or part.lower() == ".git" for part in parts
        ):
            raise ModelError(
                spec.var("revision"), f"{spec.repo} has an unsafe file name {path!r}; pin a revision without it"
            )
        entries[path] = _Entry(match.group("mode"), match.group("blob"), int(match.group("size")), path)
    return entries


def _follow(
    spec: ModelSpec,
    path: str,
    entries: Mapping[str, _Entry],
    links: Mapping[str, _Entry],
    content: Mapping[str, bytes],
) -> _Entry:
    """The file that a path stands for. Symlinks become plain files, so the store holds none that could lead out."""
    here = path
    for _step in range(_SYMLINKS_MAX):
        if here not in links:
            return entries[here]
        target = content.get(links[here].blob, b"").decode("utf-8", "replace")
        following = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
        if target.startswith("/") or following == ".." or following.startswith("../"):
            raise ModelError(
                spec.var("revision"),
                f"{spec.repo} has a symlink that leaves the tree ({path} -> {target}); pin a revision without it",
            )
        if following not in entries:
            break
        here = following
    raise ModelError(
        spec.var("revision"),
        f"{spec.repo} has a symlink that names no file of the tree ({path}); pin a revision without it",
    )


def _environment(secret: Mapping[str, str], ca_path: str = "") -> dict[str, str]:
    """The environment for git: no repository, trace or prompt from outside, nothing but http(s)."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(("GIT_SSL_", "GIT_PROXY_", "GIT_HTTP_PROXY"))
    }
    kept.update(
        {
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "GIT_ALLOW_PROTOCOL": "http:https",
            "GIT_CONFIG_GLOBAL": os.devnull,
            # Before git 2.32 the line above is unknown; a home without .gitconfig has the same effect.
            "HOME": os.path.sep + "nonexistent",
            "XDG_CONFIG_HOME": os.path.sep + "nonexistent",
        }
    )
    if ca_path:
        # For git the environment wins over every setting.
        kept["GIT_SSL_CAINFO"] = ca_path
    kept.update(secret)
    return kept


def _cause(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # git tells the cause first and ends with what it then lacked ("expected 'packfile'").
    causes = [line for line in lines if line.startswith(("fatal:", "error:", "remote:"))]
    return (causes or lines or ["no message"])[0]
