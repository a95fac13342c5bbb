# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""The command line of the agent on the host, for its units alone: `watch`, and `recover [--start SERVER]`."""

from __future__ import annotations

import argparse
import sys
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._watch_recover import put_back_all, put_right
from ansible_collections.llmops.serving.plugins.module_utils._watchdog import watch_all

# Levels of sd-daemon(3), by which systemd files a line.
_NOTICE, _ERROR = "<5>", "<3>"


def main(argv: t.Sequence[str] | None = None) -> int:
    """Do what a unit asks for.

    Args:
        argv: Words of the command line, by default those of the process.

    Returns:
        The exit code: 1 where something that was tried failed.
    """
    parser = argparse.ArgumentParser(prog="agent", description="Looks after the servers of this host.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("watch", help="look once whether the servers answer, and start anew what does not")
    recover = commands.add_parser("recover", help="put back what changes left that were cut off")
    recover.add_argument("--start", metavar="SERVER", help="of this one alone, and make it serve")
    words = parser.parse_args(argv)
    if words.command == "watch":
        return _tell(watch_all())
    return _tell([put_right(words.start)] if words.start else put_back_all())


def _tell(results: t.Iterable[t.Any]) -> int:
    code = 0
    for told in results:
        for line in told.lines:
            sys.stdout.write("{}{}: {}\n".format(_NOTICE if told.ok else _ERROR, told.name, " ".join(line.split())))
        code = code if told.ok else 1
    sys.stdout.flush()
    return code
