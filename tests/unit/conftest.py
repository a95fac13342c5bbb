# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unit tests ask no Docker and write nothing down for this machine, so that they say the same wherever they run."""

from __future__ import annotations

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _image_record


@pytest.fixture(autouse=True)
def no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead `docker` to a socket that nobody has."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")


@pytest.fixture(autouse=True)
def no_image_record(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let pulls be written down in a folder of the test's own."""
    monkeypatch.setattr(_image_record, "RECORDS", tmp_path_factory.mktemp("state") / "images")
