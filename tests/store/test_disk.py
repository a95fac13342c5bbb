# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disks that are too small, and disks that fill up."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.store.content import MIB
from tests.store.interrupt import finish
from tests.store.place import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.store.place import Place, Want
    from tests.store.proxy import Proxy

#: What the store leaves free beside the models.
MARGIN = 64 * MIB
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")


@contextlib.contextmanager
def small_disk(root: Path, **options: int) -> Iterator[Path]:
    """Mount a file system of so many bytes or inodes for the store."""
    root.mkdir()
    words = ",".join(f"{name}={value}" for name, value in options.items())
    mount = ["mount", "-t", "tmpfs", "-o", words, "tmpfs", str(root)]
    subprocess.run(mount, check=True, capture_output=True)  # noqa: S603 - our own folder
    try:
        yield root
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)  # noqa: S603, S607 - our own folder


def fill(path: Path) -> None:
    """Write until nothing is free."""
    with path.open("wb", buffering=0) as file:
        for size in (MIB, 4096):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass


@needs_root
@pytest.mark.parametrize(
    ("kind", "check_mode"),
    # In check mode the sizes of a repository are those of the hub's list, and this hub's tells none.
    [("shards", False), ("file", False), ("split", False), ("file", True), ("split", True)],
)
def test_too_small_a_disk_is_refused_with_numbers(
    place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str, check_mode: bool
) -> None:
    model = want(kind)
    with small_disk(place.root, size=model.weights + MARGIN - 2 * MIB):
        message = place.fails(model.models, check_mode=check_mode)
        place.must_hold()
    assert message.startswith("serving_model_dir: ")
    numbers = re.search(
        r"([\d.]+) MiB to fetch and 64.0 MiB to keep free, ([\d.]+) MiB free; free ([\d.]+) MiB", message
    )
    assert numbers, message
    needed, free, missing = map(float, numbers.groups())
    assert needed == pytest.approx(model.size / MIB, abs=0.1)
    assert needed + 64 - free == pytest.approx(missing, abs=0.2)
    # Heads of files may have been looked at.
    assert proxy.sent() <= 3 * 1024


@needs_root
def test_too_few_inodes_are_refused_with_numbers(place: Place, proxy: Proxy, want: Callable[[str], Want]) -> None:
    model = want("shards")
    with small_disk(place.root, size=400 * MIB, nr_inodes=30):
        message = place.fails(model.models)
        place.must_hold()
    assert re.search(r"serving_model_dir: the disk of \S+ has \d+ free inodes for \d+ files", message), message
    assert proxy.sent() == 0


@needs_root
@pytest.mark.parametrize("kind", ["shards", "one", "file"])
def test_the_disk_fills_up_meanwhile(place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str) -> None:
    model = want(kind)
    with small_disk(place.root, size=model.size + MARGIN + 2 * MIB):
        gate = proxy.gate("cdn", model.weights // 2)
        run = place.start(model.models)
        run.reaches(gate)
        filler = place.root / "filler"
        fill(filler)
        gate.open()
        message = run.result()["msg"]
        assert message.startswith("serving_model_dir: ")
        assert os.strerror(errno.ENOSPC) in message
        assert place.visible(model) == []
        wait_for("all connections are closed", lambda: proxy.open_now("cdn") == 0)
        filler.unlink()
        finish(place, proxy, model)


def test_a_disk_that_takes_no_larger_file(place: Place, want: Callable[[str], Want]) -> None:
    model = want("one")
    message = place.fails(model.models, file_limit=40 * MIB)
    assert message.startswith("serving_model_dir: ")
    assert os.strerror(errno.EFBIG) in message
    assert place.visible(model) == []
    place.fetch(model)
    place.must_hold(model)
