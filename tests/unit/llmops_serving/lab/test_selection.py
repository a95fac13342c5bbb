# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done for a choice of engines, and how much disk it takes."""

from __future__ import annotations

import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import ImageNotFound

from llmops_serving.lab import Lab, images, lab
from llmops_serving.lab.build import Builder
from llmops_serving.lab.errors import LabError
from llmops_serving.lab.progress import Reporter, silent
from llmops_serving.lab.state import HostFacts, LabState, Paths

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from llmops_serving.lab.graph import Work


class Daemon:
    """A Docker daemon that has some images."""

    def __init__(self, *tags: str) -> None:
        self._tags = tags
        self.images = self

    def get(self, tag: str) -> str:
        if tag not in self._tags:
            raise ImageNotFound(tag)
        return tag

    def info(self) -> dict[str, str]:
        return {"DockerRootDir": "/nowhere/docker"}


def builder(root: Path, *tags: str) -> Builder:
    daemon: Any = Daemon(*tags)
    machine: Any = SimpleNamespace()
    return Builder(daemon, machine, Paths(root), Reporter(silent), "lab")


def works(root: Path, engines: Sequence[str]) -> list[Work]:
    nothing: Any = SimpleNamespace()
    state = LabState(registry_push_port=15000, hosts={"lab1": HostFacts("bookworm", 12201, {}, tuple(engines))})
    return Lab(root)._works(nothing, nothing, nothing, Reporter(silent), state, ["lab1"], engines)


def test_the_usual_engines_cause_no_work_for_others(tmp_path: Path) -> None:
    names = {work.name for work in works(tmp_path, images.DEFAULT_ENGINES)}
    assert {"llama-cpp", "infinity", "push llama_cpp", "push infinity"} <= names
    assert not names & {"vllm", "sglang", "aphrodite", "aphrodite-unpatched"}
    assert {name for name in names if name.startswith("push ")} == {"push llama_cpp", "push infinity", "push debian"}


def test_models_are_made_whatever_is_chosen(tmp_path: Path) -> None:
    names = [work.name for work in works(tmp_path, ["vllm"])]
    assert {"models", "hub", "push vllm"} <= set(names)
    assert "push infinity" not in names
    assert "llama-cpp" not in names


def test_the_longest_chain_comes_first(tmp_path: Path) -> None:
    names = [work.name for work in works(tmp_path, images.ALL_ENGINES)]
    assert names[:2] == ["base-bookworm", "torch"]
    assert names.index("models") < min(names.index(name) for name in ("vllm", "sglang", "registry"))
    assert names.index("push sglang") < names.index("push llama_cpp")


def test_what_is_broken_on_purpose_is_pushed_only_when_named(tmp_path: Path) -> None:
    def pushes(engines: Sequence[str]) -> set[str]:
        return {work.name for work in works(tmp_path, engines) if work.name.startswith("push aphrodite")}

    assert pushes(["aphrodite"]) == {"push aphrodite"}
    assert pushes(["aphrodite", "aphrodite-unpatched"]) == {"push aphrodite", "push aphrodite-unpatched"}


@pytest.mark.parametrize("engines", [images.DEFAULT_ENGINES, ("vllm",), images.ALL_ENGINES])
def test_recipes_are_those_that_the_work_builds(tmp_path: Path, engines: Sequence[str]) -> None:
    built = {work.name for work in works(tmp_path, engines)}
    assert {recipe.name for recipe in lab.recipes("bookworm", engines)} <= built


def test_a_small_disk_is_told_before_anything_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=6000 * 2**20))
    wanted = [images.LLAMA_CPP, images.VLLM]
    # 1000 MiB of images, a third of that in the registry, slack, and the hosts.
    builder(tmp_path).check_disk(wanted, 4000)
    with pytest.raises(LabError, match=r"6000 MiB free.*images llama-cpp, vllm and room to run them\): free \d+ MiB"):
        builder(tmp_path).check_disk(wanted, 5000)


def test_only_what_is_missing_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=600 * 2**20))
    have_all = builder(tmp_path, images.VLLM.tag)
    have_all.check_disk([images.VLLM], 0)
    with pytest.raises(LabError, match=r"\(room to run them\)"):
        have_all.check_disk([images.VLLM], 3000)


def test_more_engines_need_more_disk() -> None:
    def needed(engines: Sequence[str]) -> int:
        return sum(recipe.size_mib for recipe in lab.recipes("bookworm", engines))

    assert needed(images.DEFAULT_ENGINES) < needed((*images.DEFAULT_ENGINES, "vllm")) < needed(images.ALL_ENGINES)
