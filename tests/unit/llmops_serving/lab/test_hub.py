# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from llmops_serving.lab import gitrepo, hub
from llmops_serving.lab.build import ASSETS
from llmops_serving.lab.hub import Fault, Repo, Source

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

WEIGHTS = b"GGUF" + bytes(100)
OID = hashlib.sha256(WEIGHTS).hexdigest()


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ASSETS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


hub_resolve = load("hub_resolve")


@pytest.fixture(name="published")
def _published(tmp_path: Path) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    repos = {
        "lab/x": Repo({"x.gguf": Source(WEIGHTS), "sub/config.json": Source(b"{}")}),
        "lab/gated": Repo({"README.md": Source(b"hi")}, gated=True),
        "lab/faults": Repo(
            {
                "good.gguf": Source(WEIGHTS),
                "corrupt.gguf": Source(b"X" * len(WEIGHTS), Fault(announced_oid=OID)),
                "short.gguf": Source(WEIGHTS[:50], Fault(short=True, announced_size=len(WEIGHTS))),
                "pointer.gguf": Source(gitrepo.pointer(OID, 3), plain=True),
                "page.gguf": Source(b"<!DOCTYPE html><p>no", plain=True),
            }
        ),
        "lab/lost": Repo({"w.safetensors": Source(WEIGHTS)}, lost=frozenset({"w.safetensors"})),
        "lab/rotten": Repo({"w.safetensors": Source(b"other", Fault(announced_oid=OID, in_git=True))}),
    }
    facts = hub.publish(tmp_path, repos)
    return tmp_path, json.loads((tmp_path / "manifest.json").read_text()), facts


def test_facts_are_those_of_the_bytes(published: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    _, manifest, facts = published
    assert facts["lab/x"].files["x.gguf"].sha256 == OID
    assert facts["lab/x"].files["x.gguf"].size == len(WEIGHTS)
    assert facts["lab/x"].revision == manifest["repos"]["lab/x"]["revision"]
    assert facts["lab/faults"].files["corrupt.gguf"].sha256 != OID


def test_objects_lie_where_the_other_host_serves_them(published: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    root, _, _ = published
    assert (root / "cdn" / "lab" / "x" / OID).read_bytes() == WEIGHTS
    # A faulty file never takes the place of a sound object.
    assert (root / "cdn" / "lab" / "faults" / OID).read_bytes() == WEIGHTS
    assert (root / "cdn" / "_faults" / "lab" / "faults" / "corrupt.gguf").read_bytes() == b"X" * len(WEIGHTS)
    assert not (root / "cdn" / "lab" / "lost" / OID).exists()
    assert (root / "cdn" / "lab" / "rotten" / OID).read_bytes() == b"other"


@pytest.mark.parametrize("revision", ["main", "HEAD", None], ids=["main", "head", "commit"])
def test_weights_are_redirected_with_the_hubs_headers(
    published: tuple[Path, dict[str, Any], dict[str, Any]], revision: str | None
) -> None:
    _, manifest, facts = published
    commit = facts["lab/x"].revision
    answer = hub_resolve.resolve(manifest, f"/lab/x/resolve/{revision or commit}/x.gguf")
    assert answer.status == 302
    assert answer.headers["X-Linked-Etag"] == f'"{OID}"'
    assert answer.headers["X-Linked-Size"] == str(len(WEIGHTS))
    assert answer.headers["X-Repo-Commit"] == commit
    assert answer.headers["Location"] == f"https://cdn.lab/lab/x/{OID}"


def test_small_files_come_from_the_hub_itself(published: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    root, manifest, _ = published
    answer = hub_resolve.resolve(manifest, "/lab/x/resolve/main/sub/config.json")
    assert (answer.status, answer.headers["ETag"]) == (200, f'"{gitrepo.blob_id(b"{}")}"')
    assert (root / "raw" / answer.file.lstrip("/")).read_bytes() == b"{}"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/lab/none/resolve/main/x", 404, "RepoNotFound"),
        ("/lab/x/resolve/0000/x.gguf", 404, "RevisionNotFound"),
        ("/lab/x/resolve/main/y.gguf", 404, "EntryNotFound"),
        ("/lab/x/resolve/main/../../etc/passwd", 404, "EntryNotFound"),
        ("/api/models/lab/none", 404, "RepoNotFound"),
        ("/api/models/lab/x/revision/0000", 404, "RevisionNotFound"),
        ("/", 404, "RepoNotFound"),
    ],
)
def test_what_is_not_there(
    published: tuple[Path, dict[str, Any], dict[str, Any]], path: str, status: int, code: str
) -> None:
    answer = hub_resolve.resolve(published[1], path)
    assert (answer.status, answer.headers["X-Error-Code"]) == (status, code)


def test_faults_announce_one_thing_and_send_another(published: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    _, manifest, _ = published
    corrupt = hub_resolve.resolve(manifest, "/lab/faults/resolve/main/corrupt.gguf")
    assert corrupt.headers["X-Linked-Etag"] == f'"{OID}"'
    assert corrupt.headers["Location"] == "https://cdn.lab/_faults/lab/faults/corrupt.gguf"
    short = hub_resolve.resolve(manifest, "/lab/faults/resolve/main/short.gguf")
    assert short.headers["Location"] == "https://cdn.lab/_short/_faults/lab/faults/short.gguf"
    page = hub_resolve.resolve(manifest, "/lab/faults/resolve/main/page.gguf")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    pointer = hub_resolve.resolve(manifest, "/lab/faults/resolve/main/pointer.gguf")
    assert (pointer.status, "X-Linked-Etag" in pointer.headers) == (200, False)


def test_a_description_lists_the_files(published: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    _, manifest, facts = published
    body = json.loads(hub_resolve.resolve(manifest, "/api/models/lab/x").body)
    assert body["sha"] == facts["lab/x"].revision
    assert {"rfilename": "sub/config.json"} in body["siblings"]


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("path", "authorization", "refused"),
    [
        ("/lab/x/resolve/main/x.gguf", "", False),
        ("/lab/gated/resolve/main/README.md", "", True),
        ("/lab/gated/resolve/main/README.md", "Bearer secret", False),
        ("/lab/gated/resolve/main/README.md", "Bearer other", True),
        ("/lab/gated/resolve/main/README.md", "Bearer ", True),
        ("/lab/gated.git/info/refs", "", True),
        ("/lab/gated/info/refs", basic("anyone", "secret"), False),
        ("/lab/gated.git/info/lfs/objects/batch", basic("anyone", "wrong"), True),
        ("/lab/gated/info/refs", "Basic !!!", True),
        ("/api/models/lab/gated", "", True),
        ("/lab%2Fgated/resolve/main/README.md", "", True),
    ],
)
def test_gated_repositories_want_the_token(
    published: tuple[Path, dict[str, Any], dict[str, Any]], path: str, authorization: str, refused: bool
) -> None:
    answer = hub_resolve.authorize(published[1], path, authorization, "secret")
    assert (answer is not None) is refused
    if answer is not None:
        assert answer.status == 401
        assert answer.headers["X-Error-Code"] == "GatedRepo"
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_git_attributes_say_what_is_in_lfs(published: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    root, manifest, _ = published
    entry = manifest["repos"]["lab/x"]["files"][".gitattributes"]
    text = (root / "raw" / "lab" / "x" / entry["blob"]).read_text()
    assert "*.gguf filter=lfs diff=lfs merge=lfs -text\n" in text


def test_nginx_configuration_has_names_and_no_placeholders() -> None:
    text = hub.nginx_configuration("hub.example", "cdn.example")
    assert "server_name hub.example;" in text
    assert "server_name cdn.example;" in text
    assert "@" not in text.replace("@HUB@", "@")
