# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hub says, and how failures read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient, HttpError, Retry
from ansible_collections.llmops.serving.plugins.module_utils._model_hub import Hub, Listing, git_login
from ansible_collections.llmops.serving.plugins.module_utils._model_select import TreeFile
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, ModelSpec
from tests.unit.plugins.fake_hub import FakeHub, Fault, fake_hub, gguf, pointer, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REV = "0123456789abcdef0123456789abcdef01234567"
DATA = gguf(1000)
TOKEN = "hf_geheim"  # noqa: S105 - a canary, not a secret


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub(tmp_path) as running:
        running.add_file("a/b", REV, "sub/x.gguf", DATA)
        yield running


def hub_of(fake: FakeHub, token: str = "") -> Hub:
    return Hub(fake.url, token, HttpClient(timeout=5, retry=Retry(attempts=2, base=0.01), sleep=lambda _seconds: None))


def spec_of(**options: Any) -> ModelSpec:
    return ModelSpec(
        **{"name": "x", "kind": "file", "repo": "a/b", "revision": REV, "files": ("sub/x.gguf",), **options}
    )


def problem(fake: FakeHub, spec: ModelSpec, token: str = "") -> str:
    with pytest.raises(ModelError) as error:
        hub_of(fake, token).head(spec, spec.files[0])
    assert not token or token not in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_head(fake: FakeHub) -> None:
    found = hub_of(fake).head(spec_of(), "sub/x.gguf")
    assert (found.size, found.sha256) == (len(DATA), sha256(DATA))
    assert [request.headers["range"] for request in fake.seen] == ["bytes=0-1023"] * 2


def test_head_of_a_plain_server(fake: FakeHub) -> None:
    fake.add_file("a/b", REV, "sub/x.gguf", DATA, lfs=False)
    found = hub_of(fake).head(spec_of(), "sub/x.gguf")
    assert (found.size, found.sha256) == (len(DATA), "")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("hub GET", 401), "serving_models['x'].repo: a/b is gated or private, or does not exist (401): accept"),
        (Fault("hub GET", 403), "and set serving_hub_token"),
        (Fault("hub GET", 429, {"Retry-After": "300"}), "asks to wait 300 s; run again then, or set serving_hub_token"),
        (Fault("hub GET", 503), "answers 503 for a/b; look at the hub"),
        (Fault("hub GET", 404, {"X-Error-Code": "RepoNotFound"}), "serving_models['x'].repo: "),
        (
            Fault("hub GET", 404, {"X-Error-Code": "RevisionNotFound"}),
            "serving_models['x'].revision: a/b has no commit",
        ),
        (
            Fault("hub GET", 404, {"X-Error-Code": "EntryNotFound"}),
            "serving_models['x'].file: a/b has no file sub/x.gguf",
        ),
        (Fault("cdn GET", 403), "serving_hub_url: the hub sends sub/x.gguf of a/b to 127.0.0.1:"),
        (Fault("cdn GET", body=b"<!DOCTYPE html><html>"), "serving_models['x'].file: sub/x.gguf is an HTML page"),
        (Fault("cdn GET", body=pointer(DATA)), "serving_models['x'].file: sub/x.gguf is a git-LFS pointer"),
        (Fault("cdn GET", body=b"GGML1234"), "begins with b'GGML' instead of b'GGUF'"),
        (Fault("cdn GET", 416), "sub/x.gguf is empty"),
        (
            Fault("hub GET", 302, {"Location": "/", "X-Repo-Commit": "f" * 40}),
            "serving_hub_url: no answer from 127.0.0.1",
        ),
    ],
)
def test_file_problems(fake: FakeHub, fault: Fault, message: str) -> None:
    fake.faults.append(fault)
    assert message in problem(fake, spec_of())


def test_other_commit(fake: FakeHub) -> None:
    fake.faults.append(
        Fault(
            f"hub GET /a/b/resolve/{REV}", 302, {"Location": f"{fake.cdn}/x/{sha256(DATA)}", "X-Repo-Commit": "f" * 40}
        )
    )
    assert f"answers with commit {'f' * 40} instead of {REV}" in problem(fake, spec_of())


@pytest.mark.parametrize("status", [401, 403])
def test_token_that_is_refused(fake: FakeHub, status: int) -> None:
    fake.faults.append(Fault("hub GET", status))
    message = problem(fake, spec_of(), TOKEN)
    assert "serving_hub_token" in message
    assert "accept the licence" in message


def test_wrong_sha256_is_told_before_the_download(fake: FakeHub) -> None:
    message = problem(fake, spec_of(sha256="0" * 64))
    assert message.startswith("serving_models['x'].sha256: wrong sha256")
    assert sha256(DATA) in message


def test_url_model_never_gets_the_token(fake: FakeHub) -> None:
    spec = spec_of(kind="url", repo="", revision="", url=f"{fake.cdn}/x/{sha256(DATA)}", sha256=sha256(DATA))
    hub_of(fake, TOKEN).head(spec, "x.gguf")
    fake.faults.append(Fault("cdn GET", 401))
    assert "serving_models['x'].url: 127.0.0.1" in problem(fake, spec, TOKEN)
    assert not [request for request in fake.seen if "authorization" in request.headers]


def test_404_told_apart_by_asking_around(fake: FakeHub) -> None:
    commit = fake.add_repo("a/b", {"config.json": b"{}"})
    assert "serving_models['x'].file: a/b has no file no.gguf" in problem(
        fake, spec_of(revision=commit, files=("no.gguf",))
    )
    assert "serving_models['x'].revision: a/b has no commit ffff" in problem(
        fake, spec_of(revision="f" * 40, files=("no.gguf",))
    )
    assert "serving_models['x'].repo: " in problem(fake, spec_of(repo="a/none"))


def test_remote_and_revision(fake: FakeHub) -> None:
    commit = fake.add_repo("a/b", {"config.json": b"{}"})
    hub = hub_of(fake)
    remote = hub.remote(spec_of())
    assert (remote.url, remote.lfs, remote.v2) == (f"{fake.url}/a/b", f"{fake.url}/a/b.git/info/lfs", True)
    hub.check_revision(spec_of(revision=commit), remote)
    with pytest.raises(ModelError, match="has no commit"):
        hub.check_revision(spec_of(revision="f" * 40), remote)


def test_remote_with_git_suffix_only(fake: FakeHub) -> None:
    fake.add_repo("a/b", {"config.json": b"{}"})
    fake.faults.append(Fault("hub GET /a/b/info/refs", 404))
    assert hub_of(fake).remote(spec_of()).url == f"{fake.url}/a/b.git"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("info/refs", 404), "has no repository a/b (404)"),
        (Fault("info/refs", 401), "is gated or private"),
        (Fault("info/refs", 200, {"Content-Type": "text/html"}, b"<html>"), "but not as a git server"),
    ],
)
def test_no_remote(fake: FakeHub, fault: Fault, message: str) -> None:
    fake.faults.append(fault)
    with pytest.raises(ModelError) as error:
        hub_of(fake).remote(spec_of())
    assert message in str(error.value)


def test_lfs_links(fake: FakeHub) -> None:
    fake.add_repo("a/b", {"config.json": b"{}"})
    hub = hub_of(fake, TOKEN)
    remote = hub.remote(spec_of())
    files = [TreeFile(f"{number}.gguf", len(DATA), oid=sha256(DATA)) for number in range(150)]
    links = hub.lfs_links(spec_of(), remote, files)
    assert links[sha256(DATA)].href == f"{fake.cdn}/lfs/{sha256(DATA)}"
    asked = fake.requests("objects/batch")
    assert len(asked) == 2
    assert asked[0].headers["authorization"].startswith("Basic ")
    assert asked[0].headers["accept"] == "application/vnd.git-lfs+json"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (None, "has a pointer for m.gguf, but the hub lacks its LFS object 00000000"),
        (Fault("batch", 404), "no LFS batch API for it (404)"),
        (
            Fault("batch", 404, {"Content-Type": "application/vnd.git-lfs+json"}, b'{"message": "none of them"}'),
            "has a pointer for m.gguf, but the hub lacks its LFS object 00000000",
        ),
        (Fault("batch", 401), "is gated"),
        (Fault("batch", 200, {}, b"<html>"), "gives no LFS answer"),
        (Fault("batch", 200, {}, b'{"objects": [{"oid": "%s", "error": {"code": 403}}]}' % (b"0" * 64)), "is gated"),
        (Fault("batch", 200, {}, b'{"objects": []}'), "lacks its LFS object"),
    ],
)
def test_no_lfs_link(fake: FakeHub, fault: Fault | None, message: str) -> None:
    fake.add_repo("a/b", {"config.json": b"{}"})
    hub = hub_of(fake)
    remote = hub.remote(spec_of())
    fake.faults += [fault] if fault else []
    with pytest.raises(ModelError) as error:
        hub.lfs_links(spec_of(), remote, [TreeFile("m.gguf", 5, oid="0" * 64)])
    assert message in str(error.value)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("/api/", 404),
        Fault("/api/", 404, {"X-Error-Code": "RepoNotFound"}),
        Fault("/api/", 500),
        Fault("/api/", 200, {}, b"<html>"),
        Fault("/api/", 200, {}, b'{"error": 1}'),
        Fault("/api/", 200, {}, b'{"sha": "other", "siblings": []}'),
        Fault("/api/", 200, {}, b'{"sha": "%s", "siblings": ["x"]}' % REV.encode()),
    ],
)
def test_hub_without_listings(fake: FakeHub, fault: Fault) -> None:
    fake.faults.append(fault)
    assert hub_of(fake).listing(spec_of()) is None


def test_listing_of_a_gated_repository(fake: FakeHub) -> None:
    fake.faults.append(Fault("/api/", 403, {"X-Error-Code": "GatedRepo"}))
    with pytest.raises(ModelError, match="is gated"):
        hub_of(fake).listing(spec_of())


def test_listing(fake: FakeHub) -> None:
    siblings: list[dict[str, Any]] = [{"rfilename": "config.json", "size": 3}, {"rfilename": "m.gguf", "size": 900}]
    fake.answers[f"/api/models/a/b/revision/{REV}"] = {"sha": REV, "siblings": siblings}
    assert hub_of(fake).listing(spec_of()) == Listing((TreeFile("config.json", 3), TreeFile("m.gguf", 900)), True)
    del siblings[0]["size"]
    assert hub_of(fake).listing(spec_of()) == Listing((TreeFile("config.json", 0), TreeFile("m.gguf", 900)), False)


@pytest.mark.parametrize(("token", "login"), [("hf_x", ("token", "hf_x")), ("user:pass:word", ("user", "pass:word"))])
def test_git_login(token: str, login: tuple[str, str]) -> None:
    assert git_login(token) == login


@pytest.mark.parametrize(
    ("detail", "remedy"),
    [
        ("unable to get local issuer certificate", "set serving_ca"),
        ("self-signed certificate", "set serving_ca"),
        ("certificate is not yet valid", "set the clock of the host"),
        ("certificate has expired", "set the clock of the host"),
    ],
)
def test_a_certificate_that_is_refused(fake: FakeHub, detail: str, remedy: str) -> None:
    said = str(hub_of(fake)._no_answer(spec_of(), HttpError("tls", "hub.example", detail)))
    assert said.startswith(f"serving_hub_url: the certificate of hub.example is not trusted ({detail}); {remedy}")
