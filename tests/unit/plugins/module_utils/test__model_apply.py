# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models into the store: from real servers, with every fault, and nothing half-done to be seen."""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._model_apply import Fetcher, FetchError, Outcome, report
from ansible_collections.llmops.serving.plugins.module_utils._model_git import Git
from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient, Retry
from ansible_collections.llmops.serving.plugins.module_utils._model_hub import Hub
from ansible_collections.llmops.serving.plugins.module_utils._model_journal import Identity, Journal
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest
from ansible_collections.llmops.serving.plugins.module_utils._model_progress import FETCH, Meter
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelSpec, parse_models
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store
from tests.unit.plugins.fake_hub import FakeHub, Fault, fake_hub, gguf, pointer, safetensors, sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._model_peer import Peer

GIT = shutil.which("git")
REV = "0123456789abcdef0123456789abcdef01234567"
DATA = gguf(500_000)
WEIGHTS = safetensors(3_000_000)
# Of a file as small as these.
BLOCK = 256 << 10
TOKEN = "hf_geheim"  # noqa: S105 - a canary, not a secret
TREE = {
    "config.json": b"{}",
    "LICENSE": b"do what you like",
    "model.safetensors": WEIGHTS,
    "1_Pooling/config.json": b"[]",
    "pytorch_model.bin": b"\x80\x02pickle" * 1000,
}
LFS = ("model.safetensors", "pytorch_model.bin")

needs_git = pytest.mark.skipif(not GIT, reason="git is not installed")


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub(tmp_path / "hub") as running:
        running.add_file("a/b", REV, "sub/x.gguf", DATA)
        yield running


def spec_of(name: str, options: dict[str, Any]) -> ModelSpec:
    (spec,), _problems = parse_models({name: options})
    return spec


class Host:
    """A host's store and one way to fill it."""

    def __init__(self, fake: FakeHub, root: Path) -> None:
        self.fake = fake
        self.store = Store(str(root))
        self.token = ""
        self.meter = Meter(None)
        self.peers: tuple[Peer, ...] = ()

    def ensure(self, verify: bool = False, **models: Any) -> dict[str, Outcome]:
        specs, problems = parse_models(models)
        assert problems == {}
        client = HttpClient(timeout=5, retry=Retry(attempts=3, base=0.01, cap=5), sleep=lambda _seconds: None)
        hub = Hub(self.fake.url, self.token, client)
        return Fetcher(self.store, hub, Git(GIT) if GIT else None, self.meter, self.peers).ensure(specs, verify)

    def fails(self, kept: bool = False, **models: Any) -> str:
        with pytest.raises(FetchError) as error:
            self.ensure(**models)
        assert TOKEN not in str(error.value)
        assert self.visible() == []
        assert bool(self.store.leftovers()) == kept
        return str(error.value)

    def visible(self) -> list[str]:
        found = [path for path in self.store.root.rglob("*") if path.is_file() and not path.match("*.marks.json")]
        names = sorted(str(path.relative_to(self.store.root)) for path in found)
        return [name for name in names if not name.startswith(".")]


@pytest.fixture
def host(fake: FakeHub, tmp_path: Path) -> Host:
    return Host(fake, tmp_path / "store")


FILE = {"repo": "a/b", "revision": REV, "file": "sub/x.gguf"}
KEY = REV[:12]


def test_file(host: Host) -> None:
    outcome = host.ensure(x=FILE)["x"]
    assert host.visible() == [f"x/{KEY}.json", f"x/{KEY}/x.gguf"]
    assert (host.store.root / "x" / KEY / "x.gguf").read_bytes() == DATA
    assert (outcome.changed, outcome.fetched, outcome.damaged) == (True, len(DATA), ())
    manifest = outcome.manifest
    assert (manifest.source, manifest.revision, manifest.kind) == (f"{host.fake.url}/a/b", REV, "file")
    assert [(entry.path, entry.size, entry.sha256) for entry in manifest.files] == [("x.gguf", len(DATA), sha256(DATA))]
    assert manifest.fetched_at.endswith("Z")


def test_second_run_asks_nobody_and_writes_nothing(host: Host) -> None:
    host.ensure(x=FILE)
    host.fake.seen.clear()
    before = {path: path.stat().st_mtime_ns for path in host.store.root.rglob("*")}
    assert not host.ensure(x=FILE)["x"].changed
    assert host.fake.seen == []
    assert {path: path.stat().st_mtime_ns for path in host.store.root.rglob("*")} == before


def test_other_hub_with_the_same_pin_is_no_change(host: Host) -> None:
    host.ensure(x=FILE)
    host.fake.url = "http://127.0.0.1:9"
    assert not host.ensure(x=FILE)["x"].changed


def test_url(host: Host) -> None:
    host.token = TOKEN
    host.fake.objects["y.gguf"] = DATA
    outcome = host.ensure(y={"url": f"{host.fake.cdn}/p/y.gguf?signature=s", "sha256": sha256(DATA)})["y"]
    assert host.visible() == [f"y/{sha256(DATA)[:12]}.json", f"y/{sha256(DATA)[:12]}/y.gguf"]
    assert "signature" not in (host.store.root / host.visible()[0]).read_text()
    assert report(host.store, outcome)["source"] == f"{host.fake.cdn}/p/y.gguf"
    assert not [request for request in host.fake.seen if "authorization" in request.headers]


def test_url_without_a_digest_is_recorded(host: Host) -> None:
    host.fake.objects["y.gguf"] = DATA
    address = f"{host.fake.cdn}/p/y.gguf"
    (entry,) = host.ensure(y={"url": address})["y"].manifest.files
    assert entry.sha256 == sha256(DATA)
    host.fake.seen.clear()
    assert not host.ensure(y={"url": address})["y"].changed
    assert host.fake.seen == []
    # Once recorded it counts: a damaged file must come back as what it was.
    host.fake.objects["y.gguf"] = gguf(500_001)
    place = next(path for path in host.store.root.rglob("y.gguf"))
    place.write_bytes(b"damaged")
    with pytest.raises(FetchError, match=r"serving_models\['y'\]\.url: y\.gguf arrived with sha256"):
        host.ensure(y={"url": address})


def test_split_gguf(host: Host) -> None:
    for part in (1, 2):
        host.fake.add_file("a/b", REV, f"q-0000{part}-of-00002.gguf", gguf(part * 100))
    outcome = host.ensure(q={**FILE, "file": "q-00001-of-00002.gguf"})["q"]
    assert [entry.path for entry in outcome.manifest.files] == ["q-00001-of-00002.gguf", "q-00002-of-00002.gguf"]


def test_sha256_is_recorded_where_the_hub_names_none(host: Host) -> None:
    host.fake.add_file("a/b", REV, "sub/x.gguf", DATA, lfs=False)
    assert host.ensure(x=FILE)["x"].manifest.files[0].sha256 == sha256(DATA)


def test_two_files_of_one_revision_lie_side_by_side(host: Host) -> None:
    host.fake.add_file("a/b", REV, "y.gguf", gguf(7))
    host.ensure(x=FILE)
    inode = (host.store.root / "x" / KEY / "x.gguf").stat().st_ino
    outcome = host.ensure(x={**FILE, "file": "y.gguf"})["x"]
    assert outcome.fetched == len(gguf(7))
    assert [entry.path for entry in outcome.manifest.files] == ["x.gguf", "y.gguf"]
    assert (host.store.root / "x" / KEY / "x.gguf").stat().st_ino == inode
    assert not host.ensure(x=FILE)["x"].changed


def test_new_revision_lands_beside_the_old(host: Host) -> None:
    host.ensure(x=FILE)
    host.fake.add_file("a/b", "f" * 40, "sub/x.gguf", gguf(7))
    host.ensure(x={**FILE, "revision": "f" * 40})
    assert [path for path in host.visible() if path.endswith("x.gguf")] == [f"x/{KEY}/x.gguf", f"x/{'f' * 12}/x.gguf"]


TRUNCATED = DATA[:-1000]
FILE_FAULTS = [
    (Fault("hub GET", 404), "serving_models['x'].repo: "),
    (Fault("hub GET", 401), "serving_models['x'].repo: a/b is gated"),
    (Fault("hub GET", 403), "serving_hub_token"),
    (Fault("hub GET", 429, {"Retry-After": "4"}), "asks to wait 4 s"),
    (Fault("hub GET", 503), "answers 503"),
    (Fault("cdn GET", body=b"<!doctype html>" + b" " * 500), "is an HTML page"),
    (Fault("cdn GET", body=pointer(DATA)), "is a git-LFS pointer"),
    (Fault("cdn GET", body=b"GGML" + DATA[4:]), "is no GGUF file"),
    (Fault("cdn GET", body=TRUNCATED), "serving_models['x'].file: sub/x.gguf is truncated on 127.0.0.1:"),
    (Fault("cdn GET", body=DATA + b"more"), "sub/x.gguf is not the wanted file on 127.0.0.1:"),
    (Fault("cdn GET", flip=True), "arrived with sha256"),
    (Fault("cdn GET", 403), "serving_hub_url: the hub sends sub/x.gguf of a/b to"),
    (Fault("cdn GET", 500), "answers 500"),
]


@pytest.mark.parametrize(("fault", "message"), FILE_FAULTS, ids=[text for _fault, text in FILE_FAULTS])
def test_file_faults_leave_nothing(host: Host, fault: Fault, message: str) -> None:
    host.fake.faults.append(fault)
    host.token = TOKEN if "token" in message else ""
    assert message in host.fails(x=FILE)


def test_broken_connections_leave_what_came(host: Host) -> None:
    host.fake.faults.append(Fault("cdn GET", cut=1500))
    message = host.fails(kept=True, x=FILE)
    assert re.search(r"serving_models\['x'\]\.file: x\.gguf from 127\.0\.0\.1:\d+ is truncated: \d+ of 2000", message)
    host.fake.faults.clear()
    outcome = host.ensure(x=FILE)["x"]
    assert 0 < outcome.fetched < len(DATA)
    assert (host.store.root / "x" / KEY / "x.gguf").read_bytes() == DATA
    assert host.store.leftovers() == []


def test_truncated_upload_is_found_by_its_format(host: Host) -> None:
    host.fake.add_file("a/b", REV, "sub/x.gguf", TRUNCATED)
    assert "sub/x.gguf is truncated" in host.fails(x=FILE) or "x.gguf is truncated" in host.fails(x=FILE)


def test_wrong_sha256(host: Host) -> None:
    assert "serving_models['x'].sha256: wrong sha256" in host.fails(x={**FILE, "sha256": "0" * 64})
    host.fake.add_file("a/b", REV, "sub/x.gguf", DATA, lfs=False)
    assert "serving_models['x'].sha256: x.gguf arrived with" in host.fails(x={**FILE, "sha256": "0" * 64})


@pytest.mark.parametrize("fault", [Fault("GET", 503, times=2), Fault("cdn GET", 429, {"Retry-After": "1"}, times=2)])
def test_passing_faults_are_waited_out(host: Host, fault: Fault) -> None:
    host.fake.faults.append(fault)
    assert host.ensure(x=FILE)["x"].changed


def test_disk_too_small_is_told_before_the_first_byte(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    values = list(os.statvfs(host.store.root.parent))
    values[4] = (64 << 20) // values[1] + 1
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(values))
    message = host.fails(x=FILE)
    assert "serving_model_dir: the disk of" in message
    assert "1.9 MiB to fetch" in message
    assert {request.headers["range"] for request in host.fake.seen} == {"bytes=0-1023"}


def interrupted(host: Host) -> None:
    """Let a run fail when a part of the file has come."""
    # The first question is for its head alone.
    host.fake.faults += [Fault("cdn GET", cut=700_000, times=2), Fault("cdn GET", 404)]
    host.fails(kept=True, x=FILE)
    host.fake.faults.clear()


def test_what_was_kept_has_its_place_on_the_disk(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(host)
    journal = Journal(host.store.work(spec_of("x", FILE)) / "journal/x.gguf.journal")
    assert journal.have.total > 0
    values = list(os.statvfs(host.store.root))
    left = len(DATA) - journal.have.total
    values[1], values[4] = 1, (64 << 20) + left - 1
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(values))
    assert "serving_model_dir: the disk of" in host.fails(kept=True, x=FILE)
    values[4] += 1
    assert host.ensure(x=FILE)["x"].fetched == left


def damage(host: Host, position: int = 1_000_000) -> Path:
    """Flip bits of the file behind the store's back."""
    place = host.store.root / "x" / KEY / "x.gguf"
    times = place.stat()
    with place.open("r+b") as file:
        file.seek(position)
        file.write(b"\xff\xfe")
    os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))
    return place


def mended(host: Host) -> list[str]:
    """Verify the file, and give what was asked for to mend it."""
    host.fake.seen.clear()
    assert host.ensure(verify=True, x=FILE)["x"].damaged == ("x.gguf",)
    assert (host.store.root / "x" / KEY / "x.gguf").read_bytes() == DATA
    assert host.store.leftovers() == []
    asked = [request.headers["range"] for request in host.fake.requests("cdn")]
    assert asked[0] == "bytes=0-1023"
    return asked[1:]


def test_only_damaged_blocks_come_again(host: Host) -> None:
    host.ensure(x=FILE)
    inode = (host.store.root / "x" / KEY).stat().st_ino
    damage(host)
    damage(host, BLOCK + 5)
    assert mended(host) == [f"bytes={block * BLOCK}-{(block + 1) * BLOCK - 1}" for block in (1, 3)]
    assert (host.store.root / "x" / KEY).stat().st_ino == inode
    # Its marks are as good as before.
    damage(host)
    assert mended(host) == [f"bytes={3 * BLOCK}-{4 * BLOCK - 1}"]


def test_file_that_was_cut_off_is_completed(host: Host) -> None:
    host.ensure(x=FILE)
    with (host.store.root / "x" / KEY / "x.gguf").open("r+b") as file:
        file.truncate(1_900_000)
    assert mended(host) == [f"bytes=1900000-{len(DATA) - 1}"]


def test_without_marks_the_file_comes_again(host: Host) -> None:
    host.ensure(x=FILE)
    (host.store.root / "x" / f"{KEY}.marks.json").unlink()
    damage(host)
    assert sum(count(asked) for asked in mended(host)) == len(DATA)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x.gguf": 3}', '{"x.gguf": {"block": 262144, "marks": ["0", "1"]}}'])
def test_marks_of_no_use_cost_bytes_and_no_more(host: Host, text: str) -> None:
    host.ensure(x=FILE)
    (host.store.root / "x" / f"{KEY}.marks.json").write_text(text)
    damage(host)
    mended(host)


def test_file_that_the_disk_cannot_read_comes_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.ensure(x=FILE)
    damage(host)

    def unreadable(_source: str, target: str) -> None:
        with open(target, "wb") as file:  # noqa: PTH123
            file.write(b"half")
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(shutil, "copyfile", unreadable)
    assert sum(count(asked) for asked in mended(host)) == len(DATA)


def count(asked: str) -> int:
    first, last = asked[len("bytes=") :].split("-")
    return int(last) - int(first) + 1


def test_all_problems_at_once_and_nothing_fetched(host: Host) -> None:
    message = host.fails(x=FILE, y={**FILE, "repo": "a/none"}, z={**FILE, "sha256": "0" * 64})
    assert len(message.splitlines()) == 2
    assert not [request for request in host.fake.requests("cdn") if "range" not in request.headers]


def test_one_failing_download_does_not_undo_the_others(host: Host) -> None:
    host.fake.add_file("a/b", REV, "y.gguf", gguf(7))
    host.fake.faults.append(Fault(f"cdn GET /signed/{sha256(gguf(7))}", flip=True))
    with pytest.raises(FetchError) as error:
        host.ensure(x=FILE, y={**FILE, "file": "y.gguf"})
    assert list(error.value.outcomes) == ["x"]
    assert [path for path in host.visible() if path.startswith("y")] == []
    assert host.store.state(parse_models({"x": FILE})[0][0]).complete


def test_only_work_on_another_version_of_a_wanted_model_goes(host: Host) -> None:
    host.store.create()
    for name in ("other-123", "x-123", "x-y-123"):
        (host.store.partial / name / "journal").mkdir(parents=True)
    host.ensure(x=FILE)
    # Somebody may want the others, and go on with them.
    assert [path.name for path in host.store.leftovers()] == ["other-123", "x-y-123"]


def test_leftovers_of_a_complete_model_go(host: Host) -> None:
    host.ensure(x=FILE)
    work = host.store.begin(spec_of("x", FILE))
    (work / "journal").mkdir()
    journal = Journal(work / "journal/x.gguf.journal")
    journal.begin(Identity(len(DATA), sha256(DATA), "", 256))
    journal.received(0, len(DATA))
    journal.close()
    assert not host.ensure(x=FILE)["x"].changed
    assert host.store.leftovers() == []


def test_model_that_is_removed_while_a_run_waits_comes_again(host: Host) -> None:
    host.ensure(x=FILE)
    started = threading.Event()
    state = Store.state

    def seen(store: Store, *arguments: Any) -> Any:
        found = state(store, *arguments)
        started.set()
        return found

    host.fake.add_file("a/b", REV, "y.gguf", gguf(7))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "state", seen)
        with host.store.lock():
            thread = threading.Thread(target=host.ensure, kwargs={"x": FILE, "y": {**FILE, "file": "y.gguf"}})
            thread.start()
            assert started.wait(20)
            host.store.remove("x")
        thread.join(20)
    assert host.store.state(spec_of("x", FILE)).complete


class Counts(Meter):
    """Remembers what it is told."""

    def __init__(self) -> None:
        super().__init__(None)
        self.told: list[tuple[Any, ...]] = []
        self.look: Callable[[], None] = lambda: None

    def plan(self, model: str, total: int, kept: int = 0, doing: str = FETCH) -> None:
        self.told.append((doing, model, total, kept))

    def add(self, model: str, count: int) -> None:
        self.told.append(("add", model, count))
        self.look()

    def done(self, model: str) -> None:
        self.told.append(("done", model))


def test_progress(host: Host) -> None:
    host.meter = counts = Counts()
    host.ensure(x=FILE)
    assert counts.told[0] == ("fetch", "x", len(DATA), 0)
    assert counts.told[-1] == ("done", "x")
    assert sum(count for _word, _model, count in counts.told[1:-1]) == len(DATA)


def test_progress_of_a_run_that_goes_on(host: Host) -> None:
    interrupted(host)
    host.meter = counts = Counts()
    host.ensure(x=FILE)
    _word, _model, total, kept = counts.told[0]
    assert total == len(DATA)
    assert 0 < kept < total
    assert kept + sum(count for _word, _model, count in counts.told[1:-1]) == total


def test_two_runs_at_once_fetch_once(host: Host) -> None:
    threads = [threading.Thread(target=host.ensure, kwargs={"x": FILE}) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = [request.headers["range"] for request in host.fake.requests("cdn")]
    assert len(asked) > 1
    assert len(set(asked)) == len(asked)


@needs_git
class TestRepositories:
    def add(self, fake: FakeHub, **options: Any) -> dict[str, Any]:
        return {"repo": "a/tree", "revision": fake.add_repo("a/tree", TREE, LFS, **options)}

    def test_repo(self, host: Host) -> None:
        model = self.add(host.fake)
        outcome = host.ensure(m=model)["m"]
        key = model["revision"][:12]
        names = ["1_Pooling/config.json", "LICENSE", "config.json", "model.safetensors"]
        assert host.visible() == sorted([f"m/{key}.json", *[f"m/{key}/{name}" for name in names]])
        for name in names:
            assert (host.store.root / "m" / key / name).read_bytes() == TREE[name]
        assert outcome.manifest.licence == "LICENSE"
        assert outcome.manifest.skipped == ("pytorch_model.bin",)
        assert host.fake.requests(sha256(TREE["pytorch_model.bin"])) == []
        host.fake.seen.clear()
        assert not host.ensure(m=model)["m"].changed
        assert host.fake.seen == []

    def test_no_second_copy_on_the_way(self, host: Host) -> None:
        peaks: list[int] = []

        def look() -> None:
            # A file may go between listing and stat only if something else works here: then the test should fail.
            sizes = [path.stat().st_blocks * 512 for path in host.store.root.rglob("*") if path.is_file()]
            peaks.append(sum(sizes))
            assert host.visible() == []

        host.meter = counts = Counts()
        counts.look = look
        host.ensure(m=self.add(host.fake))
        assert max(peaks) < len(WEIGHTS) + 200_000
        assert len(peaks) > 2

    def test_token(self, host: Host) -> None:
        model = self.add(host.fake)
        host.token = "user:" + TOKEN
        host.fake.token = "Basic "  # noqa: S105 - whoever sends a login may in
        host.fake.lfs_header = {"Authorization": "Basic other"}
        host.ensure(m=model)
        assert {request.headers.get("authorization") for request in host.fake.requests("cdn")} == {"Basic other"}
        text = b"".join(path.read_bytes() for path in host.store.root.rglob("*") if path.is_file())
        assert TOKEN.encode() not in text

    def test_hub_token_does_not_reach_the_lfs_host(self, host: Host) -> None:
        host.token = TOKEN
        host.ensure(m=self.add(host.fake))
        assert {request.headers.get("authorization") for request in host.fake.requests("cdn")} == {None}

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            (Fault("info/refs", 404), "serving_models['m'].repo: "),
            (Fault("info/refs", 401), "is gated or private"),
            (Fault("batch", 401), "is gated or private"),
            (Fault("batch", 404), "no LFS batch API"),
            (Fault("batch", 200, {}, b"{}"), "gives no LFS answer"),
            (Fault("cdn GET", 404), "serving_hub_url: the hub sends model.safetensors of a/tree to 127.0.0.1:"),
            (Fault("cdn GET", flip=True), "serving_models['m'].revision: model.safetensors arrived with sha256"),
            (Fault("cdn GET", body=WEIGHTS[:-5]), "model.safetensors is truncated on 127.0.0.1:"),
            (Fault("cdn GET", body=pointer(WEIGHTS)), "model.safetensors is truncated on 127.0.0.1"),
        ],
    )
    def test_faults_leave_nothing(self, host: Host, fault: Fault, message: str) -> None:
        model = self.add(host.fake)
        host.fake.faults.append(fault)
        assert message in host.fails(m=model)

    def test_wrong_revision(self, host: Host) -> None:
        assert "serving_models['m'].revision: a/tree has no commit ffff" in host.fails(
            m={**self.add(host.fake), "revision": "f" * 40}
        )

    def test_pickle_only(self, host: Host) -> None:
        model = {"repo": "a/p", "revision": host.fake.add_repo("a/p", {"pytorch_model.bin": b"p" * 5000})}
        assert "serving_models['m'].revision: a/p has weights as pickle only (pytorch_model.bin)" in host.fails(m=model)
        assert host.fake.requests("cdn") == []
        assert host.ensure(m={**model, "allow_pickle": True})["m"].changed

    def test_pointer_inside_lfs(self, host: Host) -> None:
        tree = {"model.safetensors": pointer(WEIGHTS)}
        commit = host.fake.add_repo("a/q", tree, ("model.safetensors",))
        assert "serving_models['m']: model.safetensors is a git-LFS pointer" in host.fails(
            m={"repo": "a/q", "revision": commit}
        )

    def test_truncated_weights(self, host: Host) -> None:
        commit = host.fake.add_repo("a/q", {"model.safetensors": WEIGHTS[:-9]}, ("model.safetensors",))
        assert "model.safetensors is truncated" in host.fails(m={"repo": "a/q", "revision": commit})

    def test_lfs_object_that_the_hub_lacks(self, host: Host) -> None:
        model = self.add(host.fake)
        del host.fake.objects[sha256(WEIGHTS)]
        assert "has a pointer for model.safetensors, but the hub lacks its LFS object" in host.fails(m=model)

    def test_expired_lfs_address_is_asked_for_again(self, host: Host) -> None:
        model = self.add(host.fake)
        host.fake.faults.append(Fault("cdn GET", 403, times=1))
        assert host.ensure(m=model)["m"].changed
        assert len(host.fake.requests("batch")) == 2

    def test_damage_is_mended_file_by_file(self, host: Host) -> None:
        model = self.add(host.fake)
        folder = host.store.root / "m" / model["revision"][:12]
        host.ensure(m=model)
        inodes = {path: path.stat().st_ino for path in (folder, folder / "model.safetensors")}
        (folder / "config.json").write_bytes(b"[]")
        host.fake.seen.clear()
        outcome = host.ensure(m=model, verify=True)["m"]
        assert (outcome.damaged, outcome.fetched) == (("config.json",), 2)
        assert (folder / "config.json").read_bytes() == b"{}"
        assert {path: path.stat().st_ino for path in inodes} == inodes
        assert host.fake.requests("cdn") == []
        assert not host.ensure(m=model, verify=True)["m"].changed

    def test_flipped_byte_in_weights_is_found_by_verify(self, host: Host) -> None:
        model = self.add(host.fake)
        host.ensure(m=model)
        place = host.store.root / "m" / model["revision"][:12] / "model.safetensors"
        times = place.stat()
        with place.open("r+b") as file:
            file.seek(1_000_000)
            file.write(b"\xff\xfe")
        os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert not host.ensure(m=model)["m"].changed
        host.fake.seen.clear()
        outcome = host.ensure(m=model, verify=True)["m"]
        assert (outcome.damaged, outcome.fetched) == (("model.safetensors",), BLOCK)
        assert place.read_bytes() == WEIGHTS
        assert [request.headers["range"] for request in host.fake.requests("cdn")] == ["bytes=786432-1048575"]

    def test_other_choice_of_files(self, host: Host) -> None:
        model = self.add(host.fake)
        folder = host.store.root / "m" / model["revision"][:12]
        host.ensure(m={**model, "exclude": ["LICENSE", "1_pooling/*"]})
        names = ["config.json", "model.safetensors"]
        assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) == names
        inode = (folder / "model.safetensors").stat().st_ino
        host.fake.seen.clear()
        outcome = host.ensure(m={**model, "include": ["*.safetensors", "LICENSE"]})["m"]
        assert (outcome.changed, outcome.manifest.licence, host.fake.requests("cdn")) == (True, "LICENSE", [])
        assert sorted(path.name for path in folder.iterdir()) == ["LICENSE", "model.safetensors"]
        assert (folder / "model.safetensors").stat().st_ino == inode
        assert not host.ensure(m={**model, "include": ["*.safetensors", "LICENSE"]})["m"].changed

    def test_interrupted_between_weights(self, host: Host) -> None:
        files = {f"model-{part}.safetensors": safetensors(300_000 + part * 1000) for part in range(4)}
        model = {"repo": "a/s", "revision": host.fake.add_repo("a/s", files, tuple(files))}
        last = sha256(files["model-3.safetensors"])
        host.fake.faults += [Fault(f"cdn GET /lfs/{last}", cut=100_000, times=1), Fault(f"cdn GET /lfs/{last}", 500)]
        assert "answers 500" in host.fails(kept=True, m=model)
        host.fake.faults.clear()
        host.fake.seen.clear()
        outcome = host.ensure(m=model)["m"]
        assert outcome.fetched < sum(map(len, files.values()))
        assert host.store.state(spec_of("m", model), verify=True).complete
        assert host.store.leftovers() == []

    def test_no_git_on_the_host(self, host: Host) -> None:
        model = self.add(host.fake)
        client = HttpClient(timeout=5, retry=Retry(attempts=1))
        fetcher = Fetcher(host.store, Hub(host.fake.url, "", client))
        with pytest.raises(FetchError, match=r"git: missing on this host and needed for serving_models\['m'\]\.repo"):
            fetcher.ensure(parse_models({"m": model})[0])

    def test_manifest_is_readable(self, host: Host) -> None:
        model = self.add(host.fake)
        host.ensure(m=model)
        manifest = Manifest.load(host.store.root / "m" / f"{model['revision'][:12]}.json")
        assert manifest is not None
        assert manifest.size == sum(len(data) for name, data in TREE.items() if name != "pytorch_model.bin")
