# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests ask no Docker, so that they say the same wherever they run."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead `docker` to a socket that nobody has."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
