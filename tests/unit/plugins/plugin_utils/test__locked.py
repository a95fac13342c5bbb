# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an inventory asks for and its lock file lacks, and the images that a plan takes from it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import definitions
from ansible_collections.llmops.serving.plugins.plugin_utils._locked import lock_problems
from ansible_collections.llmops.serving.plugins.plugin_utils._lockfile import Lock, LockedModel
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site, image_of, reference_of

CHAT: dict[str, t.Any] = {"name": "chat", "engine": "vllm", "model": "chat", "port": 8000}
OWN = {**CHAT, "name": "own", "image": "registry.example/own:1"}
BY_DIGEST = {**CHAT, "name": "exact", "image": "registry.example/own@sha256:" + "9" * 64}
REVISION, OTHER = "c" * 40, "d" * 40
DIGEST = "sha256:" + "1" * 64
MODELS = {"chat": {"repo": "a/b", "revision": REVISION}, "url": {"url": "https://files.example/x.gguf"}}


def site(lock: Lock | None, **words: t.Any) -> Site:
    defaults = {"models": MODELS, "model_dir": "/m", "registries": {}, "accelerator": "cuda"}
    return Site(engines=definitions(), lock=lock, **{**defaults, **words})


def image(server: dict[str, t.Any], **words: t.Any) -> str:
    return str(reference_of(server, site(None, **words)))


def locked(*images: str, revision: str = REVISION, url_key: str = "") -> Lock:
    model = LockedModel("https://hub.example/a/b", revision, {"x": "a" * 64})
    models = {"chat": {revision[:12]: model}} | ({"url": {url_key: model}} if url_key else {})
    return Lock("/inv/.llmops.lock.yml", dict.fromkeys(images, DIGEST), models)


def test_without_a_lock_file_nothing_is_amiss() -> None:
    assert lock_problems([CHAT, OWN], site(None)) == []


def test_what_the_file_has_is_no_problem() -> None:
    lock = locked(image(CHAT), image(OWN))
    assert lock_problems([CHAT, OWN, BY_DIGEST], site(lock, models={"chat": MODELS["chat"]})) == []


def test_an_image_that_the_file_lacks_is_named_with_file_and_remedy() -> None:
    (problem,) = lock_problems([CHAT, OWN], site(locked(image(CHAT)), models={}))
    assert problem.startswith("serving_servers['own'].image: registry.example/own:1 is not in the lock file /inv/")
    assert "put back what was locked, or `llmops apply --no-lock` and then `llmops lock`" in problem


def test_only_servers_that_are_acted_on_are_judged() -> None:
    assert lock_problems([CHAT, OWN], site(locked(image(CHAT)), models={}), ["chat"]) == []


def test_the_image_that_the_host_chose_is_the_one_that_counts() -> None:
    older = next(name for name, one in definitions()["vllm"]["images"].items() if one.get("accelerator") == "cuda")
    lock = locked(image(CHAT, variants={"chat": older}))
    assert lock_problems([CHAT], site(lock, models={}, variants={"chat": older})) == []
    assert len(lock_problems([CHAT], site(lock, models={}))) == 1


@pytest.mark.parametrize(
    ("lock", "words"),
    [
        (locked(revision=OTHER), ["serving_models['chat'].revision", f"{REVISION} is asked for", f"has {OTHER}"]),
        (Lock("/l"), ["serving_models['chat'].revision", "the lock file /l lacks it"]),
    ],
    ids=["another revision", "none"],
)
def test_a_model_that_the_file_lacks_is_named(lock: Lock, words: list[str]) -> None:
    (problem,) = lock_problems([], site(lock, models={"chat": MODELS["chat"]}))
    assert [word for word in words if word not in problem] == []


def test_a_url_without_a_sha256_is_known_by_its_address() -> None:
    (problem,) = lock_problems([], site(locked(url_key="e" * 12)))
    assert problem.startswith("serving_models['url'].url: ")


def test_plans_take_images_by_digest_and_from_the_mirror() -> None:
    lock = locked(image(OWN))
    mirrored = site(lock, registries={"registry.example": "mirror:5000/r"})
    assert image_of(OWN, mirrored) == f"mirror:5000/r/own:1@{DIGEST}"
    assert image_of(BY_DIGEST, site(lock)) == BY_DIGEST["image"]
