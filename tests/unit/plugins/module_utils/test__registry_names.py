# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of images, as Docker reads them."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._registry_names import (
    Reference,
    digest_of,
    is_loopback,
    parse_reference,
)

DIGEST = digest_of(b"")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis", Reference("docker.io", "library/redis", "latest", "")),
        ("redis:7.2", Reference("docker.io", "library/redis", "7.2", "")),
        ("docker.io/redis", Reference("docker.io", "library/redis", "latest", "")),
        ("index.docker.io/library/redis:7", Reference("docker.io", "library/redis", "7", "")),
        ("vllm/vllm-openai:v0.11.0", Reference("docker.io", "vllm/vllm-openai", "v0.11.0", "")),
        ("ghcr.io/ggml-org/llama.cpp:server-b9", Reference("ghcr.io", "ggml-org/llama.cpp", "server-b9", "")),
        ("registry.lab:5000/a/b/c:t", Reference("registry.lab:5000", "a/b/c", "t", "")),
        ("localhost/a", Reference("localhost", "a", "latest", "")),
        ("[::1]:5000/a:t", Reference("[::1]:5000", "a", "t", "")),
        (f"ghcr.io/a/b@{DIGEST}", Reference("ghcr.io", "a/b", "", DIGEST)),
        (f"ghcr.io/a/b:t@{DIGEST}", Reference("ghcr.io", "a/b", "t", DIGEST)),
    ],
)
def test_references(text: str, expected: Reference) -> None:
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "a b", "https://ghcr.io/a", "ghcr.io/A/b", "ghcr.io/a:", "ghcr.io/a@sha256:12", "ghcr.io//a", "-/a"],
)
def test_no_references(text: str) -> None:
    with pytest.raises(ValueError, match="is not an image reference"):
        parse_reference(text)


def test_docker_hub_answers_under_another_name() -> None:
    assert parse_reference("redis").api_host == "registry-1.docker.io"
    assert parse_reference("ghcr.io/a/b").api_host == "ghcr.io"


@pytest.mark.parametrize(
    ("netloc", "expected"),
    [
        ("127.0.0.1:5000", True),
        ("127.9.9.9", True),
        ("localhost:5000", True),
        ("[::1]:5000", True),
        ("registry.lab:5000", False),
        ("128.0.0.1", False),
        ("localhost.example", False),
    ],
)
def test_this_machine(netloc: str, expected: bool) -> None:
    assert is_loopback(netloc) is expected
