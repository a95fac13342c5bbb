# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two runs in one store: one works, the other waits or says for whom it does not wait."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.store.place import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.store.place import Place, Run, Want
    from tests.store.proxy import Proxy


def holds_open(run: Run, path: Path) -> bool:
    """Whether a process has a file open."""
    try:
        return any(link.readlink() == path for link in Path(f"/proc/{run.process.pid}/fd").iterdir())
    except OSError:
        return False


def test_the_second_waits_and_finds_all_done(place: Place, proxy: Proxy, want: Callable[[str], Want]) -> None:
    model = want("file")
    gate = proxy.gate("cdn", model.weights // 2)
    first = place.start(model.models)
    first.reaches(gate)
    second = place.start(model.models)
    wait_for("the second run is at the lock", lambda: holds_open(second, place.root / ".lock"))
    gate.open()
    assert first.result()["changed"] is True
    assert second.result()["changed"] is False
    place.must_hold(model)
    assert proxy.sent() <= model.weights * 1.01


def test_the_second_says_who_works_and_since_when(place: Place, proxy: Proxy, want: Callable[[str], Want]) -> None:
    model, other = want("file"), want("small")
    gate = proxy.gate("cdn", model.weights // 2)
    first = place.start(model.models)
    first.reaches(gate)
    for wanted in (model, other):
        message = place.fails(wanted.models, lock_wait=0.3)
        found = re.search(r"serving_model_dir: another run works in (\S+) \(pid (\d+), since (\S+)\)", message)
        assert found, message
        assert (found.group(1), int(found.group(2))) == (str(place.root), first.process.pid)
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", found.group(3))
    gate.open()
    assert "msg" not in first.result()
    place.must_hold(model)


def test_what_is_complete_needs_no_lock(place: Place, proxy: Proxy, want: Callable[[str], Want]) -> None:
    done, model = want("small"), want("file")
    place.fetch(done)
    gate = proxy.gate("cdn", model.weights // 2)
    first = place.start(model.models)
    first.reaches(gate)
    assert not place.fetch(done, lock_wait=0.3)["changed"]
    gate.open()
    assert "msg" not in first.result()
    place.must_hold(done, model)


def test_a_killed_run_holds_no_lock(place: Place, proxy: Proxy, want: Callable[[str], Want]) -> None:
    model = want("small")
    gate = proxy.gate("cdn", model.weights // 2)
    first = place.start(model.models)
    first.reaches(gate)
    first.kill()
    gate.cut()
    proxy.ungate()
    place.fetch(model, lock_wait=0.3)
    place.must_hold(model)
