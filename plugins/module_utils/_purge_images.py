# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Remove the images that the collection brought and nobody uses any more."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, MissingError, run
from ansible_collections.llmops.serving.plugins.module_utils._docker import image_digest
from ansible_collections.llmops.serving.plugins.module_utils._generations import Store, server_names
from ansible_collections.llmops.serving.plugins.module_utils._image_record import (
    Brought,
    brought_images,
    clear_drafts,
    forget,
)
from ansible_collections.llmops.serving.plugins.module_utils._traces import Container, Trace


class Done(t.NamedTuple):
    """What was removed, what stays and why, and what could not be removed, with cause and remedy."""

    removed: list[Trace]
    notes: list[str]
    problems: list[str]


def remove_images(
    going: t.Collection[str], everything: bool, containers: t.Iterable[Container], dry: bool = False
) -> Done:
    """Remove images that the collection brought, by all their names.

    Args:
        going: Servers whose containers are gone already, or would be.
        everything: Whether all images go, and not only those of these servers.
        containers: The containers that stay.
        dry: Say only what would be removed.
    """
    used = {
        container.image: f"server {container.server}" if container.server else f"container {container.name}"
        for container in containers
        if container.server not in going
    }
    staying = {name: _images_of(name) for name in server_names() if name not in going}
    wanted = {image for name in going for image in _images_of(name)}
    done = Done([], [], [])
    records = brought_images()
    known = {name for brought in records for name in (brought.asked, *brought.images)}
    done.notes.extend(
        f"image {name} stays: it was on the host before the collection asked for it"
        for name in sorted(wanted - known)
        if "@" in name and image_digest(name)
    )
    for brought in records:
        names = {brought.asked, *brought.images}
        if not everything and not names & wanted:
            continue
        users = [f"server {name}" for name, images in sorted(staying.items()) if names & images]
        found = _here(brought)
        users += [used[image.id] for image in found if image.id in used]
        if users:
            done.notes.append(f"image {brought.asked} stays for {', '.join(dict.fromkeys(users))}")
            continue
        try:
            if not dry:
                for image in found:
                    _remove(image.name)
                forget(brought)
        except (CommandError, OSError) as exc:
            done.problems.append(f"image {brought.asked}: {exc}; remove what uses it, and run again")
            continue
        size = max((image.bytes for image in found), default=0)
        done.removed.append(Trace("image", brought.asked, bytes=size))
    if everything and not dry:
        clear_drafts()
    return done


class _Image(t.NamedTuple):
    name: str
    id: str
    bytes: int


def _images_of(server: str) -> set[str]:
    """Name the images of a server, in all its generations, as they were asked for and by digest."""
    store = Store(server)
    found = [generation for generation in map(store.read, store.numbers()) if generation]
    return {name for generation in found for name in (generation.image, str(generation.asked.get("image") or ""))}


def _here(brought: Brought) -> list[_Image]:
    """Find what Docker has under the names of what was brought."""
    names = list(brought.images)
    # A tag may have been given to another image since, which is not ours then.
    if brought.asked not in names and (not names or image_digest(brought.asked) in names):
        names.insert(0, brought.asked)
    found = []
    for name in names:
        try:
            told = run(["docker", "image", "inspect", name], check=False)
        except MissingError:
            return []
        entries = json.loads(told.out or "[]") if told.code == 0 else []
        found += [_Image(name, str(entry.get("Id")), int(entry.get("Size") or 0)) for entry in entries]
    return found


def _remove(name: str) -> None:
    done = run(["docker", "image", "rm", name], timeout=600, check=False)
    # With its last tag an image's digests of the same repository go too.
    if done.code and "No such image" not in done.err:
        raise CommandError(f"docker image rm {name}: {(done.err.strip() or done.out.strip()).splitlines()[-1]}")
