# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that outlives its module: a fetch goes on in a process of its own, and others ask how far it has come.

A module that is given a job's name forks. The child does the work; the parent waits for it for some seconds and returns
the child's result, or else that the job goes on. Nothing is transferred or started a second time, and a fetch that is
quick is a module's single execution. The child leads a session of its own, so neither a lost connection nor the end of
the controller ends it; its process group is what a stop kills.

Layout, below a folder that only its owner may enter::

    NAME/lock           held by the child as long as it lives
    NAME/job.json       pid, store, since
    NAME/progress.json  what _model_progress.Meter writes
    NAME/result.json    the module's result, once there is one
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import shutil
import signal
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.common.parameters import remove_values

from ansible_collections.llmops.serving.plugins.module_utils._clock import now
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest, StoredFile
from ansible_collections.llmops.serving.plugins.module_utils._model_progress import read
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, parse_models
from ansible_collections.llmops.serving.plugins.module_utils._model_store import BusyError, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# On a file system that a reboot empties.
JOBS = Path("/run/llmops-jobs")
# Work that takes longer is reported.
PATIENCE_S = 2.0
# Another run that gets no byte for so long is not waited for any more.
STALLED_S = 120.0
# A result that nobody has asked for in this time is thrown away.
_FORGOTTEN_S = 3600.0
_POLL_S = 0.1
_NAME = re.compile(r"[A-Za-z0-9-]{1,64}\Z")


def jobs_folder() -> Path | None:
    """Make the folder of this user's jobs; None where that is not possible, or the folder is not this user's alone."""
    folder = JOBS if os.geteuid() == 0 else Path(tempfile.gettempdir()) / f"llmops-jobs-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    private = not folder.is_symlink() and found.st_uid == os.geteuid() and not found.st_mode & 0o077
    return folder if private else None


def start(
    name: str,
    store: str,
    work: Callable[[str | None], dict[str, Any]],
    *,
    hide: Iterable[str] = (),
    patience: float = PATIENCE_S,
) -> dict[str, Any]:
    """Do some work in a process of its own.

    Args:
        name: The job's name, letters, digits and hyphens.
        store: The folder of the model store that it works in.
        work: The work: takes the path of the file for its progress, returns the module's result.
        hide: Secrets, which are cut out of the result.
        patience: Seconds to wait for the result.

    Returns:
        The work's result; where that is not there yet, ``job`` as ``describe`` gives it. A host that has no place for
        jobs does the work at once and reports no progress.
    """
    folder = _make(name)
    if folder is None:
        return work(None)
    lock = os.open(str(folder / "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    ending, ended = os.pipe()
    child = os.fork()
    if child == 0:
        _work(folder, store, work, list(hide))
    # The lock and this end of the pipe are the child's from here on, and freed by its end, whatever ends it.
    os.close(lock)
    os.close(ended)
    quick = bool(select.select([ending], [], [], patience)[0])
    os.close(ending)
    if quick:
        os.waitpid(child, 0)
        return _take_result(folder)
    return {"changed": False, "warnings": [], "job": describe(folder)}


def fetch(
    params: Mapping[str, Any],
    run: Callable[[Mapping[str, Any]], dict[str, Any]],
    *,
    hide: Iterable[str] = (),
    patience: float = PATIENCE_S,
) -> dict[str, Any]:
    """Run the module ``model`` as the job that its parameter ``job`` names; at once where nothing is to be done.

    Args:
        params: The module's parameters.
        run: The module's work: takes the parameters with ``progress`` filled in, returns the result.
        hide: As for ``start``.
        patience: As for ``start``.
    """
    if _settled(params):
        return run(params)

    def work(progress: str | None) -> dict[str, Any]:
        while progress is not None and _await_turn(params):
            try:
                return run(dict(params, progress=progress))
            except BusyError:
                # Somebody else was quicker; a run that begins with hashing is not at the lock for minutes.
                continue
        return run(dict(params, progress=None))

    return start(params["job"], params["path"], work, hide=hide, patience=patience)


def follow(name: str, wait: float) -> dict[str, Any]:
    """Wait for a job.

    Args:
        name: Its name.
        wait: Seconds to wait for its end.

    Returns:
        ``job`` as ``describe`` gives it, and ``result``, which is None while the job runs. A result is given once.

    Raises:
        ModelError: There is no such job.
    """
    base = jobs_folder()
    folder = base / name if base and _NAME.match(name) else None
    if folder is None or not folder.is_dir():
        raise ModelError("job", f"this host has no job {name}: its result was told, or the host was started anew")
    until = time.monotonic() + wait
    while _alive(folder) and time.monotonic() < until:
        time.sleep(_POLL_S)
    told = describe(folder)
    return {"job": told, "result": None if told["running"] else _take_result(folder)}


def stop(name: str, dry: bool = False) -> bool:
    """Kill a job with all its processes; what it has fetched stays for the next run.

    Args:
        name: Its name.
        dry: Only tell whether it runs.

    Returns:
        Whether it ran.
    """
    base = jobs_folder()
    folder = base / name if base and _NAME.match(name) else None
    if folder is None or not _alive(folder):
        return False
    if dry:
        return True
    # A child that was born this moment has yet to write down who it is.
    until = time.monotonic() + 1
    while "pid" not in _read(folder / "job.json") and _alive(folder) and time.monotonic() < until:
        time.sleep(_POLL_S)
    pid = _read(folder / "job.json").get("pid")
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            if pid and _alive(folder):
                os.killpg(pid, number)
        until = time.monotonic() + 1
        while _alive(folder) and time.monotonic() < until:
            time.sleep(_POLL_S)
    shutil.rmtree(str(folder), ignore_errors=True)
    return True


def jobs() -> list[dict[str, Any]]:
    """Describe all jobs of this user that run."""
    base = jobs_folder()
    folders = sorted(path for path in base.iterdir() if _alive(path)) if base else []
    return [describe(folder) for folder in folders]


def describe(folder: Path) -> dict[str, Any]:
    """Say how a job stands.

    Returns:
        ``name``, ``running``, ``pid``, ``store``, ``since``, ``progress`` as ``_model_progress.read`` gives it, and
        ``waits_for``, another run in the same store: None, or its ``pid``, ``since`` and ``progress``.
    """
    words = _read(folder / "job.json")
    progress = read(str(folder / "progress.json"))
    return {
        "name": folder.name,
        "running": _alive(folder),
        "pid": words.get("pid"),
        "store": words.get("store", ""),
        "since": words.get("since", ""),
        "progress": progress,
        # What has begun to count has the store for itself.
        "waits_for": None if progress else _holder(words.get("store", ""), words.get("pid")),
    }


def _make(name: str) -> Path | None:
    base = jobs_folder()
    if base is None or not _NAME.match(name):
        return None
    folder = base / name
    try:
        _forget(base)
        folder.mkdir(mode=0o700)
    except OSError:
        return None
    return folder


def _forget(base: Path) -> None:
    """Remove what ended long ago and nobody asked for, say because its controller died."""
    for folder in base.iterdir():
        if time.time() - folder.stat().st_mtime > _FORGOTTEN_S and not _alive(folder):
            shutil.rmtree(str(folder), ignore_errors=True)


def _work(folder: Path, store: str, work: Callable[[str | None], dict[str, Any]], hide: list[str]) -> None:
    """Be the child; never returns."""
    try:
        os.setsid()
        # A connection ends when nobody holds its ends any more.
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        _write(folder / "job.json", {"pid": os.getpid(), "store": store, "since": now()})
        try:
            result = work(str(folder / "progress.json"))
        except Exception as error:  # the module's own process would print the traceback
            result = {
                "failed": True,
                "changed": False,
                "warnings": [],
                "msg": f"{type(error).__name__}: {error}",
                "exception": traceback.format_exc(),
            }
        _write(folder / "result.json", remove_values(result, hide))
    finally:
        # Neither what the module has still to clean up nor what it would print is the child's.
        os._exit(0)


def _take_result(folder: Path) -> dict[str, Any]:
    result = _read(folder / "result.json")
    shutil.rmtree(str(folder), ignore_errors=True)
    return result or {
        "failed": True,
        "changed": False,
        "warnings": [],
        "msg": "the process that worked in the model store ended before its work did: it was stopped, or the host ran "
        "out of memory (see dmesg); run again, and it goes on where it was",
    }


def _settled(params: Mapping[str, Any]) -> bool:
    """Whether nothing is to be fetched, nor to be read: what a run without changes finds out from times and sizes."""
    specs, problems = parse_models(params["models"])
    if problems or params["verify"]:
        return bool(problems)
    store = Store(params["path"])
    for spec in specs:
        manifest, folder = Manifest.load(store.manifest_path(spec.name, spec.key)), store.folder(spec.name, spec.key)
        # First this, for a file whose time is another one would be read.
        if manifest is None or not all(_untouched(folder / entry.path, entry) for entry in manifest.files):
            return False
        if not store.state(spec).complete:
            return False
    return True


def _untouched(place: Path, entry: StoredFile) -> bool:
    try:
        found = place.stat()
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) == (entry.size, entry.mtime_ns)


def _await_turn(params: Mapping[str, Any]) -> bool:
    """Wait while another run works in the store and gets on: what it brings need not come twice.

    Returns:
        Whether the store is free; not where the other run does not get on.
    """
    seen: Any = None
    since = time.monotonic()
    while time.monotonic() - since < STALLED_S:
        other = _holder(params["path"], os.getpid())
        if other is None:
            return True
        mark = (other["pid"], (other["progress"] or {}).get("models"))
        if mark != seen:
            seen, since = mark, time.monotonic()
        time.sleep(_POLL_S)
    return False


def _holder(store: str, own_pid: int | None) -> dict[str, Any] | None:
    """Find the run that holds the lock of a store, other than one's own."""
    path = Path(store) / ".lock"
    try:
        with path.open(encoding="utf-8") as file:
            if not _held(file.fileno()):
                return None
            holder = json.load(file)
            if holder["pid"] == own_pid:
                return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    base = jobs_folder()
    known = [path for path in (base.iterdir() if base else ()) if _read(path / "job.json").get("pid") == holder["pid"]]
    progress = read(str(known[0] / "progress.json")) if known else None
    return {"pid": holder["pid"], "since": holder.get("since", ""), "progress": progress}


def _alive(folder: Path) -> bool:
    try:
        with (folder / "lock").open("rb") as file:
            return _held(file.fileno())
    except OSError:
        return False


def _held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return data if isinstance(data, dict) else {}
    except (OSError, ValueError):
        return {}


def _write(path: Path, data: Mapping[str, Any]) -> None:
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(data), encoding="utf-8")
    draft.replace(path)
