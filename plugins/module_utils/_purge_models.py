# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Remove the models that servers had, and that nobody uses any more."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._host import DEFAULT_MODEL_DIR
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store
from ansible_collections.llmops.serving.plugins.module_utils._model_versions import Leftover, Version, look, remove
from ansible_collections.llmops.serving.plugins.module_utils._purge_images import Done
from ansible_collections.llmops.serving.plugins.module_utils._traces import Trace


def remove_models(model_dir: str, going: t.Collection[str], everything: bool, dry: bool = False) -> Done:
    """Remove versions of models, and with everything else the store.

    Args:
        model_dir: The model store.
        going: Servers that are removed: what only they use may go.
        everything: Whether all goes that nobody else uses, and not only what these servers have.
        dry: Say only what would be removed.
    """
    store = Store(model_dir)
    done = Done([], [], [])
    if not store.root.is_dir():
        return done
    try:
        with contextlib.nullcontext() if dry else store.lock():
            versions, leftovers = look(store, (), careful=True)
            for version in versions:
                users = {who.partition(" (")[0] for who in version.used_by}
                others = sorted(users - {f"server {name}" for name in going})
                if others and (everything or len(others) < len(users)):
                    done.notes.append(f"model {version.name} {version.key} stays for {', '.join(others)}")
                elif everything or len(others) < len(users):
                    _take(store, version, dry, done)
            for left in leftovers if everything else ():
                _take(store, left, dry, done)
            if everything and not dry and not done.notes:
                _close(store)
    except ModelError as exc:
        done.problems.append(str(exc))
    except OSError as exc:
        done.problems.append(f"serving_model_dir: {exc.filename or store.root}: {exc.strerror or exc}; run again")
    return done


def _take(store: Store, entry: Version | Leftover, dry: bool, done: Done) -> None:
    if not dry:
        remove(store, entry)
    done.removed.append(Trace("model", str(entry.path), bytes=entry.bytes))


def _close(store: Store) -> None:
    """Take away what is left of a store without models; whatever else somebody keeps there stays."""
    with contextlib.suppress(OSError):
        store.partial.rmdir()
    with contextlib.suppress(FileNotFoundError):
        (store.root / ".lock").unlink()
    # Only the default place is ours as a folder; another one was there, or may be a disk of its own.
    if str(store.root) == DEFAULT_MODEL_DIR:
        with contextlib.suppress(OSError):
            store.root.rmdir()
