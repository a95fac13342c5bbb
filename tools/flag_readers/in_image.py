# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run by Python in an engine's image: print as JSON what the engine's own parser knows.

`python3 - '{"kind": "argparse", "code": "…", "packages": ["vllm"]}' < in_image.py`, where the code leaves the parser in
`parser`. Only the standard library is imported here, and any Python from 3.9 on will do.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from typing import Any


def load(code: str) -> Any:
    """Run the engine's code, and give the parser that it leaves."""
    namespace: dict[str, Any] = {}
    exec(code, namespace)  # noqa: S102  it is the definition's own
    return namespace["parser"]


def argparse_actions(parser: Any) -> list[dict[str, Any]]:
    """List the actions of an argparse parser, positional ones too."""
    return [
        {
            "spellings": action.option_strings,
            "nargs": action.nargs,
            "kind": type(action).__name__,
            "choices": _choices(action),
        }
        for action in parser._actions
    ]


def click_parameters(command: Any) -> list[dict[str, Any]]:
    """List the parameters of a click command."""
    return [
        {
            "spellings": parameter.opts,
            "off": parameter.secondary_opts,
            "multiple": parameter.multiple,
            "nargs": parameter.nargs,
            "flag": bool(getattr(parameter, "is_flag", False) or getattr(parameter, "count", False)),
            "choices": _choices(parameter.type),
            "env": parameter.envvar,
        }
        for parameter in command.params
        if hasattr(parameter, "secondary_opts")
    ]


def _choices(owner: Any) -> list[str] | None:
    choices = getattr(owner, "choices", None)
    if choices is None:
        return None
    # None is what a flag has that is left out; Aphrodite lists it as text, and refuses it. A set has no lasting order.
    texts = [str(choice) for choice in choices if str(choice) != "None"]
    return sorted(texts) if isinstance(choices, (set, frozenset)) else texts


def first_installed(packages: list[str]) -> list[str]:
    """Give name and version of the first package that is installed."""
    for name in packages:
        try:
            return [name, importlib.metadata.version(name)]
        except importlib.metadata.PackageNotFoundError:
            continue
    raise SystemExit(f"none of these packages is in the image: {', '.join(packages)}")


READERS = {"argparse": argparse_actions, "click": click_parameters}


def main() -> None:
    """Print one line of JSON."""
    task = json.loads(sys.argv[1])
    # Engines log to stdout while they are imported.
    out = os.dup(1)
    os.dup2(2, 1)
    found = READERS[task["kind"]](load(task["code"]))
    package, version = first_installed(task["packages"])
    with os.fdopen(out, "w", encoding="utf-8") as file:
        json.dump({"package": package, "version": version, "parameters": found}, file)


if __name__ == "__main__":
    main()
