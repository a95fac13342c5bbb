# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small JSON Schema validator."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._probe_schema import violations

CASES = [
    ({"type": "string"}, "a", []),
    ({"type": "string"}, 1, ["$ is number instead of string"]),
    ({"type": ["string", "null"]}, None, []),
    ({"type": ["string", "null"]}, [], ["$ is array instead of string or null"]),
    ({"type": "integer"}, 1, []),
    ({"type": "integer"}, 1.0, []),
    ({"type": "integer"}, 1.5, ["$ is number instead of integer"]),
    ({"type": "integer"}, True, ["$ is boolean instead of integer"]),
    ({"type": "number"}, False, ["$ is boolean instead of number"]),
    ({"type": "number"}, 1, []),
    ({"type": "boolean"}, True, []),
    ({"type": "boolean"}, 0, ["$ is number instead of boolean"]),
    ({"type": "nonsense"}, 0, ["$ is number instead of nonsense"]),
    ({"enum": ["a", "b"]}, "b", []),
    ({"enum": ["a", "b"]}, "c", ["$ is none of ['a', 'b']"]),
    ({"const": 1}, 2, ["$ is not 1"]),
    ({"const": 1}, 1, []),
    ({"required": ["a"]}, {}, ["$.a is missing"]),
    ({"required": ["a"]}, {"a": None}, []),
    ({"properties": {"a": {"type": "null"}}}, {"a": 1}, ["$.a is number instead of null"]),
    ({"properties": {"a": {"type": "null"}}}, {}, []),
    ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1, "b": 2}, ["$.b is not allowed"]),
    ({"properties": {"a": {}}}, {"a": 1, "b": 2}, []),
    ({"items": {"type": "string"}}, ["a", 1], ["$[1] is number instead of string"]),
    ({"minItems": 2}, [1], ["$ has less than 2 items"]),
    ({"maxItems": 1}, [1, 2], ["$ has more than 1 items"]),
    ({"minItems": 1, "maxItems": 1}, [1], []),
    (
        {"properties": {"a": {"items": {"required": ["b"]}}}},
        {"a": [{"b": 1}, {}]},
        ["$.a[1].b is missing"],
    ),
    ({}, {"anything": 1}, []),
]


@pytest.mark.parametrize(("schema", "value", "found"), CASES)
def test_violations(schema: dict[str, Any], value: Any, found: list[str]) -> None:
    assert violations(value, schema) == found
