# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host's model store holds, as the module `model_store` describes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class ModelVersion:
    """A version of a model in a store, or what an unfinished fetch or a prune left of one.

    Attributes:
        name: The model's name in `serving_models`.
        key: The name of the version's folder.
        size: Size in bytes.
        path: The folder on the host.
        source: Where it came from.
        revision: The pinned commit, empty for a URL.
        files: How many files it has.
        licence: Path of its licence file inside the folder, or empty.
        fetched_at: When it was fetched, UTC.
        complete: Whether it has both its folder and its manifest.
        wanted: Whether the inventory wants just this version.
        used_by: Who refers to it.
        damaged: Files that are not what they should be; None where nobody read them.
        unfinished: Whether it is what an unfinished fetch left.
        reasons: Why a prune kept it.
    """

    name: str
    key: str
    size: int
    path: str = ""
    source: str = ""
    revision: str = ""
    files: int = 0
    licence: str = ""
    fetched_at: str = ""
    complete: bool = True
    wanted: bool = False
    used_by: tuple[str, ...] = ()
    damaged: tuple[str, ...] | None = None
    unfinished: bool = False
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelStore:
    """The model store of a host.

    Attributes:
        path: Its folder.
        size: Bytes of all that is in it.
        versions: The versions, after a prune those that were kept.
        leftovers: What unfinished fetches have left, after a prune what was kept of it.
        removed: What a prune removed, or would remove (check mode); None where nothing was pruned.
        kept: What a prune did not remove.
        freed: Bytes of what was removed.
        data: Everything that the module returned.
    """

    path: str
    size: int = 0
    versions: tuple[ModelVersion, ...] = ()
    leftovers: tuple[ModelVersion, ...] = ()
    removed: tuple[ModelVersion, ...] | None = None
    kept: tuple[ModelVersion, ...] = ()
    freed: int = 0
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)


def store_of(result: Mapping[str, Any]) -> ModelStore | None:
    """Read the result of the module `model_store`.

    Args:
        result: What the module itself said.

    Returns:
        The store, None where the module could not look at it.
    """
    if "versions" not in result:
        return None
    removed = result.get("removed")
    return ModelStore(
        path=str(result.get("store", "")),
        size=int(result.get("bytes") or 0),
        versions=tuple(version_of(entry) for entry in result["versions"]),
        leftovers=tuple(version_of({**entry, "unfinished": True}) for entry in result.get("leftovers") or []),
        removed=None if removed is None else tuple(version_of(entry) for entry in removed),
        kept=tuple(version_of(entry) for entry in result.get("kept") or []),
        freed=int(result.get("freed") or 0),
        data=dict(result),
    )


def version_of(entry: Mapping[str, Any]) -> ModelVersion:
    """Read an entry of `versions`, `leftovers`, `removed` or `kept` in the result of the module `model_store`.

    Args:
        entry: The entry.

    Returns:
        The version.
    """
    damaged = entry.get("damaged")
    return ModelVersion(
        name=str(entry.get("name", "")),
        key=str(entry.get("key", "")),
        size=int(entry.get("bytes") or 0),
        path=str(entry.get("path", "")),
        source=str(entry.get("source", "")),
        revision=str(entry.get("revision", "")),
        files=int(entry.get("files") or 0),
        licence=str(entry.get("licence", "")),
        fetched_at=str(entry.get("fetched_at", "")),
        complete=bool(entry.get("complete", True)),
        wanted=bool(entry.get("wanted")),
        used_by=tuple(str(who) for who in entry.get("used_by") or []),
        damaged=None if damaged is None else tuple(str(path) for path in damaged),
        unfinished=bool(entry.get("unfinished")),
        reasons=tuple(str(reason) for reason in entry.get("reasons") or []),
    )
