# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Change hosts in waves: what the playbooks take, and how far the waves came."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmops_serving.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SIZE = re.compile(r"[1-9]\d*|(?:100|[1-9]\d?)%")
_MOST = 100


@dataclass(frozen=True)
class Waves:
    """How far the waves of a run came.

    Attributes:
        begun: The hosts of each wave that began, in order.
        cut_short: Hosts of these that were stopped on the way although nothing failed on them.
        not_reached: Hosts whose wave did not begin; nothing was changed on them.
    """

    begun: tuple[tuple[str, ...], ...]
    cut_short: tuple[str, ...] = ()
    not_reached: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Turn it into what `--json` prints."""
        return {
            "begun": [list(wave) for wave in self.begun],
            "cut_short": list(self.cut_short),
            "not_reached": list(self.not_reached),
        }


def wave_variables(serial: int | str | None, max_fail_percentage: float | None) -> dict[str, Any]:
    """Say what a playbook with waves takes.

    Args:
        serial: Hosts of a wave: a number, a share such as `25%`, or several of these with commas between them, of which
            each wave takes its own and all further ones the last; None for all hosts at once.
        max_fail_percentage: Which share of a wave's hosts may fail before no other wave begins.

    Returns:
        The extra variables.

    Raises:
        UsageError: One of them is no such thing.
    """
    words: dict[str, Any] = {}
    if serial is not None:
        sizes = [part.strip() for part in str(serial).split(",")]
        wrong = [size for size in sizes if not _SIZE.fullmatch(size)]
        if wrong:
            msg = f"--serial {serial}: {wrong[0] or 'nothing'} is no size of a wave: 1, 25% or 1,25%,100%"
            raise UsageError(msg)
        words["serving_serial"] = [size if "%" in size else int(size) for size in sizes]
    if max_fail_percentage is not None:
        if serial is None:
            msg = "--max-fail-percentage is about waves: name their size with --serial, such as --serial 1"
            raise UsageError(msg)
        if not 0 <= max_fail_percentage <= _MOST:
            msg = f"--max-fail-percentage {max_fail_percentage:g}: from 0 to 100"
            raise UsageError(msg)
        words["serving_max_fail_percentage"] = max_fail_percentage
    return words


def waves_of(events: Iterable[Mapping[str, Any]], failed: Iterable[str] = ()) -> Waves | None:
    """Find out how far the waves of a run came.

    Args:
        events: The events of ansible-runner, in order.
        failed: The hosts that failed, or could not be reached.

    Returns:
        The waves, None where the hosts were not divided.
    """
    begun: dict[tuple[str, ...], None] = {}
    planned: list[str] = []
    ended = set(failed)
    for event in events:
        if event.get("event") != "runner_on_ok":
            continue
        data = event.get("event_data") or {}
        facts = (data.get("res") or {}).get("ansible_facts") or {}
        if isinstance(wave := facts.get("serving_wave"), dict):
            begun[tuple(wave["hosts"])] = None
            planned = wave["all"]
        if facts.get("serving_wave_ended"):
            ended.add(str(data.get("host")))
    if not begun:
        return None
    there = [host for wave in begun for host in wave]
    return Waves(
        begun=tuple(begun),
        cut_short=tuple(host for host in there if host not in ended),
        not_reached=tuple(host for host in planned if host not in there),
    )
