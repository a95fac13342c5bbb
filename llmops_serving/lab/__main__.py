# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`python -m llmops_serving.lab up|down|status`: the lab without the rest of the driver."""

from __future__ import annotations

import argparse
import sys
import time

from llmops_serving.lab import Lab, LabError
from llmops_serving.lab.images import choose_engines


def main() -> int:
    """Run one command; 0 done, 1 failed."""
    parser = argparse.ArgumentParser(prog="python -m llmops_serving.lab")
    parser.add_argument("command", choices=["up", "down", "status", "create", "destroy", "shell"])
    parser.add_argument("name", nargs="?", default="lab1")
    parser.add_argument("--hosts", type=int, default=1)
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("--engines", default="", metavar="LIST")
    parser.add_argument("--keep-cache", action="store_true")
    arguments = parser.parse_args()
    begun = time.monotonic()

    def progress(stage: str, message: str, /) -> None:
        sys.stderr.write(f"{time.monotonic() - begun:6.1f} {stage}: {message}\n")

    lab = Lab()
    try:
        engines = choose_engines(arguments.engines)
        if arguments.command == "up":
            lab.up(arguments.hosts, arguments.suite, progress, engines)
        elif arguments.command == "down":
            lab.down(arguments.keep_cache, progress)
        elif arguments.command == "create":
            lab.create_host(arguments.name, arguments.suite, progress, engines)
        elif arguments.command == "destroy":
            lab.destroy_host(arguments.name)
        elif arguments.command == "shell":
            return lab.shell(arguments.name)
        else:
            sys.stdout.write(f"{lab.status()}\n")
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    progress(arguments.command, "done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
