# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a wanted model is: its parsed, checked description and the places that follow from it."""

from __future__ import annotations

import difflib
import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

KEYS = ("repo", "revision", "file", "include", "exclude", "url", "sha256", "allow_pickle", "task")
TASKS = ("chat", "embedding", "rerank", "classify")
# Formats that run code when they are loaded: https://docs.python.org/3/library/pickle.html warns first of all.
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")

_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_REPO = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)+\Z")
_SPLIT = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<count>\d{5})\.gguf\Z")
_MAX_PARTS = 1000


class ModelError(Exception):
    """A problem with a model, as one line that names the variable, what is wrong, and the remedy."""

    def __init__(self, variable: str, text: str) -> None:
        """Compose the line.

        Args:
            variable: What to change, such as ``serving_models['x'].revision``.
            text: Cause; remedy.
        """
        super().__init__(f"{variable}: {text}")


@dataclass(frozen=True)
class ModelSpec:
    """One wanted model.

    Attributes:
        name: Its name in ``serving_models``, also its folder in the store.
        kind: ``repo`` (git tree with LFS objects), ``file`` (files of a repository over HTTP) or ``url`` (any URL).
        repo: ``owner/name`` on the hub; empty for ``url``.
        revision: The pinned commit, 40 hexadecimal digits; empty for ``url``.
        files: Paths inside the repository (``file``: one, or all parts of a split GGUF; ``url``: the file's name).
        url: The address of a ``url`` model.
        sha256: The wanted digest, 64 hexadecimal digits, or empty.
        allow_pickle: Whether pickle weights may be fetched.
        include: Patterns of paths: only matching files of a repository are fetched; empty for all that serve a model.
        exclude: Patterns of paths that are not fetched.
    """

    name: str
    kind: str
    repo: str = ""
    revision: str = ""
    files: tuple[str, ...] = ()
    url: str = ""
    sha256: str = ""
    allow_pickle: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name of this version's folder: 12 digits of the commit; of a ``url``'s digest, else of its address."""
        return (self.revision or self.sha256 or hashlib.sha256(self.url.encode()).hexdigest())[:12]

    def var(self, option: str = "") -> str:
        """The variable that a message should name."""
        return variable(self.name, option)

    @property
    def content_var(self) -> str:
        """The variable that decides what the files hold."""
        return self.var({"url": "url", "file": "file"}.get(self.kind, "revision"))

    def source(self, hub_url: str) -> str:
        """Where the model comes from, for people and for the manifest (never with a secret)."""
        if self.kind == "url":
            return public_url(self.url)
        return f"{hub_url}/{self.repo}"


def variable(name: str, option: str = "") -> str:
    """The inventory variable of a model's option, such as ``serving_models['x'].revision``."""
    return f"serving_models['{name}']" + (f".{option}" if option else "")


def split_url(url: str) -> SplitResult | None:
    """The parts of an http(s) address, None when it is none."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        # A port, or an IPv6 address, that is none.
        return None
    return parts if usable else None


def public_url(url: str) -> str:
    """The URL without its query: signed URLs carry their secret there."""
    return urlsplit(url)._replace(query="", fragment="").geturl()


def is_pickle(path: str) -> bool:
    """Whether the file's suffix is that of a format which runs code when it is loaded."""
    return path.lower().endswith(PICKLE_SUFFIXES)


def parse_hub_url(hub_url: str, token: str) -> str:
    """Check the hub's address and return it without a trailing slash.

    Raises:
        ModelError: It is no plain http(s) address, carries a credential, or would carry the token in clear text.
    """
    parts = split_url(hub_url)
    if parts is None or parts.query or parts.fragment:
        raise ModelError("serving_hub_url", f"'{hub_url}' is no http(s) address such as https://huggingface.co")
    if parts.username or parts.password:
        raise ModelError("serving_hub_url", "it carries a credential; take it out and set serving_hub_token")
    if token and parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise ModelError("serving_hub_url", f"{hub_url} would carry serving_hub_token in clear text; use https://")
    if re.search(r"[\x00-\x20\x7f]", token):
        raise ModelError("serving_hub_token", "it holds a space or a line end; set the token alone")
    return hub_url.rstrip("/")


def parse_models(models: Mapping[str, Any]) -> tuple[list[ModelSpec], dict[str, str]]:
    """Parse the wanted models.

    Args:
        models: Name to options, as written in the inventory.

    Returns:
        The good descriptions in the order given, and one problem line for each name that has one.
    """
    specs: list[ModelSpec] = []
    problems: dict[str, str] = {}
    for name, options in models.items():
        try:
            specs.append(_parse(str(name), options))
        except ModelError as error:
            problems[str(name)] = str(error)
    return specs, problems


def check_name(name: str) -> None:
    """Refuse a name that is no plain folder name."""
    if not _NAME.match(name):
        raise ModelError(
            variable(name), "the name may hold letters, digits, '.', '_' and '-' and begins with a letter or a digit"
        )


def _parse(name: str, options: Any) -> ModelSpec:
    check_name(name)
    if not isinstance(options, Mapping):
        raise ModelError(variable(name), "expected a mapping such as {repo: owner/name, revision: <commit>}")
    _check_types(name, options)
    sha256 = (options.get("sha256") or "").lower()
    if sha256 and not _SHA256.match(sha256):
        raise ModelError(variable(name, "sha256"), "expected 64 hexadecimal digits")
    if bool(options.get("repo")) == bool(options.get("url")):
        raise ModelError(variable(name), "set either repo (with revision) or url (with sha256)")
    parse = _parse_url if options.get("url") else _parse_repo
    allow_pickle: bool = options.get("allow_pickle", False)
    spec = parse(name, options, sha256, allow_pickle)
    for path in spec.files:
        if is_pickle(path) and not allow_pickle:
            raise ModelError(
                spec.var("url" if spec.url else "file"),
                f"'{posixpath.basename(path)}' is a pickle format, which runs code when it is loaded; choose "
                f"safetensors or GGUF, or set {spec.var('allow_pickle')}: true if you trust its author",
            )
    return spec


def _check_types(name: str, options: Mapping[str, Any]) -> None:
    for key in options:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, 1)
            hint = f"did you mean '{near[0]}'?" if near else "known: " + ", ".join(KEYS)
            raise ModelError(variable(name, str(key)), f"unknown option; {hint}")
    for key in ("repo", "revision", "file", "url", "sha256"):
        # YAML reads an unquoted revision of digits as a number and would lose its leading zeros.
        if options.get(key) is not None and not isinstance(options[key], str):
            raise ModelError(variable(name, key), "expected text; put the value in quotes")
    for key in ("include", "exclude"):
        patterns = options.get(key)
        if patterns is not None and not (
            isinstance(patterns, list) and patterns and all(isinstance(one, str) and one for one in patterns)
        ):
            raise ModelError(variable(name, key), "expected a list of patterns such as ['*.safetensors', '*.json']")
        if patterns and (options.get("file") or options.get("url")):
            raise ModelError(variable(name, key), "belongs to a whole repository; take it out, or take file or url out")
    if not isinstance(options.get("allow_pickle", False), bool):
        raise ModelError(variable(name, "allow_pickle"), "expected true or false")
    task = options.get("task")
    if task is not None and task not in TASKS:
        raise ModelError(variable(name, "task"), f"'{task}' is none of {', '.join(TASKS)}")


def _parse_url(name: str, options: Mapping[str, Any], sha256: str, allow_pickle: bool) -> ModelSpec:
    for key in ("revision", "file"):
        if options.get(key):
            raise ModelError(variable(name, key), "belongs to repo, not to url; take it out")
    url = options["url"]
    parts = split_url(url)
    if parts is None:
        raise ModelError(variable(name, "url"), "expected an http(s) address")
    if parts.username or parts.password:
        raise ModelError(variable(name, "url"), "it carries a credential; use a public or a signed address")
    base = posixpath.basename(unquote(parts.path))
    if not base or base in (".", "..") or _unsafe(base):
        raise ModelError(variable(name, "url"), "its path must end in a file name")
    return ModelSpec(name, "url", files=(base,), url=url, sha256=sha256, allow_pickle=allow_pickle)


def _parse_repo(name: str, options: Mapping[str, Any], sha256: str, allow_pickle: bool) -> ModelSpec:
    repo = options["repo"]
    if not _REPO.match(repo) or ".." in repo:
        raise ModelError(variable(name, "repo"), f"'{repo}' is no owner/name")
    revision = (options.get("revision") or "").lower()
    if not _COMMIT.match(revision):
        seen = "it is not set" if not revision else f"'{revision}' is a branch, a tag or a short id"
        raise ModelError(
            variable(name, "revision"),
            f"{seen}; pin a commit, all 40 hexadecimal digits (git ls-remote shows them)",
        )
    path = options.get("file")
    if not path:
        if sha256:
            raise ModelError(
                variable(name, "sha256"),
                "belongs to a single file; a repository is pinned by its revision: set file or take it out",
            )
        include, exclude = (tuple(options.get(key) or ()) for key in ("include", "exclude"))
        return ModelSpec(name, "repo", repo, revision, allow_pickle=allow_pickle, include=include, exclude=exclude)
    if path.startswith("/") or _unsafe(path) or any(part in ("", ".", "..") for part in path.split("/")):
        raise ModelError(variable(name, "file"), f"'{path}' is no path inside the repository")
    files = _parts(name, path)
    if len(files) > 1 and sha256:
        raise ModelError(
            variable(name, "sha256"),
            f"'{path}' has {len(files)} parts, which the hub's own checksums prove; take sha256 out",
        )
    return ModelSpec(name, "file", repo, revision, files, sha256=sha256, allow_pickle=allow_pickle)


def _parts(name: str, path: str) -> tuple[str, ...]:
    """All parts of a split GGUF (``x-00001-of-00003.gguf``), or the path alone."""
    match = _SPLIT.match(path)
    if not match:
        return (path,)
    count = int(match.group("count"))
    if match.group("part") != "00001" or not 1 <= count <= _MAX_PARTS:
        raise ModelError(
            variable(name, "file"),
            f"name the first part, '{match.group('stem')}-00001-of-{match.group('count')}.gguf'; the others follow",
        )
    return tuple("{}-{:05d}-of-{:05d}.gguf".format(match.group("stem"), part + 1, count) for part in range(count))


def _unsafe(text: str) -> bool:
    return bool(re.search(r"[\x00-\x1f\x7f\\]", text))


def quote_path(path: str) -> str:
    """Percent-encode a repository path for a URL."""
    return quote(path, safe="/")
