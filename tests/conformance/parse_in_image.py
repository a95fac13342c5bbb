# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run by Python in an engine's image: parse command lines with the engine's own parser, and print what it understood.

Reads from stdin `{"kind": "argparse" or "click", "code": "…", "lines": [{"tries": [[word, …], …], "ask": [dest, …]}]}`
and prints, for each line, the first of its tries that is taken, or why the last one is not. Where a line has `files`,
they are written, and the words also go through what the engine does with them before it loads a model, which the code
may leave in `prepare`.
"""

from __future__ import annotations

import enum
import json
import os
import pathlib
import sys
from typing import Any, NoReturn


class Refused(Exception):  # noqa: N818  what a parser does
    """The engine's parser does not take a command line."""


def parse_argparse(parser: Any, words: list[str], ask: list[str]) -> dict[str, Any]:
    """Give the values that differ from the defaults, and those asked for."""

    def refuse(message: str) -> NoReturn:
        raise Refused(message)

    parser.error = refuse
    found = vars(parser.parse_args(words))
    return {dest: value for dest, value in found.items() if dest in ask or value != parser.get_default(dest)}


def parse_click(command: Any, words: list[str], ask: list[str]) -> dict[str, Any]:
    """Give the values that come of the command line, and those asked for; the command itself is not run."""
    context = command.make_context("engine", list(words))
    given = {name for name in context.params if context.get_parameter_source(name).name == "COMMANDLINE"}
    return {dest: value for dest, value in context.params.items() if dest in ask or dest in given}


def destinations(parser: Any, kind: str) -> dict[str, str]:
    """Tell by each spelling of a flag the name of its value."""
    if kind == "click":
        return {word: item.name for item in parser.params for word in (*item.opts, *item.secondary_opts)}
    return {word: action.dest for action in parser._actions for word in action.option_strings}


def plain(value: Any) -> Any:
    """Give a value as JSON has it; objects of the engine as text."""
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value if value is None or isinstance(value, (str, int, float, bool)) else repr(value)


def prepared(prepare: Any, words: list[str], line: dict[str, Any]) -> dict[str, Any]:
    """Give what the engine makes of the command line after parsing, of what is asked for."""
    found = prepare(words)
    return {dest: getattr(found, dest) for dest in line["ask"] if hasattr(found, dest)}


def understand(namespace: dict[str, Any], kind: str, line: dict[str, Any]) -> dict[str, Any]:
    """Parse one line, with the files in place that it names."""
    for name, text in line.get("files", {}).items():
        path = pathlib.Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    parse = {"argparse": parse_argparse, "click": parse_click}[kind]
    problem = "there is nothing to try"
    for words in line["tries"]:
        try:
            values = parse(namespace["parser"], words, line["ask"])
            if "files" in line and "prepare" in namespace:
                values.update(prepared(namespace["prepare"], words, line))
            return {"words": words, "values": plain(values)}
        except SystemExit as exc:
            problem = f"it ended with {exc.code}"
        except Exception as exc:  # whatever an engine's own types raise
            problem = f"{type(exc).__name__}: {getattr(exc, 'message', exc)}"
    return {"problem": problem}


def main() -> None:
    """Print one line of JSON."""
    task = json.load(sys.stdin)
    # Engines log to stdout while they are imported.
    out = os.dup(1)
    os.dup2(2, 1)
    namespace: dict[str, Any] = {}
    exec(task["code"], namespace)  # noqa: S102  it is the definition's own
    answers = [understand(namespace, task["kind"], line) for line in task["lines"]]
    with os.fdopen(out, "w", encoding="utf-8") as file:
        json.dump({"destinations": destinations(namespace["parser"], task["kind"]), "answers": answers}, file)


if __name__ == "__main__":
    main()
