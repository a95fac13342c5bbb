# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes on around a change of a server, and with which words it ends."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _transaction
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError
from ansible_collections.llmops.serving.plugins.module_utils._generations import Secrets
from ansible_collections.llmops.serving.plugins.module_utils._lock import LockError, holder, server_lock
from ansible_collections.llmops.serving.plugins.module_utils._server import Server
from ansible_collections.llmops.serving.plugins.module_utils._server_error import ServerError
from ansible_collections.llmops.serving.plugins.module_utils._transaction import described, run_transaction
from tests.unit.plugins.played_host import PlayedHost, played_host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ASKED = {"engine": "llama_cpp", "bind": "0.0.0.0", "port": 8001, "models": [{"name": "tiny"}]}  # noqa: S104
NEIGHBOUR = {"name": "embed", "action": "failed", "cause": "no GPU"}


@dataclass
class Module:
    """An Ansible module that keeps what it ends with."""

    check_mode: bool = False
    ended: dict[str, Any] = field(default_factory=dict)

    def exit_json(self, **words: Any) -> None:
        self.ended = {"failed": False, **words}
        raise SystemExit(0)

    def fail_json(self, **words: Any) -> None:
        self.ended = {"failed": True, **words}
        raise SystemExit(1)


@pytest.fixture(autouse=True)
def signals(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The signals that are ignored from the first moment on, which must not reach the process of the tests."""
    done: list[int] = []
    monkeypatch.setattr(signal, "signal", lambda number, _action: done.append(number))
    return done


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    monkeypatch.setattr(_transaction, "endangered", lambda besides: [f"beside {besides}"])
    monkeypatch.setattr(_transaction, "look_after", lambda names: [{**NEIGHBOUR, "name": name} for name in names])
    return played_host(tmp_path, monkeypatch)


def end(act: Callable[[dict[str, Any]], None], check: bool = False, reloaded: bool = False) -> dict[str, Any]:
    module, server = Module(check), Server("chat", ASKED, Secrets({}, None, (0, 0)))
    server.unit.reloaded = reloaded
    server.seconds["away"] = 2.5
    with pytest.raises(SystemExit):
        run_transaction(module, server, act, "rolling back")  # type: ignore[arg-type]
    return module.ended


def raises(error: Exception) -> Callable[[dict[str, Any]], None]:
    def act(_result: dict[str, Any]) -> None:
        raise error

    return act


def test_a_change_is_made_under_the_lock_and_ends_with_what_it_learned(host: PlayedHost, signals: list[int]) -> None:
    seen: list[Any] = []

    def act(result: dict[str, Any]) -> None:
        seen.append((holder("chat") or {})["what"])
        result.update(action="updated", changed=True)

    ended = end(act)
    assert (seen, holder("chat")) == (["rolling back"], None)
    assert (ended["failed"], ended["name"], ended["action"], ended["neighbours"]) == (False, "chat", "updated", [])
    assert (ended["url"], ended["models"]) == ("http://127.0.0.1:8001/v1", ["tiny"])
    assert set(ended["seconds"]) == {"away", "total"}
    assert signals == [signal.SIGHUP, signal.SIGINT]
    assert host.commands == []


def test_check_mode_takes_no_lock_and_looks_after_nobody(host: PlayedHost) -> None:
    ended = end(lambda result: result.update(held=holder("chat")), check=True, reloaded=True)
    assert (ended["held"], ended["neighbours"]) == (None, [])
    assert host.files() == []


@pytest.mark.parametrize(
    ("error", "check", "remedy"),
    [
        (ServerError("wait", "out of memory", "less context", ["the log"]), "wait", "less context"),
        (CommandError("no systemd"), "host", "read journalctl -u llmops-chat.service on the host, and run again"),
        (OSError("disk full"), "host", "read journalctl -u llmops-chat.service on the host, and run again"),
    ],
)
def test_a_failure_has_all_the_words(host: PlayedHost, error: Exception, check: str, remedy: str) -> None:
    ended = end(raises(error))
    assert (ended["failed"], ended["action"], ended["failed_check"]) == (True, "failed", check)
    assert (ended["remedy"], ended["away_s"], ended["rolled_back"]) == (remedy, 2.5, False)
    assert {"second", "kept_failed", "evidence", "log", "probes", "cause", "msg", "seconds"} <= set(ended)
    assert holder("chat") is None
    assert host.commands == []


def test_who_holds_the_lock_is_told(host: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.llmops.serving.plugins.module_utils._lock._acquire", _busy)
    ended = end(lambda _result: None)
    assert (ended["failed_check"], ended["cause"]) == ("lock", "process 7 is at it")
    assert ended["remedy"] == "wait for it, and run again"
    assert host.commands == []


def _busy(*_words: Any) -> None:
    raise LockError("process 7 is at it")


def test_neighbours_are_looked_after_also_when_the_change_failed(host: PlayedHost) -> None:
    ended = end(raises(ServerError("wait", "out of memory", "less context")), reloaded=True)
    assert (ended["failed_check"], ended["neighbours"][0]["name"]) == ("wait", "beside chat")
    ended = end(lambda result: result.update(action="updated"), reloaded=True)
    assert (ended["failed"], ended["failed_check"]) == (True, "neighbour beside chat")
    assert "no GPU" in ended["cause"]
    with server_lock("chat", patience=0):
        assert host.commands == []


@pytest.mark.parametrize("asked", [{}, {"port": 8001}, {"bind": "127.0.0.1", "port": None}])
def test_a_server_that_nobody_knows_has_no_address(asked: dict[str, Any]) -> None:
    assert (described(asked)["url"], described(asked)["models"]) == (None, [])
