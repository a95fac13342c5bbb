# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command `llmops diagnose`: how the servers of a host fare, and what to do about those that are ill."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from llmops_serving.progress import Progress
    from llmops_serving.results import RunResult
    from llmops_serving.site import Site


def add_diagnose_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    add_options: Callable[[argparse.ArgumentParser], None],
    run: Callable[[argparse.Namespace], int],
) -> None:
    """Add the command to the command line.

    Args:
        commands: Where the commands of `llmops` are.
        add_options: Adds the options of every command that works on a site and chooses its host itself.
        run: Runs such a command.
    """
    text = "say how the servers of a host fare, why one is ill, and what to do"
    command = commands.add_parser(
        "diagnose",
        help=text,
        description=text[0].upper() + text[1:] + ". Changes nothing, and waits for nothing that loads.",
        epilog="exit codes: 0 all is well, 1 a server is ill, or the host cannot be asked, 2 wrong usage",
    )
    command.add_argument("host", metavar="HOST", help="the host, or a pattern of hosts, as the inventory names them")
    command.add_argument("name", nargs="?", metavar="SERVER", help="only this server")
    command.add_argument("--no-requests", action="store_true", help="look only, and ask the servers nothing")
    add_options(command)
    command.set_defaults(run=run)


def run_diagnose(site: Site, args: argparse.Namespace, progress: Progress) -> RunResult:
    """Run the command on a site.

    Args:
        site: The site.
        args: The parsed command line.
        progress: Somebody who watches the run.
    """
    servers = [args.name] if args.name else []
    return site.diagnose(args.host, servers, gate=not args.no_requests, progress=progress)
