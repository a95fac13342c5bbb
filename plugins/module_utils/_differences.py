# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Name what of a server on a host is another thing than what is asked for."""

from __future__ import annotations

import difflib
import json
import re
import typing as t
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, run
from ansible_collections.llmops.serving.plugins.module_utils._same_image import same_image

if t.TYPE_CHECKING:
    from ansible_collections.llmops.serving.plugins.module_utils._generations import Generation, Secrets
    from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit

# Of one kind of difference so many are shown, each no longer than this, and the rest is counted.
_SHOWN, _LONGEST = 6, 160
_MODEL = re.compile(r"src=(?P<path>[^,\s\"]+)")


def differences(
    unit: Unit, current: Generation | None, asked: dict[str, t.Any], secrets: Secrets, container: str
) -> list[str]:
    """Compare a host with what is asked for.

    Args:
        unit: The server's unit.
        current: The generation that serves; None if there is none.
        asked: What the server shall be.
        secrets: Its secrets, which are named and never shown.
        container: The container's name.

    Returns:
        A line for each thing that differs, empty if the host has the server and it runs.
    """
    if current is None:
        return ["the host does not have this server"]
    return [
        *_by_hand(unit, current),
        *_images(current, asked, container),
        *_models(current, asked),
        *_words(current, asked),
        *_files(current, asked),
        *_secrets(current, secrets),
        *_state(unit),
    ]


def _by_hand(unit: Unit, current: Generation) -> t.Iterator[str]:
    text = unit.read()
    if text is None:
        yield f"unit: {unit.path} is gone"
    elif text != current.unit:
        yield f"unit: {unit.path} was edited by hand: " + _changes(current.unit.splitlines(), text.splitlines())


def _images(current: Generation, asked: dict[str, t.Any], container: str) -> t.Iterator[str]:
    before = str(current.asked.get("image"))
    if not same_image(asked["image"], before, current.image):
        # Where a digest is asked for, the digest that serves is what differs.
        yield "image: {} serves, {} is asked for".format(
            current.image if "@" in asked["image"] else before, asked["image"]
        )
    running = _inspect("container", container, "Image")
    pinned = _inspect("image", current.image, "Id")
    if running and pinned and running != pinned:
        yield f"image: the container runs {running[:19]}, its generation has {current.image} ({pinned[:19]})"


def _models(current: Generation, asked: dict[str, t.Any]) -> t.Iterator[str]:
    old = {model["name"]: model["path"] for model in current.asked.get("models") or []}
    new = {model["name"]: model["path"] for model in asked.get("models") or []}
    for name in sorted(set(old) | set(new)):
        if name not in new:
            yield f"model: {name} serves, and is not asked for"
        elif name not in old:
            yield f"model: {name} is asked for, and does not serve"
        elif old[name] != new[name]:
            yield f"model: {name} serves at revision {Path(old[name]).name}, {Path(new[name]).name} is asked for"


def _words(current: Generation, asked: dict[str, t.Any]) -> t.Iterator[str]:
    """Compare the texts of the units: word by word what starts the container, line by line the rest."""
    old, new = str(current.asked.get("unit") or ""), str(asked["unit"])
    if old == new:
        return
    starts = [[line for line in text.splitlines() if line.startswith("ExecStart=")] for text in (old, new)]
    rest = [[line for line in text.splitlines() if not line.startswith("ExecStart=")] for text in (old, new)]
    if starts[0] != starts[1]:
        # The model's path has its line already.
        words = [[word for word in " ".join(lines).split() if not _MODEL.search(word)] for lines in starts]
        told = _changes(*words)
        if told:
            yield f"options: {told}"
    if rest[0] != rest[1]:
        yield f"unit: {_changes(*rest)}"


def _files(current: Generation, asked: dict[str, t.Any]) -> t.Iterator[str]:
    old, new = current.asked.get("files") or {}, asked.get("files") or {}
    for name in sorted(set(old) | set(new)):
        if old.get(name) != new.get(name):
            yield f"file {name}: {mark(old.get(name), new.get(name))}"


def _secrets(current: Generation, secrets: Secrets) -> t.Iterator[str]:
    old = current.secrets()
    for name in sorted(set(old) | set(secrets.files)):
        if old.get(name) != secrets.files.get(name):
            yield f"secret {name}: {mark(old.get(name), secrets.files.get(name))}"


def _state(unit: Unit) -> t.Iterator[str]:
    state = unit.state()
    if state.enabled != "enabled":
        yield f"unit: {unit.name} does not start with the host ({state.enabled or 'not enabled'})"
    if not state.running:
        yield f"state: {unit.name} is {state.active}, it should be active"


def mark(old: str | None, new: str | None) -> str:
    """Say what became of a text without showing it."""
    if old == new:
        return "unchanged"
    return "added" if old is None else "removed" if new is None else "changed"


def _changes(old: t.Sequence[str], new: t.Sequence[str]) -> str:
    """Tell what each changed part was and is."""
    told = []
    for kind, start, stop, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        # A value says little without its flag.
        before = old[start - 1] if start else ""
        alone = not "".join([*old[start:stop], *new[first:last]]).startswith("--")
        name = f"{before} " if before.startswith("--") and alone else ""
        was, is_now = (" ".join(part) for part in (old[start:stop], new[first:last]))
        told.append(f"{name}{_short(was)} -> {_short(is_now)}")
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return "; ".join(told[:_SHOWN]) + more


def _short(text: str) -> str:
    if not text:
        return "(nothing)"
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _inspect(kind: str, name: str, word: str) -> str:
    try:
        done = run(["docker", "inspect", "--type", kind, name], check=False)
        return str(json.loads(done.out)[0][word]) if not done.code else ""
    except (CommandError, ValueError, KeyError, IndexError):
        return ""
