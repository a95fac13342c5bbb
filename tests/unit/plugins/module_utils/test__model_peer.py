# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models from a host that has them: what it counts for, and what happens when it goes, lies or is not to be reached."""

from __future__ import annotations

import re
import shutil
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_peer
from ansible_collections.llmops.serving.plugins.module_utils._model_apply import Fetcher, Outcome
from ansible_collections.llmops.serving.plugins.module_utils._model_git import Git
from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient, HttpError, Retry
from ansible_collections.llmops.serving.plugins.module_utils._model_hub import Hub
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import MANIFEST_VERSION
from ansible_collections.llmops.serving.plugins.module_utils._model_peer import (
    PEER_OPTIONS,
    Peer,
    parse_peers,
    peer_warnings,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, parse_models
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store
from ansible_collections.llmops.serving.plugins.plugin_utils._certificate import certificate_for
from tests.unit.plugins.fake_hub import FakeHub, fake_hub, gguf, safetensors, sha256
from tests.unit.plugins.fake_peer import LOOPBACK, TOKEN, cut_after, fake_peer, peer_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GIT = shutil.which("git")
REV = "0123456789abcdef0123456789abcdef01234567"
DATA = gguf(2_000_000)
OTHER = gguf(1000)
FILE = {"repo": "a/b", "revision": REV, "file": "sub/x.gguf"}
ENTRY = {"path": "x.gguf", "size": len(DATA), "sha256": sha256(DATA), "mtime_ns": 1}
MANIFEST: dict[str, Any] = {
    "name": "x", "key": REV[:12], "kind": "file", "source": "https://hub.example/a/b", "repo": "a/b", "revision": REV,
    "allow_pickle": False, "files": [ENTRY], "skipped": [], "licence": "", "fetched_at": "2026-01-01T00:00:00Z",
    "version": MANIFEST_VERSION,
}  # fmt: skip


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub(tmp_path / "hub") as running:
        running.add_file("a/b", REV, "sub/x.gguf", DATA)
        running.add_file("a/b", REV, "y.gguf", OTHER)
        yield running


def ensure(fake: FakeHub, store: Store, peers: tuple[Peer, ...] = (), **models: Any) -> dict[str, Outcome]:
    specs, problems = parse_models(models)
    assert problems == {}
    hub = Hub(fake.url, "", HttpClient(timeout=5, retry=Retry(attempts=2, base=0.01)))
    return Fetcher(store, hub, Git(GIT) if GIT else None, peers=peers).ensure(specs)


@pytest.fixture
def full(fake: FakeHub, tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "full"))
    ensure(fake, store, x=FILE)
    fake.seen.clear()
    return store


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "empty"))


def content(store: Store) -> bytes:
    return (store.folder("x", REV[:12]) / "x.gguf").read_bytes()


# -- from a peer


def test_the_hub_is_not_asked_at_all(fake: FakeHub, full: Store, empty: Store) -> None:
    with peer_of(full, "x") as (_peer, words):
        peers = parse_peers([words])
        outcome = ensure(fake, empty, peers, x=FILE)["x"]
    assert fake.seen == []
    assert content(empty) == DATA
    assert (outcome.changed, outcome.fetched) == (True, len(DATA))
    there = full.versions("x")[0]
    assert outcome.manifest.source == there.source == f"{fake.url}/a/b"
    assert [(entry.path, entry.sha256) for entry in outcome.manifest.files] == [("x.gguf", sha256(DATA))]
    assert peer_warnings(peers) == []


def test_of_single_files_only_the_wanted_one_comes(fake: FakeHub, full: Store, empty: Store) -> None:
    fake.add_file("a/b", FILE["revision"], "other.gguf", DATA)
    ensure(fake, full, (), x={**FILE, "file": "other.gguf"})
    assert len(full.versions("x")[0].files) == 2
    with peer_of(full, "x") as (_peer, words):
        outcome = ensure(fake, empty, parse_peers([words]), x=FILE)["x"]
    assert [entry.path for entry in outcome.manifest.files] == ["x.gguf"]


@pytest.mark.skipif(not GIT, reason="git is not installed")
def test_a_whole_repository_with_neither_git_nor_hub(fake: FakeHub, tmp_path: Path, empty: Store) -> None:
    tree = {"config.json": b"{}", "sub/tokenizer.json": b"[]", "model.safetensors": safetensors(100_000)}
    revision = fake.add_repo("a/r", tree, lfs=("model.safetensors",))
    wanted = {"repo": "a/r", "revision": revision}
    store = Store(str(tmp_path / "full"))
    ensure(fake, store, r=wanted)
    fake.seen.clear()
    with peer_of(store, "r") as (_peer, words):
        specs, _problems = parse_models({"r": wanted})
        hub = Hub("https://hub.invalid", "", HttpClient(timeout=5))
        Fetcher(empty, hub, None, peers=parse_peers([words])).ensure(specs)
    assert fake.seen == []
    folder = empty.folder("r", revision[:12])
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == tree


def test_no_proxy_is_asked_for_a_peer(
    fake: FakeHub, full: Store, empty: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with peer_of(full, "x") as (_peer, words):
        ensure(fake, empty, parse_peers([words]), x=FILE)
    assert (fake.seen, content(empty) == DATA) == ([], True)


def test_the_token_goes_to_the_peer_alone(fake: FakeHub, full: Store, empty: Store) -> None:
    with peer_of(full, "x") as (_peer, words):
        ensure(fake, empty, parse_peers([words]), x=FILE, y={**FILE, "file": "y.gguf"})
    assert fake.seen
    assert not [seen for seen in fake.seen if TOKEN in str(seen.headers)]


# -- what a peer's offer is good for


@pytest.mark.parametrize(
    ("changed", "wanted", "good"),
    [
        ({}, {}, True),
        ({}, {"sha256": sha256(DATA)}, True),
        ({}, {"sha256": "a" * 64}, False),
        ({}, {"file": "sub/other.gguf"}, False),
        ({}, {"repo": "a/c"}, False),
        ({}, {"revision": "f" * 40}, False),
        ({"key": "f" * 12}, {}, False),
        ({"include": ["*.gguf"]}, {}, False),
        ({"exclude": ["*.md"]}, {}, False),
        ({"kind": "repo"}, {}, False),
        ({"version": 99}, {}, False),
        ({"files": [{**ENTRY, "path": "another.gguf"}]}, {}, False),
        ({"files": "damaged"}, {}, False),
    ],
)
def test_an_offer_must_be_what_is_wanted(changed: dict[str, Any], wanted: dict[str, Any], good: bool) -> None:
    with fake_peer({}) as running:
        (peer,) = parse_peers([running.words({"x": {**MANIFEST, **changed}})])
        (spec,), _problems = parse_models({"x": {**FILE, **wanted}})
        assert (peer.manifest(spec) is not None) is good


def test_another_name_is_another_model() -> None:
    with fake_peer({}) as running:
        (peer,) = parse_peers([running.words({"x": MANIFEST})])
        (spec,), _problems = parse_models({"y": FILE})
        assert peer.manifest(spec) is None


def test_a_peer_is_told_by_its_digest_and_no_other_word(full: Store) -> None:
    with peer_of(full, "x") as (running, words):
        (peer,) = parse_peers([words])
        (spec,), _problems = parse_models({"x": FILE})
        manifest = peer.manifest(spec)
        assert manifest is not None
        want = peer.download(manifest, manifest.files[0])
    assert want.link() == (f"{running.url}/{sha256(DATA)}", {})
    assert (want.label, want.size, want.sha256) == ("x.gguf", len(DATA), sha256(DATA))
    assert want.auth.headers_for(running.url + "/x") == {"Authorization": f"Bearer {TOKEN}"}
    assert want.auth.headers_for("https://127.0.0.1:1/x") == {}
    assert TOKEN not in repr(want)


# -- when it is not there


def closed_port() -> int:
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        return int(free.getsockname()[1])


def test_a_peer_that_is_not_there_costs_one_warning(fake: FakeHub, full: Store, empty: Store) -> None:
    with peer_of(full, "x") as (_peer, words):
        gone = {**words, "name": "far", "urls": [f"https://{LOOPBACK}:{closed_port()}"]}
    peers = parse_peers([gone])
    ensure(fake, empty, peers, x=FILE)
    assert content(empty) == DATA
    (warning,) = peer_warnings(peers)
    assert re.match(r"models_share: 1 of 1 hosts .* \(far at 127\.0\.0\.1:\d+: Connection refused\), so they", warning)
    assert "models_share_port" in warning
    assert "models_share_address" in warning


def test_the_first_address_that_answers_is_taken(fake: FakeHub, full: Store, empty: Store) -> None:
    with peer_of(full, "x") as (running, words):
        urls = [f"https://{LOOPBACK}:{closed_port()}", "https://no-such-host.invalid:1", running.url]
        peers = parse_peers([{**words, "urls": urls}])
        ensure(fake, empty, peers, x=FILE)
    assert (fake.seen, peer_warnings(peers)) == ([], [])


def test_nobody_waits_for_an_address_after_one_that_answers(
    fake: FakeHub, full: Store, empty: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    knock = Peer._knock

    def slow(peer: Peer, url: str, found: dict[str, str]) -> None:
        if "far" in url:
            over.wait()
        knock(peer, url, found)

    monkeypatch.setattr(Peer, "_knock", slow)
    try:
        with peer_of(full, "x") as (running, words):
            peers = parse_peers([{**words, "urls": [running.url, "https://far.invalid:1"]}])
            asked = threading.Thread(target=ensure, args=(fake, empty, peers), kwargs={"x": FILE}, daemon=True)
            asked.start()
            asked.join(30)
            assert not asked.is_alive()
    finally:
        over.set()
    assert content(empty) == DATA


def test_the_next_peer_is_asked(fake: FakeHub, full: Store, empty: Store) -> None:
    with peer_of(full, "x") as (_peer, words):
        gone = {**words, "name": "far", "urls": [f"https://{LOOPBACK}:{closed_port()}"]}
        ensure(fake, empty, parse_peers([gone, words]), x=FILE)
    assert (fake.seen, content(empty) == DATA) == ([], True)


def test_all_peers_are_looked_for_at_the_same_time(full: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)
    knock = Peer._knock

    def together(peer: Peer, url: str, found: dict[str, str]) -> None:
        # Peers of other tests are greeted for as long as the process lives.
        if peer.name in ("first", "second"):
            both.wait(10)
        knock(peer, url, found)

    monkeypatch.setattr(Peer, "_knock", together)
    with peer_of(full, "x") as (_peer, words):
        first, second = parse_peers([{**words, "name": name} for name in ("first", "second")])
        assert first.reached()
        assert second.reached()


def test_nobody_is_asked_for_what_is_there(fake: FakeHub, full: Store) -> None:
    gone = {"name": "far", "urls": ["https://127.0.0.1:9"], "token": TOKEN, "manifests": {"x": MANIFEST},
            "certificate": certificate_for([LOOPBACK]).certificate}  # fmt: skip
    peers = parse_peers([gone])
    assert not ensure(fake, full, peers, x=FILE)["x"].changed
    assert peer_warnings(peers) == []


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        ({"token": "wrong"}, "HTTP 401"),
        ({"certificate": certificate_for([LOOPBACK]).certificate}, "certificate"),
        ({"certificate": "none"}, "certificate"),
    ],
    ids=["token", "another certificate", "no certificate"],
)
def test_a_peer_that_is_not_the_one_that_was_meant(
    fake: FakeHub, full: Store, empty: Store, wrong: dict[str, str], cause: str
) -> None:
    with peer_of(full, "x") as (_peer, words):
        peers = parse_peers([{**words, **wrong}])
        ensure(fake, empty, peers, x=FILE)
    assert content(empty) == DATA
    assert cause in peer_warnings(peers)[0]


# -- when it goes or lies


def test_a_peer_that_disappears_costs_no_byte_twice(
    fake: FakeHub, full: Store, empty: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_model_peer, "PEER_RETRY", Retry(attempts=2, base=0.01))
    with peer_of(full, "x") as (running, words):
        cut_after(len(DATA) // 2, monkeypatch, [running])
        peers = parse_peers([words])
        ensure(fake, empty, peers, x=FILE)
    assert content(empty) == DATA
    assert "near" in peer_warnings(peers)[0]
    asked = [seen.headers["range"] for seen in fake.requests("cdn GET")]
    ranges = [tuple(map(int, text.removeprefix("bytes=").split("-"))) for text in asked]
    came = sum(last - first + 1 for first, last in ranges if last > 1023)
    assert 0 < came < len(DATA) * 0.8


def test_a_peer_whose_file_is_damaged_is_found_out(fake: FakeHub, full: Store, empty: Store) -> None:
    place = full.folder("x", REV[:12]) / "x.gguf"
    damaged = bytearray(DATA)
    damaged[len(DATA) // 2] ^= 1
    place.write_bytes(damaged)
    with peer_of(full, "x") as (_peer, words):
        ensure(fake, empty, parse_peers([words]), x=FILE)
    assert content(empty) == DATA


def test_a_file_that_the_peer_has_lost_comes_from_the_hub(fake: FakeHub, full: Store, empty: Store) -> None:
    with peer_of(full, "x") as (_peer, words):
        (full.folder("x", REV[:12]) / "x.gguf").unlink()
        ensure(fake, empty, parse_peers([words]), x=FILE)
    assert content(empty) == DATA


# -- words


def test_peers_are_greeted_while_they_may_be_needed(full: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_model_peer, "_GREET_EVERY_S", 0.02)
    spoken = threading.Semaphore(0)
    with peer_of(full, "x") as (running, words):
        knows = running.offer.knows
        monkeypatch.setattr(running.offer, "knows", lambda said: spoken.release() is None and knows(said))
        (peer,) = parse_peers([words])
        assert peer.reached()
        assert all(spoken.acquire(timeout=10) for _time in range(4))


@pytest.mark.parametrize("url", ["http://10.0.0.1:1", "file:///etc/passwd", "https://", "10.0.0.1:80"])
def test_an_address_that_is_none(url: str) -> None:
    words = {"name": "a", "urls": [url], "token": TOKEN, "certificate": "", "manifests": {}}
    with pytest.raises(ModelError, match=r"peers\[0\]\.urls: .* is no https address; take it from model_share"):
        parse_peers([words])


def test_only_the_token_is_a_secret_word() -> None:
    assert [name for name, option in PEER_OPTIONS.items() if option.get("no_log")] == ["token"]


@pytest.mark.parametrize(
    ("error", "gone"),
    [(HttpError("network", "10.0.0.1:4711", "Connection refused"), True), (ModelError("x", "it is damaged"), False)],
)
def test_a_peer_that_has_gone_is_told_from_one_with_a_damaged_file(error: Exception, gone: bool) -> None:
    with fake_peer({}) as running:
        (peer,) = parse_peers([running.words({"x": MANIFEST})])
    peer.lost(error)
    assert peer.gone is gone
    assert f"(near: {error})" in peer_warnings([peer])[0]
    peer.lost(ModelError("x", "another file"))
    assert peer.gone is gone
