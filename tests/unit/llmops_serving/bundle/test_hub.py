# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle's hub answers what hosts, git, git LFS and people ask."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient
from ansible_collections.llmops.serving.plugins.module_utils._model_plan import plan_models
from llmops_serving.bundle.hub import Hub
from llmops_serving.bundle.repositories import git_environment
from llmops_serving.bundle.web import Answer, FileBody, Program, Request
from tests.unit.llmops_serving.bundle.conftest import REVISION
from tests.unit.plugins.fake_hub import gguf, safetensors, sha256

if TYPE_CHECKING:
    from pathlib import Path

    from llmops_serving.bundle.document import Bundle, Model
    from llmops_serving.bundle.load import Loaded

WEIGHTS = sha256(safetensors(1 << 20))


def ask(bundle: Bundle, made: Path, path: str, **more: Any) -> Answer:
    """Ask, and expect an answer."""
    method = "POST" if "body" in more else "GET"
    answer = Hub(bundle, made).answer(Request(method, path, base="https://bundle.example:8443", **more))
    assert answer is not None
    return answer


def model(bundle: Bundle, name: str) -> Model:
    """Find a model."""
    return next(model for model in bundle.models if model.name == name)


def test_a_file_has_the_address_that_it_has_upstream(bundle: Bundle, made: Path) -> None:
    answer = ask(bundle, made, f"/org/small/resolve/{REVISION}/deep/small.gguf")
    assert answer.status == 200
    assert answer.headers["X-Linked-Etag"] == f'"{sha256(gguf(64))}"'
    assert answer.headers["X-Linked-Size"] == str(len(gguf(64)))
    assert answer.headers["X-Repo-Commit"] == REVISION
    assert isinstance(answer.body, FileBody)
    assert answer.body.path.read_bytes() == gguf(64)
    assert ask(bundle, made, "/org/small/resolve/main/deep/small.gguf").status == 200


def test_a_repository_is_listed_whole(bundle: Bundle, made: Path) -> None:
    chat = model(bundle, "chat")
    answer = ask(bundle, made, f"/api/models/org/chat/revision/{chat.revision}", query="blobs=true")
    assert isinstance(answer.body, bytes)
    told = json.loads(answer.body)
    assert told["sha"] == chat.revision
    assert {one["rfilename"]: one["size"] for one in told["siblings"]} == {
        "LICENSE": 4, "config.json": 2, "model.safetensors": len(safetensors(1 << 20)), "pytorch_model.bin": 7,
        "sub/tokenizer.json": 2,
    }  # fmt: skip
    small = ask(bundle, made, "/api/models/org/small")
    assert isinstance(small.body, bytes)
    assert [one["rfilename"] for one in json.loads(small.body)["siblings"]] == ["deep/small.gguf"]


def test_objects_are_handed_out_on_this_address(bundle: Bundle, made: Path) -> None:
    body = {"operation": "download", "objects": [{"oid": WEIGHTS, "size": 1}, {"oid": "f" * 64, "size": 2}]}
    answer = ask(bundle, made, "/org/chat.git/info/lfs/objects/batch", body=json.dumps(body).encode())
    assert isinstance(answer.body, bytes)
    there, missing = json.loads(answer.body)["objects"]
    assert there["actions"]["download"]["href"] == f"https://bundle.example:8443/lfs/{WEIGHTS}"
    assert missing["error"]["code"] == 404
    assert ask(bundle, made, f"/lfs/{WEIGHTS}").status == 200


def test_an_address_is_one_of_the_bundle(bundle: Bundle, made: Path) -> None:
    (file,) = model(bundle, "afar").files
    answer = ask(bundle, made, f"/files/{file.sha256}/{file.path}")
    assert isinstance(answer.body, FileBody)
    assert answer.body.size == file.size


def test_git_is_asked_in_an_environment_of_its_own(bundle: Bundle, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("SECRET", "s3cret")
    answer = ask(bundle, made, "/org/chat/info/refs", query="service=git-upload-pack")
    assert isinstance(answer.body, Program)
    assert answer.body.environment["PATH_INFO"] == "/org/chat.git/info/refs"
    assert answer.body.environment["GIT_PROJECT_ROOT"] == str(made / "git")
    assert not {"GIT_DIR", "SECRET"} & set(answer.body.environment)


@pytest.mark.parametrize(
    ("path", "more", "status", "says"),
    [
        ("/org/none/resolve/main/x", {}, 404, "RepoNotFound"),
        ("/org/small/resolve/" + "b" * 40 + "/deep/small.gguf", {}, 404, "RevisionNotFound"),
        (f"/org/small/resolve/{REVISION}/deep/none.gguf", {}, 404, "is not in the bundle"),
        ("/org/chat/resolve/main/pytorch_model.bin", {}, 404, "was left out of the bundle"),
        ("/org/chat/resolve/main/../../../../../etc/passwd", {}, 404, "EntryNotFound"),
        ("/api/models/org/none", {}, 404, "RepoNotFound"),
        ("/lfs/" + "0" * 64, {}, 404, "EntryNotFound"),
        ("/org/none/info/refs", {"query": "service=git-upload-pack"}, 404, "RepoNotFound"),
        # A repository of which only a file was wanted has no git side.
        ("/org/small/info/refs", {"query": "service=git-upload-pack"}, 404, "RepoNotFound"),
        ("/org/chat/info/refs", {"query": "service=git-receive-pack"}, 403, "only read"),
        ("/org/chat/info/refs", {}, 403, "only read"),
        ("/org/chat/git-receive-pack", {"body": b""}, 403, "only read"),
        ("/org/none/info/lfs/objects/batch", {"body": b"{}"}, 404, "no repository"),
        ("/org/chat/info/lfs/objects/batch", {"body": b"{"}, 422, "no request"),
        ("/org/chat/info/lfs/objects/batch", {"body": b'{"operation": "upload", "objects": []}'}, 403, "only read"),
    ],
)
def test_refusals(  # noqa: PLR0913, PLR0917  what is asked, and of whom
    bundle: Bundle, made: Path, path: str, more: dict[str, Any], status: int, says: str
) -> None:
    answer = ask(bundle, made, path, **more)
    assert answer.status == status
    assert says in f"{dict(answer.headers)}{answer.body!r}"


def test_others_are_not_its_business(bundle: Bundle, made: Path) -> None:
    assert Hub(bundle, made).answer(Request("GET", "/files/0/x")) is None


def test_a_host_plans_from_it(loaded: Loaded, bundle: Bundle, tmp_path: Path) -> None:
    models = {
        "chat": {"repo": "org/chat", "revision": model(bundle, "chat").revision},
        "gone": {"repo": "org/chat", "revision": "9" * 40},
    }
    client = HttpClient(ca_data=loaded.served.ca)
    plans = plan_models(models, path=str(tmp_path), hub_url=loaded.served.hub, client=client)
    assert plans["chat"].problem is None
    assert plans["chat"].bytes == model(bundle, "chat").size
    assert "has no commit" in str(plans["gone"].problem)


def test_people_may_clone_from_it(loaded: Loaded, tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text(loaded.served.ca)
    command = ["git", "-c", f"http.sslCAInfo={ca}", "clone", "--quiet", f"{loaded.served.hub}/org/chat", "clone"]
    done = subprocess.run(command, cwd=tmp_path, env=git_environment(), capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "clone" / "LICENSE").read_bytes() == b"free"
    assert b"git-lfs" in (tmp_path / "clone" / "model.safetensors").read_bytes()
