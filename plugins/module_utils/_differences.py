# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Name what of a server on a host is another thing than what is asked for."""

from __future__ import annotations

import difflib
import json
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils import _generation_words
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, run
from ansible_collections.llmops.serving.plugins.module_utils._same_image import same_image

if t.TYPE_CHECKING:
    from ansible_collections.llmops.serving.plugins.module_utils._generations import Generation, Secrets
    from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit

_LONGEST = 160


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
        *_runs(current, container),
        *_wanted(current, asked, secrets),
        *_state(unit),
    ]


def _by_hand(unit: Unit, current: Generation) -> t.Iterator[str]:
    text = unit.read()
    if text is None:
        yield f"unit: {unit.path} is gone"
    elif text != current.unit:
        yield f"unit: {unit.path} was edited by hand: " + _lines(current.unit.splitlines(), text.splitlines())


def _runs(current: Generation, container: str) -> t.Iterator[str]:
    running = _inspect("container", container, "Image")
    pinned = _inspect("image", current.image, "Id")
    if running and pinned and running != pinned:
        yield f"image: the container runs {running[:19]}, its generation has {current.image} ({pinned[:19]})"


def _wanted(current: Generation, asked: dict[str, t.Any], secrets: Secrets) -> list[str]:
    # Whether a tag means another image by now is no question: it was resolved once.
    before, image = str(current.asked.get("image")), str(asked["image"])
    wanted = current._replace(asked=asked, image=image)
    if same_image(image, before, current.image):
        wanted = current._replace(asked={**asked, "image": before})
    key = {} if secrets.client_key is None else {"client-key": secrets.client_key}
    return _generation_words.differences(current, wanted, {**secrets.files, **key})


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


def _lines(old: t.Sequence[str], new: t.Sequence[str]) -> str:
    """Tell what each changed part was and is."""
    told = []
    for kind, start, stop, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            was, is_now = (" ".join(part) or "(nothing)" for part in (old[start:stop], new[first:last]))
            told.append(f"{_short(was)} -> {_short(is_now)}")
    return "; ".join(told)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _inspect(kind: str, name: str, word: str) -> str:
    try:
        done = run(["docker", "inspect", "--type", kind, name], check=False)
        return str(json.loads(done.out)[0][word]) if not done.code else ""
    except (CommandError, ValueError, KeyError, IndexError):
        return ""
