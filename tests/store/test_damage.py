# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Complete models that are damaged later, and bytes that change on their way."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

import pytest

from tests.store.faults import Rule
from tests.store.interrupt import TWICE
from tests.store.place import facts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from llmops_serving.lab.state import FileFacts
    from tests.store.place import Place, Want
    from tests.store.proxy import Proxy

#: kind -> the file of it that is damaged
FILES = {
    "shards": "model-00003-of-00008.safetensors",
    "one": "model.safetensors",
    "file": "model.gguf",
    "split": "big-00002-of-00003.gguf",
    "url": "model.gguf",
}


def flip(path: Path, position: int) -> None:
    """Change a byte and nothing that a look at the folder would show."""
    times = path.stat()
    with path.open("r+b") as stream:
        stream.seek(position)
        (byte,) = stream.read(1)
        stream.seek(position)
        stream.write(bytes([byte ^ 0xFF]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@contextlib.contextmanager
def reader(path: Path) -> Iterator[set[FileFacts]]:
    """Read a file again and again, as a server that starts at any moment would."""
    seen: set[FileFacts] = set()
    done = threading.Event()
    missing: list[OSError] = []

    def read() -> None:
        while not done.is_set():
            try:
                seen.add(facts_of(path))
            except OSError as error:
                missing.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()
        assert missing == []


@pytest.mark.parametrize(("kind", "name"), FILES.items())
def test_verify_finds_a_flipped_byte_and_only_its_block_comes_again(
    place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str, name: str
) -> None:
    model = want(kind)
    place.fetch(model)
    file = place.folder(model) / name
    good = facts_of(file)
    flip(file, good.size // 3)
    bad = facts_of(file)
    folder = place.folder(model).stat().st_ino
    assert not place.run(model.models)["changed"]
    proxy.forget()
    with reader(file) as seen:
        result = place.run(model.models, verify=True)
    assert "msg" not in result, result["msg"]
    assert result["models"][kind]["damaged"] == [name]
    assert name in result["warnings"][0]
    place.must_hold(model)
    # Servers that have the folder mounted see the old file or the new one.
    assert seen <= {good, bad}
    assert place.folder(model).stat().st_ino == folder
    assert proxy.sent() <= good.size * TWICE
    assert not place.run(model.models, verify=True)["changed"]


@pytest.mark.parametrize("harm", ["gone", "empty", "shorter", "longer", "small file"])
def test_harm_that_shows_is_mended_without_verify(
    place: Place, proxy: Proxy, want: Callable[[str], Want], harm: str
) -> None:
    model = want("shards")
    place.fetch(model)
    name = "config.json" if harm == "small file" else FILES["shards"]
    file = place.folder(model) / name
    if harm == "gone":
        file.unlink()
    elif harm == "small file":
        file.write_text("{}")
    else:
        os.truncate(file, {"empty": 0, "shorter": 5_000_000, "longer": file.stat().st_size + 1}[harm])
    proxy.forget()
    found = place.fetch(model)
    assert (found["changed"], found["damaged"]) == (True, [name])
    place.must_hold(model)
    # No other file comes again.
    size = model.files[name].size
    assert proxy.sent() <= {"small file": 0, "shorter": size - 4_000_000, "longer": size * TWICE}.get(harm, size)


@pytest.mark.parametrize("kind", ["one", "file", "url"])
def test_a_byte_that_flips_on_its_way_is_found(
    place: Place, proxy: Proxy, want: Callable[[str], Want], kind: str
) -> None:
    model = want(kind)
    proxy.add(Rule("cdn", flip=9_000_000))
    message = place.fails(model.models)
    assert f"{FILES[kind]} arrived with sha256" in message
    assert place.visible(model) == []
    # What came is not trusted by the next run.
    place.fetch(model)
    place.must_hold(model)


def test_mending_is_interrupted(place: Place, proxy: Proxy, want: Callable[[str], Want]) -> None:
    model = want("one")
    place.fetch(model)
    file = place.folder(model) / FILES["one"]
    flip(file, 20_000_000)
    bad = facts_of(file)
    gate = proxy.gate("cdn", 1000)
    run = place.start(model.models, verify=True)
    run.reaches(gate)
    run.kill()
    gate.cut()
    # The damaged file is still the only one that servers see.
    assert facts_of(file) == bad
    proxy.forget()
    assert place.fetch(model, verify=True)["damaged"] == [FILES["one"]]
    place.must_hold(model)
    assert proxy.sent() <= model.weights * TWICE
