# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as a whole, on a played host."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils import _purge
from ansible_collections.llmops.serving.plugins.module_utils._lock import LockError
from ansible_collections.llmops.serving.plugins.modules import purge
from tests.unit.plugins.played_host import run_main
from tests.unit.plugins.purged_host import PurgedHost, purged_host

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PurgedHost:
    monkeypatch.setattr(signal, "signal", lambda _number, _action: None)
    made = purged_host(tmp_path / "host", monkeypatch)
    made.serve("chat", key="sk-hunter2")
    return made


def words(host: PurgedHost, **more: Any) -> dict[str, Any]:
    return {"path": str(host.models.root), **more}


def test_removes_and_then_has_nothing_to_do(host: PurgedHost, capsys: pytest.CaptureFixture[str]) -> None:
    status, result, text = run_main(purge, capsys, **words(host, _ansible_diff=True))
    assert (status, result["changed"]) == (0, True)
    assert [(server["name"], server["action"]) for server in result["servers"]] == [("chat", "removed")]
    assert "container llmops-chat\n" in result["diff"]["before"]
    assert "sk-hunter2" not in text
    status, result, _text = run_main(purge, capsys, **words(host))
    assert (status, result["changed"], result["servers"], result["removed"]) == (0, False, [], [])


def test_check_mode_changes_nothing(host: PurgedHost, capsys: pytest.CaptureFixture[str]) -> None:
    before = host.files()
    status, result, _text = run_main(purge, capsys, **words(host, _ansible_check_mode=True))
    assert (status, result["changed"]) == (0, True)
    assert host.files() == before
    assert len(result["removed"]) == len(result["left"])


def test_a_failure_has_all_that_is_documented(
    host: PurgedHost, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object, **__: object) -> None:
        raise LockError("process 7 is changing server chat on this host since noon")

    monkeypatch.setattr(_purge, "server_lock", locked)
    status, result, _text = run_main(purge, capsys, **words(host))
    assert (status, result["changed"]) == (1, False)
    assert result["msg"].startswith("server chat: process 7 is changing server chat")
    (server,) = result["servers"]
    assert (server["failed"], server["failed_check"], server["ok"]) == (True, "lock", False)
    documented = set(yaml.safe_load(purge.RETURN))
    assert documented == set(result) - {"changed", "failed", "msg", "diff", "invocation"}


def test_the_documentation_says_of_every_option_what_the_code_does() -> None:
    said = yaml.safe_load(purge.DOCUMENTATION)["options"]
    done = purge.ARGUMENTS
    assert {name: (option["type"], option.get("default")) for name, option in said.items()} == {
        name: (option["type"], option.get("default")) for name, option in done.items()
    }
    for example in yaml.safe_load(purge.EXAMPLES):
        assert set(example["llmops.serving.purge"]) <= set(done)
