# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs with real processes: quick and slow ones, ended, killed, stopped, waited for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _model_job
from ansible_collections.llmops.serving.plugins.module_utils._model_job import fetch, follow, jobs, start, stop
from ansible_collections.llmops.serving.plugins.module_utils._model_progress import Meter
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.module_utils._model_store import BusyError, Store
from tests.unit.plugins.stored_models import put, revision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKEN = "hf_geheim"  # noqa: S105 - a canary, not a secret
REV = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where jobs lie, whoever runs the tests; none is left behind."""
    folder = tmp_path / (f"llmops-jobs-{os.geteuid()}")
    monkeypatch.setattr(_model_job, "JOBS", folder)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield folder
    for job in jobs():
        stop(job["name"])


def wait_until(true: Callable[[], Any]) -> None:
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.02)


def slow(tmp_path: Path, result: dict[str, Any]) -> Callable[[str | None], dict[str, Any]]:
    """Work that goes on until somebody makes a file."""

    def work(progress: str | None) -> dict[str, Any]:
        meter = Meter(progress)
        meter.plan("x", 100, 10)
        while not (tmp_path / "go").exists():
            time.sleep(0.02)
        meter.add("x", 90)
        meter.done("x")
        meter.close()
        return result

    return work


def test_quick_work_is_told_at_once_and_leaves_nothing(base: Path) -> None:
    assert start("a", "/store", lambda _progress: {"changed": True, "models": {}}) == {"changed": True, "models": {}}
    assert list(base.iterdir()) == []


def test_slow_work_goes_on_and_tells_its_result_once(base: Path, tmp_path: Path) -> None:
    told = start("a", "/store", slow(tmp_path, {"changed": True}), patience=0.2)
    assert told["changed"] is False
    assert (told["job"]["name"], told["job"]["running"], told["job"]["store"]) == ("a", True, "/store")
    pid = told["job"]["pid"]
    assert os.getsid(pid) == pid != os.getsid(0), "a session of its own outlives a connection"
    asked = follow("a", 0)
    assert asked["result"] is None
    assert asked["job"]["progress"]["models"]["x"] == {
        "doing": "fetch",
        "total": 100,
        "kept": 10,
        "done": 10,
        "finished": False,
    }
    (tmp_path / "go").touch()
    ended = follow("a", 20)
    assert ended["result"] == {"changed": True}
    assert ended["job"]["progress"]["models"]["x"]["done"] == 100
    assert list(base.iterdir()) == []
    with pytest.raises(ModelError, match="no job a"):
        follow("a", 0)


def test_a_follower_hears_of_the_end_at_once(tmp_path: Path) -> None:
    start("a", "/store", slow(tmp_path, {"changed": True}), patience=0.1)
    threading.Timer(0.3, (tmp_path / "go").touch).start()
    # An hour, were it not for the end.
    assert follow("a", 3600)["result"] == {"changed": True}


def test_nothing_of_the_module_is_held_open(tmp_path: Path) -> None:
    """A connection ends when the last holder of its pipes does, so the child must not hold them."""
    code = f"""
import sys, time
from pathlib import Path
from ansible_collections.llmops.serving.plugins.module_utils import _model_job
_model_job.JOBS = Path({str(tmp_path / "jobs")!r})
def work(progress):
    while not Path({str(tmp_path / "go")!r}).exists():
        time.sleep(0.02)
    return {{}}
print(_model_job.start("a", "/store", work, patience=0.1)["job"]["pid"])
"""
    done = subprocess.run(  # noqa: S603 - the interpreter of this test
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "TMPDIR": str(tmp_path),
        },
    )
    os.kill(int(done.stdout), 0)
    (tmp_path / "go").touch()


@pytest.mark.parametrize("patience", [5.0, 0.0])
def test_a_crash_is_a_failure_that_says_what_happened(patience: float) -> None:
    def work(_progress: str | None) -> dict[str, Any]:
        raise RuntimeError(f"no luck with {TOKEN}")

    told = start("a", "/store", work, hide=[TOKEN], patience=patience)
    found = follow("a", 20)["result"] if "job" in told else told
    assert found["failed"]
    assert found["msg"].startswith("RuntimeError: no luck with ")
    assert "Traceback" in found["exception"]
    assert TOKEN not in json.dumps(found)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_job_is_a_failure_that_says_so(base: Path, tmp_path: Path, number: int) -> None:
    told = start("a", "/store", slow(tmp_path, {}), patience=0.1)
    os.kill(told["job"]["pid"], number)
    found = follow("a", 20)["result"]
    assert found["failed"]
    assert "ended before its work did" in found["msg"]
    assert "run again" in found["msg"]
    assert list(base.iterdir()) == []


def test_a_stop_ends_the_job_and_what_it_started(base: Path, tmp_path: Path) -> None:
    def work(_progress: str | None) -> dict[str, Any]:
        helper = subprocess.Popen(["/bin/sleep", "100"])
        (tmp_path / "helper").write_text(str(helper.pid), encoding="utf-8")
        helper.wait()
        return {}

    told = start("a", "/store", work, patience=0.1)
    wait_until((tmp_path / "helper").exists)
    wait_until(lambda: (tmp_path / "helper").read_text(encoding="utf-8"))
    assert [job["name"] for job in jobs()] == ["a"]
    assert stop("a", dry=True)
    assert jobs()
    assert stop("a")
    assert jobs() == list(base.iterdir()) == []
    for pid in (told["job"]["pid"], int((tmp_path / "helper").read_text(encoding="utf-8"))):
        wait_until(lambda pid=pid: not _runs(pid))
    assert not stop("a")


def test_one_that_does_not_listen_is_ended_all_the_same(tmp_path: Path) -> None:
    def deaf(_progress: str | None) -> dict[str, Any]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (tmp_path / "deaf").touch()
        time.sleep(100)
        return {}

    told = start("a", "/store", deaf, patience=0.1)
    wait_until((tmp_path / "deaf").exists)
    assert stop("a")
    wait_until(lambda: not _runs(told["job"]["pid"]))


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("name", ["../a", "a/b", "", "a" * 65, "a.b"])
def test_a_name_is_no_path(base: Path, name: str) -> None:
    assert start(name, "/store", lambda progress: {"progress": progress}) == {"progress": None}
    assert not stop(name)
    with pytest.raises(ModelError, match="no job"):
        follow(name, 0)
    assert not base.exists() or list(base.iterdir()) == []


@pytest.mark.parametrize("kind", ["open to others", "a link", "a file"])
def test_a_folder_that_is_not_ours_alone_is_not_used(base: Path, tmp_path: Path, kind: str) -> None:
    if kind == "open to others":
        base.mkdir()
        base.chmod(0o777)
    elif kind == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        base.symlink_to(tmp_path / "elsewhere")
    else:
        base.touch()
    assert start("a", "/store", lambda progress: {"progress": progress}) == {"progress": None}
    assert jobs() == []


def test_a_folder_that_somebody_else_has_made_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = os.geteuid() + 1
    (tmp_path / f"llmops-jobs-{stranger}").mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    assert _model_job.jobs_folder() is None


def test_results_that_nobody_asks_for_go_after_a_while(base: Path, tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    start("old", "/store", slow(tmp_path, {}), patience=0)
    wait_until(lambda: not jobs())
    start("new", "/store", lambda _progress: {})
    assert [path.name for path in base.iterdir()] == ["old"]
    (tmp_path / "go").unlink()
    start("long", "/store", slow(tmp_path, {"changed": True}), patience=0.1)
    for name in ("old", "long"):
        os.utime(base / name, (0, 0))
    start("newer", "/store", lambda _progress: {})
    assert [path.name for path in base.iterdir()] == ["long"], "what goes on is kept, however long it takes"
    (tmp_path / "go").touch()
    assert follow("long", 20)["result"] == {"changed": True}


def params(store: Path, **more: Any) -> dict[str, Any]:
    models = {"x": {"repo": "a/b", "revision": REV, "file": "x.gguf"}}
    return {"models": models, "path": str(store), "verify": False, "job": "mine", "progress": None, **more}


def test_a_fetch_waits_for_another_run_and_shows_how_far_that_is(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    store.create()

    def other(progress: str | None) -> dict[str, Any]:
        with store.lock():
            return slow(tmp_path, {})(progress)

    told = start("other", str(store.root), other, patience=0.3)
    mine = fetch(params(store.root), lambda given: {"changed": True, "given": given["progress"]}, patience=0.3)
    assert mine["job"]["progress"] is None
    assert mine["job"]["waits_for"]["pid"] == told["job"]["pid"]
    assert mine["job"]["waits_for"]["progress"]["models"]["x"]["done"] == 10
    (tmp_path / "go").touch()
    found = follow("mine", 20)
    assert found["result"]["changed"] is True
    assert found["result"]["given"].endswith("/mine/progress.json")
    assert found["job"]["waits_for"] is None


def test_a_run_that_is_stuck_is_waited_for_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_model_job, "STALLED_S", 0.3)
    store = Store(str(tmp_path / "store"))
    store.create()
    with store.lock():
        # The lock's own words, who holds it, are then the result.
        assert fetch(params(store.root), lambda _given: {"ran": True}, patience=20) == {"ran": True}


def test_a_run_that_was_quicker_is_waited_for_again(tmp_path: Path) -> None:
    def work(given: dict[str, Any]) -> dict[str, Any]:
        with (tmp_path / "tries").open("a", encoding="ascii") as file:
            file.write("x")
        if (tmp_path / "tries").stat().st_size == 1:
            raise BusyError("serving_model_dir", "another run works here")
        return {"tries": (tmp_path / "tries").read_text(encoding="ascii"), "given": given["progress"]}

    store = Store(str(tmp_path / "store"))
    store.create()
    found = fetch(params(store.root), work, patience=20)
    assert found["tries"] == "xx"
    assert found["given"].endswith("/progress.json")


def test_a_run_that_gets_on_is_waited_for_however_long_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_model_job, "STALLED_S", 2.0)
    store = Store(str(tmp_path / "store"))
    store.create()

    def other(progress: str | None) -> dict[str, Any]:
        meter = Meter(progress)
        with store.lock():
            (tmp_path / "locked").touch()
            for number in range(12):
                meter.plan(f"x{number}", 1)
                time.sleep(0.25)
            (tmp_path / "through").touch()
        return {}

    start("other", str(store.root), other, patience=0.1)
    wait_until((tmp_path / "locked").exists)
    found = fetch(params(store.root), lambda _given: {"late": (tmp_path / "through").exists()}, patience=30)
    assert found["late"]


def test_a_job_does_not_wait_for_itself(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    store.create()

    def work(_progress: str | None) -> dict[str, Any]:
        with store.lock():
            (tmp_path / "locked").touch()
            time.sleep(100)
        return {}

    start("a", str(store.root), work, patience=0.1)
    wait_until((tmp_path / "locked").exists)
    assert [job["waits_for"] for job in jobs()] == [None]


@pytest.mark.parametrize("models", [{}, {"x": {"repo": "a/b", "revision": "main"}}])
def test_where_nothing_is_to_be_fetched_nobody_is_waited_for(tmp_path: Path, models: dict[str, Any]) -> None:
    store = Store(str(tmp_path / "store"))
    store.create()
    with store.lock():
        found = fetch(params(store.root, models=models), lambda _given: {"ran": os.getpid()}, patience=20)
    assert found == {"ran": os.getpid()}


@pytest.mark.parametrize(
    ("change", "at_once"),
    [("", True), ("touched", False), ("shorter", False), ("gone", False), ("verify", False), ("other files", False)],
)
def test_a_run_that_changes_nothing_starts_no_process(tmp_path: Path, change: str, at_once: bool) -> None:
    store = Store(str(tmp_path / "store"))
    place = put(store, "x", REV[:12]) / "config.json"
    models: dict[str, Any] = {"x": {"repo": "org/x", "revision": revision(REV[:12])}}
    if change == "touched":
        os.utime(place, (0, 0))
    elif change == "shorter":
        place.write_bytes(b"")
    elif change == "gone":
        place.unlink()
    elif change == "other files":
        models["x"]["include"] = ["*.json"]
    asked = params(store.root, models=models, verify=change == "verify")
    found = fetch(asked, lambda _given: {"pid": os.getpid()}, patience=20)
    assert (found["pid"] == os.getpid()) == at_once
