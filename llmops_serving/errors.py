# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the driver raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmops_serving.results import RunResult


class DriverError(Exception):
    """The driver cannot do what was asked; the message names cause and remedy."""

    exit_code = 1


class UsageError(DriverError):
    """What was asked for makes no sense here: no such inventory, no such host, no such server."""

    exit_code = 2


class Interrupted(KeyboardInterrupt):
    """The run was interrupted and has been stopped; `result` holds what was done until then.

    A `KeyboardInterrupt`, so that a script that applies several sites ends at the first Ctrl-C instead of going on.

    Attributes:
        result: The results known when the run stopped.
    """

    def __init__(self, result: RunResult) -> None:
        """Keep the results."""
        super().__init__("interrupted")
        self.result = result
