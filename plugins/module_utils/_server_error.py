# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Why a server could not be changed, or does not serve."""

from __future__ import annotations

import typing as t


class ServerError(Exception):
    """A server could not be changed, or does not serve.

    Attributes:
        check: The step or probe that failed.
        cause: Why, as far as it can be told.
        remedy: Which variable to change.
        log: The last lines of the engine.
        probes: What the gate found, as far as it came.
        rolled_back: Whether the previous generation serves again.
        second: `check` and `cause` of the previous generation's own failure, where that does not serve either.
        evidence: What the host knows about it, as `Evidence.to_dict` gives it.
        kept_failed: Number of the generation that failed and is kept for inspection.
    """

    def __init__(
        self, check: str, cause: str, remedy: str, log: t.Sequence[str] = (), probes: t.Sequence[t.Any] = ()
    ) -> None:
        """Say what failed, why, and what to do."""
        super().__init__(check, cause, remedy)
        self.check = check
        self.cause = cause
        self.remedy = remedy
        self.log = list(log)
        self.probes = list(probes)
        self.rolled_back = False
        self.second: dict[str, str] | None = None
        self.evidence: dict[str, t.Any] = {}
        self.kept_failed: int | None = None

    def __str__(self) -> str:
        """One line; what became of the server is added to cause and remedy only later."""
        return f"{self.check}: {self.cause}; {self.remedy}"
