# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._arguments import STRUCTURE
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import ROLES, definitions, role_options

ENGINES = sorted(definitions())
PROBES = {"chat", "embedding", "rerank", "classify"}


def test_finds_every_engine() -> None:
    assert {"llama_cpp", "infinity"} <= set(ENGINES)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_common_word_is_a_typed_option_of_a_server(engine: str) -> None:
    words = role_options("engine")["engine_servers"]["options"]
    assert definitions()[engine]["options"].keys() <= words.keys() - STRUCTURE


@pytest.mark.parametrize("engine", ENGINES)
def test_every_flag_that_a_definition_passes_is_one_of_the_engine(engine: str) -> None:
    definition = definitions()[engine]
    known = set(definition["flags"])
    flags = {rule["flag"] for rule in definition["options"].values()}
    flags |= {definition["models"]["path_flag"], definition["models"]["name_flag"]}
    flags |= {word for words in definition["tasks"].values() for word in words}
    variants = [image.get("arguments", {}) for image in definition["images"].values()]
    for name, value in [item for table in [definition["arguments"], *variants] for item in table.items()]:
        flags.add(f"--no-{name}" if value is False else f"--{name}")
    flags |= {rule["flag"] for rule in definition["secrets"].values() if "flag" in rule}
    assert flags <= known


@pytest.mark.parametrize("engine", ENGINES)
def test_flags_that_belong_to_the_collection_exist(engine: str) -> None:
    definition = definitions()[engine]
    assert {f"--{name}" for name in definition["owned"]} <= set(definition["flags"])


@pytest.mark.parametrize("engine", ENGINES)
def test_images_are_pinned(engine: str) -> None:
    for image in definitions()[engine]["images"].values():
        assert image["tag"]
        assert "latest" not in image["tag"]


@pytest.mark.parametrize("engine", ENGINES)
def test_tasks_are_those_that_probes_judge(engine: str) -> None:
    definition = definitions()[engine]
    assert set(definition["tasks"]) <= PROBES
    assert definition["default_task"] in definition["tasks"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_rule_of_the_doctor_fills_in_only_what_it_finds(engine: str) -> None:
    for rule in definitions()[engine]["doctor"]:
        groups = set(re.compile(rule["pattern"]).groupindex)
        wanted: set[t.Any] = set(re.findall(r"\{(\w+)\}", rule["cause"] + rule["remedy"]))
        assert wanted <= groups


@pytest.mark.parametrize("engine", ENGINES)
def test_a_remedy_names_variables_that_there_are(engine: str) -> None:
    roles = [path.name for path in ROLES.iterdir()]
    known = {name for role in roles for name in role_options(role)}
    for rule in definitions()[engine]["doctor"]:
        assert set(re.findall(r"-e (\w+)=", rule["remedy"])) <= known
