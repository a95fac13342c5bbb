# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import TYPE_CHECKING

from llmops_serving.lab import lab
from llmops_serving.lab.state import FileFacts, HostFacts, LabState, RepoFacts

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_lab_that_keeps_its_cache_still_knows_its_repositories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab.daemon, "connect", lambda: None)
    repos = {"lab/tiny-chat": RepoFacts("c" * 40, {"config.json": FileFacts("0" * 64, 2)})}
    known = lab.Lab(tmp_path)
    known.paths.save(LabState(repos=repos, hosts={"lab1": HostFacts("bookworm", 1, {})}))
    known.down(keep_cache=True)
    # The hub stays written, so nobody would tell their commits again.
    assert known.paths.load().repos == repos
    assert known.paths.load().hosts == {}
