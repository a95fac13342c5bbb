# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters around the plans: what an inventory hands them, and what a play sees of their problems."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.serving.plugins.filter import preflight_questions, server_plans, server_secrets
from ansible_collections.llmops.serving.plugins.filter.preflight_questions import preflight_questions as ask
from ansible_collections.llmops.serving.plugins.filter.server_plans import server_plans as plan
from ansible_collections.llmops.serving.plugins.filter.server_secrets import server_secrets as secrets_of
from ansible_collections.llmops.serving.plugins.filter.systemd_quote import systemd_quote
from ansible_collections.llmops.serving.plugins.modules import preflight, server

if TYPE_CHECKING:
    from types import ModuleType

PACKAGE = "ansible_collections.llmops.serving.plugins.filter."
FILTERS = sorted(path.stem for path in (Path(__file__).parents[4] / "plugins/filter").glob("*.py"))
REVISION = "c" * 40
KEY, SECOND = "sk-hunter2-first", "sk-hunter2-second"
MODELS: dict[str, Any] = {
    "gguf": {"repo": "a/b", "revision": REVISION, "file": "x.gguf"},
    "minilm": {"repo": "a/c", "revision": REVISION, "task": "embedding"},
}
CHAT: dict[str, Any] = {"name": "chat", "engine": "llama_cpp", "model": "gguf", "port": 8001}
EMBED: dict[str, Any] = {"name": "embed", "engine": "infinity", "models": ["minilm"], "port": 8005}
TWO_WRONG = [CHAT | {"port": 0}, EMBED | {"engine": "vlm"}]


# -- server_plans


def test_plans_each_server_under_its_name() -> None:
    plans = plan([CHAT, EMBED], MODELS, "/srv/models")
    assert list(plans) == ["chat", "embed"]
    assert (plans["chat"]["engine"], plans["chat"]["port"]) == ("llama_cpp", 8001)
    path = f"/srv/models/gguf/{REVISION[:12]}"
    assert plans["chat"]["models"] == [{"name": "gguf", "task": "chat", "path": path}]
    assert plans["embed"]["gate"] == [{"task": "embedding", "model": "minilm"}]


def test_a_plan_is_what_the_module_takes() -> None:
    # `unit` is made from `unit_words` by the role's template, the secrets come apart, and the rest are the role's own.
    (found,) = plan([CHAT], MODELS, "/srv/models").values()
    others = {"unit", "secrets", "state", "keep_failed", "generations"}
    assert set(found) - {"unit_words"} | others == set(server.ARGUMENTS)


def test_plans_take_images_from_the_mirror() -> None:
    plans = plan([CHAT], MODELS, "/srv/models", registries={"ghcr.io": "mirror:5000/ghcr.io"})
    assert plans["chat"]["image"].startswith("mirror:5000/ghcr.io/ggml-org/llama.cpp:")


def test_plans_hold_no_secret() -> None:
    plans = plan([CHAT | {"api_key": [KEY, SECOND]}, EMBED | {"api_key": [KEY]}], MODELS, "/srv/models")
    assert "/run/secrets/llmops" in str(plans)
    assert "hunter2" not in str(plans)


def test_servers_with_problems_are_refused_with_all_of_them() -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        plan([*TWO_WRONG, CHAT | {"name": "third", "api_key": [""]}], MODELS | {"bad": {"repo": "a/b"}}, "/srv")
    message = str(caught.value)
    for words in (
        "serving_servers['chat'].port: 0 is no TCP port",
        "serving_servers['embed'].engine: 'vlm' is unknown",
        "serving_servers['third'].api_key: a key is empty",
        "serving_models['bad'].revision",
    ):
        assert words in message


WRONG_INPUT: list[tuple[Any, Any, str]] = [
    (None, MODELS, "serving_servers: must be a list"),
    ({"chat": CHAT}, MODELS, "serving_servers: must be a list"),
    ([CHAT], ["gguf"], "serving_models: must be a dict"),
    (["chat"], MODELS, "serving_servers[0]: must be a dict"),
]


@pytest.mark.parametrize(("servers", "models", "words"), WRONG_INPUT)
def test_input_of_another_type_is_refused_in_words(servers: Any, models: Any, words: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        plan(servers, models, "/srv")
    assert words in str(caught.value)
    assert any(problem.startswith(words) for problem in ask(servers, models)["problems"])


# -- preflight_questions


def test_asks_about_what_is_sound_and_tells_the_rest() -> None:
    found = ask([CHAT, EMBED | {"engine": "vlm"}], MODELS)
    assert [problem.partition(": ")[0] for problem in found["problems"]] == ["serving_servers['embed'].engine"]
    assert [asked["name"] for asked in found["servers"]] == ["chat"]
    assert found["models"] == MODELS


def test_questions_are_what_the_module_takes() -> None:
    found = ask([CHAT | {"bind": "127.0.0.2"}], MODELS)
    assert set(found) == {"problems", "servers", "models", "needs", "notices"}
    assert {"servers", "models"} <= set(preflight.ARGUMENTS)
    (asked,) = found["servers"]
    assert set(asked) == set(preflight.ARGUMENTS["servers"]["options"])
    assert asked["bind"] == "127.0.0.2"


def test_questions_hold_no_secret() -> None:
    assert "hunter2" not in str(ask([CHAT | {"api_key": [KEY]}, EMBED | {"api_key": KEY + " "}], MODELS))


CHOICES: list[tuple[list[str] | None, list[str]]] = [
    (None, []),
    ([], []),
    (["chat"], []),
    (["embed", "chat"], []),
    (["chta"], ["serving_only: there is no server 'chta': choose among chat, embed"]),
    (
        ["one", "chat", "two"],
        [f"serving_only: there is no server {name!r}: choose among chat, embed" for name in ("one", "two")],
    ),
]


@pytest.mark.parametrize(("only", "problems"), CHOICES)
def test_a_chosen_server_must_be_there(only: list[str] | None, problems: list[str]) -> None:
    assert ask([CHAT, EMBED], MODELS, only=only)["problems"] == problems


@pytest.mark.parametrize("servers", [[], "chat", ["chat"]])
def test_a_choice_among_nothing_is_told_too(servers: Any) -> None:
    problem = "serving_only: there is no server 'chat': choose among none"
    assert problem in ask(servers, MODELS, only=["chat"])["problems"]


def test_another_accelerator_has_images_to_choose_from() -> None:
    (asked,) = ask([CHAT], MODELS, accelerator="cuda")["servers"]
    assert [image["variant"] for image in asked["alternatives"]] == ["cuda"]
    assert asked["demand"]["accelerator"] == "cuda"


# -- server_secrets


def test_a_server_without_keys_has_no_secrets() -> None:
    assert secrets_of(CHAT) == {"files": {}, "client_key": None}
    assert secrets_of(CHAT | {"api_key": []}) == {"files": {}, "client_key": None}


def test_an_engine_that_reads_a_file_gets_one_key_a_line() -> None:
    found = secrets_of(CHAT | {"api_key": [KEY, SECOND]})
    assert found["client_key"] == KEY
    (text,) = found["files"].values()
    assert text == f"{KEY}\n{SECOND}\n"


def test_an_engine_that_reads_its_environment_gets_a_line_for_a_shell() -> None:
    found = secrets_of(EMBED | {"api_key": ["it's $HOME"]})
    assert found["client_key"] == "it's $HOME"
    assert found["files"] == {"environment": "INFINITY_API_KEY='it'\"'\"'s $HOME'\n"}


def test_secrets_are_what_the_module_takes() -> None:
    assert set(secrets_of(CHAT | {"api_key": [KEY]})) == set(server.ARGUMENTS["secrets"]["options"])


# -- systemd_quote


def test_quotes_for_systemd_and_not_for_a_shell() -> None:
    assert systemd_quote(["run", "a b", "100%", "$HOME"]) == 'run "a b" "100%%" "$$HOME"'


def test_what_cannot_be_quoted_is_refused_in_words() -> None:
    with pytest.raises(AnsibleFilterError, match=r"^systemd_quote: a command line cannot hold a NUL"):
        systemd_quote(["run", "a\0b"])


# -- all of them


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_is_found_and_documented_under_its_files_name(name: str) -> None:
    module: ModuleType = importlib.import_module(PACKAGE + name)
    (found,) = module.FilterModule().filters().items()
    assert found[0] == name
    assert callable(found[1])
    documented = yaml.safe_load(module.DOCUMENTATION)
    assert documented["name"] == name
    # Every argument but the input is documented under its name.
    code = found[1].__code__
    assert set(code.co_varnames[1 : code.co_argcount]) == set(documented["options"]) - {"_input"}
    assert yaml.safe_load(module.RETURN)["_value"]["description"]
    assert yaml.safe_load(module.EXAMPLES)


@pytest.mark.parametrize("module", [preflight_questions, server_plans, server_secrets])
def test_documentation_points_only_to_what_there_is(module: ModuleType) -> None:
    named = {word.split("#")[0] for word in module.DOCUMENTATION.split("llmops.serving.")[1:] if "#filter" in word}
    assert named <= set(FILTERS)
