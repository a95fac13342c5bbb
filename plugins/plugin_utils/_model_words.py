# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Say how far a fetch has come, in a line."""

from __future__ import annotations

import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._model_files import human
from ansible_collections.llmops.serving.plugins.module_utils._model_progress import CHECK

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAMES: t.Final = 3
_HOUR_S: t.Final = 3600
# Up to here seconds say more than minutes.
_SECONDS_S: t.Final = 120


def running_line(host: str, job: Mapping[str, t.Any], seconds: float) -> str:
    """Say how far a job has come that goes on.

    Args:
        host: The host.
        job: An entry of `jobs` as the module `model_job` returns it.
        seconds: Since the task began.

    Returns:
        A line such as `  gpu1 tiny-chat: 1.2 of 15.3 GiB, 310.0 MiB/s, 46 s left`.
    """
    if progress := job.get("progress"):
        return f"  {host} {_progress(progress)}"
    if other := job.get("waits_for"):
        line = f"  {host} models: wait for another run (process {other['pid']}, since {other['since']})"
        return f"{line}: {_progress(other['progress'])}" if other.get("progress") else line
    return f"  {host} models: no byte yet, {duration(seconds)} so far"


def final_line(host: str, job: Mapping[str, t.Any], *, failed: bool) -> str:
    """Say what a job has done that has ended.

    Args:
        host: The host.
        job: As for `running_line`.
        failed: Whether its work failed.

    Returns:
        A line such as `  gpu1 tiny-chat: 15.3 GiB in 52 s, 301.0 MiB/s`; empty where the job never had a byte.
    """
    progress = job.get("progress")
    if not progress or not progress["models"]:
        return ""
    models = progress["models"]
    open_ones = {name: model for name, model in models.items() if not model["finished"]}
    if failed and open_ones:
        return f"  {host} {_names(open_ones)}: failed at {_amount(open_ones.values())}"
    done, kept = (sum(model[word] for model in models.values()) for word in ("done", "kept"))
    there = f" ({human(kept)} were there)" if kept else ""
    seconds = max(progress["seconds"], 0.1)
    speed = f"in {duration(seconds)}, {human((done - kept) / seconds)}/s"
    return f"  {host} {_names(models)}: {_checked(models.values())}{human(done)}{there} {speed}"


def duration(seconds: float) -> str:
    """Say a time for people, such as `46 s`, `12 min` or `1 h 20 min`."""
    if seconds < _SECONDS_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds / 60:.0f} min"
    return f"{seconds // _HOUR_S:.0f} h {seconds % _HOUR_S // 60:.0f} min"


def _progress(progress: Mapping[str, t.Any]) -> str:
    models = progress["models"]
    open_ones = {name: model for name, model in models.items() if not model["finished"]}
    if not open_ones:
        return f"{_names(models)}: {_amount(models.values())}, to be published"
    line = f"{_names(open_ones)}: {_checked(open_ones.values())}{_amount(open_ones.values())}"
    line += f", {human(progress['rate'])}/s"
    return line if progress["left"] is None else f"{line}, {duration(progress['left'])} left"


def _checked(models: Iterable[Mapping[str, t.Any]]) -> str:
    return "checked " if all(model["doing"] == CHECK for model in models) else ""


def _names(models: Iterable[str]) -> str:
    names = list(models)
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _amount(models: Iterable[Mapping[str, t.Any]]) -> str:
    counted = list(models)
    done, total = sum(model["done"] for model in counted), sum(model["total"] for model in counted)
    if not all(model["total"] for model in counted):
        return human(done)
    number, unit = human(total).split()
    # Both in the unit of the whole, which is what one compares with.
    step = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}[unit]
    return f"{done / step:.{0 if unit == 'B' else 1}f} of {number} {unit}"
