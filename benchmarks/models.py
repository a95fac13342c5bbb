#!/usr/bin/env python3
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the model store fetches, against the tools that people use for it, as ratios in one run.

Compared, in turn so that all meet the same moods of the machine, each from a fresh start with an empty folder:

file      one file: curl, wget, wget && sha256sum, aria2c -x8 --checksum, hf download
capped    one file from a server that caps each connection: wget, aria2c -x8 and -x16
one       a repository with one LFS object: git clone, git clone --depth 1 && git lfs pull
eight     the same with eight objects
killed    SIGKILL after half, then again: git lfs pull, hf download, wget -c, curl -C -, aria2c -c

`ours` is the module `model` without Ansible around it: a fresh Python process, up to the model that has its final name
and is on the disk (fsync), which the others leave to the kernel; `ours, until verified` is the moment before that.
Server and tools run in one container without a network, on loopback and without TLS; the server's file is in memory,
dirty pages are written out before each run, and every result is hashed after the clock has stopped.

Needs Docker; the image is made from the lab's when it is first asked for.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

# The checkout, so that the parts beside this script have one name here, in tests and for the type checker.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.models_kit import report
from benchmarks.models_kit.stage import Stage, prepared
from benchmarks.models_kit.tools import STORE, Case, Tool, cases, mib, order
from llmops_serving.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[1]
UNITS = {"": 1, "M": 1 << 20, "G": 1 << 30}
SMALLEST = 16 << 20
QUIET_LOAD = 0.5
#: Blocks of a file system's own, and of the few small files that a tool keeps beside a model.
SMALL = 1 << 20


def size(text: str) -> int:
    """Read a size such as 64M or 2G.

    Raises:
        argparse.ArgumentTypeError: It is none, or too small for its eighths to be models.
    """
    found = re.fullmatch(r"(\d+)([MG]?)", text)
    if found is None or int(found.group(1)) * UNITS[found.group(2)] < SMALLEST:
        raise argparse.ArgumentTypeError(f"'{text}' is no size of at least {mib(SMALLEST)}, such as 64M or 2G")
    return int(found.group(1)) * UNITS[found.group(2)]


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    names = [case.name for case in cases(SMALLEST)]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=size, default="2G", help="the largest file; others follow from it (default 2G)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each tool runs (default 3)")
    parser.add_argument("--only", choices=names, action="append", help="a case; may be given more than once")
    parser.add_argument("--data", type=Path, help="folder for models, on the disk to measure (default: in ~/.cache)")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="measure the collection of another checkout")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write facts and every single run")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    options = parser.parse_args(words)
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    return options


def say(stage: str, message: str, /) -> None:
    """Tell what is being done, beside the tables."""
    sys.stderr.write(f"{stage}: {message}\n")


def speed(stage: Stage, case: Case, tool: Tool) -> report.Run:
    """Run a tool once."""
    seen = stage.run(order(case, tool, stage.repos[case.repo.name]))
    marks: dict[str, Any] = json.loads(seen["output"].splitlines()[-1]) if tool.place == STORE else {}
    verified = marks.get("verified")
    return report.Run(
        wall=seen["wall"],
        cpu=seen["cpu"],
        rss=seen["rss"],
        disk=seen["disk"],
        sent=seen["sent"],
        verified=verified and verified - seen["started"],
        synced=marks.get("synced"),
    )


def kill(stage: Stage, case: Case, tool: Tool) -> report.Kill:
    """Run a tool, kill it after half of the model, and run it again."""
    whole = order(case, tool, stage.repos[case.repo.name])
    if tool.setup:
        stage.run(dataclasses.replace(whole, script=tool.setup, expect={}))
    killed = dataclasses.replace(whole, fresh=not tool.setup, kill_after=case.repo.size // 2)
    first = stage.run(killed)
    second = stage.run(dataclasses.replace(whole, fresh=False))
    left = second["rest"] - tool.copies * case.repo.size
    return report.Kill(first["sent"], second["sent"], case.repo.size, left if left > SMALL else 0)


def measure(stage: Stage, case: Case, rounds: int) -> report.Measured:
    """Run all tools of a case, in turn."""
    runs: dict[str, list[report.Run]] = {}
    kills: dict[str, list[report.Kill]] = {}
    for turn in range(1, rounds + 1):
        for tool in case.tools:
            began = time.monotonic()
            if case.killed:
                kills.setdefault(tool.name, []).append(kill(stage, case, tool))
                taken = time.monotonic() - began
            else:
                runs.setdefault(tool.name, []).append(speed(stage, case, tool))
                taken = runs[tool.name][-1].wall
            say(case.name, f"round {turn} of {rounds}, {tool.name}: {taken:.2f} s")
    return report.Measured(case.title, case.repo.size, runs, kills)


def describe(facts: dict[str, Any]) -> str:
    """Say on what machine this was, in two sentences."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    sha = "with" if facts["sha_instructions"] else "without"
    return (
        f"{facts['cores']} x {facts['cpu']} ({sha} SHA instructions), {facts['memory'] >> 30} GiB, "
        f"{facts['file_system']}, Linux {facts['kernel']}, load {facts['load']:.1f} before. {versions}."
    )


def main(words: Sequence[str]) -> None:
    """Measure, and print the tables."""
    options = parse(words)
    chosen = [case for case in cases(options.size) if not options.only or case.name in options.only]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = (options.data or cache) / "llmops-benchmark-models"
    load = os.getloadavg()[0]
    if load > QUIET_LOAD:
        say("machine", f"its load is {load:.2f} already: quote nothing from this run")
    measured: dict[str, report.Measured] = {}
    repos = {case.repo.name: case.repo for case in chosen}
    with prepared(folder, options.checkout.resolve(), list(repos.values()), say) as stage:
        facts = stage.facts() | {"load": load}
        for case in chosen:
            measured[case.name] = measure(stage, case, options.rounds)
    tables = [report.kill_table(case) if case.kills else report.speed_table(case) for case in measured.values()]
    tables.append(report.aims_table(measured))
    shown = [table.markdown() if options.markdown else table.text() for table in tables]
    sys.stdout.write("\n".join([*shown, describe(facts) + "\n"]))
    if options.json:
        document = {
            "facts": facts,
            "size": options.size,
            "rounds": options.rounds,
            "cases": {name: dataclasses.asdict(case) for name, case in measured.items()},
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LabError as error:
        sys.exit(str(error))
