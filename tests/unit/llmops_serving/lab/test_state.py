# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import multiprocessing
import stat
from pathlib import Path

import pytest

from llmops_serving.lab.errors import LabError
from llmops_serving.lab.state import FileFacts, HostFacts, LabState, Paths, RepoFacts, default_root

FULL = LabState(
    daemon_pid=17,
    registry_push_port=15000,
    repos={"lab/x": RepoFacts("a" * 40, {"x.gguf": FileFacts("b" * 64, 12)})},
    hosts={"lab1": HostFacts("trixie", 12201, {8001: 18001, 8005: 18005}, ("vllm", "sglang"))},
)


@pytest.mark.parametrize("state", [LabState(), FULL], ids=["empty", "full"])
def test_state_survives_json(state: LabState) -> None:
    assert LabState.from_json(state.to_json()) == state


def test_a_host_of_before_serves_with_the_usual_engines() -> None:
    raw = json.loads(FULL.to_json())
    del raw["hosts"]["lab1"]["engines"]
    assert LabState.from_json(json.dumps(raw)).hosts["lab1"].engines == ("llama_cpp", "infinity")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"version": 1}', '{"version": 1, "daemon_pid": null, "registry_push_port": 1, "repos": 3}'],
)
def test_broken_state_names_the_remedy(text: str) -> None:
    with pytest.raises(LabError, match="llmops lab down"):
        LabState.from_json(text)


def test_state_of_another_version_says_so() -> None:
    with pytest.raises(LabError, match="version 99"):
        LabState.from_json('{"version": 99}')


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "/home/u/.cache/llmops-lab"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/llmops-lab"),
        ({"XDG_CACHE_HOME": "/c", "LLMOPS_LAB_DIR": "/elsewhere"}, "/elsewhere"),
        ({"LLMOPS_LAB_DIR": ""}, "/home/u/.cache/llmops-lab"),
    ],
)
def test_default_root(environ: dict[str, str], expected: str) -> None:
    assert default_root(environ, Path("/home/u")) == Path(expected)


def test_paths_load_what_they_saved_and_nothing_is_an_empty_lab(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "lab")
    paths.make()
    assert paths.load() == LabState()
    paths.save(FULL)
    assert paths.load() == FULL
    assert [path.name for path in paths.root.glob("*.new")] == []


def test_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "lab")
    paths.make()
    for directory in (paths.pki, paths.ssh_key.parent, paths.api_key.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def _hold(root: Path, held: multiprocessing.synchronize.Event, release: multiprocessing.synchronize.Event) -> None:
    with Paths(root).exclusive(lambda _message: None):
        held.set()
        release.wait(20)


def test_a_second_process_waits_and_gives_up_with_the_remedy(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, held, release))
    other.start()
    said: list[str] = []
    try:
        assert held.wait(20)
        with pytest.raises(LabError, match="another process"), Paths(tmp_path).exclusive(said.append, timeout_s=0.5):
            pass
        assert len(said) == 1
        release.set()
        with Paths(tmp_path).exclusive(said.append, timeout_s=20):
            pass
    finally:
        release.set()
        other.join()
