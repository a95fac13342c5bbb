# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from llmops_serving.lab import daemon
from llmops_serving.lab.errors import LabError
from llmops_serving.lab.progress import Reporter, silent
from llmops_serving.lab.state import Paths

if TYPE_CHECKING:
    from pathlib import Path


def test_a_daemon_named_by_the_user_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    with pytest.raises(LabError, match="DOCKER_HOST"):
        daemon.ensure(Paths(tmp_path), Reporter(silent))


def test_without_root_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(daemon, "connect", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="start Docker, or run this as root"):
        daemon.ensure(Paths(tmp_path), Reporter(silent))


def test_stop_touches_no_process_that_is_not_dockerd() -> None:
    daemon.stop(os.getpid())  # would end this test run
