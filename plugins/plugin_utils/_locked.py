# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Find what an inventory asks for that its lock file does not have."""

from __future__ import annotations

import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._model_spec import parse_models
from ansible_collections.llmops.serving.plugins.plugin_utils._lockfile import ANEW
from ansible_collections.llmops.serving.plugins.plugin_utils._site import reference_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.plugin_utils._lockfile import Lock
    from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site


def lock_problems(servers: Sequence[Mapping[str, t.Any]], site: Site, only: Sequence[str] = ()) -> list[str]:
    """Hold an inventory against its lock file.

    Args:
        servers: The host's servers, without problems.
        site: What they share, with the lock and with the images that suit the host.
        only: Names of the servers to act on; all if empty.

    Returns:
        One line a problem; nothing without a lock file.
    """
    if site.lock is None:
        return []
    chosen = [server for server in servers if not only or server["name"] in only]
    return [*_images(chosen, site, site.lock), *_models(site, site.lock)]


def _images(servers: Sequence[Mapping[str, t.Any]], site: Site, lock: Lock) -> Iterator[str]:
    for server in servers:
        image = reference_of(server, site)
        # A digest is its own lock.
        if not image.digest and str(image) not in lock.images:
            yield (
                f"serving_servers[{server['name']!r}].image: {image} is not in the lock file {lock.path}: "
                f"put back what was locked, or {ANEW}"
            )


def _models(site: Site, lock: Lock) -> Iterator[str]:
    for spec in parse_models(site.models)[0]:
        versions = lock.models.get(spec.name, {})
        if spec.key in versions:
            continue
        # A url without a sha256 has neither; its version is made of its address.
        word = "revision" if spec.revision else "sha256" if spec.sha256 else "url"
        asked = spec.revision or spec.sha256 or spec.key
        has = (
            f"has {', '.join(one.revision or key for key, one in sorted(versions.items()))}" if versions else "lacks it"
        )
        yield (
            f"{spec.var(word)}: {asked} is asked for, and the lock file {lock.path} {has}: put back what was locked, "
            f"or {ANEW}"
        )
