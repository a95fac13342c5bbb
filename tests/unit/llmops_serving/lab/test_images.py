# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import io
import os
import re
import tarfile
from typing import TYPE_CHECKING

import pytest
import yaml

from llmops_serving.lab import build, images
from llmops_serving.lab.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path

RECIPES = [
    images.base("bookworm"), images.base("forky"), images.host("bookworm"), images.host("trixie"),
    images.host("forky"), images.LLAMA_CPP, images.TORCH, images.INFINITY, images.MODEL_BUILDER, images.HUB,
    images.REGISTRY, images.VLLM, images.SGLANG, images.APHRODITE, images.APHRODITE_UNPATCHED,
]  # fmt: skip


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_recipes_have_their_assets(recipe: build.Recipe) -> None:
    for name in (recipe.script, *recipe.files):
        assert (build.ASSETS / name).is_file()
    assert re.fullmatch(r"llmops-lab/[a-z-]+:[0-9a-f]{12}", recipe.tag)


def test_tags_are_distinct() -> None:
    assert len({recipe.tag for recipe in RECIPES}) == len(RECIPES)


@pytest.mark.parametrize(
    "change",
    [
        {"script": "hub.sh"},
        {"files": ("registry-start.sh", "hub-start.sh")},
        {"config": ("WORKDIR /x",)},
        {"arguments": {"A": "1"}},
        {"base": images.base("trixie")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_input_changes_the_tag(change: dict[str, object]) -> None:
    assert dataclasses.replace(images.REGISTRY, **change).digest != images.REGISTRY.digest  # type: ignore[arg-type]


def test_words_for_people_do_not_change_the_tag() -> None:
    assert dataclasses.replace(images.REGISTRY, about="other", size_mib=1).digest == images.REGISTRY.digest


def test_a_base_changes_what_is_built_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = images.INFINITY.digest
    for asset in build.ASSETS.iterdir():
        if asset.is_file():
            (tmp_path / asset.name).write_bytes(asset.read_bytes())
    with (tmp_path / images.TORCH.script).open("a") as script:
        script.write("true\n")
    monkeypatch.setattr(build, "ASSETS", tmp_path)
    assert images.INFINITY.digest != before


def test_unknown_suite_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LabError, match="bookworm, trixie, forky"):
        images.host("noble")


def test_engine_images_are_read_from_the_roles() -> None:
    text = "images:\n  cpu: {name: ghcr.io/a/b, tag: v1-cpu}\n  cuda: {name: ghcr.io/a/b, tag: v1}\n"
    assert images.read_engine_image(text) == images.EngineImage("ghcr.io/a/b", "v1-cpu")
    assert images.read_engine_image(text, "cuda").tag == "v1"


@pytest.mark.parametrize("text", ["", "images: {}", "images: {cpu: {name: x}}", "a: [", "images: {cpu: text}"])
def test_engine_without_image_is_refused(text: str) -> None:
    with pytest.raises(LabError, match=r"images\.cpu"):
        images.read_engine_image(text)


@pytest.mark.parametrize("engine", sorted(images.FALLBACK_ENGINES))
def test_the_roles_images_are_those_the_lab_stands_in_for(engine: str) -> None:
    assert images.engine_image(engine).name == images.FALLBACK_ENGINES[engine].name


def test_an_image_that_nobody_publishes_has_a_name_in_the_labs_registry() -> None:
    good, broken = (images.engine_image(engine) for engine in ("aphrodite", "aphrodite-unpatched"))
    assert good.name == broken.name == "registry.lab:5000/llmops/aphrodite-openai"
    assert broken.tag == f"{good.tag}-unpatched"


@pytest.mark.parametrize(
    ("words", "engines"),
    [
        ("", ("llama_cpp", "infinity")),
        (" , ", ("llama_cpp", "infinity")),
        ("vllm", ("vllm",)),
        ("sglang, vllm,sglang", ("sglang", "vllm")),
        ("all", ("llama_cpp", "infinity", "vllm", "sglang", "aphrodite")),
        ("aphrodite-unpatched,all", ("aphrodite-unpatched", "llama_cpp", "infinity", "vllm", "sglang", "aphrodite")),
    ],
)
def test_words_choose_engines(words: str, engines: tuple[str, ...]) -> None:
    assert images.choose_engines(words) == engines


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LabError, match=r"no engine 'tgi', 'vlm': take some of llama_cpp, .*aphrodite, .*or all$"):
        images.choose_engines("vlm,vllm,tgi")


def test_the_image_of_the_proof_is_the_one_that_its_role_asks_for() -> None:
    root = images.collection_root()
    assert root is not None
    defaults = yaml.safe_load((root / "roles/nvidia_container_toolkit/defaults/main.yml").read_text())
    name = f"{images.PROOF_IMAGE.name}:{images.PROOF_IMAGE.tag}"
    assert defaults["nvidia_container_toolkit_image"] == name
    # Its base is built for every lab, so it costs nothing but the push.
    assert images.base(images.PROOF_SUITE) in images.layers([images.HUB])


def test_layers_come_once_and_after_what_they_are_built_on() -> None:
    names = [recipe.name for recipe in images.layers([images.APHRODITE, images.SGLANG])]
    assert names == ["base-bookworm", "torch", "vllm", "aphrodite-unpatched", "aphrodite", "sglang"]


def test_what_engines_share_takes_room_once() -> None:
    alone = images.size_mib(["vllm"]) + images.size_mib(["sglang"])
    shared = images.base("bookworm").size_mib + images.TORCH.size_mib
    assert images.size_mib(["vllm", "sglang"]) == alone - shared


def test_start_scripts_of_images_are_posix_shell() -> None:
    for asset in build.ASSETS.glob("*.sh"):
        assert asset.read_text().startswith("#!/bin/sh\n"), asset
        assert os.system(f"sh -n {asset}") == 0, asset  # noqa: S605  # our own files, syntax check only


def test_archive_holds_contents_and_modes() -> None:
    with tarfile.open(fileobj=io.BytesIO(build.archive({"etc/a": (b"x", 0o600), "b": (b"yy", 0o755)}))) as tar:
        members = {member.name: (member.mode, member.size) for member in tar.getmembers()}
    assert members == {"etc/a": (0o600, 1), "b": (0o755, 2)}
