# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of two generations that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._generation_words import (
    CommandLine,
    command_line,
    differences,
    models,
)
from ansible_collections.llmops.serving.plugins.module_utils._generations import Secrets, Store
from ansible_collections.llmops.serving.plugins.plugin_utils._systemd import quote
from tests.unit.plugins.played_host import OWNER

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._generations import Generation

DOCKER = "--rm --publish 127.0.0.1:8001:8080 --mount type=bind,src=/m/tiny/aaa,dst=/models/tiny,readonly"
ENGINE = "--model /models/tiny/a.gguf --ctx-size 1024 --metrics"


def unit(docker: str = DOCKER, engine: str = ENGINE, more: str = "") -> str:
    run = f"ExecStart=/usr/bin/docker run {docker} --entrypoint /llama @IMAGE@ {engine}"
    return f"[Unit]\nDescription=about\n[Service]\n{run}\n{more}"


def made(store: Store, secret: str | None = None, digest: str = "1", **words: Any) -> Generation:
    asked = {
        "engine": "llama_cpp",
        "unit": unit(),
        "image": "img:1",
        "port": 8001,
        "bind": "127.0.0.1",
        "models": [{"name": "tiny", "task": "chat", "path": "/m/tiny/aaa"}],
        **words,
    }
    secrets = Secrets({"api-key": secret} if secret else {}, secret, OWNER)
    return store.add(asked, f"img@sha256:{digest}", secrets)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({}, {}, []),
        ({}, {"unit": unit(engine=ENGINE.replace("1024", "512"))}, ["option --ctx-size: 512, was 1024"]),
        ({}, {"unit": unit(engine=ENGINE + " --jinja")}, ["option --jinja: added"]),
        ({"unit": unit(engine=ENGINE + " --top-k 4")}, {}, ["option --top-k: removed, was 4"]),
        ({}, {"unit": unit(engine=ENGINE.replace(" 1024", "=512"))}, ["option --ctx-size: 512, was 1024"]),
        ({}, {"unit": unit(DOCKER + " --shm-size 1g")}, ["docker --shm-size: added, 1g"]),
        ({}, {"unit": unit(DOCKER + " --env A=1")}, ["environment A: added"]),
        ({"unit": unit(DOCKER + " --env A=1")}, {"unit": unit(DOCKER + " --env A=2")}, ["environment A: changed"]),
        ({}, {"unit": unit(more="Restart=no\n")}, ["unit Restart: added, no"]),
        ({"unit": unit(more="Restart=no\n")}, {}, ["unit Restart: removed, was no"]),
        (
            {"unit": unit(more="After=a\nAfter=b\n")},
            {"unit": unit(more="# why\nAfter=a\nAfter=c\n")},
            ["unit After: a c, was a b"],
        ),
        ({}, {"image": "img:2"}, ["image: img:2 (sha256:1), was img:1 (sha256:1)"]),
        ({}, {"digest": "2"}, ["image: img:1 (sha256:2), was img:1 (sha256:1)"]),
        ({}, {"image": "img@sha256:2", "digest": "2"}, ["image: img@sha256:2, was img:1 (sha256:1)"]),
        ({}, {"port": 8002, "bind": "::1"}, ["port: 8002, was 8001", "bind: ::1, was 127.0.0.1"]),
        ({}, {"models": [{"path": "/m/tiny/bbb"}]}, ["model tiny: bbb, was aaa"]),
        ({}, {"models": [{"path": "/m/big/c"}]}, ["model tiny: removed, was aaa", "model big: added, c"]),
        ({}, {"files": {"t.jinja": "x"}}, ["file t.jinja: added"]),
        ({"files": {"t.jinja": "y"}}, {"files": {"t.jinja": "x"}}, ["file t.jinja: changed"]),
        # How it is judged is no way to run.
        ({}, {"gate": [{"task": "chat"}], "load": {"timeout": 3}}, []),
    ],
)
def test_differences(tmp_path: Path, old: dict[str, Any], new: dict[str, Any], said: list[str]) -> None:
    store = Store("chat", tmp_path)
    assert differences(made(store, **old), made(store, **new)) == said


def test_the_options_of_another_engine_are_not_compared(tmp_path: Path) -> None:
    store = Store("chat", tmp_path)
    other = made(store, engine="vllm", unit=unit(engine="--max-model-len 3"))
    assert differences(made(store), other) == ["engine: vllm, was llama_cpp"]


def test_where_a_model_lies_is_told_once(tmp_path: Path) -> None:
    store = Store("chat", tmp_path)
    words = unit(
        DOCKER.replace("tiny/aaa", "big/c").replace("models/tiny", "models/big"), ENGINE.replace("tiny", "big")
    )
    other = made(store, unit=words, models=[{"path": "/m/big/c"}])
    assert differences(made(store), other) == ["model tiny: removed, was aaa", "model big: added, c"]


def test_a_secret_is_named_and_not_shown(tmp_path: Path) -> None:
    store = Store("chat", tmp_path)
    said = differences(made(store, secret="sk-old"), made(store, secret="sk-new"))  # noqa: S106  made up
    assert said == ["secret api-key: changed", "secret client-key: changed"]
    assert differences(made(store), made(store, secret="sk-new"))[0] == "secret api-key: added"  # noqa: S106


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--a", "1", "--b"], {"--a": ["1"], "--b": [""]}),
        (["--a=1", "--a", "2"], {"--a": ["1", "2"]}),
        (["--seed", "-1", "--bias", "-.5"], {"--seed": ["-1"], "--bias": ["-.5"]}),
        (["serve", "--list", "a", "b"], {"": ["serve"], "--list": ["a b"]}),
        (["--text", 'a "b" 50% $HOME\n'], {"--text": ['a "b" 50% $HOME\n']}),
        ([], {}),
    ],
)
def test_a_command_line_is_read_as_systemd_reads_it(words: list[str], found: dict[str, list[str]]) -> None:
    line = command_line(f"ExecStart=docker {quote(['--rm', '@IMAGE@', *words])}\n")
    assert line == CommandLine({"": ["docker"], "--rm": [""]}, found)


@pytest.mark.parametrize("text", ["", "[Service]\n", "ExecStart=\n"])
def test_a_unit_that_starts_nothing_has_no_words(text: str) -> None:
    assert command_line(text) == CommandLine({}, {})


def test_long_values_are_cut(tmp_path: Path) -> None:
    store = Store("chat", tmp_path)
    (said,) = differences(made(store), made(store, unit=unit(engine=ENGINE + " --x " + "y" * 500)))
    assert said.startswith("option --x: added, yyy")
    assert len(said) < 150


def test_models_are_named_as_in_the_inventory(tmp_path: Path) -> None:
    found = made(Store("chat", tmp_path), models=[{"name": "served as this", "path": "/m/tiny/aaa"}])
    assert models(found) == {"tiny": "aaa"}
