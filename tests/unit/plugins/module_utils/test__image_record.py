# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of the images that the collection brought."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _image_record
from ansible_collections.llmops.serving.plugins.module_utils._image_record import brought_images, drop, forget, note


def told() -> list[tuple[str, list[str]]]:
    return [(brought.asked, brought.images) for brought in brought_images()]


def test_remembers_what_came_under_a_name_and_forgets_it() -> None:
    assert told() == []
    note("b:1")
    assert told() == [("b:1", [])]
    note("b:1", "b@sha256:1")
    note("b:1", "b@sha256:1")
    note("b:1", "b@sha256:2")
    note("a:1", "a@sha256:1")
    assert told() == [("a:1", ["a@sha256:1"]), ("b:1", ["b@sha256:1", "b@sha256:2"])]
    for brought in brought_images():
        forget(brought)
    assert told() == []
    assert not _image_record.RECORDS.exists()


def test_a_pull_that_failed_takes_back_only_itself() -> None:
    note("a:1")
    drop("a:1")
    drop("never:1")
    note("b:1", "b@sha256:1")
    drop("b:1")
    assert told() == [("b:1", ["b@sha256:1"])]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"asked": "a:1"}', '{"asked": "a:1", "images": 7}'])
def test_what_cannot_be_read_is_no_record(text: str) -> None:
    _image_record.RECORDS.mkdir()
    (_image_record.RECORDS / "x.json").write_text(text, encoding="utf-8")
    assert told() == []
