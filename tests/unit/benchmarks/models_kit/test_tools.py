# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_check import check_file
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import parse_models
from benchmarks.models_kit.stage import INSIDE, Order, write_weights
from benchmarks.models_kit.tools import OURS, OURS_REPO, Case, Tool, cases, mib, order
from llmops_serving.lab.state import FileFacts, RepoFacts

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 64 << 20
RUNS = [pytest.param(case, tool, id=f"{case.name}: {tool.name}") for case in cases(SIZE) for tool in case.tools]


def made(case: Case, tool: Tool) -> Order:
    files = {name: FileFacts(f"{number:064x}", 1) for number, name in enumerate(case.repo.files)}
    return order(case, tool, RepoFacts("c" * 40, files))


@pytest.mark.parametrize(("case", "tool"), RUNS)
def test_a_script_is_one_of_the_shell_and_uses_what_it_is_given(case: Case, tool: Tool) -> None:
    found = made(case, tool)
    subprocess.run(["/bin/sh", "-nc", f"{found.script}\n{tool.setup}"], check=True)  # noqa: S603
    used = set(re.findall(r"\$(\w+)", found.script + tool.setup))
    assert used <= found.environment.keys()
    assert used & {"URL", "GIT", "REPO", "PARAMETERS"} or tool.setup


@pytest.mark.parametrize(("case", "tool"), RUNS)
def test_a_hub_is_one_that_the_server_has(case: Case, tool: Tool) -> None:
    port = case.hub(tool).rpartition(":")[2]
    assert f"listen {port};" in (INSIDE / "nginx.conf").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "tool", "whole"),
    [("file", OURS, False), ("capped", OURS, False), ("one", OURS, True), ("killed", OURS_REPO, True)],
)
def test_the_collection_is_asked_for_what_the_others_fetch(name: str, tool: str, whole: bool) -> None:
    case = {case.name: case for case in cases(SIZE)}[name]
    found = made(case, {one.name: one for one in case.tools}[tool])
    specs, problems = parse_models(json.loads(found.environment["PARAMETERS"])["models"])
    assert not problems
    assert [spec.kind for spec in specs] == ["repo" if whole else "file"]
    assert set(found.expect) == {f"store/{specs[0].name}/{specs[0].key}/{path}" for path in case.repo.files}


def test_every_case_is_measured_against_the_collection() -> None:
    for case in cases(SIZE):
        assert OURS in [tool.name for tool in case.tools]
        assert len({tool.name for tool in case.tools}) == len(case.tools)


def test_weights_are_a_model_of_their_size(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    write_weights(file, (3 << 20) + 5)
    assert file.stat().st_size == (3 << 20) + 5
    check_file(file, file.name, "x")


@pytest.mark.parametrize(("count", "text"), [(2 << 30, "2 GiB"), (512 << 20, "512 MiB"), (1536 << 20, "1536 MiB")])
def test_sizes_for_people(count: int, text: str) -> None:
    assert mib(count) == text
