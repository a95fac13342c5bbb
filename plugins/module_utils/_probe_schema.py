# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of JSON Schema that probes need, since hosts have no `jsonschema`.

Understood: `type` (name or list), `enum`, `const`, `required`, `properties`, `additionalProperties: false`, `items`,
`minItems`, `maxItems`. Other keywords are not judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "number": (int, float),
    "integer": (int,),
}


def violations(value: Any, schema: Mapping[str, Any], path: str = "$") -> list[str]:
    """What in `value` breaks `schema`.

    Args:
        value: Parsed JSON.
        schema: A JSON schema.
        path: Where `value` stands, for the messages.

    Returns:
        One line for each violation, such as `$.city is missing`; empty if there is none.
    """
    types = schema.get("type")
    names = [types] if isinstance(types, str) else list(types or ())
    if names and not any(_is_type(value, name) for name in names):
        return ["{} is {} instead of {}".format(path, _name_of(value), " or ".join(names))]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append("{} is none of {}".format(path, schema["enum"]))
    if "const" in schema and value != schema["const"]:
        found.append("{} is not {}".format(path, schema["const"]))
    if isinstance(value, dict):
        found += _object_violations(value, schema, path)
    if isinstance(value, list):
        found += _array_violations(value, schema, path)
    return found


def _object_violations(value: dict[str, Any], schema: Mapping[str, Any], path: str) -> list[str]:
    properties = schema.get("properties") or {}
    found = [f"{path}.{name} is missing" for name in schema.get("required") or () if name not in value]
    if schema.get("additionalProperties") is False:
        found += [f"{path}.{name} is not allowed" for name in value if name not in properties]
    for name, inner in properties.items():
        if name in value:
            found += violations(value[name], inner, f"{path}.{name}")
    return found


def _array_violations(value: list[Any], schema: Mapping[str, Any], path: str) -> list[str]:
    found = []
    if len(value) < schema.get("minItems", 0):
        found.append("{} has less than {} items".format(path, schema["minItems"]))
    if len(value) > schema.get("maxItems", len(value)):
        found.append("{} has more than {} items".format(path, schema["maxItems"]))
    inner = schema.get("items")
    if isinstance(inner, dict):
        for index, item in enumerate(value):
            found += violations(item, inner, f"{path}[{index}]")
    return found


def _is_type(value: Any, name: str) -> bool:
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    # In Python True is an int; in JSON it is not.
    if isinstance(value, bool) and name != "boolean":
        return False
    return isinstance(value, _TYPES.get(name, ()))


def _name_of(value: Any) -> str:
    return next((name for name in _TYPES if _is_type(value, name)), type(value).__name__)
