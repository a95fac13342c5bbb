# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Tell whether a generation already has the image that is asked for.

A lock file adds the digest to an image's name (`name:tag@sha256:…`). With the digest that serves already this is no
change, and neither is it when the file is left out of account again: a name means what it meant before.
"""

from __future__ import annotations


def same_image(asked: str, before: str, serving: str) -> bool:
    """Compare images.

    Args:
        asked: The image that is asked for, with a tag, a digest, or both.
        before: What was asked for when the generation was made.
        serving: What came then, `name@sha256:…`.

    Returns:
        Whether it is the same: by its digest where it has one, else by its name.
    """
    name, _at, digest = asked.partition("@")
    if digest:
        served, _at, has = serving.partition("@")
        return digest == has and _bare(name) == _bare(served)
    return name == before.partition("@")[0]


def _bare(name: str) -> str:
    head, slash, tail = name.rpartition("/")
    return head + slash + tail.partition(":")[0]
