# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Read what the collection's own files say: the engines' definitions and the types of the inventory's words."""

from __future__ import annotations

import functools
import json
import typing as t
from pathlib import Path

import yaml

# Of the collection, wherever it is installed: plugins/plugin_utils/_definitions.py -> ../../roles
ROLES: t.Final = Path(__file__).parents[2] / "roles"

Definition = dict[str, t.Any]

# The safe loader in C is ten times as fast where PyYAML has it, and each task of a run loads anew.
_LOADER: t.Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _load(path: Path) -> t.Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506  one of the two safe loaders


@functools.cache
def definitions() -> dict[str, Definition]:
    """Read every engine's definition.

    Returns:
        By the engine's name, the content of its `roles/<engine>/engine.yml`, and under `flags` the names of all its
        flags with their dashes, out of `roles/<engine>/flags.json`. A role without that file is no engine, so adding
        an engine takes a new folder and nothing else.
    """
    found = {}
    for path in sorted(ROLES.glob("*/engine.yml")):
        definition: Definition = _load(path)
        listing = json.loads(path.with_name("flags.json").read_text(encoding="utf-8"))
        found[path.parent.name] = definition | {"flags": listing["flags"]}
    return found


@functools.cache
def role_options(role: str) -> dict[str, t.Any]:
    """Read the options of a role out of its `meta/argument_specs.yml`.

    Args:
        role: Name of a role of this collection.

    Returns:
        The options by name, as Ansible's own argument validation takes them.
    """
    specs = _load(ROLES / role / "meta/argument_specs.yml")
    options: dict[str, t.Any] = specs["argument_specs"]["main"]["options"]
    return options
