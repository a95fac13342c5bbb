# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is told of the generations of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _change
from ansible_collections.llmops.serving.plugins.module_utils._generations import Generation, Secrets, Store
from ansible_collections.llmops.serving.plugins.module_utils._history import history, lines, missing
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest
from tests.unit.plugins.played_host import OWNER, PlayedHost, played_host

if TYPE_CHECKING:
    from pathlib import Path

FAILED = {"check": "wait", "cause": "out of memory", "remedy": "less context", "at": "2026-01-31T12:00:00Z"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    made = played_host(tmp_path, monkeypatch)
    made.images = {"img:1": "img@sha256:1"}
    made.pulled = {"img:1"}
    return made


def add(host: PlayedHost, image: str = "img@sha256:1", keep: bool = True, **asked: Any) -> Generation:
    words = {"engine": "llama_cpp", "unit": "[Unit]\n", "image": "img:1", "port": 8001, "bind": "127.0.0.1"}
    made = Store("chat").add({**words, **asked}, image, Secrets({}, None, OWNER))
    assert host.state_dir in made.directory.parents
    if keep:
        Store("chat").keep(made)
    return made


def model(host: PlayedHost, version: str, whole: bool = True) -> dict[str, str]:
    folder = host.folder / "models" / "tiny" / version
    folder.mkdir(parents=True)
    if whole:
        manifest = Manifest("tiny", version, "repo", "https://hub/o/t", "o/t", version + "0", False, (), (), "", "")
        manifest.save(folder.with_name(version + ".json"))
    return {"name": "served", "task": "chat", "path": str(folder)}


def test_each_generation_is_told_with_what_it_changed_and_how_it_fared(host: PlayedHost) -> None:
    add(host, models=[model(host, "aaa")])
    add(host, models=[model(host, "bbb")])
    failed = add(host, keep=False, port=8002, models=[model(host, "ccc", whole=False)])
    Store("chat").record(failed._replace(failed=FAILED))
    add(host, keep=False, port=8003)
    told = history("chat")

    assert (told["name"], told["engine"], told["current"], told["pending"]) == ("chat", "llama_cpp", 2, None)
    assert [(entry["number"], entry["state"], entry["current"]) for entry in told["generations"]] == [
        (1, "kept", False),
        (2, "current", True),
        (3, "failed", False),
        (4, "interrupted", False),
    ]
    first, second, third, fourth = told["generations"]
    assert first["models"] == [
        {
            "name": "tiny",
            "served_as": "served",
            "version": "aaa",
            "path": str(host.folder / "models/tiny/aaa"),
            "revision": "aaa0",
            "source": "https://hub/o/t",
        }
    ]
    assert third["models"][0]["revision"] == ""
    assert (first["changes"], second["changes"]) == ([], ["model tiny: bbb, was aaa"])
    assert third["changes"] == ["port: 8002, was 8001", "model tiny: ccc, was bbb"]
    # One that failed is no measure for the next.
    assert fourth["changes"] == ["port: 8003, was 8001", "model tiny: removed, was bbb"]
    assert (third["failed"], third["gated"]) == (FAILED, None)
    assert first["made"] <= first["gated"]


def test_what_the_host_has_no_more_is_told_with_its_cure(host: PlayedHost) -> None:
    gone = {"name": "tiny", "path": str(host.folder / "models/tiny/zzz")}
    image, weights = missing(add(host, image="img@sha256:9", models=[gone]))
    assert image.startswith("image img@sha256:9 is not on the host")
    assert "tiny is not in the host's model store" in weights
    assert "fetches it" in weights
    assert missing(add(host, models=[model(host, "aaa")])) == []


def test_a_change_that_was_cut_off_is_told(host: PlayedHost) -> None:
    add(host)
    _change.begin("chat", 1, 2, "starting")
    told = history("chat")
    assert (told["pending"]["before"], told["pending"]["to"]) == (1, 2)
    assert lines(told)[-1].startswith("chat: a change to generation 2 that began at ")
    assert lines(told)[-1].endswith("is under way, or was cut off (starting)")


def test_lines_begin_with_the_newest(host: PlayedHost) -> None:
    add(host)
    add(host, port=8002)
    failed = add(host, keep=False, port=8003)
    Store("chat").record(failed._replace(failed=FAILED))
    add(host, keep=False)
    said = lines(history("chat"))
    assert [line for line in said if not line.startswith(" ")] == [
        f"chat generation 4: made at {Store('chat').read(4).made}, cut off before it was judged",  # type: ignore[union-attr]
        "chat generation 3: failed at 2026-01-31T12:00:00Z, kept for inspection: wait: out of memory",
        f"chat generation 2: current, since {Store('chat').read(2).gated}",  # type: ignore[union-attr]
        f"chat generation 1: kept, good at {Store('chat').read(1).gated}",  # type: ignore[union-attr]
    ]
    assert "  port: 8002, was 8001" in said


def test_a_server_from_before_times_were_written_down(host: PlayedHost) -> None:
    for _number in range(2):
        made = add(host)
        record = made.directory / "server.json"
        record.write_text(record.read_text().replace('"made"', '"then"').replace('"gated"', '"was"'))
    assert lines(history("chat")) == [
        "chat generation 2: current, since an earlier version of the collection",
        "chat generation 1: kept, good at an unknown time",
    ]


def test_nothing_is_told_of_a_server_that_is_not_there(host: PlayedHost) -> None:
    assert history("nix") == {"name": "nix", "engine": None, "current": None, "generations": [], "pending": None}
    assert host.files() == []
