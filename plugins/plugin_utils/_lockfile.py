# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""The lock file beside an inventory: which images, models and versions its hosts were proven with.

It is YAML, for people to read and to compare. Its name begins with a dot, because Ansible reads every other file of an
inventory's directory as an inventory:

    version: 1
    images:
      ghcr.io/ggml-org/llama.cpp:server-b11243: sha256:…        by the image's own name, whatever mirror it came from
    models:
      tiny-chat:
        c9745ed1d9f2:                                           the version's folder in the model stores
          source: https://huggingface.co/lab/tiny-chat-gguf
          revision: c9745ed1d9f2…
          files: {tiny-chat.gguf: <sha256>}
    hosts:
      gpu01: {docker: 28.5.1, driver: 580.95.05, toolkit: 1.20.0}
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.llmops.serving.plugins.module_utils._registry_names import Reference

NAME: t.Final = ".llmops.lock.yml"
VERSION: t.Final = 1
# How an inventory that has moved on gets a lock file that has, too.
ANEW: t.Final = "`llmops apply --no-lock` and then `llmops lock` take it up"
_HEAD: t.Final = """\
# What the servers of this inventory were proven with, written by `llmops lock`. An apply uses these images and models
# and nothing else.
---
"""
_DIGEST: t.Final = re.compile(r"sha256:[0-9a-f]{64}")
_SHA256: t.Final = re.compile(r"[0-9a-f]{64}")
_MERGE: t.Final = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
# What a host's entry may tell.
_VERSIONS: t.Final = ("docker", "driver", "toolkit")


class LockFileError(ValueError):
    """A lock file cannot be used, or not be made; the message names the file, what is wrong, and what to do."""


@dataclass(frozen=True)
class LockedModel:
    """One version of a model: where it came from, the pinned commit or "", and the sha256 of its files by path."""

    source: str
    revision: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Lock:
    """What a lock file says.

    Attributes:
        path: The file.
        images: By an image's own name with its tag, its digest, `sha256:…`.
        models: By name and by version (the folder's name in the model stores), what it consists of.
        hosts: By host, the versions of Docker, driver and toolkit.
    """

    path: str
    images: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, LockedModel]] = field(default_factory=dict)
    hosts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def pin(self, image: Reference) -> Reference:
        """Give an image its digest; one that has one, or that is not in the file, stays as it is."""
        digest = "" if image.digest else self.images.get(str(image), "")
        return replace(image, digest=digest) if digest else image


class _Loader(yaml.SafeLoader):
    """Refuses what a merge leaves: the same key twice, of which YAML's own reader takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[t.Any, t.Any]:
        seen = set()
        for key_node, _value in node.value:
            key = key_node.value
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is there twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_lock(path: str) -> Lock | None:
    """Read a lock file.

    Args:
        path: The file on the controller; empty for none.

    Returns:
        What it says, None for none.

    Raises:
        LockFileError: It is not there, or is no whole lock file.
    """
    if not path:
        return None
    place = Path(path).expanduser()
    try:
        text = place.read_text(encoding="utf-8")
        if merge := _MERGE.search(text):
            raise _broken(path, f"line {text.count(chr(10), 0, merge.start()) + 1}: a merge was not finished")
        words = yaml.load(text, Loader=_Loader)  # noqa: S506  a safe loader
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise LockFileError(
            f'serving_lock_file: {path} cannot be read: {reason}; name another, or none with ""'
        ) from exc
    except yaml.YAMLError as exc:
        raise _broken(path, _told(exc)) from exc
    if wrong := next(_faults(words), None):
        raise _broken(path, wrong)
    models = {
        name: {key: LockedModel(said["source"], said["revision"], said["files"]) for key, said in versions.items()}
        for name, versions in words["models"].items()
    }
    return Lock(path, words["images"], models, words["hosts"])


def _broken(path: str, wrong: str) -> LockFileError:
    return LockFileError(
        f"serving_lock_file: {path} is broken: {wrong}; take the last good one from version control, or make it anew "
        "with `llmops lock`"
    )


def _told(error: yaml.YAMLError) -> str:
    """Reduce what YAML's reader says to the line and the reason."""
    mark = getattr(error, "problem_mark", None)
    said = (
        ", ".join(filter(None, (getattr(error, "context", None), getattr(error, "problem", None)))) or "it is no YAML"
    )
    return f"line {mark.line + 1}: {said}" if mark else said


def _faults(words: t.Any) -> Iterator[str]:
    """Find what is wrong with the content of a lock file."""
    if not isinstance(words, dict) or "version" not in words:
        yield "it is no lock file of llmops"
    elif words["version"] != VERSION:
        yield f"it has version {words['version']!r}, and this collection reads {VERSION}"
    elif missing := [part for part in ("images", "models", "hosts") if not isinstance(words.get(part), dict)]:
        yield f"{missing[0]} is missing, or no mapping"
    else:
        yield from _part_faults(words)


def _part_faults(words: dict[str, t.Any]) -> Iterator[str]:
    for image, digest in words["images"].items():
        if not _DIGEST.fullmatch(str(digest)):
            yield f"images: {image} has no digest (sha256: and 64 hexadecimal digits)"
    for name, versions in words["models"].items():
        if not isinstance(versions, dict):
            yield f"models: {name}: it is no mapping of versions"
            return
        for key, said in versions.items():
            yield from (f"models: {name} {key}: {fault}" for fault in _model_faults(said))
    for host, said in words["hosts"].items():
        if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
            yield f"hosts: {host} is no mapping of versions, such as docker: '28.5.1'"


def _model_faults(said: t.Any) -> Iterator[str]:
    if not isinstance(said, dict) or not isinstance(said.get("files"), dict) or not said["files"]:
        yield "it has no files"
        return
    for word in ("source", "revision"):
        if not isinstance(said.get(word), str):
            yield f"{word} is missing"
    for path, sha256 in said["files"].items():
        if not _SHA256.fullmatch(str(sha256)):
            yield f"{path} has no sha256 (64 hexadecimal digits)"


def lock_text(lock: Lock) -> str:
    """Write a lock file: sorted, so that what changes stands out.

    Args:
        lock: What it shall say.

    Returns:
        The file's text.
    """
    words = {
        "version": VERSION,
        "images": dict(lock.images),
        "models": {
            name: {
                key: {"source": one.source, "revision": one.revision, "files": dict(one.files)}
                for key, one in sorted(versions.items())
            }
            for name, versions in sorted(lock.models.items())
        },
        "hosts": {name: dict(said) for name, said in lock.hosts.items()},
    }
    parts = [
        yaml.safe_dump({part: _sorted(value) if part != "models" else value}, sort_keys=False, width=1000)
        for part, value in words.items()
    ]
    return _HEAD + "".join(parts)


def _sorted(value: t.Any) -> t.Any:
    return {key: _sorted(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


def collect(path: str, told: Mapping[str, Mapping[str, t.Any]], earlier: Lock | None) -> Lock:
    """Put together what hosts serve.

    Args:
        path: The file to be.
        told: By host `images` (by an image's own name what serves, `name@sha256:…`), and `models` and `versions` as
            the module `drift_info` finds them.
        earlier: The lock file of before, where only some of its hosts or servers were asked: the others' part stays.

    Returns:
        The lock.

    Raises:
        LockFileError: Hosts differ in what the inventory says in the same words.
    """
    images = _images(told)
    models: dict[str, dict[str, LockedModel]] = {}
    for host, said in told.items():
        for name, found in said["models"].items():
            one = LockedModel(found["source"], found["revision"], found["files"])
            known = models.setdefault(name, {}).get(found["key"])
            models[name][found["key"]] = _both(known, one, f"{host}: serving_models[{name!r}]") if known else one
    hosts = {
        host: {word: str(said["versions"][word]) for word in _VERSIONS if said["versions"].get(word)}
        for host, said in told.items()
    }
    if earlier:
        images = {**earlier.images, **images}
        models = {**{name: dict(versions) for name, versions in earlier.models.items()}, **models}
        hosts = {**{host: dict(said) for host, said in earlier.hosts.items()}, **hosts}
    return Lock(path, images, models, hosts)


def _images(told: Mapping[str, Mapping[str, t.Any]]) -> dict[str, str]:
    images: dict[str, str] = {}
    whose: dict[str, str] = {}
    for host, said in told.items():
        for image, serving in said["images"].items():
            digest = str(serving).partition("@")[2]
            if images.setdefault(image, digest) != digest:
                raise LockFileError(
                    f"image {image}: {whose[image]} serves {images[image]}, {host} serves {digest}: `llmops lock "
                    f"--limit {host}` writes down the one that is meant, and an apply brings it to the others"
                )
            whose.setdefault(image, host)
    return images


def _both(known: LockedModel, other: LockedModel, where: str) -> LockedModel:
    """Lay the files of two hosts together: they may have chosen others of the same version."""
    for path, sha256 in other.files.items():
        if known.files.get(path, sha256) != sha256:
            raise LockFileError(
                f"{where}: {path} has the sha256 {sha256} there and {known.files[path]} on another host: set sha256 or "
                "revision, and apply"
            )
    return replace(known, files={**known.files, **other.files})


def changes(before: Lock | None, after: Lock) -> list[str]:
    """Name what a new lock file says that the one of before did not.

    Args:
        before: The one of before, None if there was none.
        after: The new one.

    Returns:
        A line each, sorted.
    """
    old, new = _flat(before) if before else {}, _flat(after)
    lines = []
    for what in sorted(old.keys() | new.keys()):
        if what not in old:
            lines.append(f"{what}: {new[what]}")
        elif what not in new:
            lines.append(f"{what}: left out, it was {old[what]}")
        elif old[what] != new[what]:
            lines.append(f"{what}: {new[what]}, it was {old[what]}")
    return lines


def _flat(lock: Lock) -> dict[str, str]:
    flat = {f"image {image}": digest for image, digest in lock.images.items()}
    for name, versions in lock.models.items():
        flat |= {
            f"model {name} {key}": f"{len(one.files)} file{'' if len(one.files) == 1 else 's'}, {_sum(one)}"
            for key, one in versions.items()
        }
    for host, said in lock.hosts.items():
        flat |= {f"host {host} {word}": version for word, version in said.items()}
    return flat


def _sum(model: LockedModel) -> str:
    digests = sorted(model.files.values())
    return "sha256 " + ", ".join(digest[:12] for digest in digests[:2]) + (" …" if len(digests) > 2 else "")  # noqa: PLR2004  enough to tell them apart
