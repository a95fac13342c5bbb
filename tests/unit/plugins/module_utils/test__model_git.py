# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees by git: real repositories over real http."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_git
from ansible_collections.llmops.serving.plugins.module_utils._model_git import Git, GitTree
from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient, Retry
from ansible_collections.llmops.serving.plugins.module_utils._model_hub import Hub
from ansible_collections.llmops.serving.plugins.module_utils._model_select import TreeFile
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, ModelSpec
from tests.unit.plugins.fake_hub import FakeHub, Fault, fake_hub, safetensors, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GIT = shutil.which("git") or ""
WEIGHTS = safetensors(5000)
TOKEN = "hf_geheim"  # noqa: S105 - a canary, not a secret

pytestmark = pytest.mark.skipif(not GIT, reason="git is not installed")


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub(tmp_path) as running:
        yield running


def fetch(fake: FakeHub, folder: Path, commit: str, token: str = "") -> GitTree:
    hub = Hub(fake.url, token, HttpClient(timeout=5, retry=Retry(attempts=2, base=0.01)))
    spec = ModelSpec("x", "repo", "a/b", commit)
    return Git(GIT).fetch(hub, spec, hub.remote(spec), folder / "bare")


def test_tree_and_files(fake: FakeHub, tmp_path: Path) -> None:
    files = {"config.json": b"{}\r\n", "sub/m.safetensors": WEIGHTS, "big.txt": b"x" * 3_000_000, "empty": b""}
    commit = fake.add_repo("a/b", files, lfs=("sub/m.safetensors",))
    tree = fetch(fake, tmp_path, commit)
    found = {entry.path: entry for entry in tree.files}
    assert found["sub/m.safetensors"].oid == sha256(WEIGHTS)
    assert found["sub/m.safetensors"].size == len(WEIGHTS)
    small = [entry for entry in tree.files if not entry.oid]
    digests = tree.write(small, tmp_path / "tree")
    assert digests == {path: sha256(data) for path, data in files.items() if path != "sub/m.safetensors"}
    assert (tmp_path / "tree/config.json").read_bytes() == b"{}\r\n"
    assert not (tmp_path / "tree/sub").exists()
    assert fake.requests("/lfs") == []


def test_symlink_becomes_the_file(fake: FakeHub, tmp_path: Path) -> None:
    commit = fake.add_repo(
        "a/b", {"m.safetensors": WEIGHTS}, lfs=("m.safetensors",), links={"a": "m.safetensors", "b": "./a"}
    )
    found = {entry.path: entry.oid for entry in fetch(fake, tmp_path, commit).files}
    assert found == dict.fromkeys(["a", "b", "m.safetensors"], sha256(WEIGHTS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"links": {"l": "/etc/passwd"}}, "has a symlink that leaves the tree (l -> /etc/passwd)"),
        ({"links": {"l": "../../secret"}}, "has a symlink that leaves the tree"),
        ({"links": {"l": "gone"}}, "names no file of the tree (l)"),
        ({"links": {"l": "k", "k": "l"}}, "names no file of the tree"),
        ({"links": {"d": ".", "l": "d/x"}}, "names no file of the tree"),
        ({"submodule": "inner"}, "has a submodule (inner), which is not fetched"),
    ],
)
def test_refused_trees(fake: FakeHub, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    commit = fake.add_repo("a/b", {"x": b"x"}, **options)
    with pytest.raises(ModelError) as error:
        fetch(fake, tmp_path, commit)
    assert message in str(error.value)
    assert str(error.value).startswith("serving_models['x'].revision: a/b ")


@pytest.mark.parametrize("path", ["../x", ".git/config", "a/.GIT/hooks/x", "/x", "a//b", "a\nb"])
def test_unsafe_names(path: str) -> None:
    with pytest.raises(ModelError, match="unsafe file name"):
        _model_git._parse_listing(ModelSpec("x", "repo", "a/b"), f"100644 blob {'1' * 40}       3\t{path}\0")


def test_unknown_commit(fake: FakeHub, tmp_path: Path) -> None:
    fake.add_repo("a/b", {"x": b"x"})
    with pytest.raises(ModelError, match=r"serving_models\['x'\]\.revision: a/b has no commit f{40}"):
        fetch(fake, tmp_path, "f" * 40)


def test_git_that_fails(fake: FakeHub, tmp_path: Path) -> None:
    commit = fake.add_repo("a/b", {"x": b"x"})
    fake.faults.append(Fault("POST /a/b/git-upload-pack", 500))
    with pytest.raises(ModelError, match=r"serving_models\['x'\]\.repo: git could not fetch a/b from .*500"):
        fetch(fake, tmp_path, commit)


def test_no_git_program(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="install git"):
        Git(str(tmp_path / "none"))._run(["version"], {})


def test_token_reaches_git_but_no_argv(fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = fake.add_repo("a/b", {"x": b"x"})
    fake.token = "Basic "  # noqa: S105 - whoever sends a login may in, the others are asked for one
    seen: list[list[str]] = []
    real = subprocess.run

    def spy(argv: list[str], **options: Any) -> Any:
        seen.append(argv)
        return real(argv, **options)

    monkeypatch.setattr(subprocess, "run", spy)
    assert [entry.path for entry in fetch(fake, tmp_path, commit, TOKEN).files] == ["x"]
    assert TOKEN not in str(seen)
    logins = {request.headers.get("authorization") for request in fake.requests("git/") + fake.requests("/a/b/")}
    assert logins == {None, "Basic dG9rZW46aGZfZ2VoZWlt"}
    found = [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert found == []


def test_without_a_token_git_asks_nobody(fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = fake.add_repo("a/b", {"x": b"x"})
    hub = Hub(fake.url, "", HttpClient(timeout=5))
    spec = ModelSpec("x", "repo", "a/b", commit)
    remote = hub.remote(spec)
    fake.token = "wanted"  # noqa: S105 - a canary
    monkeypatch.setenv("GIT_ASKPASS", "/bin/false")
    with pytest.raises(ModelError, match="serving_hub_token: git at"):
        Git(GIT).fetch(hub, spec, remote, tmp_path / "bare")


def test_surroundings_do_not_reach_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/else")
    monkeypatch.setenv("GIT_TRACE_CURL", "1")
    monkeypatch.setenv("GIT_SSL_CAINFO", "/ca.pem")
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    found = _model_git._environment({"LLMOPS_GIT_PASSWORD": "p"})
    assert "GIT_DIR" not in found
    assert "GIT_TRACE_CURL" not in found
    assert found["GIT_SSL_CAINFO"] == "/ca.pem"
    assert found["https_proxy"] == "http://proxy:1"
    assert found["GIT_TERMINAL_PROMPT"] == "0"
    assert "LLMOPS_GIT_PASSWORD" not in os.environ


def test_missing_blob(fake: FakeHub, tmp_path: Path) -> None:
    tree = fetch(fake, tmp_path, fake.add_repo("a/b", {"x": b"x"}))
    with pytest.raises(ModelError, match="is missing from what the hub sent"):
        tree.write([TreeFile("y", 1, "2" * 40)], tmp_path / "tree")


def test_certificates_that_are_named_win_over_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_SSL_CAINFO", "/etc/other.pem")
    assert _model_git._environment({})["GIT_SSL_CAINFO"] == "/etc/other.pem"
    assert _model_git._environment({}, "/etc/ca.pem")["GIT_SSL_CAINFO"] == "/etc/ca.pem"
