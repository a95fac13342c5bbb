# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Models of each kind on a good day."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.store.place import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.store.place import Place, Want
    from tests.store.proxy import Proxy

KINDS = ("shards", "one", "file", "split", "url")
#: Room for git's objects and the journal.
SLACK = 2 << 20


@pytest.mark.parametrize("kind", KINDS)
def test_it_comes_whole_and_once(place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str) -> None:
    model = want(kind)
    gate = proxy.gate("cdn", model.weights // 2)
    with place.watch() as disk:
        run = place.start(model.models)
        run.reaches(gate)
        # Half of it is there and nothing of it has its final name. What is slow is fetched in several pieces.
        wait_for("several connections", lambda: proxy.open_now("cdn") >= 4)
        assert place.visible(model) == []
        gate.open()
        result = run.result()
    assert "msg" not in result, result["msg"]
    assert (result["changed"], result["warnings"]) == (True, [])
    place.must_hold(model)
    assert model.weights <= proxy.sent() <= model.weights * 1.01
    assert disk[-1] <= model.size + SLACK
    assert run.memory < 200 << 20
    proxy.forget()
    again = place.run(model.models)
    assert (again["changed"], again["models"][kind]["changed"]) == (False, False)
    assert proxy.requests() == []
    place.must_hold(model)


def test_another_revision_lands_beside_the_first(place: Place, want: Callable[[str], Want]) -> None:
    first, second = want("file"), replace(want("small"), name="file")
    place.fetch(first)
    kept = place.folder(first).stat().st_ino
    place.fetch(second)
    place.must_hold(first, second)
    assert place.folder(first).stat().st_ino == kept
