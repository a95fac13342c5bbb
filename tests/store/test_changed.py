# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sources that change: pieces of two contents never make one file."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.store.content import MIB, gguf
from tests.store.faults import Rule
from tests.store.interrupt import interrupt

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.store.hub_container import Hub
    from tests.store.place import Place, Want
    from tests.store.proxy import Proxy

PATH = "files/model.gguf"
OTHER = gguf("other", 32 * MIB)


@pytest.fixture(name="heeding", params=[True, False], ids=["If-Range heeded", "If-Range ignored"])
def _heeding(proxy: Proxy, request: pytest.FixtureRequest) -> None:
    """Servers that look whether a range is still one of the same content, and servers that do not."""
    proxy.add(Rule("cdn", if_range=request.param))


@pytest.mark.usefixtures("heeding")
@pytest.mark.parametrize("kind", ["url", "unpinned"])
def test_the_address_has_other_content_in_the_next_run(
    place: Place, proxy: Proxy, hub: Hub, want: Callable[[str], Want], kind: str
) -> None:
    model = want(kind)
    hub.put(PATH, OTHER)
    interrupt(place, proxy, model, 0.5)
    before = proxy.sent()
    # The right content comes back, of the same size and with another ETag.
    want(kind)
    place.fetch(model)
    place.must_hold(model)
    assert proxy.sent() - before >= model.weights


@pytest.mark.parametrize("size", [32 * MIB, 20 * MIB], ids=["same size", "other size"])
def test_the_hub_has_other_content_in_the_next_run(
    place: Place, proxy: Proxy, hub: Hub, want: Callable[[str], Want], size: int
) -> None:
    model = want("file")
    facts = hub.put_object("store/file", gguf("fresh", size))
    interrupt(place, proxy, model, 0.5)
    before = proxy.sent()
    with hub.says("store/file", "gguf/model.gguf", facts):
        place.fetch(model)
    place.must_hold(replace(model, files={"model.gguf": facts}))
    assert proxy.sent() - before >= facts.size


@pytest.mark.usefixtures("heeding")
def test_the_address_changes_while_it_is_read(
    place: Place, proxy: Proxy, hub: Hub, want: Callable[[str], Want]
) -> None:
    model = want("unpinned")
    gate = proxy.gate("cdn", model.weights // 2)
    run = place.start(model.models)
    run.reaches(gate)
    facts = hub.put(PATH, OTHER)
    # What is open at this moment goes on with the old content, as with any server.
    gate.open()
    result = run.result()
    assert "msg" not in result, result["msg"]
    place.must_hold(replace(model, files={"model.gguf": facts}))


def test_the_pinned_content_goes_while_it_is_read(
    place: Place, proxy: Proxy, hub: Hub, want: Callable[[str], Want]
) -> None:
    model = want("url")
    gate = proxy.gate("cdn", model.weights // 2)
    run = place.start(model.models)
    run.reaches(gate)
    hub.put(PATH, OTHER)
    gate.open()
    message = run.result()["msg"]
    assert "serving_models['url'].sha256: model.gguf arrived with sha256" in message
    assert place.visible(model) == []
    want("url")
    place.fetch(model)
    place.must_hold(model)


def test_an_object_with_an_etag_for_each_answer_is_still_one_object(
    place: Place, proxy: Proxy, want: Callable[[str], Want]
) -> None:
    # Git names LFS objects by their sha256: what servers of a CDN call them does not matter.
    numbers = itertools.count()
    proxy.add(Rule("cdn", headers={"ETag": lambda: f'"{next(numbers)}"'}))
    model = want("one")
    place.fetch(model)
    place.must_hold(model)
    assert proxy.sent() <= model.weights * 1.01


def test_answers_that_do_not_belong_together_make_no_file(
    place: Place, proxy: Proxy, want: Callable[[str], Want]
) -> None:
    # Nothing but the ETag says here what an answer is a part of, so it is one answer that counts.
    numbers = itertools.count()
    proxy.add(Rule("cdn", headers={"ETag": lambda: f'"{next(numbers)}"'}))
    model = want("unpinned")
    place.fetch(model)
    place.must_hold(model)
    assert proxy.requests("", "cdn")[-1].sent == model.weights
