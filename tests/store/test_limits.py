# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Networks that break, servers that cannot give ranges or ask for patience, addresses that expire."""

from __future__ import annotations

import email.utils
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.store.content import MIB
from tests.store.faults import Rule
from tests.store.interrupt import TWICE, finish, interrupt
from tests.store.place import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.store.place import Place, Want
    from tests.store.proxy import Proxy


@pytest.mark.parametrize("kind", ["shards", "one", "url"])
@pytest.mark.parametrize("cut", [0, 100_000], ids=["before a byte", "after some bytes"])
def test_connections_break(place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str, cut: int) -> None:
    proxy.add(Rule("cdn", cut=cut, times=4))
    finish(place, proxy, want(kind))


@pytest.mark.parametrize("kind", ["one", "split"])
def test_connections_fall_silent(place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str) -> None:
    proxy.add(Rule("cdn", cut=200_000, stall=2.5, times=2))
    finish(place, proxy, want(kind), timeout=1)


@pytest.mark.parametrize("kind", ["one", "split"])
def test_bytes_only_trickle_in(place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str) -> None:
    proxy.add(Rule("cdn", cut=200_000, trickle=0.1, times=2))
    finish(place, proxy, want(kind), timeout=1)


def test_bytes_only_trickle_in_where_there_are_no_ranges(
    place: Place, proxy: Proxy, want: Callable[[str], Want]
) -> None:
    proxy.add(Rule("cdn", match="GET", ranges=False, cut=200_000, trickle=0.1, times=1))
    proxy.add(Rule("cdn", ranges=False))
    model = want("one")
    place.fetch(model, timeout=1)
    place.must_hold(model)


@pytest.mark.parametrize("front", ["hub", "cdn"])
def test_answers_break_before_they_begin(place: Place, proxy: Proxy, want: Callable[[str], Want], front: str) -> None:
    proxy.add(Rule(front, drop=True, times=2))
    finish(place, proxy, want("small"))


@pytest.mark.parametrize("kind", ["one", "file", "url", "unpinned"])
def test_a_server_that_knows_no_ranges(place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str) -> None:
    proxy.add(Rule("cdn", ranges=False))
    model = want(kind)
    place.fetch(model)
    place.must_hold(model)
    # What a connection brings before it turns out to be of no use is little.
    assert proxy.sent() <= model.weights * 1.25


@pytest.mark.parametrize("kind", ["one", "file"])
def test_a_server_that_knows_no_ranges_breaks_off(
    place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str
) -> None:
    model = want(kind)
    proxy.add(Rule("cdn", match="GET", ranges=False, cut=5 * MIB, times=2))
    proxy.add(Rule("cdn", ranges=False))
    place.fetch(model)
    place.must_hold(model)


def test_a_server_that_knows_no_ranges_is_interrupted(place: Place, proxy: Proxy, want: Callable[[str], Want]) -> None:
    proxy.add(Rule("cdn", ranges=False))
    model = want("one")
    interrupt(place, proxy, model, 0.5)
    place.fetch(model)
    place.must_hold(model)


def test_ranges_are_lost_between_two_runs(place: Place, proxy: Proxy, want: Callable[[str], Want]) -> None:
    model = want("one")
    interrupt(place, proxy, model, 0.5)
    proxy.add(Rule("cdn", ranges=False))
    place.fetch(model)
    place.must_hold(model)


@pytest.mark.parametrize("claim", [1000, -1000])
@pytest.mark.parametrize("kind", ["one", "file"])
def test_a_wrong_length_is_found(
    place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str, claim: int
) -> None:
    proxy.add(Rule("cdn", claim=claim, times=3))
    model = want(kind)
    place.fetch(model)
    place.must_hold(model)


# -- servers that ask for patience -----------------------------------------------------------------------------------


class Told:
    """Headers that ask to wait, and until when each answer with them asked to; times of the monotonic clock."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.until: list[float] = []

    def headers(self) -> dict[str, Callable[[], str]]:
        return {"RateLimit" if self.way == "RateLimit" else "Retry-After": self.value}

    def value(self) -> str:
        now = time.time()
        wait, text = {
            "seconds": (1.0, "1"),
            "date": (int(now) + 2 - now, email.utils.formatdate(int(now) + 2, usegmt=True)),
            "RateLimit": (1.0, '"resolvers";r=0;t=1'),
        }[self.way]
        self.until.append(time.monotonic() + wait)
        return text


@pytest.mark.parametrize("way", ["seconds", "date", "RateLimit"])
@pytest.mark.parametrize("status", [429, 503])
def test_objects_are_waited_for_as_told(
    place: Place, proxy: Proxy, want: Callable[[str], Want], status: int, way: str
) -> None:
    told = Told(way)
    proxy.add(Rule("cdn", status=status, headers=told.headers(), times=1))
    finish(place, proxy, want("small"))
    refused, *later = proxy.requests("", "cdn")
    assert refused.status == status
    assert all(one.begun >= told.until[0] for one in later if one.path == refused.path)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("file", "/resolve/"),
        ("small", "GET .*/info/refs"),
        ("small", "objects/batch"),
    ],
)
def test_the_hub_is_waited_for_as_told(
    place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str, path: str
) -> None:
    told = Told("seconds")
    proxy.add(Rule("hub", path, status=429, headers=told.headers(), times=1))
    finish(place, proxy, want(kind))
    refused, again = proxy.requests(path, "hub")[:2]
    assert refused.status == 429
    assert again.begun >= told.until[0]


@pytest.mark.parametrize(
    "fault",
    [{"status": 429, "times": 1}, {"status": 503, "times": 1}, {"drop": True, "times": 2}],
    ids=["busy", "out of service", "broken"],
)
def test_git_is_tried_again(place: Place, proxy: Proxy, want: Callable[[str], Want], fault: dict[str, Any]) -> None:
    # git itself gives up at once, and does not tell how long it was asked to wait.
    proxy.add(Rule("hub", "POST .*/git-upload-pack", **fault))
    finish(place, proxy, want("small"))


def test_all_connections_wait_when_one_is_told_to(place: Place, proxy: Proxy, want: Callable[[str], Want]) -> None:
    model = want("one")
    gate = proxy.gate("cdn", model.weights // 4)
    run = place.start(model.models)
    run.reaches(gate)
    wait_for("several connections", lambda: proxy.open_now("cdn") >= 4)
    told = Told("seconds")
    proxy.add(Rule("cdn", status=429, headers=told.headers(), times=1))
    gate.open()
    result = run.result()
    assert "msg" not in result, result["msg"]
    place.must_hold(model)
    (refused,) = [one for one in proxy.requests("", "cdn") if one.status == 429]
    meanwhile = [one for one in proxy.requests("", "cdn") if refused.answered < one.begun < told.until[0]]
    # At that moment each of them may have a question on its way.
    assert len(meanwhile) <= 16


def test_a_server_that_is_busy_for_all_is_not_pressed(place: Place, proxy: Proxy, want: Callable[[str], Want]) -> None:
    model = want("one")
    gate = proxy.gate("cdn", model.weights // 4)
    run = place.start(model.models)
    run.reaches(gate)
    told = Told("seconds")
    rule = proxy.add(Rule("cdn", status=429, headers=told.headers()))
    gate.open()
    # For a second nobody gets anything; whoever does not wait asks hundreds of times.
    proxy.await_refused(rule)
    time.sleep(1)
    rule.times = 0
    result = run.result()
    assert "msg" not in result, result["msg"]
    place.must_hold(model)
    assert len([one for one in proxy.requests("", "cdn") if one.status == 429]) <= 2 * 16
    assert proxy.sent() <= model.weights * (1 + TWICE)


@pytest.mark.parametrize(("front", "kind"), [("cdn", "small"), ("hub", "small"), ("hub", "file")])
def test_nobody_waits_for_a_day(place: Place, proxy: Proxy, want: Callable[[str], Want], front: str, kind: str) -> None:
    proxy.add(Rule(front, status=429, headers={"Retry-After": "86400"}))
    message = place.fails(want(kind).models)
    assert "answers 429 and asks to wait 86400 s; run again then" in message
    # The small model's two large files are asked for side by side.
    assert len([one for one in proxy.requests("", front) if one.status == 429]) <= (2 if front == "cdn" else 1)
    assert place.listed() <= {".lock", ".partial", *(f".partial/{path.name}" for path in place.unfinished())}


# -- addresses that expire -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["shards", "one", "file", "split"])
def test_signed_addresses_that_are_good_for_few_requests(
    place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str
) -> None:
    # One connection, for several would use up between them what one has just asked for.
    proxy.sign(uses=4)
    finish(place, proxy, want(kind), connections=1)
    assert any(one.status == 403 for one in proxy.requests("", "cdn"))


@pytest.mark.parametrize("kind", ["shards", "one", "file"])
def test_signed_addresses_expire_in_the_middle(
    place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str
) -> None:
    model = want(kind)
    proxy.sign()
    gate = proxy.gate("cdn", model.weights // 2)
    run = place.start(model.models)
    run.reaches(gate)
    proxy.expire()
    # Those that are open break as well, so that all must ask again.
    asked = len(proxy.requests("/resolve/|objects/batch", "hub"))
    gate.cut()
    proxy.ungate()
    result = run.result()
    assert "msg" not in result, result["msg"]
    place.must_hold(model)
    assert len(proxy.requests("/resolve/|objects/batch", "hub")) > asked
    assert proxy.sent() <= model.weights * (1 + TWICE)


def test_addresses_that_are_never_good(place: Place, proxy: Proxy, want: Callable[[str], Want]) -> None:
    proxy.sign(uses=0)
    message = place.fails(want("small").models)
    assert "which answers 403; check that host" in message
    assert len(proxy.requests("", "cdn")) <= 8


def test_the_token_expires_in_the_middle(place: Place, proxy: Proxy, want: Callable[[str], Want]) -> None:
    model = want("one")
    proxy.sign()
    gate = proxy.gate("cdn", model.weights // 2)
    token, fresh = "of-yesterday", "of-today"
    run = place.start(model.models, token=token)
    run.reaches(gate)
    proxy.expire()
    rule = proxy.add(Rule("hub", "objects/batch", status=401))
    gate.cut()
    proxy.ungate()
    message = run.result()["msg"]
    assert "serving_hub_token" in message
    assert token not in message
    assert place.visible(model) == []
    rule.times = 0
    finish(place, proxy, model, token=fresh)
