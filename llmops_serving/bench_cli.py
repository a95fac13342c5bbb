# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands `llmops benchmark`, `llmops tournament` and `llmops tune`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_compare import THRESHOLD, compare
from ansible_collections.llmops.serving.plugins.plugin_utils._bench_document import BenchError, read
from llmops_serving.bench_report import comparison
from llmops_serving.errors import UsageError
from llmops_serving.load import add_load_options, load_of
from llmops_serving.results import EXIT_OK, EXIT_REGRESSION

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

    from rich.console import RenderableType

    from llmops_serving.progress import Progress
    from llmops_serving.results import RunResult
    from llmops_serving.site import Site

_EPILOG = "exit codes: 0 done, 1 failed, 2 wrong usage, 4 regression (--compare), 130 interrupted"


def add_bench_parsers(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    add_options: Callable[[argparse.ArgumentParser, bool], None],
    run: Callable[[argparse.Namespace], int],
    show: Callable[[RenderableType], None],
) -> None:
    """Add the commands to the command line.

    Args:
        commands: Where the commands of `llmops` are.
        add_options: Adds the options of every command that works on a site; with those that choose hosts and servers or
            without.
        run: Runs such a command.
        show: Prints something for people.
    """
    text = "put load on running servers, and report how fast they answer; or compare two reports"
    command = commands.add_parser("benchmark", help=text, description=text[0].upper() + text[1:] + ".", epilog=_EPILOG)
    add_options(command, True)
    add_load_options(command)
    command.add_argument("--compare", nargs=2, metavar=("BEFORE", "AFTER"), help="compare two files report.json")
    command.add_argument(
        "--threshold", type=float, default=100 * THRESHOLD, metavar="PERCENT", help="what is a regression (5)"
    )
    command.set_defaults(run=lambda args: _compare(args, show) if args.compare else _on_a_site(args, run))

    text = "let engines serve the same weights on a host, one after the other, and recommend one"
    command = commands.add_parser("tournament", help=text, description=text[0].upper() + text[1:] + ".", epilog=_EPILOG)
    command.add_argument("host", metavar="HOST", help="the host, as the inventory names it")
    add_options(command, False)
    command.add_argument(
        "--model", action="append", default=[], metavar="NAME", help="the model; again for each of its formats"
    )
    command.add_argument("--engines", default="", metavar="A,B", help="the engines")
    command.add_argument(
        "--together", choices=("auto", "yes", "no"), default="auto", help="keep all loaded side by side, if they fit"
    )
    command.add_argument("--restore", action="store_true", help="only put back what an interrupted one left")
    add_load_options(command)
    command.set_defaults(run=lambda args: _on_a_site(args, run))

    text = "search the settings of a server that make it fastest, and recommend them"
    command = commands.add_parser("tune", help=text, description=text[0].upper() + text[1:] + ".", epilog=_EPILOG)
    command.add_argument("host", metavar="HOST", help="the host, as the inventory names it")
    command.add_argument("name", metavar="SERVER", help="the server")
    add_options(command, False)
    command.add_argument("--minutes", type=float, default=30.0, metavar="N", help="how long it may take (30)")
    command.add_argument("--tries", type=int, default=0, metavar="N", help="how many settings to try at most")
    add_load_options(command)
    command.set_defaults(run=lambda args: _on_a_site(args, run))


def _on_a_site(args: argparse.Namespace, run: Callable[[argparse.Namespace], int]) -> int:
    if not args.inventory:
        msg = "no inventory: name one with -i, such as -i inventories/cpu"
        raise UsageError(msg)
    return run(args)


def _compare(args: argparse.Namespace, show: Callable[[RenderableType], None]) -> int:
    before, after = (_document(Path(name)) for name in args.compare)
    try:
        found = compare(before, after, args.threshold / 100)
    except BenchError as exc:
        raise UsageError(str(exc)) from exc
    if args.json:
        sys.stdout.write(json.dumps(found.to_dict(), indent=2, ensure_ascii=False) + "\n")
    else:
        show(comparison(found))
    return EXIT_REGRESSION if found.regressions or found.lost else EXIT_OK


def _document(path: Path) -> dict[str, Any]:
    try:
        return read(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        msg = f"{path} cannot be read: {exc.strerror if isinstance(exc, OSError) else 'it is no text'}"
        raise UsageError(msg) from exc
    except BenchError as exc:
        msg = f"{path}: {exc}"
        raise UsageError(msg) from exc


def run_on(site: Site, args: argparse.Namespace, progress: Progress) -> RunResult:
    """Run one of the commands on a site.

    Args:
        site: The site; a command that names a host is limited to it here.
        args: The parsed command line.
        progress: Somebody who watches the run.
    """
    load = load_of(args)
    if args.command == "benchmark":
        return site.benchmark(load=load, progress=progress)
    if args.command == "tune":
        return site.tune(args.host, args.name, minutes=args.minutes, tries=args.tries, load=load, progress=progress)
    if args.restore:
        return site.restore(args.host, progress=progress)
    models = [name for given in args.model for name in given.split(",") if name]
    engines = [name for name in args.engines.split(",") if name]
    if not models or not engines:
        msg = "a tournament needs --model and --engines, such as --model qwen2-0.5b-instruct --engines vllm,sglang"
        raise UsageError(msg)
    return site.tournament(args.host, models, engines, together=args.together, load=load, progress=progress)
