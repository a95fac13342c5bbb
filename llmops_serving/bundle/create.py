# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a bundle: read the inventory, ask for everything, see that it fits, fetch it, and say what is in it."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.module_utils._clock import now
from ansible_collections.llmops.serving.plugins.module_utils._model_files import human
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store
from llmops_serving.bundle.checksums import hash_files
from llmops_serving.bundle.document import GIT, IMAGES, MODELS, NAME, SUM, Bundle, read_bundle
from llmops_serving.bundle.images import fetch_images, plan_images
from llmops_serving.bundle.models import fetch_models
from llmops_serving.bundle.variables import words_of
from llmops_serving.errors import DriverError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from llmops_serving.bundle.document import Image, Model
    from llmops_serving.bundle.settings import Settings
    from llmops_serving.bundle.words import Wanted


@dataclass(frozen=True)
class Made:
    """A bundle that is complete.

    Attributes:
        bundle: What it says about itself.
        folder: Where it is.
        checksum: The sha256 of its `bundle.json`.
        fetched: Bytes that came over the network in this run.
        left: Files in the folder that are not part of it, and their bytes.
    """

    bundle: Bundle
    folder: Path
    checksum: str
    fetched: int
    left: tuple[Path, ...]
    left_bytes: int


def create_bundle(wanted: Wanted, settings: Settings) -> Made:
    """Make a bundle complete; what is there from an earlier run stays.

    Args:
        wanted: What it must hold.
        settings: How it is made.

    Returns:
        The bundle.

    Raises:
        UsageError: The inventory needs nothing, or something that cannot be taken along.
        DriverError: Something cannot be had; one line each.
    """
    _refuse(wanted)
    folder, bars = settings.folder, settings.bars
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{folder} cannot be made: {error.strerror}; name a folder that this user can write"
        raise UsageError(msg) from error
    with _alone(folder):
        # From here on it is not whole: whoever copies it now must not take it for a bundle.
        before = _unmark(folder)
        bars.say(f"asking for {_count(len(wanted.images), 'image')} and {_count(len(wanted.specs), 'model')}")
        plans = plan_images(wanted, settings)
        try:
            models = fetch_models(wanted, settings, sum(plan.bytes for plan in plans))
        except ModelError as error:
            raise DriverError(str(error)) from error
        images = fetch_images(plans, settings)
        bars.close()
        shutil.rmtree(folder / GIT / ".partial", ignore_errors=True)
        return _finish(wanted, settings, models, images, before)


def _refuse(wanted: Wanted) -> None:
    if not wanted.specs and not wanted.images:
        msg = f"{', '.join(wanted.hosts)}: the inventory has neither models nor servers, so there is nothing to bundle"
        raise UsageError(msg)
    unpinned = [spec for spec in wanted.specs if spec.kind == "url" and not spec.sha256]
    if unpinned:
        lines = [
            f"{spec.var('sha256')}: is not set, and without it a bundle cannot stand in for an address; set the file's "
            "sha256 (`llmops models list` shows what a host has)"
            for spec in unpinned
        ]
        raise UsageError("\n".join(lines))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second run out. The kernel ends the lock with its process."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            msg = f"another run makes the bundle {folder}: wait for it, or stop it"
            raise UsageError(msg) from error
        yield


def _unmark(folder: Path) -> Bundle | None:
    """Take away what says that the bundle is whole, and tell what it said."""
    try:
        before = read_bundle(folder)[0]
    except DriverError:
        before = None
    for name in (SUM, NAME):
        (folder / name).unlink(missing_ok=True)
    return before


def _content(folder: Path) -> list[Path]:
    """List all files of a bundle's own folders, unfinished ones and locks left out."""
    found = [path for part in (MODELS, GIT, IMAGES) for path in (folder / part).rglob("*") if path.is_file()]
    return [path for path in found if not {".partial", ".lock"} & set(path.relative_to(folder).parts)]


def _finish(
    wanted: Wanted, settings: Settings, models: tuple[Model, ...], images: tuple[Image, ...], before: Bundle | None
) -> Made:
    folder = settings.folder
    store = Store(str(folder / MODELS))
    bare = Bundle(now(), wanted.hosts, settings.platforms, models, images, (), words_of(models))
    described = {file.path for file in bare.files()}
    belongs = [
        *(store.manifest_path(model.name, model.key) for model in models),
        *(folder / MODELS / model.name / f"{model.key}.marks.json" for model in models),
        *(path for repo in {model.repo for model in models if model.tree} for path in _below(folder, repo)),
        folder / IMAGES / "index.json",
        folder / IMAGES / "oci-layout",
    ]
    others = {path for path in belongs if path.is_file()}
    content = _content(folder)
    left = [path for path in content if path not in others and path.relative_to(folder).as_posix() not in described]
    left_bytes = sum(path.stat().st_size for path in left)
    if settings.prune:
        _prune(left, folder)
        left = []
    bundle = replace(bare, others=hash_files(folder, others))
    if before and replace(before, created=bundle.created) == bundle:
        # The same bundle has the same checksum.
        bundle = before
    return Made(bundle, folder, bundle.save(folder), settings.bars.fetched, tuple(left), left_bytes)


def _below(folder: Path, repo: str) -> list[Path]:
    return [path for path in (folder / GIT / f"{repo}.git").rglob("*") if path.is_file()]


def _prune(paths: list[Path], folder: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
        above = path.parent
        # A repository has folders without files.
        repository = next((one for one in above.parents if one.suffix == ".git" and folder / GIT in one.parents), None)
        if repository:
            shutil.rmtree(repository, ignore_errors=True)
            above = repository.parent
        while above != folder and above.is_dir() and not any(above.iterdir()):
            above.rmdir()
            above = above.parent


def left_over(made: Made) -> str:
    """Say what lies in a bundle's folder and is none of its; "" when nothing does."""
    if not made.left:
        return ""
    return (
        f"{_count(len(made.left), 'file')} in {made.folder} ({human(made.left_bytes)}) are of an earlier inventory: "
        "--prune removes them"
    )
