# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of a load, and the variables of the role `benchmark` that they set. The role says what each means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from llmops_serving.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping
    from pathlib import Path

PREFIX = "benchmark_"


class Option(NamedTuple):
    """One option of the command line: its flag, how its text is read, what its value is called, and what it says."""

    flag: str
    read: Callable[[str], Any]
    metavar: str
    help: str


def _list_of(kind: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    def read(text: str) -> list[Any]:
        return [kind(part) for part in text.split(",") if part.strip()]

    read.__name__ = f"list of {kind.__name__}"
    return read


def _objective(text: str) -> dict[str, float]:
    """Read `ttft:500,tpot:50`, milliseconds by the names of vLLM's --goodput."""
    objective = {}
    for part in text.split(","):
        name, _colon, value = part.strip().partition(":")
        objective[name if name.endswith("_ms") else f"{name}_ms"] = float(value)
    return objective


_objective.__name__ = "objective such as ttft:500,tpot:50"


def _place(text: str) -> str:
    if text not in {"host", "controller"}:
        raise ValueError(text)
    return text


_place.__name__ = "place, host or controller:"

# By the variable's name without the prefix.
OPTIONS: Mapping[str, Option] = {
    "profile": Option("--profile", str, "NAME", "chat, rag, long-prompt, shared-prefix, course, embedding or rerank"),
    "input_tokens": Option("--input-tokens", int, "N", "tokens of a prompt"),
    "output_tokens": Option("--output-tokens", int, "N", "tokens of an answer"),
    "shared_tokens": Option("--shared-tokens", int, "N", "tokens that all prompts begin with"),
    "concurrency": Option("--concurrency", _list_of(int), "N,N", "requests at once, a step each"),
    "rates": Option("--rates", _list_of(float), "R,R", "requests a second, arriving at random, a step each"),
    "batches": Option("--batches", _list_of(int), "N,N", "texts or documents in a request, a step each"),
    "requests": Option("--requests", int, "N", "requests of a step at least (30)"),
    "seconds": Option("--seconds", float, "S", "seconds of a step at least (10)"),
    "max_seconds": Option("--max-seconds", float, "S", "seconds after which a step sends no more (300)"),
    "repetitions": Option("--repetitions", int, "N", "how often each step is measured (3)"),
    "warmup": Option("--warmup", int, "N", "requests thrown away after each start (3)"),
    "seed": Option("--seed", int, "N", "the number from which all prompts follow (another each time)"),
    "objective": Option(
        "--goodput", _objective, "WHAT:MS", "what a request must meet to count, such as ttft:500,tpot:50"
    ),
    "from": Option("--from", _place, "PLACE", "where the load comes from, host (default) or controller"),
    "output": Option("--output", str, "DIR", "where reports go (llmops-reports)"),
}


def add_load_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a load to a command."""
    group = parser.add_argument_group("load", "what the profile or the default says holds unless told otherwise")
    for name, option in OPTIONS.items():
        group.add_argument(option.flag, dest=f"load_{name}", type=option.read, metavar=option.metavar, help=option.help)


def load_of(args: argparse.Namespace) -> dict[str, Any]:
    """Give the options of a load that a command line holds, by their names."""
    return {name: value for name in OPTIONS if (value := getattr(args, f"load_{name}")) is not None}


def load_variables(load: Mapping[str, Any], cwd: Path) -> dict[str, Any]:
    """Turn options of a load into variables of the role `benchmark`.

    Args:
        load: Values by the options' names, such as `profile` and `concurrency`.
        cwd: What a relative `output` is relative to.

    Returns:
        The variables.

    Raises:
        UsageError: There is no such option.
    """
    if unknown := sorted(set(load) - set(OPTIONS)):
        msg = f"a load has no option {unknown[0]}: choose among {', '.join(OPTIONS)}"
        raise UsageError(msg)
    return {f"{PREFIX}{name}": str(cwd / value) if name == "output" else value for name, value in load.items()}
