# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engines' images of the lab, and what the engines' own parsers say."""

from __future__ import annotations

import functools
import json
import subprocess
import typing as t
from pathlib import Path

import pytest

from llmops_serving.lab import images, models
from llmops_serving.lab.state import Paths
from tests.conformance.cases import ENGINES

IN_IMAGE = Path(__file__).with_name("parse_in_image.py")
# What an engine does with its words before it loads a model, beyond parsing them: the function `prepare`.
_LIKE_VLLM = """
from {package}.engine.arg_utils import AsyncEngineArgs
from {package}.entrypoints.cli import {command} as command

program = FlexibleArgumentParser()
(subcommand,) = command.cmd_init()
subcommand.subparser_init(program.add_subparsers(dest="subparser"))

def prepare(words):
    found = program.parse_args(["{command}", *words])
    subcommand.validate(found)
    found.model = found.model_tag or found.model
    for name, value in vars(AsyncEngineArgs.from_cli_args(found)).items():
        setattr(found, name, value)
    return found
"""
PREPARE = {
    "vllm": _LIKE_VLLM.format(package="vllm", command="serve"),
    "aphrodite": _LIKE_VLLM.format(package="aphrodite", command="run"),
    "sglang": "from sglang.srt.server_args import prepare_server_args as prepare",
}
HOW = "make it with `llmops lab up --engines {engine}`"


def docker(*words: str, text: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run docker; unless told otherwise, a failure fails the test with all it said."""
    command = ["docker", *words]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603  our own words
    if check and done.returncode:
        pytest.fail(f"docker {words[0]} ended with {done.returncode}\n{done.stderr}", pytrace=False)
    return done


@functools.cache
def image(engine: str) -> str:
    """Give the tag of an engine's image in the lab."""
    recipe = images.ENGINE_RECIPES.get(engine)
    if recipe is None:
        pytest.fail(f"the lab has no recipe for {engine}", pytrace=False)
    if docker("image", "inspect", recipe.tag, check=False).returncode:
        pytest.fail(f"the image {recipe.tag} is missing: {HOW.format(engine=engine)}", pytrace=False)
    return recipe.tag


def tiny_gguf() -> Path:
    """Give the lab's smallest model for llama.cpp."""
    path = models.place(Paths()) / "tiny-chat-gguf" / "tiny-chat.gguf"
    if not path.is_file():
        pytest.fail(f"the model {path} is missing: {HOW.format(engine='llama_cpp')}", pytrace=False)
    return path


class Understood(t.NamedTuple):
    """What an engine's own parser said."""

    #: by spelling of a flag, the name of its value
    destinations: dict[str, str]
    answers: list[dict[str, t.Any]]


def ask_parser(engine: str, lines: list[dict[str, t.Any]]) -> Understood:
    """Let an engine's own parser, in its image, parse command lines."""
    rule = ENGINES[engine]["parser"]
    task = json.dumps({"kind": rule["kind"], "code": rule["code"] + PREPARE.get(engine, ""), "lines": lines})
    program = IN_IMAGE.read_text(encoding="utf-8")
    words = ["run", "--rm", "--interactive", "--network", "none", "--entrypoint", "python3", image(engine)]
    return Understood(**json.loads(docker(*words, "-c", program, text=task).stdout))
