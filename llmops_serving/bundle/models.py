# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch the models of a bundle, with the store that hosts use: verified, in parallel, and going on where it ended."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.module_utils._model_apply import Fetcher
from ansible_collections.llmops.serving.plugins.module_utils._model_git import Git
from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient
from ansible_collections.llmops.serving.plugins.module_utils._model_hub import Hub
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store, stored_name
from llmops_serving.bundle import repositories
from llmops_serving.bundle.document import GIT, MODELS, File, Model
from llmops_serving.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest
    from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelSpec
    from llmops_serving.bundle.document import TreeEntry
    from llmops_serving.bundle.settings import Settings
    from llmops_serving.bundle.words import Wanted

_TIMEOUT_S = 30.0


class BundleStore(Store):
    """The store of a bundle, on whose disk images need room as well.

    Args:
        folder: The bundle.
        others: Bytes that something else will fetch.
    """

    def __init__(self, folder: Path, others: int) -> None:
        """Name the store."""
        super().__init__(str(folder / MODELS))
        self._others = others

    def check_space(self, needed: int, files: int) -> None:
        """Refuse to begin when the disk cannot hold the rest, of models and of images."""
        try:
            super().check_space(needed + self._others, files)
        except ModelError as error:
            # The folder is named on the command line, and no variable is to blame.
            raise DriverError(str(error).partition(": ")[2]) from error


def fetch_models(wanted: Wanted, settings: Settings, others: int) -> tuple[Model, ...]:
    """Make all models of a bundle complete.

    Args:
        wanted: What a bundle must hold.
        settings: How it is made.
        others: Bytes that something else will fetch onto the same disk.

    Returns:
        The models, by name.

    Raises:
        ModelError: Some cannot be had; one line each.
        DriverError: The disk is too small, or git failed.
    """
    store = BundleStore(settings.folder, others)
    # Even with no model to fetch, the images must fit.
    store.check_space(0, 0)
    found: dict[tuple[str, str], Model] = {}
    for source, specs in wanted.models.items():
        hub = Hub(source.url, source.token, HttpClient(settings.ca_path, _TIMEOUT_S))
        git = None
        if any(spec.kind == "repo" for spec in specs):
            git = Git(repositories.git_program(), settings.ca_path or "")
        fetcher = Fetcher(store, hub, git, settings.bars)
        for batch in _batches(specs):
            outcomes = fetcher.ensure(batch, settings.verify)
            for spec in batch:
                if damaged := outcomes[spec.name].damaged:
                    settings.bars.say(f"{spec.name}: {', '.join(damaged)} was damaged, and came again", "yellow")
                tree = _tree(spec, hub, git, settings) if git and spec.kind == "repo" else ()
                found[spec.name, spec.key] = _model(spec, outcomes[spec.name].manifest, tree)
    return tuple(model for _place, model in sorted(found.items()))


def _batches(specs: Sequence[ModelSpec]) -> Iterator[list[ModelSpec]]:
    """Split models so that no part has two versions of one name."""
    left = list(specs)
    while left:
        batch = list({spec.name: spec for spec in reversed(left)}.values())
        yield batch
        left = [spec for spec in left if spec not in batch]


def _tree(spec: ModelSpec, hub: Hub, git: Git, settings: Settings) -> tuple[TreeEntry, ...]:
    folder = settings.folder / GIT
    target = repositories.place(folder, spec.repo)
    if settings.verify and target.is_dir() and not repositories.check(target):
        settings.bars.say(f"{target} is damaged: it comes again", "yellow")
        shutil.rmtree(target)
    return repositories.add_commit(git, hub, spec, folder)


def _model(spec: ModelSpec, manifest: Manifest, tree: tuple[TreeEntry, ...]) -> Model:
    # Single files lie under their base names.
    paths = {stored_name(spec, path): path for path in spec.files}
    return Model(
        name=spec.name,
        key=spec.key,
        kind=spec.kind,
        source=manifest.source,
        repo=spec.repo,
        revision=spec.revision,
        files=tuple(File(entry.path, entry.size, entry.sha256) for entry in manifest.files),
        paths=tuple(paths.get(entry.path, entry.path) for entry in manifest.files),
        tree=tree,
    )
