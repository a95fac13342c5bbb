# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action that writes a lock file on the controller."""

from __future__ import annotations

import typing as t
from unittest import mock

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.action.lock_file import ARGUMENTS, ActionModule
from ansible_collections.llmops.serving.plugins.modules import lock_file as documented
from ansible_collections.llmops.serving.plugins.plugin_utils._lockfile import read_lock
from tests.unit.plugins.plugin_utils.test__lockfile import IMAGE, ONE, TWO, found

if t.TYPE_CHECKING:
    from pathlib import Path


def run(check: bool = False, **words: t.Any) -> dict[str, t.Any]:
    task = mock.Mock(args=words, async_val=0, check_mode=check)
    return ActionModule(task, mock.Mock(), mock.Mock(), mock.Mock(), mock.Mock(), mock.Mock()).run(task_vars={})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / ".llmops.lock.yml"


def test_a_first_file_is_written_and_a_second_run_changes_nothing(place: Path) -> None:
    first = run(path=str(place), told={"a": found()})
    assert (first["changed"], first["images"], first["models"], first["hosts"]) == (True, 1, 1, 1)
    lock = read_lock(str(place))
    assert lock is not None
    assert lock.images == {IMAGE: ONE}
    assert sorted(path.name for path in place.parent.iterdir()) == [place.name]
    again = run(path=str(place), told={"a": found()})
    assert (again["changed"], again["lines"]) == (False, [])


def test_check_mode_writes_nothing_and_shows_it(place: Path) -> None:
    shown = run(check=True, path=str(place), told={"a": found()})
    assert shown["changed"]
    assert shown["diff"]["before"] == ""
    assert ONE in shown["diff"]["after"]
    assert not place.exists()


def test_a_part_is_laid_over_what_was_there(place: Path) -> None:
    run(path=str(place), told={"a": found(), "b": found()})
    run(path=str(place), told={"b": found(images={IMAGE: f"x@{TWO}"})}, whole=False)
    lock = read_lock(str(place))
    assert lock is not None
    assert lock.images == {IMAGE: TWO}
    assert set(lock.hosts) == {"a", "b"}


def test_the_whole_takes_the_place_of_a_broken_file_and_a_part_does_not(place: Path) -> None:
    place.write_text("broken")
    refused = run(path=str(place), told={"a": found()}, whole=False)
    assert refused["failed"]
    assert "is broken" in refused["msg"]
    assert place.read_text() == "broken"
    assert run(path=str(place), told={"a": found()})["changed"]
    assert read_lock(str(place)) is not None


def test_hosts_that_contradict_each_other_write_nothing(place: Path) -> None:
    refused = run(path=str(place), told={"a": found(), "b": found(images={IMAGE: f"x@{TWO}"})})
    assert refused["failed"]
    assert not place.exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    refused = run(path=str(tmp_path / "nowhere" / "lock.yml"), told={"a": found()})
    assert refused["failed"]
    assert "lock.yml cannot be written: No such file or directory; name another file" in refused["msg"]


def test_documentation_and_arguments_agree(place: Path) -> None:
    options = yaml.safe_load(documented.DOCUMENTATION)["options"]
    assert list(options) == list(ARGUMENTS)
    for name, option in ARGUMENTS.items():
        for key in ("type", "default", "required"):
            assert options[name].get(key) == option.get(key), (name, key)
    told = run(path=str(place), told={"a": found()})
    assert set(yaml.safe_load(documented.RETURN)) == set(told) - {"changed", "diff"}
