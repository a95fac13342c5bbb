# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lock files: what is written is read again, what is broken is named, and what hosts tell is put together."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.module_utils._registry_names import parse_reference
from ansible_collections.llmops.serving.plugins.plugin_utils._lockfile import (
    Lock,
    LockedModel,
    LockFileError,
    changes,
    collect,
    lock_text,
    read_lock,
)

if t.TYPE_CHECKING:
    from pathlib import Path

IMAGE = "ghcr.io/ggml-org/llama.cpp:server-b1"
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
SHA, OTHER = "a" * 64, "b" * 64
MODEL = LockedModel("https://hub.example/a/b", "c" * 40, {"x.gguf": SHA})
LOCK = Lock("/inv/.llmops.lock.yml", {IMAGE: ONE}, {"chat": {"c" * 12: MODEL}}, {"gpu01": {"docker": "28.5.1"}})


def found(files: dict[str, str] | None = None, key: str = "c" * 12, **words: t.Any) -> dict[str, t.Any]:
    """What one host tells."""
    model = {"key": key, "source": MODEL.source, "revision": MODEL.revision, "files": files or {"x.gguf": SHA}}
    told = {"images": {IMAGE: f"mirror:5000/x@{ONE}"}, "models": {"chat": model}, "versions": {"docker": "28.5.1"}}
    return {**told, **words}


# -- reading


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    place = tmp_path / "lock.yml"
    place.write_text(lock_text(LOCK), encoding="utf-8")
    read = read_lock(str(place))
    assert read is not None
    assert (read.images, read.models, read.hosts) == (LOCK.images, LOCK.models, LOCK.hosts)
    assert lock_text(read) == lock_text(LOCK)


def test_nothing_is_read_from_no_file() -> None:
    assert read_lock("") is None


WHOLE = lock_text(LOCK)
BROKEN = {
    "an empty file": ("", "it is no lock file of llmops"),
    "another file": ("all: {hosts: {}}\n", "it is no lock file of llmops"),
    "no YAML": ("version: [1\n", "line 2:"),
    "conflict marks": (WHOLE.replace("images:\n", "<<<<<<< HEAD\nimages:\n"), "line 5: a merge was not finished"),
    "a key twice": (WHOLE + f"images:\n  {IMAGE}: {TWO}\n", "'images' is there twice"),
    "another version": (WHOLE.replace("version: 1", "version: 2"), "it has version 2, and this collection reads 1"),
    "a part that is missing": (WHOLE.replace("hosts:", "guests:"), "hosts is missing, or no mapping"),
    "a digest that was cut": (WHOLE.replace("1" * 64, "1" * 63), f"images: {IMAGE} has no digest"),
    "a sha256 that was cut": (WHOLE.replace("a" * 64, "a" * 10), "x.gguf has no sha256"),
    "a model without files": (WHOLE.replace(f"\n        x.gguf: {SHA}", " {}"), "models: chat cccccccccccc: it has no"),
    "a model without versions": (WHOLE.split("  chat:")[0] + "  chat: 1\nhosts: {}\n", "models: chat: it is no"),
    "a model without a source": (WHOLE.replace("source:", "origin:"), "source is missing"),
    "a host without versions": (WHOLE.replace("\n    docker: 28.5.1", " 28"), "hosts: gpu01 is no mapping of versions"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_with_place_and_remedy(case: str, tmp_path: Path) -> None:
    text, words = BROKEN[case]
    place = tmp_path / "lock.yml"
    place.write_text(text, encoding="utf-8")
    with pytest.raises(LockFileError) as caught:
        read_lock(str(place))
    message = str(caught.value)
    assert message.startswith(f"serving_lock_file: {place} is broken: ")
    assert words in message
    assert "version control" in message
    assert "\n" not in message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LockFileError, match=r"no\.yml cannot be read: No such file or directory; name another"):
        read_lock(str(tmp_path / "no.yml"))


# -- images


@pytest.mark.parametrize(
    ("image", "pinned"),
    [
        (IMAGE, f"{IMAGE}@{ONE}"),
        (f"{IMAGE}@{TWO}", f"{IMAGE}@{TWO}"),
        ("docker.io/other/image:1", "docker.io/other/image:1"),
    ],
    ids=["in the file", "with a digest of its own", "not in the file"],
)
def test_an_image_gets_the_digest_of_the_file(image: str, pinned: str) -> None:
    assert str(LOCK.pin(parse_reference(image))) == pinned


# -- putting together


def test_hosts_that_serve_the_same_are_one_lock() -> None:
    lock = collect("/l", {"a": found(), "b": found(versions={"docker": "29.1", "uptime": "3"})}, None)
    assert (lock.images, lock.models) == (LOCK.images, LOCK.models)
    assert lock.hosts == {"a": {"docker": "28.5.1"}, "b": {"docker": "29.1"}}


def test_hosts_may_have_chosen_other_files_or_other_versions() -> None:
    told = {"a": found(), "b": found({"y.gguf": OTHER}), "c": found({"x.gguf": OTHER}, key="d" * 12)}
    lock = collect("/l", told, None)
    assert lock.models["chat"]["c" * 12].files == {"x.gguf": SHA, "y.gguf": OTHER}
    assert lock.models["chat"]["d" * 12].files == {"x.gguf": OTHER}


CONTRADICTIONS = {
    "image": (
        found(images={IMAGE: f"mirror:5000/x@{TWO}"}),
        [IMAGE, f"a serves {ONE}", f"b serves {TWO}", "llmops lock --limit b"],
    ),
    "file": (found({"x.gguf": OTHER}), ["b: serving_models['chat']", "x.gguf", SHA, OTHER]),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_hosts_that_contradict_each_other_are_named(case: str) -> None:
    other, words = CONTRADICTIONS[case]
    with pytest.raises(LockFileError) as caught:
        collect("/l", {"a": found(), "b": other}, None)
    assert [word for word in words if word not in str(caught.value)] == []


def test_of_those_that_were_not_asked_everything_stays() -> None:
    lock = collect("/l", {"b": found(images={"other:1": f"other@{TWO}"}, models={})}, LOCK)
    assert lock.images == {IMAGE: ONE, "other:1": TWO}
    assert lock.models == LOCK.models
    assert set(lock.hosts) == {"gpu01", "b"}


def test_of_those_that_were_asked_the_new_counts() -> None:
    lock = collect("/l", {"gpu01": found({"x.gguf": OTHER}, key="d" * 12, versions={"docker": "29.1"})}, LOCK)
    assert set(lock.models["chat"]) == {"d" * 12}
    assert lock.hosts == {"gpu01": {"docker": "29.1"}}


# -- what changes


def test_a_first_file_tells_all_of_it() -> None:
    assert changes(None, LOCK) == [
        "host gpu01 docker: 28.5.1",
        f"image {IMAGE}: {ONE}",
        f"model chat {'c' * 12}: 1 file, sha256 {SHA[:12]}",
    ]


def test_changes_tell_before_and_after() -> None:
    many = LockedModel("s", "r", {"1": "1" * 64, "2": "2" * 64, "3": "3" * 64})
    after = Lock("/l", {IMAGE: TWO}, {"other": {"d" * 12: many}}, LOCK.hosts)
    assert changes(LOCK, after) == [
        f"image {IMAGE}: {TWO}, it was {ONE}",
        f"model chat {'c' * 12}: left out, it was 1 file, sha256 {SHA[:12]}",
        f"model other {'d' * 12}: 3 files, sha256 {'1' * 12}, {'2' * 12} …",
    ]
    assert changes(LOCK, LOCK) == []
