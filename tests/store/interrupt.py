# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ends runs in the middle."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from tests.store.place import wait_for

if TYPE_CHECKING:
    from tests.store.place import Place, Want
    from tests.store.proxy import Proxy

#: The most that may be sent twice, as a share of the whole.
TWICE = 0.05


def interrupt(place: Place, proxy: Proxy, want: Want, share: float, how: str = "SIGKILL", **options: Any) -> None:
    """End a run when a share of the weights has come: by a signal, or because the network is gone (`network`).

    Nothing is there under the model's name, and what waits for the next run takes no more disk than it is worth.
    """
    sent = proxy.sent()
    gate = proxy.gate("cdn", int(want.weights * share) - sent)
    run = place.start(want.models, **options)
    run.reaches(gate)
    # What is on the way when a process dies, nobody can keep; on this machine that is mere chance.
    wait_for("the client reads", lambda: proxy.on_the_way() == 0)
    _nothing_shows(place, want)
    if how == "network":
        gate.cut()
        message = run.result()["msg"]
        assert "no answer from 127.0.0.1" in message or "is truncated" in message, message
    else:
        run.kill(signal.Signals[how])
        gate.cut()
    wait_for("all connections are closed", lambda: proxy.open_now("cdn") == 0)
    proxy.ungate()
    _nothing_shows(place, want)
    taken = place.blocks()
    assert taken <= want.size + (2 << 20), f"a model of {want.size} bytes takes {taken}"


def _nothing_shows(place: Place, want: Want) -> None:
    seen = place.visible(want)
    assert seen == [], f"there before it is complete: {seen}"


def finish(place: Place, proxy: Proxy, want: Want, **options: Any) -> dict[str, Any]:
    """Run again, to the end: all is there and right, nothing else is, and hardly a byte came twice."""
    found = place.fetch(want, **options)
    place.must_hold(want)
    twice = proxy.sent() - want.weights
    assert 0 <= twice <= want.weights * TWICE, f"{twice} of {want.weights} bytes were sent twice"
    return found
