# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What on a host is not as the inventory says, and what was written into a lock file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.plugin_utils._drift_words import differences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llmops_serving.results import Step

# Modules that say themselves what differs.
_TOLD = {f"llmops.serving.{name}" for name in ("server", "model")}


@dataclass(frozen=True)
class Difference:
    """Something that is not as the inventory says.

    Attributes:
        about: What kind of thing: server, model, docker, driver, toolkit, or task for what a task would change.
        name: Its name, empty where there is one of its kind.
        what: What differs, in words.
    """

    about: str
    name: str
    what: str


@dataclass(frozen=True)
class LockWritten:
    """A lock file that was written, or would be (check mode).

    Attributes:
        path: The file.
        changed: Whether it says something else than before.
        lines: What it says that it did not say before, a line each.
        images: How many images are in it.
        models: How many versions of models are in it.
        hosts: How many hosts are in it.
    """

    path: str
    changed: bool = False
    lines: tuple[str, ...] = ()
    images: int = 0
    models: int = 0
    hosts: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Give all of it as JSON values."""
        return {**asdict(self), "lines": list(self.lines)}


def differences_of(
    servers: Iterable[Mapping[str, Any]], looked: Sequence[Mapping[str, Any]] | None, steps: Iterable[Step]
) -> tuple[Difference, ...]:
    """List what differs on a host.

    Args:
        servers: What the module `server` returned of each server.
        looked: What the module `drift_info` listed, None where nobody looked.
        steps: What ran.

    Returns:
        The differences, those that tasks of other modules would mend last; none where nobody looked.
    """
    if looked is None:
        return ()
    found = [Difference(**one) for one in differences(list(servers), looked)]
    labels = dict.fromkeys(step.label for step in steps if step.status == "changed" and step.action not in _TOLD)
    return (*found, *(Difference("task", label, "would change the host") for label in labels))


def lock_of(result: Mapping[str, Any]) -> LockWritten | None:
    """Read the result of the action `lock_file`.

    Args:
        result: What it returned.

    Returns:
        The file, None where it could not be written.
    """
    if "images" not in result:
        return None
    numbers = {word: int(result.get(word) or 0) for word in ("images", "models", "hosts")}
    lines = tuple(str(line) for line in result.get("lines") or [])
    return LockWritten(path=str(result["path"]), changed=bool(result.get("changed")), lines=lines, **numbers)
