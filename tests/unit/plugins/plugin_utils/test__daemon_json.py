# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merges into daemon.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.serving.plugins.filter.merge_daemon_json import FilterModule
from ansible_collections.llmops.serving.plugins.plugin_utils._daemon_json import DaemonJsonError, merge, without

RECORDED = (Path(__file__).parents[3] / "fixtures/host/daemon.before.json").read_text(encoding="utf-8")
filter_ = FilterModule().filters()["merge_daemon_json"]


@pytest.mark.parametrize(
    ("present", "options", "result", "keys", "restart"),
    [
        (None, {}, None, (), False),
        (None, {"live-restore": True}, {"live-restore": True}, ("live-restore",), False),
        ("", {"data-root": "/srv"}, {"data-root": "/srv"}, ("data-root",), True),
        ("{}", {"debug": False}, {"debug": False}, ("debug",), False),
        ('{"debug": false}', {"debug": False}, None, (), False),
        ('{"debug": 1}', {"debug": True}, {"debug": True}, ("debug",), False),
        ('{"a": 1}', {"debug": True}, {"a": 1, "debug": True}, ("debug",), False),
        (
            '{"features": {"buildkit": true}}',
            {"features": {"cdi": True}},
            {"features": {"buildkit": True, "cdi": True}},
            ("features",),
            True,
        ),
        (
            '{"runtimes": {"crun": {"path": "/usr/bin/crun"}}}',
            {"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}},
            {"runtimes": {"crun": {"path": "/usr/bin/crun"}, "nvidia": {"path": "nvidia-container-runtime"}}},
            ("runtimes",),
            False,
        ),
        (
            '{"insecure-registries": ["a:5000"]}',
            {"insecure-registries": ["b:5000", "a:5000"]},
            {"insecure-registries": ["a:5000", "b:5000"]},
            ("insecure-registries",),
            False,
        ),
        ('{"insecure-registries": ["a", "b"]}', {"insecure-registries": ["b"]}, None, (), False),
        ('{"a": 1, "b": 2}', {"a": None}, {"b": 2}, ("a",), True),
        ('{"b": 2}', {"a": None}, None, (), False),
        ('{"debug": true}', {"debug": False, "mtu": 1400}, {"debug": False, "mtu": 1400}, ("debug", "mtu"), True),
    ],
)
def test_merge(
    present: str | None, options: dict[str, Any], result: dict[str, Any] | None, keys: tuple[str, ...], restart: bool
) -> None:
    merged = merge(present, options)
    assert (merged.keys, merged.restart, merged.changed) == (keys, restart, bool(keys))
    if result is None:
        assert merged.content == (present or "")
    else:
        assert json.loads(merged.content) == result
        assert merged.content.endswith("}\n")
        again = merge(merged.content, options)
        assert (again.changed, again.content) == (False, merged.content)


def test_every_key_of_a_real_file_is_kept() -> None:
    merged = merge(RECORDED, {"features": {"cdi": True}, "log-opts": {"max-file": "5"}})
    before, after = json.loads(RECORDED), json.loads(merged.content)
    assert list(after) == list(before)
    assert after["features"] == {"buildkit": True, "cdi": True}
    assert after["log-opts"] == {"max-size": "50m", "max-file": "5"}
    assert {key: after[key] for key in after if key not in merged.keys} == {
        key: before[key] for key in before if key not in merged.keys
    }


def test_the_inputs_stay_as_they_are() -> None:
    options: dict[str, Any] = {"labels": ["b"], "features": {"cdi": True}}
    first = merge('{"labels": ["a"]}', options)
    assert options == {"labels": ["b"], "features": {"cdi": True}}
    assert json.loads(first.content)["labels"] == ["a", "b"]


@pytest.mark.parametrize(
    ("present", "options", "says"),
    [
        ('{"a": 1,}', {"b": 2}, "/etc/docker/daemon.json is not valid JSON ("),
        ("debug = true", {}, "it is left untouched: correct it by hand, or remove it"),
        ("[]", {}, "holds a list instead of an object"),
        ("3", {}, "holds a number instead of an object"),
        (
            '{"hosts": "tcp://x"}',
            {"hosts": ["unix://"]},
            "docker_daemon_options: hosts is a list, but /etc/docker/daemon.json has a string there",
        ),
        ('{"log-opts": {"x": {}}}', {"log-opts": {"x": True}}, "log-opts.x is true or false, but"),
    ],
)
def test_refusals(present: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(DaemonJsonError) as refused:
        merge(present, options)
    assert says in str(refused.value)
    assert "untouched" in str(refused.value)
    assert "\n" not in str(refused.value)
    answer = filter_(present, options)
    assert answer == {"content": present, "changed": False, "keys": [], "restart": False, "problem": str(refused.value)}


def test_filter() -> None:
    assert filter_(None, {"debug": True}) == {
        "content": '{\n    "debug": true\n}\n',
        "changed": True,
        "keys": ["debug"],
        "restart": False,
        "problem": "",
    }


@pytest.mark.parametrize(("present", "options"), [({"already": "parsed"}, {}), (None, ["debug"])])
def test_filter_wants_text_and_a_mapping(present: Any, options: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="instead of"):
        filter_(present, options)


# The text, what is taken out, and what is left of it; None where nothing changes.
TAKEN: list[tuple[str | None, dict[str, Any], dict[str, Any] | None]] = [
    (None, {"debug": True}, None),
    ("{}", {"debug": True}, None),
    ('{"debug": true}', {"debug": True}, {}),
    # What somebody has set since is somebody's.
    ('{"debug": false}', {"debug": True}, None),
    ('{"debug": 1}', {"debug": True}, None),
    ('{"debug": true, "a": 1}', {"debug": True, "b": 2}, {"a": 1}),
    ('{"features": {"cdi": true, "x": 1}}', {"features": {"cdi": True}}, {"features": {"x": 1}}),
    ('{"features": {"cdi": true}, "a": 1}', {"features": {"cdi": True}}, {"a": 1}),
    ('{"dns": ["1.1.1.1", "9.9.9.9"]}', {"dns": ["9.9.9.9"]}, {"dns": ["1.1.1.1"]}),
    ('{"dns": ["9.9.9.9"]}', {"dns": ["9.9.9.9"]}, {}),
    ('{"dns": "9.9.9.9"}', {"dns": ["9.9.9.9"]}, None),
    ('{"dns": ["9.9.9.9"]}', {"dns": None}, None),
]


@pytest.mark.parametrize(("present", "options", "left"), TAKEN)
def test_takes_out_what_it_put_in(present: str | None, options: dict[str, Any], left: dict[str, Any] | None) -> None:
    done = without(present, options)
    assert done.changed is (left is not None)
    assert (json.loads(done.content) if done.changed else None) == left
    assert done.content == (present or "") or done.changed
    said = filter_(present, options, take_out=True)
    assert (said["content"], said["changed"], said["problem"]) == (done.content, done.changed, "")


def test_what_a_merge_put_in_is_taken_out_whole() -> None:
    options = {"debug": True, "features": {"cdi": True}, "dns": ["9.9.9.9"], "runtimes": {"nvidia": {"path": "x"}}}
    merged = merge(RECORDED, options)
    assert json.loads(without(merged.content, options).content) == json.loads(RECORDED)


def test_nothing_is_taken_out_of_a_broken_text() -> None:
    with pytest.raises(DaemonJsonError, match="is not valid JSON"):
        without("{", {"debug": True})
    assert filter_("{", {"debug": True}, take_out=True)["problem"]
