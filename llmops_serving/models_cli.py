# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands `llmops models …`: see what the hosts have, whether it is whole, and remove what nobody needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from llmops_serving.progress import Progress
    from llmops_serving.results import RunResult
    from llmops_serving.site import Site

_ACTIONS = {
    "list": "tell which versions of which models the hosts have, and who needs them",
    "verify": "read every byte of them again, and name what is damaged",
    "prune": "remove the versions that neither a server nor the inventory needs, and what unfinished fetches left",
}


def add_models_parser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    add_options: Callable[[argparse.ArgumentParser, bool], None],
    run: Callable[[argparse.Namespace], int],
) -> None:
    """Add the command `models` to the command line.

    Args:
        commands: Where the commands of `llmops` are.
        add_options: Adds the options of every command that works on a site; with `--check` or without.
        run: Runs such a command.
    """
    text = "list, verify or prune the models that the hosts have"
    models = commands.add_parser("models", help=text, description=text[0].upper() + text[1:] + ".")
    actions = models.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, told in _ACTIONS.items():
        action = actions.add_parser(name, help=told, description=told[0].upper() + told[1:] + ".")
        add_options(action, name == "prune")
        action.add_argument("names", nargs="*", metavar="NAME", help="only this model; all if none is named")
        action.set_defaults(run=run)


def run_models(site: Site, args: argparse.Namespace, progress: Progress) -> RunResult:
    """Run one of the commands on a site.

    Args:
        site: The site.
        args: The parsed command line.
        progress: Somebody who watches the run.
    """
    check = getattr(args, "check", False)
    return site.models(args.action, args.names, check=check, diff=args.diff, progress=progress)
