# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters around lock files and differences, as playbooks call them."""

from __future__ import annotations

import importlib
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.llmops.serving.plugins.filter.drift_lines import drift_lines
from ansible_collections.llmops.serving.plugins.filter.lock_problems import lock_problems
from ansible_collections.llmops.serving.plugins.filter.lock_words import lock_words
from ansible_collections.llmops.serving.plugins.filter.preflight_questions import preflight_questions
from ansible_collections.llmops.serving.plugins.filter.read_lock import read_lock
from ansible_collections.llmops.serving.plugins.filter.server_plans import server_plans
from ansible_collections.llmops.serving.plugins.plugin_utils._lockfile import Lock, LockedModel, lock_text

if t.TYPE_CHECKING:
    from pathlib import Path

REVISION = "c" * 40
MODELS = {"m": {"repo": "a/b", "revision": REVISION, "file": "x.gguf"}}
CHAT = {"name": "chat", "engine": "llama_cpp", "model": "m", "port": 8001}
DIGEST = "sha256:" + "1" * 64
IMAGE = server_plans([CHAT], MODELS, "/m")["chat"]["image"]


@pytest.fixture
def lock(tmp_path: Path) -> str:
    place = tmp_path / "lock.yml"
    model = LockedModel("https://hub.example/a/b", REVISION, {"x.gguf": "a" * 64})
    said = Lock(str(place), {IMAGE: DIGEST}, {"m": {REVISION[:12]: model}}, {"h": {"docker": "28"}})
    place.write_text(lock_text(said), encoding="utf-8")
    return str(place)


def test_plans_and_questions_take_the_image_of_the_file(lock: str) -> None:
    assert server_plans([CHAT], MODELS, "/m", lock=lock)["chat"]["image"] == f"{IMAGE}@{DIGEST}"
    asked = preflight_questions([CHAT], MODELS, lock=lock)
    assert (asked["problems"], asked["servers"][0]["image"]) == ([], f"{IMAGE}@{DIGEST}")


def test_what_the_file_lacks_has_no_plan(lock: str) -> None:
    other = CHAT | {"image": "registry.example/other:1"}
    assert len(lock_problems([other], MODELS, lock=lock)) == 1
    assert lock_problems([CHAT], MODELS, lock=lock) == lock_problems([other], MODELS) == []
    with pytest.raises(AnsibleFilterError, match=r"registry\.example/other:1 is not in the lock file"):
        server_plans([other], MODELS, "/m", lock=lock)


def test_a_broken_file_is_a_problem_of_the_inventory(lock: str, tmp_path: Path) -> None:
    (tmp_path / "lock.yml").write_text("broken", encoding="utf-8")
    problems = preflight_questions([CHAT], MODELS, lock=lock)["problems"]
    assert [problem.partition(":")[0] for problem in problems] == ["serving_lock_file"]
    calls: list[t.Callable[[], t.Any]] = [
        lambda: server_plans([CHAT], MODELS, "/m", lock=lock),
        lambda: lock_problems([CHAT], MODELS, lock=lock),
        lambda: read_lock(lock),
    ]
    for call in calls:
        with pytest.raises(AnsibleFilterError, match=r"serving_lock_file: .* is broken"):
            call()


def test_a_file_is_read_as_plain_words(lock: str) -> None:
    words = read_lock(lock)
    assert words["images"] == {IMAGE: DIGEST}
    assert words["models"]["m"][REVISION[:12]]["files"] == {"x.gguf": "a" * 64}
    assert read_lock("") == {"images": {}, "models": {}, "hosts": {}}


FOUND = {
    "servers": {"chat": {"image": f"mirror/x@{DIGEST}"}, "old": {"image": f"old@{DIGEST}"}},
    "models": {"m": {"key": "k"}, "other": {"key": "o"}},
    "versions": {"docker": "28"},
}


@pytest.mark.parametrize(("some", "models"), [(False, ["m", "other"]), (True, ["m"])])
def test_what_serves_gets_the_name_that_the_inventory_has(some: bool, models: list[str]) -> None:
    plans = server_plans(
        [CHAT, CHAT | {"name": "exact", "port": 2, "image": f"registry.example/x@{DIGEST}"}], MODELS, "/m"
    )
    told = lock_words(FOUND, plans, some)
    assert told["images"] == {IMAGE: f"mirror/x@{DIGEST}"}
    assert (list(told["models"]), told["versions"]) == (models, {"docker": "28"})


def test_differences_are_lines() -> None:
    servers = [{"name": "chat", "changed": True, "action": "restarted"}, {"skipped": True}]
    looked = {"differs": [{"about": "docker", "name": "", "what": "is not installed"}]}
    assert drift_lines(looked, servers) == ["server chat: does not run", "docker: is not installed"]


@pytest.mark.parametrize("name", ["read_lock", "lock_problems", "lock_words", "drift_lines"])
def test_filters_have_the_names_of_their_files(name: str) -> None:
    module = importlib.import_module(f"ansible_collections.llmops.serving.plugins.filter.{name}")
    assert list(module.FilterModule().filters()) == [name]
