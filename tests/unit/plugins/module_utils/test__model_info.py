# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host tells of its models and its addresses, without asking anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_info
from ansible_collections.llmops.serving.plugins.module_utils._model_info import ARGUMENTS, content_id, look
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import parse_models

if TYPE_CHECKING:
    from pathlib import Path

REV = "0123456789abcdef0123456789abcdef01234567"
FILE = {"repo": "a/b", "revision": REV, "file": "x.gguf"}


def told(models: dict[str, Any], **words: Any) -> dict[str, Any]:
    return look({name: option.get("default") for name, option in ARGUMENTS.items()} | {"models": models} | words)


def content(**options: Any) -> str:
    (spec,), problems = parse_models({"x": options})
    assert problems == {}
    return content_id(spec)


def test_models_of_an_empty_host(tmp_path: Path) -> None:
    found = told({"x": FILE, "bad": {"repo": "a/b", "revision": "main"}}, path=str(tmp_path / "none"))
    assert found["models"] == {"x": {"key": REV[:12], "content": content(**FILE), "complete": False}}
    assert found["store"] == str(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (FILE, FILE, True),
        (FILE, {**FILE, "task": "embedding"}, True),
        (FILE, {**FILE, "file": "y.gguf"}, False),
        (FILE, {**FILE, "repo": "a/c"}, False),
        (FILE, {**FILE, "revision": "f" * 40}, False),
        (FILE, {**FILE, "sha256": "a" * 64}, False),
        (FILE, {"repo": "a/b", "revision": REV}, False),
        ({"url": "https://a/x.gguf?sig=1", "sha256": "a" * 64}, {"url": "https://b/x.gguf", "sha256": "a" * 64}, True),
        ({"url": "https://a/x.gguf", "sha256": "a" * 64}, {"url": "https://a/x.gguf", "sha256": "b" * 64}, False),
    ],
)
def test_hosts_that_want_the_same_files_say_so(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert (content(**one) == content(**other)) is same


@pytest.mark.parametrize(
    ("words", "addresses", "clients"),
    [
        ({}, ["10.0.0.11", "fd00::11"], ["10.0.0.11", "192.168.7.1", "fd00::11"]),
        (
            {"names": ["web1", "127.0.0.1"]},
            ["10.0.0.11", "fd00::11", "web1"],
            ["10.0.0.11", "192.168.7.1", "fd00::11", "web1"],
        ),
        ({"names": ["10.0.0.11"]}, ["10.0.0.11", "fd00::11"], ["10.0.0.11", "192.168.7.1", "fd00::11"]),
        (
            {"names": ["web1"], "address": "192.168.7.1"},
            ["192.168.7.1"],
            ["10.0.0.11", "192.168.7.1", "fd00::11"],
        ),
        ({"address": "localhost"}, [], ["10.0.0.11", "192.168.7.1", "fd00::11"]),
    ],
)
def test_addresses(
    words: dict[str, Any], addresses: list[str], clients: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_model_info, "default_addresses", lambda: ["10.0.0.11", "fd00::11"])
    monkeypatch.setattr(_model_info, "own_addresses", lambda: ["10.0.0.11", "192.168.7.1", "fd00::11"])
    found = told({}, path=str(tmp_path), **words)
    assert (found["addresses"], found["clients"]) == (addresses, clients)
