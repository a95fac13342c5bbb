#!/usr/bin/env python3
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write roles/<engine>/flags.json anew out of the engine itself, and print what changed.

Usage: tools/refresh_flags.py ENGINE IMAGE
       tools/refresh_flags.py ENGINE main.rs [FURTHER.rs ...] VERSION

For instance: tools/refresh_flags.py llama_cpp ghcr.io/ggml-org/llama.cpp:server-b11243
              tools/refresh_flags.py tgi launcher/src/main.rs 3.3.7

How an engine is read is said by the key `parser` of its roles/<engine>/engine.yml:

  kind: argparse | click   `code` is Python that leaves the parser in `parser`; it is run in the image, and the version
                           is that of the first of `packages` that is installed there
  kind: help               the help of the program; `version` is a regular expression on what its --version says
  kind: clap               Rust source whose first file has the struct, further ones perhaps enums of its values;
                           `source` is its name, `features` are the cargo features of the image's build
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml

# The checkout, so that the readers beside this script have one name here, in tests and for the type checker.
sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.flag_readers import argparse_actions, clap_source, click_parameters, help_text
from tools.flag_readers.table import Rows, differences, render

ROLES = Path(__file__).parents[1] / "roles"
IN_IMAGE = Path(__file__).with_name("flag_readers") / "in_image.py"


class Found(t.NamedTuple):
    """What an engine told of itself."""

    source: str
    version: str
    rows: Rows


def run_in(image: str, words: list[str], text: str = "") -> str:
    """Run a program in an image without network, and give what it prints; its errors go to the terminal."""
    command = ["docker", "run", "--rm", "--interactive", "--network", "none", "--env", "COLUMNS=200"]
    command += ["--entrypoint", words[0], image, *words[1:]]
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  a fixed program
    return done.stdout


def from_python(definition: dict[str, t.Any], image: str) -> Found:
    """Ask the engine's own Python parser."""
    rule = definition["parser"]
    task = {key: rule[key] for key in ("kind", "code", "packages")}
    told = json.loads(run_in(image, ["python3", "-", json.dumps(task)], IN_IMAGE.read_text(encoding="utf-8")))
    read = argparse_actions.read if rule["kind"] == "argparse" else click_parameters.read
    return Found(f"PyPI {told['package']}", told["version"], read(told["parameters"]))


def from_help(definition: dict[str, t.Any], image: str) -> Found:
    """Read the engine's help."""
    rule = definition["parser"]
    words = [*definition["entrypoint"], *definition["command"]]
    told = run_in(image, ["/bin/sh", "-c", 'exec "$@" 2>&1', "sh", *words, "--version"])
    version = re.search(rule["version"], told)
    if version is None:
        sys.exit(f"{image} does not tell its version by {rule['version']!r}; it said: {told}")
    rows = help_text.read(run_in(image, [*words, "--help"]))
    return Found(" ".join([*words, "--help"]), next(filter(None, version.groups())), rows)


def from_source(definition: dict[str, t.Any], paths: list[str], version: str) -> Found:
    """Read the engine's Rust source."""
    rule = definition["parser"]
    sources = [Path(path).read_text(encoding="utf-8") for path in paths]
    return Found(rule["source"], version, clap_source.read(sources, rule.get("features", ())))


def main(engine: str, *where: str) -> None:
    """Ask the engine, write its flags down, and tell what changed."""
    path = ROLES / engine / "flags.json"
    definition = yaml.safe_load(path.with_name("engine.yml").read_text(encoding="utf-8"))
    kind = definition["parser"]["kind"]
    if kind == "clap":
        *paths, version = where
        found = from_source(definition, paths, version)
    else:
        (image,) = where
        found = from_help(definition, image) if kind == "help" else from_python(definition, image)
    if not found.rows:
        sys.exit(f"{where[0]} has no flags; is it {definition['title']}?")
    old = json.loads(path.read_text(encoding="utf-8"))["flags"] if path.exists() else {}
    path.write_text(render(*found), encoding="utf-8")
    for line in differences(old, found.rows):
        print(line)  # noqa: T201  a script's result
    print(f"{path}: {len(found.rows)} flags of version {found.version}")  # noqa: T201


if __name__ == "__main__":
    if len(sys.argv) < 3:  # noqa: PLR2004  engine and image
        sys.exit(__doc__)
    main(*sys.argv[1:])
