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

from ansible_collections.llmops.serving.plugins.plugin_utils._flags import read_table

# Of the collection, wherever it is installed: plugins/plugin_utils/_definitions.py -> ../../roles
ROLES: t.Final = Path(__file__).parents[2] / "roles"
# What is the same for all engines, beside the role that runs them.
_COMMON: t.Final = ROLES / "engine"

Definition = dict[str, t.Any]

# Parts of a definition that an engine may have nothing to say about.
_OPTIONAL: t.Final[Definition] = {
    "arguments": {},
    "caches": {},
    "capability": {},
    "environment": {},
    "fixed_length": {},
    "lacks": {},
    "memory": {},
    "needs": [],
    "notice": "",
    "routes": [],
    "shm": None,
    "splits_arguments": False,
    "tune": [],
    "watchdog": {},
    "waivers": {},
}
# Parts that an image may change.
_PER_IMAGE: t.Final = ("arguments", "options", "lacks", "environment", "load", "memory")

# The safe loader in C is ten times as fast where PyYAML has it, and each task of a run loads anew.
_LOADER: t.Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _load(path: Path) -> t.Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506  one of the two safe loaders


@functools.cache
def definitions() -> dict[str, Definition]:
    """Read every engine's definition.

    Returns:
        By the engine's name, the content of its `roles/<engine>/engine.yml` with the parts that may be left out, under
        `flags` the `FlagTable` of `roles/<engine>/flags.json`, under `doctor` and `healthy_but` the rules by which its
        log is read, and under `waivers`, by the number of a check of security, why its containers do not pass it. A
        role without engine.yml is no engine, so adding one takes a new folder and nothing else.
    """
    found = {}
    for path in sorted(ROLES.glob("*/engine.yml")):
        definition: Definition = _OPTIONAL | _load(path)
        listing = json.loads(path.with_name("flags.json").read_text(encoding="utf-8"))
        rules = _doctor(path.with_name("doctor.yml"), definition["title"])
        waivers = _load(_COMMON / "waivers.yml")["waivers"] | definition["waivers"]
        flags = read_table(listing, definition["parser"]["kind"])
        found[path.parent.name] = definition | rules | {"flags": flags, "waivers": waivers}
    return found


def _doctor(path: Path, title: str) -> Definition:
    """Read the rules by which an engine's log is judged: its own, its libraries', and those of every host."""
    own = _load(path) if path.is_file() else {}
    libraries, common = _load(_COMMON / "doctor_libraries.yml"), _load(_COMMON / "doctor.yml")
    shared = [rule for library in own.get("shares", []) for rule in libraries[library]]
    rules = [*own.get("rules", []), *shared, *common["answers"], *common["host"]]
    return {"doctor": _titled(rules, title), "healthy_but": _titled(own.get("healthy_but", []), title)}


def _titled(rules: list[Definition], title: str) -> list[Definition]:
    # Rules of libraries speak of the engine that has them.
    return [rule | {word: rule[word].replace("{title}", title) for word in ("cause", "remedy")} for rule in rules]


def of_variant(definition: Definition, variant: str) -> Definition:
    """Give a definition as it stands for one of its images.

    Args:
        definition: An engine's definition.
        variant: A key of its `images`; one that it lacks gives the definition as it is.

    Returns:
        The definition in which `arguments`, `options`, `lacks`, `environment`, `load`, `memory` and `entrypoint` hold
        what the image says, over what holds for all images. An image takes an option away with null.
    """
    image = definition["images"].get(variant, {})
    merged = {key: {**definition[key], **image.get(key, {})} for key in _PER_IMAGE}
    merged["entrypoint"] = image.get("entrypoint", definition["entrypoint"])
    merged["options"] = {word: rule for word, rule in merged["options"].items() if rule is not None}
    return definition | merged


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
