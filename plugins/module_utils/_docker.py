# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Ask and tell Docker, through its own program."""

from __future__ import annotations

import contextlib
import json
import re

from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, MissingError, run
from ansible_collections.llmops.serving.plugins.module_utils._image_record import RECORDS, drop, note


def image_digest(reference: str) -> str | None:
    """Find the digest of an image that is already on the host.

    Args:
        reference: The image's full name with a tag or a digest.

    Returns:
        `name@sha256:…`, or None when the image is not here or came from no registry.
    """
    try:
        done = run(["docker", "image", "inspect", reference], check=False)
    except CommandError:
        return None
    if done.code:
        return None
    digests = json.loads(done.out)[0].get("RepoDigests") or []
    name = _bare_name(reference)
    # Docker leaves out its own hub's name, which may also be a part of a mirror's path.
    names = {name, re.sub("^docker[.]io/(library/)?", "", name)}
    for digest in digests:
        if _bare_name(digest) in names:
            return str(name + "@" + digest.partition("@")[2])
    return None


def pull(reference: str, timeout: float = 3600) -> str:
    """Bring an image from its registry and say exactly which one came.

    Args:
        reference: The image's full name with a tag or a digest.
        timeout: Seconds it may take.

    Returns:
        `name@sha256:…`

    Raises:
        CommandError: The registry does not answer, or has no such image.
    """
    before = image_digest(reference)
    try:
        # Before it comes, for whoever pulls may be killed: what was here already is not the collection's.
        if before is None:
            note(reference)
        run(["docker", "pull", "--quiet", reference], timeout=timeout)
        digest = image_digest(reference)
        if digest is None:
            raise CommandError(f"docker pull {reference}: the registry gave no digest")
        if digest != before:
            note(reference, digest)
    except CommandError:
        drop(reference)
        raise
    except OSError as exc:
        raise CommandError(f"docker pull {reference}: {RECORDS}: {exc.strerror or exc}") from exc
    return digest


def remove_container(name: str) -> None:
    """Remove a container, running or not, with its unnamed volumes; none of that name, and no Docker, is fine."""
    with contextlib.suppress(MissingError):
        run(["docker", "rm", "--force", "--volumes", name], check=False)


def _bare_name(reference: str) -> str:
    name = reference.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    return head + slash + tail.partition(":")[0]
