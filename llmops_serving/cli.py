# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command `llmops`."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from llmops_serving.bench_cli import add_bench_parsers, run_on
from llmops_serving.bundle_cli import add_bundle_parser
from llmops_serving.diagnose_cli import add_diagnose_parser, run_diagnose
from llmops_serving.drift_cli import add_drift_parsers, add_lock_option, lock_variables, run_drift
from llmops_serving.errors import DriverError, Interrupted
from llmops_serving.generations_cli import add_apply_options, add_generation_parsers, apply_options, run_generations
from llmops_serving.lab_cli import add_lab_parser
from llmops_serving.models_cli import add_models_parser, run_models
from llmops_serving.progress import ConsoleProgress
from llmops_serving.removal import add_remove_options
from llmops_serving.report import render
from llmops_serving.results import EXIT_FAILED, EXIT_INTERRUPTED
from llmops_serving.site import Site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from llmops_serving.results import RunResult

# Without a terminal nothing says how wide a line may be; logs take more than the 80 columns that rich assumes.
_LOG_WIDTH = 140
# The commands that bring a function of their own.
_RUNNERS = {
    "benchmark": run_on,
    "diagnose": run_diagnose,
    "drift": run_drift,
    "history": run_generations,
    "lock": run_drift,
    "models": run_models,
    "rollback": run_generations,
    "tournament": run_on,
    "tune": run_on,
}
_EPILOG = "exit codes: 0 done, 1 failed, 2 wrong usage, 3 would change (plan, --check), 130 interrupted"


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line.

    Returns:
        The parser; each command sets `run`, a function that takes the parsed arguments and returns an exit code.
    """
    parser = argparse.ArgumentParser(
        prog="llmops", description="Make hosts serve what an inventory says, and prove it.", epilog=_EPILOG
    )
    parser.add_argument("--version", action="version", version=f"llmops {version('llmops-serving')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("plan", "tell what apply would change and what memory it takes; exit code 3 if anything changes"),
        ("apply", "make the hosts serve what the inventory says, and prove it with real requests"),
        ("verify", "probe what runs with real requests, and change nothing"),
        ("remove", "remove servers, those of the inventory by default, and tell what is left"),
    ):
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", epilog=_EPILOG)
        _add_options(command, may_change=name in {"apply", "remove"})
        if name == "plan":
            command.add_argument(
                "--hardware",
                metavar="FILE",
                help="plan for the GPUs in a file of nvidia-smi's answer in the place of the hosts' own (docs/gpu.md)",
            )
        if name in {"plan", "apply"}:
            add_lock_option(command)
        if name == "apply":
            add_apply_options(command)
        if name == "remove":
            add_remove_options(command)
        command.set_defaults(run=_run_site)
    add_drift_parsers(
        commands, add_options=lambda command, may_change: _add_options(command, may_change=may_change), run=_run_site
    )
    add_generation_parsers(
        commands,
        add_options=lambda command, may_change: _add_options(command, may_change=may_change, chooses=False),
        run=_run_site,
    )
    add_diagnose_parser(
        commands,
        add_options=lambda command: _add_options(command, may_change=False, chooses=False),
        run=_run_site,
    )
    add_bench_parsers(
        commands,
        add_options=lambda command, chooses: _add_options(
            command, may_change=False, needs_inventory=False, chooses=chooses
        ),
        run=_run_site,
        show=_print,
    )
    add_models_parser(
        commands,
        add_options=lambda command, may_change: _add_options(command, may_change=may_change, servers=False),
        run=_run_site,
    )
    add_bundle_parser(commands, show=_print)
    add_lab_parser(commands, apply=lambda site, args: _run_and_show(site, "apply", args))
    return parser


def _add_options(
    parser: argparse.ArgumentParser,
    *,
    may_change: bool,
    needs_inventory: bool = True,
    chooses: bool = True,
    servers: bool = True,
) -> None:
    parser.add_argument(
        "-i",
        "--inventory",
        action="append",
        required=needs_inventory,
        metavar="PATH",
        help="inventory; may be given more than once",
    )
    parser.set_defaults(limit=None, server=[])
    if chooses:
        parser.add_argument("-l", "--limit", metavar="PATTERN", help="only the hosts that match")
    if chooses and servers:
        parser.add_argument(
            "--server",
            action="append",
            default=[],
            metavar="NAME",
            help="only this server; may be given more than once",
        )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout, progress on stderr")
    if may_change:
        parser.add_argument(
            "--check", action="store_true", help="change nothing; exit code 3 if something would change"
        )
    parser.add_argument("--diff", action="store_true", help="show differences, secrets masked")
    parser.add_argument(
        "-e",
        "--extra-vars",
        action="append",
        default=[],
        metavar="VARS",
        help="key=value, JSON or @file, as Ansible takes it",
    )
    parser.add_argument("--forks", type=int, metavar="N", help="hosts at a time")
    parser.add_argument(
        "--vault-password-file", metavar="FILE", help="a file that holds, or a script that prints, the password"
    )
    parser.add_argument(
        "-K", "--ask-become-pass", action="store_true", help="ask for the password of sudo on the hosts"
    )
    parser.add_argument("--keep-artifacts", metavar="DIR", help="keep the files of ansible-runner there")
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="show the output of Ansible; more for more of it"
    )


def _run_site(args: argparse.Namespace) -> int:
    site = Site(
        args.inventory,
        limit=args.limit,
        servers=tuple(args.server),
        extra_vars=lock_variables(args),
        extra_vars_options=tuple(args.extra_vars),
        vault_password_file=args.vault_password_file,
        become_password=getpass.getpass("password of sudo on the hosts: ") if args.ask_become_pass else None,
        forks=args.forks,
        # One -v is our own: it shows what Ansible prints anyway.
        verbosity=max(args.verbose - 1, 0),
        keep_artifacts=args.keep_artifacts,
    )
    return _run_and_show(site, args.command, args).exit_code


def _run_and_show(site: Site, command: str, args: argparse.Namespace) -> RunResult:
    result = _watched(site, command, args)
    _show(result, as_json=args.json)
    return result


def _watched(site: Site, command: str, args: argparse.Namespace) -> RunResult:
    with ConsoleProgress(Console(stderr=True, highlight=False), raw=args.verbose > 0) as progress:
        if runner := _RUNNERS.get(command):
            return runner(site, args, progress)
        match command:
            case "plan":
                return site.plan(diff=args.diff, hardware=args.hardware, progress=progress)
            case "verify":
                return site.verify(progress=progress)
            case "remove":
                what = {word: getattr(args, word) for word in ("models", "images", "docker")}
                return site.remove(everything=args.all, **what, check=args.check, diff=args.diff, progress=progress)
            case _:
                return site.apply(check=args.check, diff=args.diff, progress=progress, **apply_options(args))


def _show(result: RunResult, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(result.to_dict(), indent=2, ensure_ascii=False) + "\n")
        return
    _print("")
    _print(render(result))


def _print(something: RenderableType) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _LOG_WIDTH)
    # A line of its own may hold a path or a command, which a break would spoil.
    console.print(something, soft_wrap=isinstance(something, Text))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command `llmops`.

    Args:
        argv: The command line without the program's name; that of the process if None.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage, 3 would change, 130 interrupted.
    """
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except Interrupted as stop:
        _show(stop.result, as_json=args.json)
        return EXIT_INTERRUPTED
    except KeyboardInterrupt:
        sys.stderr.write("llmops: interrupted\n")
        return EXIT_INTERRUPTED
    except DriverError as error:
        sys.stderr.write(f"llmops: {error}\n")
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has had enough; Python must not complain about it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
