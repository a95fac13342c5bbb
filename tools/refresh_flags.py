#!/usr/bin/env python3
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write roles/<engine>/flags.json anew out of the help of the engine's own program.

Usage: tools/refresh_flags.py ENGINE IMAGE
For instance: tools/refresh_flags.py llama_cpp ghcr.io/ggml-org/llama.cpp:server-b11243

`git diff` shows then what a new release added and took away.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROLES = Path(__file__).parents[1] / "roles"
# A line of help that introduces flags begins with one, further left than the lines that go on with a description.
_LINE = re.compile(r"^[│\s]{0,12}(?:\*\s{1,3})?(--?[a-zA-Z0-9].*)$")
_FLAG = re.compile(r"(?<![\w-])--[a-z0-9][a-z0-9_-]*")
_DESCRIPTION_COLUMN = 60


def flags_in(text: str) -> list[str]:
    """Find the long flags that a help text introduces, sorted."""
    found: set[str] = set()
    for line in text.splitlines():
        if match := _LINE.match(line):
            start = match.start(1)
            found.update(flag.group() for flag in _FLAG.finditer(line) if flag.start() - start < _DESCRIPTION_COLUMN)
    return sorted(found)


def main(engine: str, image: str) -> None:
    """Ask the engine in the image for its help, and write its flags down."""
    definition = yaml.safe_load((ROLES / engine / "engine.yml").read_text(encoding="utf-8"))
    words: list[str] = [*definition["entrypoint"], *definition["command"], "--help"]
    command = ["docker", "run", "--rm", "--env", "COLUMNS=200", "--env", "TERM=dumb", "--entrypoint", words[0], image]
    done = subprocess.run([*command, *words[1:]], capture_output=True, text=True, check=True)  # noqa: S603  a fixed program
    flags = flags_in(done.stdout + done.stderr)
    if not flags:
        sys.exit(f"{image} printed no flags; is it an image of {definition['title']}?")
    listing = {"source": " ".join(words), "image": image, "flags": flags}
    path = ROLES / engine / "flags.json"
    path.write_text(json.dumps(listing, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path}: {len(flags)} flags")  # noqa: T201  a script's result


if __name__ == "__main__":
    if len(sys.argv) != 3:  # noqa: PLR2004  engine and image
        sys.exit(__doc__)
    main(*sys.argv[1:])
