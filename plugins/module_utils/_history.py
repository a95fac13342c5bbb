# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Tell the generations of a server: how each fared, what it changed, and whether it can be gone back to."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._change import pending
from ansible_collections.llmops.serving.plugins.module_utils._docker import image_digest
from ansible_collections.llmops.serving.plugins.module_utils._generation_words import differences
from ansible_collections.llmops.serving.plugins.module_utils._generations import Generation, Store
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest
from ansible_collections.llmops.serving.plugins.module_utils._prepare import Unready, demand_models


def history(name: str) -> dict[str, t.Any]:
    """Tell the generations of one server.

    Args:
        name: Its name.

    Returns:
        One entry of `servers` in the result of the module `server_history_info`; its generations oldest first.
    """
    store = Store(name)
    current = store.current()
    found = [generation for generation in map(store.read, store.numbers()) if generation]
    told: list[dict[str, t.Any]] = []
    good: Generation | None = None
    for generation in found:
        told.append(_told(generation, good, current))
        # One that failed came between two that served, and is no measure for the second.
        if generation.passed and not generation.failed:
            good = generation
    change = pending(name)
    return {
        "name": name,
        "engine": current.asked.get("engine") if current else None,
        "current": current.number if current else None,
        "generations": told,
        "pending": dict(change._asdict()) if change else None,
    }


def lines(server: t.Mapping[str, t.Any]) -> list[str]:
    """Put the history of a server into lines for people.

    Args:
        server: What `history` returned.

    Returns:
        A line for each generation, the newest first, with those about it below.
    """
    said = []
    for entry in reversed(server["generations"]):
        said.append("{} generation {}: {}".format(server["name"], entry["number"], state_words(entry)))
        said += [f"  {line}" for line in (*entry["changes"], *entry["missing"])]
    if server["pending"]:
        said.append("{}: {}".format(server["name"], pending_words(server["pending"])))
    return said


def state_words(entry: t.Mapping[str, t.Any]) -> str:
    """Say how a generation fared."""
    if entry["current"]:
        return f"current, since {entry['gated'] or 'an earlier version of the collection'}"
    if entry["failed"]:
        return "failed at {at}, kept for inspection: {check}: {cause}".format(**entry["failed"])
    if entry["state"] == "interrupted":
        return f"made at {entry['made']}, cut off before it was judged"
    return f"kept, good at {entry['gated'] or 'an unknown time'}"


def pending_words(change: t.Mapping[str, t.Any]) -> str:
    """Say that a change began and did not end."""
    return "a change to generation {to} that began at {since} is under way, or was cut off ({step})".format(**change)


def _told(generation: Generation, before: Generation | None, current: Generation | None) -> dict[str, t.Any]:
    is_current = current is not None and current.number == generation.number
    good = generation.passed and not generation.failed
    return {
        "number": generation.number,
        "current": is_current,
        "state": "current" if is_current else "failed" if generation.failed else "kept" if good else "interrupted",
        "made": generation.made or None,
        "gated": generation.gated,
        "failed": generation.failed,
        "engine": generation.asked.get("engine"),
        "image": generation.image,
        "image_name": generation.asked.get("image"),
        "port": generation.asked.get("port"),
        "models": [_model(model) for model in generation.asked.get("models") or []],
        "changes": differences(before, generation) if before else [],
        "missing": missing(generation),
    }


def _model(model: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    path = Path(str(model.get("path", "")))
    manifest = Manifest.load(path.with_name(path.name + ".json"))
    return {
        "name": path.parent.name,
        "served_as": model.get("name"),
        "version": path.name,
        "path": str(path),
        "revision": manifest.revision if manifest else "",
        "source": manifest.source if manifest else "",
    }


def missing(generation: Generation) -> list[str]:
    """List what a generation needs and the host has no more.

    Args:
        generation: The generation.

    Returns:
        A line for each, with what brings it back.
    """
    said = []
    if image_digest(generation.image) is None:
        said.append(f"image {generation.image} is not on the host, or Docker does not answer: going back pulls it")
    for model in generation.asked.get("models") or []:
        try:
            demand_models([model])
        except Unready as exc:
            said.append(f"model {exc.cause}: an apply with that version in serving_models fetches it")
    return said
