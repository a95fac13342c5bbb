# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Excerpts are of the programs' own help: llama-server's build 11669, infinity 0.0.77 at 200 columns."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

CHECKOUT = Path(__file__).parents[3]

LLAMA = """\
----- common params -----

-h,    --help, --usage                  print usage and exit
--version                               show version and build info
-tb,   --threads-batch N                number of threads to use during batch and prompt processing (default:
                                        same as --threads)
-ub,   --ubatch-size N                  to spare VRAM (default: 0 - same as --n-ubatch)
--perf, --no-perf                       whether to enable internal libllama performance timings (default:
                                        false)
                                        (env: LLAMA_ARG_PERF)
-hf,   -hfr, --hf-repo <user>/<model>[:quant]
                                        Hugging Face model repository; mmproj is also downloaded automatically if
                                        available. to disable, add
                                        --no-such-flag
--spec-draft-type-k, -ctkd, --cache-type-k-draft TYPE
                                        KV cache data type for K for the draft model
--spec-ngram-size-n N                   the argument has been removed. use the respective
                                        --spec-ngram-*-size-n or --spec-ngram-mod-n-match
--reasoning-format FORMAT               controls whether thought tags are allowed and/or extracted from the
                                        - none: leaves thoughts unparsed, unlike --chat-template
"""
LLAMA_FLAGS = [
    "--cache-type-k-draft",
    "--help",
    "--hf-repo",
    "--no-perf",
    "--perf",
    "--reasoning-format",
    "--spec-draft-type-k",
    "--spec-ngram-size-n",
    "--threads-batch",
    "--ubatch-size",
    "--usage",
    "--version",
]

INFINITY = """
 Usage: infinity_emb v2 [OPTIONS]

 Multiple Model CLI Playbook:
 - 1. cli options can be overloaded i.e. `v2 --overloaded model/id1 --model-id model/id2 --batch-size 8`
 - 3. single items are broadcasted to `--model-id` length, making `v2 --model-id model/id1 --model-id/id2

╭─ Options ─────────────────────────────────────────────────────────────────────────────────────────────────╮
│ --model-id                                        TEXT     Huggingface model repo id.                     │
│                                                            [env var: `INFINITY_MODEL_ID`]                 │
│ --trust-remote-code   --no-trust-remote-code               if potential remote modeling code is trusted.  │
│                                                            [default: trust-remote-code]                   │
│ *  --needed           -n                          INTEGER  a needed one, see                              │
│                                                            --other-flag                         [required]│
│ --onnx-do-not-prefer-quantized    --no-onnx-do-not-prefer-quantized    Do not use quantized onnx models   │
│ --help                                                     Show this message and exit.                    │
╰───────────────────────────────────────────────────────────────────────────────────────────────────────────╯
"""
INFINITY_FLAGS = [
    "--help",
    "--model-id",
    "--needed",
    "--no-onnx-do-not-prefer-quantized",
    "--no-trust-remote-code",
    "--onnx-do-not-prefer-quantized",
    "--trust-remote-code",
]

ARGPARSE = """\
usage: server [-h] [--model MODEL]

options:
  -h, --help            show this help message and exit
  --model MODEL, -m MODEL
                        path of the model, see
                        --other
  --kv-cache-dtype {auto,fp8}
"""

HELPS = [
    (LLAMA, LLAMA_FLAGS),
    (INFINITY, INFINITY_FLAGS),
    (ARGPARSE, ["--help", "--kv-cache-dtype", "--model"]),
    ("a program that is no engine\n", []),
    ("", []),
]


@pytest.fixture(scope="module")
def refresh_flags() -> ModuleType:
    """The script, which is no module of a package."""
    spec = importlib.util.spec_from_file_location("refresh_flags", CHECKOUT / "tools/refresh_flags.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("text", "flags"), HELPS, ids=["llama", "infinity", "argparse", "other", "empty"])
def test_finds_the_flags_that_a_help_introduces(refresh_flags: ModuleType, text: str, flags: list[str]) -> None:
    assert refresh_flags.flags_in(text) == flags


@pytest.mark.parametrize("path", sorted(CHECKOUT.glob("roles/*/flags.json")), ids=lambda path: path.parent.name)
def test_a_list_is_as_the_script_writes_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    listing = json.loads(text)
    assert set(listing) == {"source", "image", "flags"}
    assert listing["flags"] == sorted(set(listing["flags"]))
    assert text == json.dumps(listing, indent=2, ensure_ascii=False) + "\n"
    # Half a flag is what is left of a line of prose such as `--spec-*-size`.
    assert not [flag for flag in listing["flags"] if not flag.startswith("--") or not flag[-1].isalnum()]


@pytest.fixture
def roles(tmp_path: Path, refresh_flags: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A collection with one engine."""
    (tmp_path / "toy").mkdir()
    definition = "title: Toy\nentrypoint: [/bin/toy]\ncommand: [serve]\n"
    (tmp_path / "toy/engine.yml").write_text(definition, encoding="utf-8")
    monkeypatch.setattr(refresh_flags, "ROLES", tmp_path)
    return tmp_path


def play(monkeypatch: pytest.MonkeyPatch, out: str, err: str) -> list[list[str]]:
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, out, err)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_writes_what_the_program_in_the_image_says(
    roles: Path, refresh_flags: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = play(monkeypatch, "--one N   first\n", "--two   second\n")
    refresh_flags.main("toy", "toy:1")
    written = json.loads((roles / "toy/flags.json").read_text(encoding="utf-8"))
    assert written == {"source": "/bin/toy serve --help", "image": "toy:1", "flags": ["--one", "--two"]}
    (command,) = commands
    assert command[:2] == ["docker", "run"]
    assert command[-5:] == ["--entrypoint", "/bin/toy", "toy:1", "serve", "--help"]


def test_a_program_without_flags_empties_no_list(
    roles: Path, refresh_flags: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, "hello\n", "")
    with pytest.raises(SystemExit, match="toy:1 printed no flags; is it an image of Toy"):
        refresh_flags.main("toy", "toy:1")
    assert not (roles / "toy/flags.json").exists()
