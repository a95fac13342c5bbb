# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._plan import Site
from ansible_collections.llmops.serving.plugins.plugin_utils._problems import inventory_problems, questions

REVISION = "c" * 40
MODELS: dict[str, t.Any] = {
    "gguf": {"repo": "a/b", "revision": REVISION, "file": "x.gguf"},
    "minilm": {"repo": "a/c", "revision": REVISION},
    "other": {"repo": "a/b", "revision": REVISION, "file": "y.gguf"},
    "labels": {"repo": "a/c", "revision": REVISION, "task": "classify", "file": "x.gguf"},
}
GOOD: dict[str, t.Any] = {"name": "chat", "engine": "llama_cpp", "model": "gguf", "port": 8001}
EMBED: dict[str, t.Any] = {"name": "embed", "engine": "infinity", "models": ["minilm"], "port": 8005}


def site(**words: t.Any) -> Site:
    defaults: dict[str, t.Any] = {"models": MODELS, "model_dir": "", "registries": {}, "accelerator": "cpu"}
    return Site(engines=definitions(), **(defaults | words))


def test_a_good_inventory_has_no_problems() -> None:
    assert inventory_problems([GOOD, EMBED], site()) == []


# What one edit of a good server leads to: the variable, and the words that name cause and remedy.
EDITS: list[tuple[dict[str, t.Any], str]] = [
    ({"engine": "vlm"}, "serving_servers['chat'].engine: 'vlm' is unknown: choose one of infinity, llama_cpp"),
    ({"engine": None}, "serving_servers['chat']: missing required arguments: engine"),
    (
        {"context_lenght": 1},
        "serving_servers['chat']: context_lenght: is no word of a server: did you mean context_len",
    ),
    ({"port": "abc"}, "serving_servers['chat']: port: argument 'port' is of type str"),
    ({"port": 0}, "serving_servers['chat'].port: 0 is no TCP port"),
    ({"port": 65536}, "serving_servers['chat'].port: 65536 is no TCP port"),
    ({"name": "Chat 1"}, "serving_servers['Chat 1'].name: 'Chat 1': use up to 41 small letters"),
    ({"model": "nope"}, "serving_servers['chat'].model: 'nope' is not in serving_models, which has gguf"),
    ({"model": None}, "serving_servers['chat'].model: is missing"),
    ({"models": ["other"]}, "serving_servers['chat'].models: llama.cpp serves 1 model a server, not 2"),
    ({"model": "minilm"}, "llama.cpp cannot load 'minilm', it wants one GGUF file: set file"),
    ({"model": "labels"}, "llama.cpp cannot do classify, the task of 'labels'"),
    ({"engine": "infinity"}, "infinity cannot load 'gguf', it wants a repository: remove file"),
    ({"gpu_memory_fraction": 0.5}, "serving_servers['chat'].gpu_memory_fraction: llama.cpp has no such option: remove"),
    (
        {"options": {"cache-type": "q8"}},
        ".options.cache-type: llama.cpp has no flag --cache-type: did you mean cache-ty",
    ),
    ({"options": {"--jinja": True}}, "write the flag without its leading dashes: jinja"),
    ({"options": {"port": 1}}, "serving_servers['chat'].options.port: this flag belongs to the collection: use port"),
    ({"options": {"jinja": None}}, "serving_servers['chat'].options.jinja: has no value"),
    ({"options": {"verbose": False}}, "llama.cpp has no flag --no-verbose: leave the option out"),
    ({"api_key": [""]}, "serving_servers['chat'].api_key: a key is empty"),
    ({"api_key": []}, "serving_servers['chat'].api_key: a key is empty"),
    ({"api_key": ["two words"]}, "serving_servers['chat'].api_key: a key holds a comma, a blank or a line break"),
    ({"bind": "0.0.0.0"}, "serving_servers['chat'].bind: 0.0.0.0 is public and api_key is not set"),  # noqa: S104  refused
    ({"bind": "lan"}, "serving_servers['chat'].bind: 'lan' is no IP address"),
    ({"image": "ghcr.io/a/b:latest"}, "serving_servers['chat'].image: 'ghcr.io/a/b:latest' names no fixed version"),
    (
        {"gate": {"chat": {"expects": "Paris"}}},
        "['chat'].gate.chat: the chat probe has no option 'expects'",
    ),
    ({"gate": {"chat": "Paris"}}, "serving_servers['chat'].gate.chat: must be a dict of the options of chat_probe"),
    ({"gate": {"rerank": {}}}, "serving_servers['chat'].gate.rerank: no model of the server is for rerank"),
]


@pytest.mark.parametrize(("edit", "words"), EDITS)
def test_names_variable_cause_and_remedy(edit: dict[str, t.Any], words: str) -> None:
    server = {word: value for word, value in (GOOD | edit).items() if word != "engine" or value is not None}
    problems = inventory_problems([server], site())
    assert len(problems) == 1, problems
    assert words in problems[0]


def test_tells_everything_at_once() -> None:
    bad = [GOOD | {"engine": "x"}, EMBED | {"api_key": [""]}, "not a server"]
    assert len(inventory_problems(bad, site(registries={"ghcr.io": "https://mirror"}))) == 4


def test_finds_servers_that_clash() -> None:
    problems = inventory_problems([GOOD, GOOD], site())
    assert "serving_servers: 2 servers have the name 'chat': give each its own name" in problems
    assert "serving_servers: port 8001 is used by 'chat' and 'chat': give each its own port" in problems


def test_one_key_is_all_that_infinity_takes() -> None:
    problems = inventory_problems([EMBED | {"api_key": ["a", "b"]}], site())
    assert problems == ["serving_servers['embed'].api_key: infinity takes 1 key only: leave one"]


@pytest.mark.parametrize("servers", [None, {}, "chat"])
def test_servers_must_be_a_list(servers: t.Any) -> None:
    assert "must be a list" in inventory_problems(servers, site())[0]


def test_models_must_be_a_dict() -> None:
    assert inventory_problems([GOOD], site(models=[])) == ["serving_models: must be a dict of models by name"]


def test_a_model_without_a_revision_is_told_once_and_does_not_hide_the_rest() -> None:
    problems = inventory_problems([GOOD, EMBED | {"port": 0}], site(models=MODELS | {"gguf": {"repo": "a/b"}}))
    assert any("serving_models['gguf'].revision" in problem for problem in problems)
    assert any("port: 0" in problem for problem in problems)


def test_says_that_gpus_are_not_served_yet() -> None:
    assert "nvidia_container_toolkit" in inventory_problems([GOOD], site(accelerator="cuda"))[0]


SECRET = "hunter2-is-secret"  # noqa: S105  made up


@pytest.mark.parametrize("value", [{"a": SECRET}, [SECRET + " x"], {"name": 1, SECRET: 2}])
def test_no_problem_shows_a_key(value: t.Any) -> None:
    assert not any(SECRET in problem for problem in inventory_problems([GOOD | {"api_key": value}], site()))


def test_asks_the_host_about_the_sound_part() -> None:
    models = MODELS | {"broken": {"repo": "a/b"}}
    asked = questions([GOOD, EMBED | {"port": "x"}], site(models=models))
    image = "ghcr.io/ggml-org/llama.cpp:server-b11243"
    assert asked["servers"] == [{"name": "chat", "bind": "127.0.0.1", "port": 8001, "image": image}]
    assert asked["models"] == MODELS


def test_asks_nothing_about_nonsense() -> None:
    assert questions("nonsense", site(models="nonsense")) == {"servers": [], "models": {}}
