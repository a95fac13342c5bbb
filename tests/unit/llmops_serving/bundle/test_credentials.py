# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who `docker login` was is who asks here."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._registry_client import Login
from llmops_serving.bundle.credentials import login_for

if TYPE_CHECKING:
    from pathlib import Path

AUTH = {"auth": "YW5uOnMzY3JldA=="}
ANN = Login("ann", "s3cret")
# Gives a login for one registry, a token for another, and fails for the rest.
HELPER = """#!/bin/sh
read name
case "$name" in
  known.example) echo '{"Username": "bob", "Secret": "h3lper"}' ;;
  token.example) echo '{"Username": "<token>", "Secret": "identity"}' ;;
  broken.example) echo 'no json' ;;
  *) exit 1 ;;
esac
"""


@pytest.fixture(autouse=True)
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that can be called, and no configuration."""
    program = tmp_path / "docker-credential-test"
    program.write_text(HELPER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@pytest.mark.parametrize(
    ("config", "registry", "expected"),
    [
        ({"auths": {"registry.example:5000": AUTH}}, "registry.example:5000", ANN),
        ({"auths": {"https://registry.example": AUTH}}, "registry.example", ANN),
        ({"auths": {"https://index.docker.io/v1/": AUTH}}, "docker.io", ANN),
        ({"auths": {"https://index.docker.io/v1/": AUTH}}, "ghcr.io", None),
        ({"auths": {"ghcr.io": {"auth": "not base64"}}}, "ghcr.io", None),
        ({"auths": {"ghcr.io": {"auth": "YW5u"}}}, "ghcr.io", None),
        ({"auths": {"ghcr.io": {}}, "credsStore": "test"}, "ghcr.io", None),
        ({"credsStore": "test"}, "known.example", Login("bob", "h3lper")),
        ({"credHelpers": {"known.example": "test"}}, "known.example", Login("bob", "h3lper")),
        ({"credHelpers": {"known.example": "absent"}}, "known.example", None),
        ({"credsStore": "test"}, "token.example", None),
        ({"credsStore": "test"}, "broken.example", None),
        ({}, "ghcr.io", None),
        ([], "ghcr.io", None),
    ],
)
def test_logins(tmp_path: Path, config: Any, registry: str, expected: Login | None) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert login_for(registry) == expected


def test_without_docker_nobody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "none"))
    assert login_for("ghcr.io") is None
    (tmp_path / "config.json").write_text("{")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert login_for("ghcr.io") is None
