# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Run the host's own programs."""

from __future__ import annotations

import os
import subprocess
import typing as t


class CommandError(Exception):
    """A program could not be run, failed, or took too long; the message is its last words."""


class MissingError(CommandError):
    """The host has no such program."""


class Completed(t.NamedTuple):
    """What a program left behind."""

    code: int
    out: str
    err: str


def run(argv: list[str], timeout: float = 60, check: bool = True) -> Completed:
    """Run a program in the C locale and wait for it.

    Args:
        argv: The program and its arguments; no shell, and no secret, for argv is visible to every user.
        timeout: Seconds after which it is killed.
        check: Whether an exit code other than 0 is an error.

    Returns:
        Its exit code and what it printed.

    Raises:
        CommandError: The program is missing (`MissingError`), too slow, or failed while `check` is set.
    """
    environment = dict(os.environ, LC_ALL="C", LANGUAGE="C")
    try:
        done = subprocess.run(  # noqa: S603  fixed programs, no shell
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, env=environment, check=False
        )
    except FileNotFoundError:
        raise MissingError(f"{argv[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"{' '.join(argv[:3])} took more than {timeout:g} s") from None
    result = Completed(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
    if check and result.code:
        last = (result.err.strip() or result.out.strip() or "no message").splitlines()[-1]
        raise CommandError("{}: {}".format(" ".join(argv[:3]), last))
    return result
