# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module `model_store` returned becomes a store."""

from __future__ import annotations

from typing import Any

from llmops_serving.models_result import ModelVersion, store_of
from llmops_serving.results import parse_events

ENTRY = {"name": "x", "key": "aaaaaaaaaaaa", "path": "/m/x/aaaaaaaaaaaa", "bytes": 10}
VERSION = {
    **ENTRY,
    "complete": True,
    "source": "https://hub/x",
    "revision": "a" * 40,
    "files": 2,
    "licence": "LICENSE",
    "fetched_at": "2026-01-31T12:00:00Z",
    "wanted": True,
    "used_by": ["server chat"],
}
RESULT: dict[str, Any] = {
    "store": "/m",
    "versions": [VERSION],
    "leftovers": [{**ENTRY, "wanted": False}],
    "bytes": 20,
    "lines": ["x"],
}


def test_a_list() -> None:
    store = store_of(RESULT)
    assert store
    assert (store.path, store.size, store.removed, store.kept, store.freed) == ("/m", 20, None, (), 0)
    assert store.versions == (
        ModelVersion(
            name="x",
            key="aaaaaaaaaaaa",
            size=10,
            path="/m/x/aaaaaaaaaaaa",
            source="https://hub/x",
            revision="a" * 40,
            files=2,
            licence="LICENSE",
            fetched_at="2026-01-31T12:00:00Z",
            wanted=True,
            used_by=("server chat",),
        ),
    )
    assert [(left.name, left.unfinished, left.damaged) for left in store.leftovers] == [("x", True, None)]


def test_a_check_and_a_prune() -> None:
    checked = store_of({**RESULT, "versions": [{**VERSION, "damaged": []}, {**VERSION, "damaged": ["LICENSE"]}]})
    assert checked
    assert [version.damaged for version in checked.versions] == [(), ("LICENSE",)]
    kept = {**ENTRY, "unfinished": False, "reasons": ["wanted by the inventory"]}
    pruned = store_of({**RESULT, "removed": [{**ENTRY, "unfinished": True}], "kept": [kept], "freed": 10})
    assert pruned
    assert [(one.unfinished, one.size) for one in pruned.removed or ()] == [(True, 10)]
    assert [one.reasons for one in pruned.kept] == [("wanted by the inventory",)]
    assert pruned.freed == 10


def test_a_store_that_could_not_be_looked_at_is_none() -> None:
    assert store_of({"msg": "no"}) is None


def events(kind: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    task = {"task": "Look", "task_uuid": "1", "resolved_action": "llmops.serving.model_store"}
    failed = {"box": 1} if kind.endswith("failed") else {}
    return [
        {"event": kind, "event_data": {"host": "box", **task, "res": result}},
        {"event": "playbook_on_stats", "event_data": {"failures": failed, "dark": {}, "changed": {}}},
    ]


def test_a_host_has_its_store_and_its_warnings_are_notices() -> None:
    told = {**RESULT, "warnings": ["models_names: odd", "models_names: odd"], "invocation": {"module_args": {}}}
    result = parse_events(events("runner_on_ok", told), command="models list")
    (host,) = result.hosts
    assert host.store
    assert host.store.versions[0].name == "x"
    assert host.notices == ("models_names: odd",)
    assert result.to_dict()["hosts"][0]["store"] == RESULT


def test_damage_is_a_problem_of_the_host_and_its_store_is_known_all_the_same() -> None:
    told = {**RESULT, "msg": "x is damaged", "problems": ["x is damaged"]}
    result = parse_events(events("runner_on_failed", told), command="models verify", rc=2)
    (host,) = result.hosts
    assert (result.exit_code, host.problems, host.error) == (1, ("x is damaged",), None)
    assert host.store


def test_other_commands_have_no_store() -> None:
    assert "store" not in parse_events(events("runner_on_ok", {}), command="apply").to_dict()["hosts"][0]
