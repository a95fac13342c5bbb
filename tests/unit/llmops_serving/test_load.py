# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmops_serving.errors import UsageError
from llmops_serving.load import OPTIONS, PREFIX, add_load_options, load_of, load_variables

SPECS = Path(__file__).parents[3] / "roles/benchmark/meta/argument_specs.yml"
TYPES = {"str": str, "int": int, "float": float, "path": str, "list": list, "dict": dict}


def parse(*words: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    add_load_options(parser)
    return load_of(parser.parse_args(words))


# What a user writes, and what the role gets.
WORDS: list[tuple[list[str], dict[str, Any]]] = [
    ([], {}),
    (["--profile", "rag"], {"profile": "rag"}),
    (["--concurrency", "1,2,4"], {"concurrency": [1, 2, 4]}),
    (["--rates", "0.5,2"], {"rates": [0.5, 2.0]}),
    (["--batches", "1,"], {"batches": [1]}),
    (["--seconds", "2.5", "--requests", "7"], {"seconds": 2.5, "requests": 7}),
    (["--goodput", "ttft:500,tpot_ms:50"], {"objective": {"ttft_ms": 500.0, "tpot_ms": 50.0}}),
    (["--from", "controller"], {"from": "controller"}),
]


@pytest.mark.parametrize(("words", "load"), WORDS)
def test_options_become_values(words: list[str], load: dict[str, Any]) -> None:
    assert parse(*words) == load


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--concurrency", "1,x"], "invalid list of int value: '1,x'"),
        (["--goodput", "fast"], "invalid objective such as ttft:500,tpot:50 value: 'fast'"),
        (["--requests", "many"], "invalid int value: 'many'"),
    ],
)
def test_wrong_values_are_told(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(*words)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_a_variable_of_the_role_of_its_type(name: str) -> None:
    specs = yaml.safe_load(SPECS.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    kind = TYPES[specs[PREFIX + name]["type"]]
    assert all(isinstance(load[name], kind) for _words, load in WORDS if name in load)
    assert OPTIONS[name].help


def test_a_relative_place_is_the_users() -> None:
    assert load_variables({"output": "out", "seed": 2}, Path("/home/me")) == {
        "benchmark_output": "/home/me/out", "benchmark_seed": 2,
    }  # fmt: skip
    assert load_variables({"output": "/srv/out"}, Path("/home/me")) == {"benchmark_output": "/srv/out"}


def test_an_option_that_there_is_not_is_told() -> None:
    with pytest.raises(UsageError, match="a load has no option speed: choose among profile"):
        load_variables({"speed": 1}, Path("/"))
