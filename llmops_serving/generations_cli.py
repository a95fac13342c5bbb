# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands `llmops history` and `llmops rollback`, and the options of changes that go in waves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmops_serving.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from llmops_serving.progress import Progress
    from llmops_serving.results import RunResult
    from llmops_serving.site import Site


def add_generation_parsers(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    add_options: Callable[[argparse.ArgumentParser, bool], None],
    run: Callable[[argparse.Namespace], int],
) -> None:
    """Add the commands `history` and `rollback` to the command line.

    Args:
        commands: Where the commands of `llmops` are.
        add_options: Adds the options of every command that works on a site; with `--check` or without.
        run: Runs such a command.
    """
    text = "tell which generations of its servers a host has kept, and what each changed"
    history = commands.add_parser("history", help=text, description=text[0].upper() + text[1:] + ".")
    _add_host(history)
    history.add_argument("name", nargs="?", metavar="SERVER", help="only this server")
    add_options(history, False)
    history.set_defaults(run=run)

    text = "let an earlier generation of a server serve again, gated as any change"
    rollback = commands.add_parser("rollback", help=text, description=text[0].upper() + text[1:] + ".")
    _add_host(rollback)
    rollback.add_argument("name", metavar="SERVER", help="the server")
    rollback.add_argument(
        "generation",
        nargs="?",
        type=int,
        metavar="GENERATION",
        help="its number in `llmops history` (default: the newest that was good and does not serve)",
    )
    add_options(rollback, True)
    _add_wave_options(rollback)
    rollback.set_defaults(run=run)


def add_apply_options(parser: argparse.ArgumentParser) -> None:
    """Add to `llmops apply` what it has to do with generations and waves."""
    _add_wave_options(parser)
    parser.add_argument(
        "--keep-failed", action="store_true", help="keep a generation that fails its gate, for inspection"
    )


def apply_options(args: argparse.Namespace) -> dict[str, Any]:
    """Take these from a parsed command line, by the names that `Site.apply` has for them; `lab up` has none."""
    return {**_wave_options(args), "keep_failed": getattr(args, "keep_failed", False)}


def _add_wave_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--serial",
        metavar="N|P%",
        help="hosts in waves of so many, or of these sizes (1,25%%,100%%); a wave with a failure is the last",
    )
    parser.add_argument(
        "--max-fail-percentage",
        type=float,
        metavar="P",
        help="go on to the next wave when no more than this share of a wave's hosts failed (default: 0)",
    )


def run_generations(site: Site, args: argparse.Namespace, progress: Progress) -> RunResult:
    """Run one of the commands on a site.

    Args:
        site: The site.
        args: The parsed command line.
        progress: Somebody who watches the run.
    """
    if args.command == "history":
        return site.history(args.host, [args.name] if args.name else [], progress=progress)
    if args.generation is not None and args.generation < 1:
        msg = f"GENERATION {args.generation}: generations are counted from 1, see `llmops history`"
        raise UsageError(msg)
    return site.rollback(
        args.host,
        args.name,
        args.generation,
        check=args.check,
        diff=args.diff,
        progress=progress,
        **_wave_options(args),
    )


def _wave_options(args: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(args, name, None) for name in ("serial", "max_fail_percentage")}


def _add_host(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST", help="the host, or a pattern of hosts, as the inventory names them")
