# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fetch that is interrupted goes on in the next run, whatever ended it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.store.interrupt import finish, interrupt
from tests.store.place import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.store.place import Place, Want
    from tests.store.proxy import Proxy


@pytest.mark.parametrize(
    ("kind", "point"),
    [
        ("shards", (0.3, "SIGKILL")),
        ("shards", (0.5, "SIGTERM")),
        ("shards", (0.5, "network")),
        ("shards", (0.8, "SIGKILL")),
        ("one", (0.3, "SIGKILL")),
        ("one", (0.5, "SIGKILL")),
        ("one", (0.8, "network")),
        ("file", (0.3, "network")),
        ("file", (0.5, "SIGKILL")),
        ("file", (0.8, "SIGTERM")),
        ("split", (0.5, "SIGKILL")),
        ("split", (0.5, "network")),
        ("url", (0.5, "SIGKILL")),
        ("url", (0.5, "network")),
    ],
    ids=str,
)
def test_the_next_run_goes_on(
    place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str, point: tuple[float, str]
) -> None:
    model = want(kind)
    share, how = point
    interrupt(place, proxy, model, share, how)
    found = finish(place, proxy, model)
    assert found["changed"]
    assert found["fetched_bytes"] < model.size * (1.1 - share)


@pytest.mark.parametrize("kind", ["shards", "one"])
def test_again_and_again(place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str) -> None:
    model = want(kind)
    for share, how in ((0.25, "SIGKILL"), (0.5, "network"), (0.75, "SIGKILL")):
        interrupt(place, proxy, model, share, how)
    finish(place, proxy, model)


@pytest.mark.parametrize("after", ["the start", "the batch"])
def test_nothing_had_come(place: Place, proxy: Proxy, want: Callable[[str], Want], after: str) -> None:
    model = want("small")
    gate = proxy.gate("hub" if after == "the start" else "cdn", 1)
    run = place.start(model.models)
    run.reaches(gate)
    run.kill()
    gate.cut()
    wait_for("all connections are closed", lambda: proxy.open_now("hub", "cdn") == 0)
    proxy.ungate()
    finish(place, proxy, model)


@pytest.mark.parametrize("kind", ["shards", "file"])
@pytest.mark.parametrize("manifest", [1, 2], ids=["before it has its name", "before its manifest"])
def test_the_last_moment(place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str, manifest: int) -> None:
    model = want(kind)
    place.start(model.models, dies_at_manifest=manifest).is_killed()
    finish(place, proxy, model)


def test_a_removed_model_takes_what_had_come_along(place: Place, proxy: Proxy, want: Callable[[str], Want]) -> None:
    model = want("file")
    interrupt(place, proxy, model, 0.5)
    assert place.unfinished() != []
    place.run({model.name: None}, state="absent")
    place.must_hold()


def test_another_revision_leaves_nothing_of_the_first(place: Place, proxy: Proxy, want: Callable[[str], Want]) -> None:
    first, second = want("shards"), replace(want("small"), name="shards")
    interrupt(place, proxy, first, 0.5)
    place.fetch(second)
    place.must_hold(second)


def left_by(place: Place) -> tuple[Path, Path]:
    """Give the journal of the one file that was interrupted, and the file."""
    (journal,) = [path for path in place.root.glob(".partial/*/journal/**/*") if path.is_file()]
    (file,) = [path for path in place.root.glob(".partial/*/tree/**/*") if path.is_file()]
    return journal, file


@pytest.mark.parametrize("harm", ["no journal", "journal cut", "journal of nonsense", "shorter", "longer", "empty"])
def test_what_had_come_is_damaged(place: Place, proxy: Proxy, want: Callable[[str], Want], harm: str) -> None:
    model = want("file")
    interrupt(place, proxy, model, 0.5)
    journal, file = left_by(place)
    lines = journal.read_bytes()
    if harm == "no journal":
        journal.unlink()
    elif harm == "journal cut":
        journal.write_bytes(lines[: len(lines) // 2])
    elif harm == "journal of nonsense":
        journal.write_bytes(b"\0" * len(lines))
    else:
        size = {"shorter": file.stat().st_size // 3, "longer": file.stat().st_size + 4096, "empty": 0}[harm]
        os.truncate(file, size)
    place.fetch(model)
    place.must_hold(model)


@pytest.mark.parametrize("kind", ["file", "url", "unpinned"])
def test_the_power_is_cut(place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str) -> None:
    model = want(kind)
    interrupt(place, proxy, model, 0.5)
    journal, file = left_by(place)
    lines = journal.read_text(encoding="ascii")
    # The journal was on the disk when the machine went, and the bytes that it noted last were not.
    with file.open("r+b") as stream:
        for start, end in [map(int, line.split()[1:]) for line in lines.splitlines() if line.startswith("r ")][-40:]:
            stream.seek(start)
            stream.write(bytes(end - start))
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    journal.write_text(lines.replace(boot, "a-run-before-this-one"), encoding="ascii")
    place.fetch(model)
    place.must_hold(model)


@pytest.mark.parametrize(("kind", "place_of_byte"), [("file", 100_000), ("one", 700_000), ("shards", 1_300_000)])
def test_a_flipped_byte_is_found_and_only_its_block_comes_again(
    place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str, place_of_byte: int
) -> None:
    model = want(kind)
    interrupt(place, proxy, model, 0.5)
    file = max(place.root.glob(".partial/*/tree/**/*.*"), key=lambda path: path.stat().st_blocks)
    with file.open("r+b") as stream:
        stream.seek(place_of_byte)
        (byte,) = stream.read(1)
        stream.seek(place_of_byte)
        stream.write(bytes([byte ^ 0xFF]))
    finish(place, proxy, model)
