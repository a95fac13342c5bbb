# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines that a fetch prints."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._model_words import duration, final_line, running_line

GIB, MIB = 1 << 30, 1 << 20
SPEED = "310.0 MiB/s, 46 s left"
HALF = {"doing": "fetch", "total": 15 * GIB, "kept": 0, "done": 3 * GIB // 2, "finished": False}
WHOLE = {**HALF, "done": 15 * GIB, "finished": True}


def progress(rate: float = 310 * MIB, left: float | None = 46.0, seconds: float = 52.0, **models: t.Any) -> t.Any:
    return {"models": models, "rate": rate, "left": left, "seconds": seconds, "closed": False}


@pytest.mark.parametrize(
    ("job", "line"),
    [
        ({"progress": progress(chat=HALF)}, "chat: 1.5 of 15.0 GiB, 310.0 MiB/s, 46 s left"),
        ({"progress": progress(chat=HALF, left=None, rate=0)}, "chat: 1.5 of 15.0 GiB, 0 B/s"),
        ({"progress": progress(chat=HALF, embed=HALF)}, "chat, embed: 3.0 of 30.0 GiB, 310.0 MiB/s, 46 s left"),
        ({"progress": progress(old=WHOLE, chat=HALF)}, "chat: 1.5 of 15.0 GiB, 310.0 MiB/s, 46 s left"),
        ({"progress": progress(old=WHOLE)}, "old: 15.0 of 15.0 GiB, to be published"),
        ({"progress": progress(**dict.fromkeys("abcde", HALF))}, f"a, b, c and 2 more: 7.5 of 75.0 GiB, {SPEED}"),
        ({"progress": progress(chat={**HALF, "total": 0}, left=None)}, "chat: 1.5 GiB, 310.0 MiB/s"),
        ({"progress": progress(chat={**HALF, "doing": "check"})}, f"chat: checked 1.5 of 15.0 GiB, {SPEED}"),
        ({"progress": progress(chat={**HALF, "total": 900, "done": 7})}, "chat: 7 of 900 B, 310.0 MiB/s, 46 s left"),
        ({"progress": None, "waits_for": None}, "models: no byte yet, 7 s so far"),
        (
            {"progress": None, "waits_for": {"pid": 12, "since": "12:00", "progress": None}},
            "models: wait for another run (process 12, since 12:00)",
        ),
        (
            {"progress": None, "waits_for": {"pid": 12, "since": "12:00", "progress": progress(chat=HALF)}},
            "models: wait for another run (process 12, since 12:00): chat: 1.5 of 15.0 GiB, 310.0 MiB/s, 46 s left",
        ),
    ],
)  # fmt: skip
def test_what_goes_on(job: dict[str, t.Any], line: str) -> None:
    assert running_line("gpu1", job, 7) == f"  gpu1 {line}"


@pytest.mark.parametrize(
    ("job", "failed", "line"),
    [
        ({"progress": progress(chat=WHOLE)}, False, "  gpu1 chat: 15.0 GiB in 52 s, 295.4 MiB/s"),
        (
            {"progress": progress(chat={**WHOLE, "kept": 5 * GIB})},
            False,
            "  gpu1 chat: 15.0 GiB (5.0 GiB were there) in 52 s, 196.9 MiB/s",
        ),
        ({"progress": progress(chat=WHOLE, embed=WHOLE)}, False, "  gpu1 chat, embed: 30.0 GiB in 52 s, 590.8 MiB/s"),
        ({"progress": progress(old=WHOLE, chat=HALF)}, True, "  gpu1 chat: failed at 1.5 of 15.0 GiB"),
        ({"progress": progress(old=WHOLE)}, True, "  gpu1 old: 15.0 GiB in 52 s, 295.4 MiB/s"),
        (
            {"progress": progress(old={**WHOLE, "doing": "check"})},
            True,
            "  gpu1 old: checked 15.0 GiB in 52 s, 295.4 MiB/s",
        ),
        ({"progress": progress(seconds=0.0)}, False, ""),
        ({"progress": None}, True, ""),
    ],
)
def test_what_was_done(job: dict[str, t.Any], failed: bool, line: str) -> None:
    assert final_line("gpu1", job, failed=failed) == line


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (3599, "60 min"), (4800, "1 h 20 min")]
)
def test_times(seconds: float, said: str) -> None:
    assert duration(seconds) == said
