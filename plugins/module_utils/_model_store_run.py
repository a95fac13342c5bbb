# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``model_store`` as a function: parameters in, result out."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.llmops.serving.plugins.module_utils._model_files import human
from ansible_collections.llmops.serving.plugins.module_utils._model_progress import Meter
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, parse_models
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store
from ansible_collections.llmops.serving.plugins.module_utils._model_versions import (
    Leftover,
    Version,
    look,
    remove,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ARGUMENTS: dict[str, dict[str, Any]] = {
    "action": {"type": "str", "choices": ["list", "verify", "prune"], "default": "list"},
    "path": {"type": "path", "default": "/var/lib/llmops/models"},
    "models": {"type": "dict", "default": {}},
    "names": {"type": "list", "elements": "str", "default": []},
    "job": {"type": "str"},
}


def run(params: Mapping[str, Any], check_mode: bool, progress: str | None = None) -> dict[str, Any]:
    """Do what the module's parameters ask.

    Args:
        params: The module's parameters.
        check_mode: Whether to write nothing.
        progress: A file to write the progress of a check to.

    Returns:
        The module's result; ``msg`` is there after a failure, ``warnings`` always.
    """
    store = Store(params["path"])
    specs, problems = parse_models(params["models"])
    wanted = {(spec.name, spec.key) for spec in specs}
    if problems and params["action"] == "prune":
        # What is wanted is not known, so nothing is known to be unwanted.
        return _failure(list(problems.values()), {})
    try:
        if store.root.exists() and not store.root.is_dir():
            raise ModelError("serving_model_dir", f"{store.root} is no folder; name the one that holds the models")
        if params["action"] == "prune":
            return _prune(store, wanted, params["names"], check_mode)
        found = _look(store, wanted, params["names"])
        result = _listed(store, found.versions, found.leftovers)
        if params["action"] == "verify":
            result = _verified(store, found.versions, result, progress)
        result["warnings"] = [*problems.values(), *found.warnings]
        return result
    except ModelError as error:
        return _failure([str(error)], {})
    except OSError as error:
        where = error.filename or store.root
        return _failure(
            [f"serving_model_dir: {where}: {error.strerror or error}; see that root can read and write there"], {}
        )


class _Found(NamedTuple):
    versions: list[Version]
    leftovers: list[Leftover]
    warnings: list[str]

    @property
    def entries(self) -> list[Version | Leftover]:
        return [*self.versions, *self.leftovers]


def _look(store: Store, wanted: set[tuple[str, str]], names: Sequence[str], careful: bool = False) -> _Found:
    versions, leftovers = look(store, wanted, careful)
    have = sorted({version.name for version in versions} | {left.name for left in leftovers})
    # Another host of the play may have it.
    warnings = [
        f"models_names: {store.root} has no model '{name}'; it has {', '.join(have) or 'none'}"
        for name in names
        if name not in have
    ]
    chosen = names or have
    return _Found(
        [version for version in versions if version.name in chosen],
        [left for left in leftovers if left.name in chosen],
        warnings,
    )


def _listed(store: Store, versions: Sequence[Version], leftovers: Sequence[Leftover]) -> dict[str, Any]:
    return {
        "changed": False,
        "store": str(store.root),
        "versions": [version.words() for version in versions],
        "leftovers": [left.words() for left in leftovers],
        "bytes": sum(version.bytes for version in versions) + sum(left.bytes for left in leftovers),
        "lines": [_version_line(version) for version in versions] + [_leftover_line(left) for left in leftovers],
    }


def _verified(
    store: Store, versions: Sequence[Version], result: dict[str, Any], progress: str | None
) -> dict[str, Any]:
    meter = Meter(progress)
    try:
        found = verify(store, versions, meter)
    finally:
        meter.close()
    for version, words in zip(versions, result["versions"]):  # noqa: B905 - as long as each other
        words["damaged"] = [damage.path for damage in found if damage.version is version]
    whole = [version for version in versions if version.complete]
    amount = human(sum(version.bytes for version in whole))
    result["lines"] = [f"{_count(len(whole), 'version')} read, {amount}: {_count(len(found), 'damaged file')}"]
    return _failure([damage.problem for damage in found], result) if found else result


def _prune(store: Store, wanted: set[tuple[str, str]], names: Sequence[str], check_mode: bool) -> dict[str, Any]:
    with contextlib.ExitStack() as held:
        if not check_mode and store.root.is_dir():
            held.enter_context(store.lock())
        found = _look(store, wanted, names, careful=True)
        going = [entry for entry in found.entries if not entry.reasons]
        if not check_mode:
            for entry in going:
                remove(store, entry)
    staying = [entry for entry in found.entries if entry.reasons]
    verb = "would be removed" if check_mode else "removed"
    return {
        **_listed(
            store,
            [version for version in found.versions if version.reasons],
            [left for left in found.leftovers if left.reasons],
        ),
        "changed": bool(going),
        "removed": [_brief(entry) for entry in going],
        "kept": [{**_brief(entry), "reasons": list(entry.reasons)} for entry in staying],
        "freed": sum(entry.bytes for entry in going),
        "lines": [f"{_label(entry)}: {verb}, {human(entry.bytes)}" for entry in going]
        + [f"{_label(entry)}: kept, {'; '.join(entry.reasons)}" for entry in staying],
        "diff": {
            "before": "".join(f"{_label(entry)}\n" for entry in found.entries),
            "after": "".join(f"{_label(entry)}\n" for entry in staying),
            "before_header": str(store.root),
            "after_header": str(store.root),
        },
        "warnings": found.warnings,
    }


def _brief(entry: Version | Leftover) -> dict[str, Any]:
    words = {"name": entry.name, "key": entry.key, "path": str(entry.path), "bytes": entry.bytes}
    return {**words, "unfinished": isinstance(entry, Leftover)}


def _label(entry: Version | Leftover) -> str:
    return f"{entry.name} {entry.key}" + (" (unfinished fetch)" if isinstance(entry, Leftover) else "")


def _version_line(version: Version) -> str:
    manifest = version.manifest
    told = [human(version.bytes)]
    if manifest:
        licence = [f"licence in {manifest.licence}"] if manifest.licence else []
        told += [_count(len(manifest.files), "file"), f"from {manifest.source} at {manifest.fetched_at}", *licence]
    if not version.complete:
        told.append("incomplete")
    return f"{_label(version)}: {', '.join(told)}; {'; '.join(version.reasons) or 'needed by nobody'}"


def _leftover_line(left: Leftover) -> str:
    return f"{_label(left)}: {human(left.bytes)}; {'; '.join(left.reasons) or 'needed by nobody'}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _failure(problems: Sequence[str], found: Mapping[str, Any]) -> dict[str, Any]:
    unique = list(dict.fromkeys(problems))
    return {**found, "changed": False, "msg": "\n".join(unique), "problems": unique, "warnings": []}
