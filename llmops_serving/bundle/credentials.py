# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who this user is at a registry, as `docker login` has left it (https://docs.docker.com/reference/cli/docker/login)."""

from __future__ import annotations

import base64
import binascii
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.llmops.serving.plugins.module_utils._registry_client import Login
from ansible_collections.llmops.serving.plugins.module_utils._registry_names import DOCKER_HUB

# The name under which Docker keeps the login of its own hub.
_HUB = "https://index.docker.io/v1/"
_HELPER_SECONDS = 30
# A helper gives this in the place of a name when the secret is a token to trade in, which is not done here.
_TOKEN_USER = "<token>"  # noqa: S105  no secret


def login_for(registry: str) -> Login | None:
    """Find the login for a registry in Docker's configuration: the file's own, or what its helper gives.

    Args:
        registry: Host and port, `docker.io` for Docker Hub.

    Returns:
        The login, None where there is none that can be used.
    """
    config = _config()
    names = [_HUB, "index.docker.io"] if registry == DOCKER_HUB else [registry, f"https://{registry}"]
    for name in names:
        if program := config.get("credHelpers", {}).get(name):
            return _ask(program, name)
    for name in names:
        found = _decode(config.get("auths", {}).get(name) or {})
        if found:
            return found
    if program := config.get("credsStore"):
        for name in names:
            if found := _ask(program, name):
                return found
    return None


def _config() -> dict[str, Any]:
    folder = os.environ.get("DOCKER_CONFIG")
    path = Path(folder) if folder else Path.home() / ".docker"
    try:
        found = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _decode(entry: dict[str, Any]) -> Login | None:
    try:
        user, colon, secret = base64.b64decode(entry["auth"], validate=True).decode("utf-8").partition(":")
    except (KeyError, TypeError, binascii.Error, UnicodeDecodeError):
        return None
    return Login(user, secret) if colon and secret else None


def _ask(program: str, name: str) -> Login | None:
    command = shutil.which(f"docker-credential-{program}")
    if command is None:
        return None
    try:
        # The name goes in and the secret comes out by pipes, so neither is in an argument.
        done = subprocess.run(  # noqa: S603  the helper that the user's own configuration names
            [command, "get"], input=name, capture_output=True, text=True, timeout=_HELPER_SECONDS, check=False
        )
        answer = json.loads(done.stdout) if done.returncode == 0 else {}
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    user, secret = answer.get("Username"), answer.get("Secret")
    return Login(user, secret) if user and secret and user != _TOKEN_USER else None
