# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventories that users begin with hold no problem that can be seen without a host."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._problems import inventory_problems
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site

INVENTORIES = Path(__file__).parents[3] / "inventories"


def course(name: str) -> dict[str, t.Any]:
    loaded: dict[str, t.Any] = yaml.safe_load(
        (INVENTORIES / name / "group_vars/serving.yml").read_text(encoding="utf-8"),
    )
    return loaded


@pytest.mark.parametrize("name", ["gpu", "cpu"])
def test_every_server_of_the_course_is_sound(name: str) -> None:
    values = course(name)
    # The user's to pin and to build.
    models = values["course_models"] | {
        key: model | {"revision": "c" * 40}
        for key, model in values["course_models"].items()
        if "{{" in model["revision"]
    }
    site = Site(
        models=models,
        model_dir="/m",
        registries={},
        accelerator=values["serving_accelerator"],
        engines=definitions(),
        images={"aphrodite": "registry.example/aphrodite-openai:0.24.1"},
    )
    assert inventory_problems(values["course_servers"], site) == []


def test_the_gpu_inventory_holds_the_whole_course() -> None:
    engines = {server["engine"] for server in course("gpu")["course_servers"]}
    assert engines == {"vllm", "llama_cpp", "infinity", "sglang", "aphrodite", "tgi"}


@pytest.mark.parametrize("name", ["gpu", "cpu"])
def test_what_is_on_by_default_needs_nothing_of_the_user(name: str) -> None:
    values = course(name)
    on = [server for server in values["course_servers"] if server["name"] in values["course_on"]]
    assert len(on) == len(values["course_on"])
    assert "aphrodite" not in {server["engine"] for server in on}
    needed = [name for server in on for name in [server.get("model"), *server.get("models", [])] if name]
    assert all("{{" not in values["course_models"][name]["revision"] for name in needed)
