# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a preflight learns, without git and without writing."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_git
from ansible_collections.llmops.serving.plugins.module_utils._model_apply import Fetcher
from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient, Retry
from ansible_collections.llmops.serving.plugins.module_utils._model_hub import Hub
from ansible_collections.llmops.serving.plugins.module_utils._model_plan import check_models, plan_models
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import parse_models
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store
from tests.unit.plugins.fake_hub import FakeHub, Fault, fake_hub, gguf, safetensors, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REV = "0123456789abcdef0123456789abcdef01234567"
DATA = gguf(1000)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub(tmp_path / "hub") as running:
        running.add_file("a/b", REV, "x.gguf", DATA)
        yield running


@pytest.fixture(autouse=True)
def no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(_model_git.Git, "_run", refuse)


def client() -> HttpClient:
    return HttpClient(timeout=5, retry=Retry(attempts=2, base=0.01), sleep=lambda _seconds: None)


def check(fake: FakeHub, tmp_path: Path, **models: Any) -> list[str]:
    before = sorted(tmp_path.rglob("*"))
    found = check_models(models, path=str(tmp_path / "store"), hub_url=fake.url, client=client())
    assert sorted(tmp_path.rglob("*")) == before
    assert not [line for line in found if "\n" in line]
    return found


def test_no_problem(fake: FakeHub, tmp_path: Path) -> None:
    commit = fake.add_repo("a/tree", {"config.json": b"{}", "m.safetensors": safetensors()}, lfs=("m.safetensors",))
    models = {
        "one": {"repo": "a/b", "revision": REV, "file": "x.gguf", "sha256": sha256(DATA)},
        "two": {"repo": "a/tree", "revision": commit},
        "three": {"url": f"{fake.cdn}/{sha256(DATA)}?name=/x.gguf", "sha256": sha256(DATA)},
    }
    if shutil.which("git"):
        assert check(fake, tmp_path, **models) == []
    plans = plan_models(models, path=str(tmp_path / "store"), hub_url=fake.url, client=client())
    assert [(name, plan.present, plan.bytes, plan.problem) for name, plan in plans.items()] == [
        ("one", False, len(DATA), None),
        ("two", False, None, None),
        ("three", False, len(DATA), None),
    ]


def test_sizes_and_pickle_from_the_hubs_listing(fake: FakeHub, tmp_path: Path) -> None:
    siblings: list[dict[str, Any]] = [
        {"rfilename": "config.json", "size": 3},
        {"rfilename": "model.safetensors", "size": 900},
        {"rfilename": "pytorch_model.bin", "size": 950},
    ]
    fake.answers[f"/api/models/a/b/revision/{REV}"] = {"sha": REV, "siblings": siblings}
    models = {"x": {"repo": "a/b", "revision": REV}}
    fake.add_file("a/b", REV, "model.safetensors", safetensors())

    def size() -> int | None:
        return plan_models(models, path=str(tmp_path), hub_url=fake.url, client=client())["x"].bytes

    assert size() == 903
    del siblings[0]["size"]
    assert size() is None
    del siblings[1]
    assert "pickle only (pytorch_model.bin)" in check(fake, tmp_path, **models)[0]


def test_listed_but_gated(fake: FakeHub, tmp_path: Path) -> None:
    siblings = [{"rfilename": "model.safetensors", "size": 900}]
    fake.answers[f"/api/models/a/b/revision/{REV}"] = {"sha": REV, "siblings": siblings, "gated": "auto"}
    fake.faults.append(Fault("/resolve/", 401, {"X-Error-Code": "GatedRepo"}))
    found = check(fake, tmp_path, x={"repo": "a/b", "revision": REV})
    assert "serving_models['x'].repo: a/b is gated or private" in found[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repo": "a/none", "revision": REV}, "serving_models['x'].repo: "),
        ({"repo": "a/b", "revision": "main"}, "serving_models['x'].revision: 'main' is a branch"),
        ({"repo": "a/b", "revision": REV, "file": "y.gguf"}, "serving_models['x'].repo: "),
        ({"repo": "a/b", "revision": REV, "file": "x.gguf", "sha256": "0" * 64}, "wrong sha256"),
    ],
)
def test_problems(fake: FakeHub, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    found = check(fake, tmp_path, x=options)
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_wrong_revision_without_git_on_the_host(fake: FakeHub, tmp_path: Path) -> None:
    fake.add_repo("a/tree", {"config.json": b"{}"})
    assert (
        "serving_models['x'].revision: a/tree has no commit ffff"
        in check(fake, tmp_path, x={"repo": "a/tree", "revision": "f" * 40})[0]
    )


def test_one_cause_is_one_problem(fake: FakeHub, tmp_path: Path) -> None:
    fake.close()
    models = {name: {"repo": "a/b", "revision": REV, "file": "x.gguf"} for name in ("x", "y")}
    found = check(fake, tmp_path, **models)
    assert len(found) == 1
    assert found[0].startswith("serving_hub_url: no answer from 127.0.0.1:")


def test_bad_hub_url(tmp_path: Path) -> None:
    models = {"x": {"repo": "a/b", "revision": REV}}
    assert (
        "serving_hub_url: 'hub.lab' is no http(s) address"
        in check_models(models, path=str(tmp_path), hub_url="hub.lab")[0]
    )


def test_disk(fake: FakeHub, tmp_path: Path) -> None:
    fake.faults.append(
        Fault("hub GET", 206, {"X-Linked-Size": str(1 << 50), "Content-Range": f"bytes 0-3/{1 << 50}"}, b"GGUF")
    )
    found = check(fake, tmp_path, x={"repo": "a/b", "revision": REV, "file": "x.gguf"})
    assert len(found) == 1
    assert "is too small: 1024.0 TiB to fetch" in found[0]


def test_complete_models_ask_nobody(fake: FakeHub, tmp_path: Path) -> None:
    models = {"x": {"repo": "a/b", "revision": REV, "file": "x.gguf"}}
    store = Store(str(tmp_path / "store"))
    Fetcher(store, Hub(fake.url, "", client()), client()).ensure(parse_models(models)[0])
    fake.seen.clear()
    assert check(fake, tmp_path, **models) == []
    plan = plan_models(models, path=str(store.root), hub_url="nonsense", client=client())["x"]
    assert (plan.present, plan.bytes, plan.problem) == (True, 0, None)
    assert fake.seen == []
    os.truncate(store.folder("x", REV[:12]) / "x.gguf", 5)
    plan = plan_models(models, path=str(store.root), hub_url=fake.url, client=client())["x"]
    assert (plan.present, plan.bytes, plan.damaged) == (False, len(DATA), ("x.gguf",))
