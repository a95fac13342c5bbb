# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import shutil
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils import _definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._arguments import STRUCTURE
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import (
    ROLES,
    definitions,
    of_variant,
    role_options,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._plan import server_plan
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site

if t.TYPE_CHECKING:
    from pathlib import Path

ENGINES = sorted(definitions())
PROBES = {"chat", "embedding", "rerank", "classify"}


def test_finds_every_engine() -> None:
    assert {"aphrodite", "infinity", "llama_cpp", "sglang", "tei", "tgi", "vllm"} <= set(ENGINES)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_common_word_is_a_typed_option_of_a_server(engine: str) -> None:
    words = role_options("engine")["engine_servers"]["options"]
    assert definitions()[engine]["options"].keys() <= words.keys() - STRUCTURE


VARIANTS = [(engine, variant) for engine in ENGINES for variant in definitions()[engine]["images"]]


@pytest.mark.parametrize(("engine", "variant"), VARIANTS)
def test_every_flag_that_a_definition_passes_is_one_of_the_engine(engine: str, variant: str) -> None:
    definition = of_variant(definitions()[engine], variant)
    table = definition["flags"]
    rules = [part for rule in definition["options"].values() for part in (rule, *rule.get("also", []))]
    flags = {rule["flag"] for rule in rules if "flag" in rule}
    flags |= {word for rule in definition["options"].values() for word in rule.get("with", [])}
    flags |= {definition["models"][key] for key in ("path_flag", "name_flag") if key in definition["models"]}
    flags |= {word for words in definition["tasks"].values() for word in words if word.startswith("--")}
    flags |= {rule["flag"] for rule in definition["secrets"].values() if "flag" in rule}
    assert [flag for flag in flags if table.find(flag) is None] == []


@pytest.mark.parametrize(("engine", "variant"), VARIANTS)
def test_the_engine_takes_the_values_that_a_definition_passes(engine: str, variant: str) -> None:
    definition = of_variant(definitions()[engine], variant)
    table = definition["flags"]
    passed = definition["arguments"] | definition["secrets"]["api_key"].get("arguments", {})
    assert {name for name in passed if table.find(f"--{name}") is None} == set()
    assert {name: table.problem(f"--{name}", value) for name, value in passed.items()} == dict.fromkeys(passed)


@pytest.mark.parametrize("engine", ENGINES)
def test_flags_that_belong_to_the_collection_exist_by_their_first_spelling(engine: str) -> None:
    definition = definitions()[engine]
    assert {f"--{name}" for name in definition["owned"]} - set(definition["flags"].flags) == set()


@pytest.mark.parametrize("engine", ENGINES)
def test_no_flag_of_a_common_word_can_be_set_beside_it(engine: str) -> None:
    definition = definitions()[engine]
    # Names of templates that the image carries have no common word.
    free = {"--chat-template", "--chat-template-file"}
    table = definition["flags"]
    flags = {table.get(rule["flag"]).name for rule in definition["options"].values() if "flag" in rule} - free
    assert flags <= {f"--{name}" for name in definition["owned"]}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_common_word_is_taken_or_its_lack_is_explained(engine: str) -> None:
    definition = definitions()[engine]
    chat = {"context_length", "parallel", "chat_template", "tools", "kv_cache_gib"}
    for variant in definition["images"]:
        about = of_variant(definition, variant)
        words = {"dtype", "tensor_parallel_size"} | (chat if "chat" in definition["tasks"] else set())
        assert words - about["options"].keys() - about["lacks"].keys() == set(), variant
        assert not about["options"].keys() & about["lacks"].keys() or variant == "cpu"


@pytest.mark.parametrize("engine", ENGINES)
def test_images_are_pinned(engine: str) -> None:
    definition = definitions()[engine]
    for image in definition["images"].values():
        assert "image_help" in definition or {"name", "tag"} <= image.keys()
        assert "latest" not in image.get("tag", "")
        assert image.get("driver", "1").isdigit()


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_that_is_refused_a_key_says_why(engine: str) -> None:
    rule = definitions()[engine]["secrets"]["api_key"]
    assert "refused" in rule or {"env", "file"} & rule.keys()
    assert "why" in rule or "arguments" not in rule


@pytest.mark.parametrize("engine", ENGINES)
def test_tasks_are_those_that_probes_judge(engine: str) -> None:
    definition = definitions()[engine]
    assert set(definition["tasks"]) <= PROBES
    assert definition["default_task"] in definition["tasks"]


def test_an_engine_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROLES / "tei", tmp_path / "eighth")
    monkeypatch.setattr(_definitions, "ROLES", tmp_path)
    (found,) = _definitions.definitions.__wrapped__().items()
    assert found[0] == "eighth"
    site = Site(models={"m": {"repo": "a/b", "revision": "c" * 40}}, model_dir="/srv", registries={}, accelerator="cpu",
                engines=dict([found]))  # fmt: skip
    assert server_plan({"name": "s", "engine": "eighth", "model": "m", "port": 1}, site)["engine"] == "eighth"


def test_nothing_but_its_folder_knows_the_engine_that_was_added_last() -> None:
    code = [
        *ROLES.parent.glob("plugins/**/*.py"),
        *ROLES.parent.glob("llmops_serving/**/*.py"),
        *ROLES.glob("engine/**/*.*"),
    ]
    assert len(code) > 50
    assert [path for path in code if re.search(r"\btei\b", path.read_text(encoding="utf-8"))] == []
