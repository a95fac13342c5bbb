# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When an image is the one that serves."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._same_image import same_image

NAME = "mirror:5000/ghcr.io/llama.cpp"
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
# By case: what is asked for, what was before, and whether `NAME@ONE` is that.
CASES = {
    "the same tag": (f"{NAME}:b1", f"{NAME}:b1", True),
    "another tag": (f"{NAME}:b2", f"{NAME}:b1", False),
    "locked to what serves": (f"{NAME}:b1@{ONE}", f"{NAME}:b1", True),
    "locked to something else": (f"{NAME}:b1@{TWO}", f"{NAME}:b1", False),
    "locked and unlocked": (f"{NAME}:b1", f"{NAME}:b1@{ONE}", True),
    "unlocked, with another tag": (f"{NAME}:b2", f"{NAME}:b1@{ONE}", False),
    "the digest alone": (f"{NAME}@{ONE}", f"{NAME}:b1", True),
    "another tag of the same digest": (f"{NAME}:b2@{ONE}", f"{NAME}:b1", True),
    "the digest in another place": (f"other:5000/llama.cpp:b1@{ONE}", f"{NAME}:b1", False),
}


@pytest.mark.parametrize("case", CASES)
def test_images_are_compared(case: str) -> None:
    asked, before, same = CASES[case]
    assert same_image(asked, before, f"{NAME}@{ONE}") is same
