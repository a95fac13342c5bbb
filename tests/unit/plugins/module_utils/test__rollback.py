# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which generation a server goes back to, and what stands in the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _hold
from ansible_collections.llmops.serving.plugins.module_utils._hold import Held
from ansible_collections.llmops.serving.plugins.module_utils._rollback import choose, demand_back
from ansible_collections.llmops.serving.plugins.module_utils._server_error import ServerError
from tests.unit.plugins.played_host import PlayedHost, played_host

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.llmops.serving.plugins.module_utils._generations import Store

FAILED = {"check": "wait", "cause": "out of memory", "remedy": "less context", "at": "2026-01-31T12:00:00Z"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    monkeypatch.setattr(_hold, "RECORD", tmp_path / "held.json")
    return played_host(tmp_path, monkeypatch)


@pytest.fixture
def store(host: PlayedHost) -> Store:
    """Two good generations and the current one, one that failed, and one that was cut off."""
    for _number in range(3):
        made = host.have("chat")
    failed = host.have("chat", current=False).read(4)
    assert failed
    made.record(failed._replace(failed=FAILED))
    host.have("chat", current=False)
    return made


@pytest.mark.parametrize(("number", "chosen"), [(None, 2), (1, 1), (2, 2), (3, 3)])
def test_the_newest_good_one_or_the_one_that_is_named(store: Store, number: int | None, chosen: int) -> None:
    assert store.numbers() == [1, 2, 3, 4, 5]
    assert choose("chat", number).number == chosen


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (4, "generation 4 failed at wait: out of memory"),
        (5, "generation 5 was cut off before it was judged"),
        (9, "generation 9 is not kept; these can be gone back to: 1, 2"),
    ],
)
def test_one_that_cannot_be_gone_back_to(store: Store, number: int, said: str) -> None:
    assert store.current()
    with pytest.raises(ServerError) as caught:
        choose("chat", number)
    assert (caught.value.check, caught.value.cause) == ("generation", said)
    assert "llmops history HOST chat" in caught.value.remedy


def test_a_server_with_one_generation_has_nothing_to_go_back_to(host: PlayedHost) -> None:
    host.have("chat")
    with pytest.raises(ServerError, match="nothing to go back to: generation 1 is the only good one"):
        choose("chat", None)
    host.have("first", current=False)
    with pytest.raises(ServerError, match="nothing to go back to: none was good"):
        choose("first", None)


@pytest.mark.parametrize(("there", "said"), [((), "none"), (("chat", "embed"), "chat, embed")])
def test_a_server_that_is_not_there(host: PlayedHost, there: tuple[str, ...], said: str) -> None:
    for name in there:
        host.have(name)
    with pytest.raises(ServerError, match=f"no server nix on this host; name one that there is: {said}"):
        choose("nix", None)


def test_a_model_that_is_gone_stands_in_the_way(host: PlayedHost) -> None:
    folder = host.folder / "models/tiny/aaa"
    made = host.have("chat", models=[{"name": "tiny", "task": "chat", "path": str(folder)}]).current()
    assert made
    with pytest.raises(ServerError, match="model store") as caught:
        demand_back("chat", made)
    assert caught.value.remedy == (
        "apply with that version in serving_models, which fetches it, or name another generation than 1"
    )
    folder.mkdir(parents=True)
    demand_back("chat", made)


def test_what_a_tournament_holds_is_left_to_it(host: PlayedHost) -> None:
    made = host.have("chat").current()
    assert made
    held = Held("2026-01-31 12:00:00", "tournament", ["chat"], ["guest"], "me")
    (host.folder / "held.json").write_text(json.dumps(held._asdict()))
    with pytest.raises(ServerError, match="holds the servers chat"):
        demand_back("chat", made)
