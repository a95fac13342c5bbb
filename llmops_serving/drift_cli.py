# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands `llmops drift` and `llmops lock`: what is not as the inventory says, and what it was proven with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from llmops_serving.progress import Progress
    from llmops_serving.results import RunResult
    from llmops_serving.site import Site

_EPILOG = "exit codes: 0 nothing differs, 1 failed, 2 wrong usage, 3 something differs, 130 interrupted"


def add_drift_parsers(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    add_options: Callable[[argparse.ArgumentParser, bool], None],
    run: Callable[[argparse.Namespace], int],
) -> None:
    """Add the commands `drift` and `lock` to the command line.

    Args:
        commands: Where the commands of `llmops` are.
        add_options: Adds the options of every command that works on a site; with `--check` or without.
        run: Runs such a command.
    """
    text = "tell what on the hosts is not as inventory and lock file say; exit code 3 if anything differs"
    drift = commands.add_parser("drift", help=text, description=text[0].upper() + text[1:] + ".", epilog=_EPILOG)
    add_options(drift, False)
    drift.add_argument(
        "--bytes",
        action="store_true",
        help="read all bytes of the models, not only files whose size or time changed",
    )
    add_lock_option(drift)
    drift.set_defaults(run=run)
    text = "write what the hosts serve with, images, models and versions, into the lock file beside the inventory"
    lock = commands.add_parser("lock", help=text, description=text[0].upper() + text[1:] + ".")
    add_options(lock, True)
    lock.set_defaults(run=run)


def add_lock_option(command: argparse.ArgumentParser) -> None:
    """Add the option that leaves the lock file out of account.

    Args:
        command: A command that heeds it.
    """
    command.add_argument("--no-lock", action="store_true", help="as if there were no lock file beside the inventory")


def lock_variables(args: argparse.Namespace) -> dict[str, Any]:
    """Give the variables that the option means.

    Args:
        args: The parsed command line.
    """
    return {"serving_lock_file": ""} if getattr(args, "no_lock", False) else {}


def run_drift(site: Site, args: argparse.Namespace, progress: Progress) -> RunResult:
    """Run one of the commands on a site.

    Args:
        site: The site.
        args: The parsed command line.
        progress: Somebody who watches the run.
    """
    if args.command == "lock":
        return site.lock(check=args.check, diff=args.diff, progress=progress)
    return site.drift(every_byte=args.bytes, diff=args.diff, progress=progress)
