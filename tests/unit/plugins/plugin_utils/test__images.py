# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._images import ImageError, mirrored, pinned

DIGEST = "sha256:" + "a" * 64

PARSED = [
    ("ghcr.io/ggml-org/llama.cpp:server-b11243", "ghcr.io/ggml-org/llama.cpp:server-b11243"),
    ("vllm/vllm-openai:v0.33.0", "docker.io/vllm/vllm-openai:v0.33.0"),
    ("debian:13", "docker.io/library/debian:13"),
    ("localhost/x:1", "localhost/x:1"),
    ("registry.lab:5000/a/b:c", "registry.lab:5000/a/b:c"),
    (f"ghcr.io/a/b@{DIGEST}", f"ghcr.io/a/b@{DIGEST}"),
    (f"ghcr.io/a/b:v1@{DIGEST}", f"ghcr.io/a/b:v1@{DIGEST}"),
]


@pytest.mark.parametrize(("reference", "full"), PARSED)
def test_fills_in_what_docker_leaves_out(reference: str, full: str) -> None:
    assert str(pinned(reference)) == full


@pytest.mark.parametrize("reference", ["ghcr.io/a/b", "ghcr.io/a/b:latest", "x", "", "a b", "ghcr.io/a/b@sha256:12"])
def test_refuses_what_is_not_one_image_for_ever(reference: str) -> None:
    with pytest.raises(ImageError):
        pinned(reference)


MIRRORED = [
    ({}, "ghcr.io/a/b:1"),
    ({"ghcr.io": "registry.lab:5000/ghcr.io"}, "registry.lab:5000/ghcr.io/a/b:1"),
    ({"ghcr.io/": "registry.lab:5000/mirror/"}, "registry.lab:5000/mirror/a/b:1"),
    ({"ghcr.io": "one:5000", "ghcr.io/a": "two:5000/of-a"}, "two:5000/of-a/b:1"),
    ({"ghcr.i": "wrong:5000", "docker.io": "wrong:5000"}, "ghcr.io/a/b:1"),
]


@pytest.mark.parametrize(("mirrors", "name"), MIRRORED)
def test_the_longest_prefix_names_the_mirror(mirrors: dict[str, str], name: str) -> None:
    assert str(mirrored(pinned("ghcr.io/a/b:1"), mirrors)) == name
