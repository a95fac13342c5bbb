# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the watchdog remembers of a server."""

from __future__ import annotations

import json
import stat
import time
import typing as t

import pytest

from ansible_collections.llmops.serving.plugins.module_utils import _generations, _watch_notes
from ansible_collections.llmops.serving.plugins.module_utils._watch_notes import (
    CURED_S,
    FIRST_BACKOFF_S,
    KEPT_EVIDENCE,
    LAST_BACKOFF_S,
    STRIKES,
    Notes,
    backoff,
    evidence_files,
    forget,
    keep_evidence,
    read_notes,
    write_notes,
)

if t.TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_watch_notes, "NOTES_DIR", tmp_path / "run")
    monkeypatch.setattr(_generations, "STATE_DIR", tmp_path / "servers")
    (tmp_path / "servers" / "chat").mkdir(parents=True)
    return tmp_path


def test_notes_come_back() -> None:
    notes = Notes(invocation="a", ready=True, progress={"steps": 3.0}, restarts=2, restarted=17.5, turn=4)
    notes.strike("no answer")
    write_notes("chat", notes)
    assert read_notes("chat") == notes
    forget("chat")
    forget("chat")
    assert read_notes("chat") == Notes()


@pytest.mark.parametrize("text", ["", "[]", "null", '{"invocation": "a"}', "rubbish"])
def test_notes_that_cannot_be_read_are_none(places: Path, text: str) -> None:
    (places / "run").mkdir()
    (places / "run" / "chat.json").write_text(text, encoding="utf-8")
    assert read_notes("chat") == Notes()


def test_another_start_is_another_matter_but_for_how_often_it_was_needed() -> None:
    notes = Notes(invocation="a", ready=True, progress={"steps": 3.0}, restarts=2, restarted=17.5)
    notes.strike("no answer")
    notes.begin("a")
    assert (notes.ready, len(notes.strikes)) == (True, 1)
    notes.begin("b")
    assert notes == Notes(invocation="b", restarts=2, restarted=17.5)


def test_strikes_end_when_it_is_well() -> None:
    notes = Notes()
    for number in range(STRIKES + 2):
        notes.strike(f"look {number}")
    assert [strike["seen"] for strike in notes.strikes] == ["look 2", "look 3", "look 4"]
    notes.well(100)
    assert notes.strikes == []


@pytest.mark.parametrize(
    ("restarts", "seconds"), [(0, 0), (1, 60), (2, 120), (3, 240), (6, 1920), (7, 3600), (50, 3600)]
)
def test_the_time_between_new_starts_doubles(restarts: int, seconds: float) -> None:
    assert backoff(restarts) == seconds
    assert Notes(restarts=restarts, restarted=1000).due(1010) == (seconds - 10 if restarts else 0)
    assert FIRST_BACKOFF_S <= LAST_BACKOFF_S


@pytest.mark.parametrize(
    ("restarts", "ready", "after", "left"),
    [
        (1, True, CURED_S, 0),
        (1, True, CURED_S - 1, 1),
        (1, False, CURED_S, 1),
        (7, True, CURED_S, 7),
        (7, True, 3600, 0),
    ],
)
def test_who_is_well_for_long_is_cured(restarts: int, ready: bool, after: float, left: int) -> None:
    notes = Notes(ready=ready, restarts=restarts, restarted=1000)
    notes.well(1000 + after)
    assert notes.restarts == left


def test_evidence_is_for_root_alone_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(KEPT_EVIDENCE + 2))
    monkeypatch.setattr(_watch_notes.time, "gmtime", lambda real=time.gmtime: real(next(clock)))
    paths = [keep_evidence("chat", {"seen": number}) for number in range(KEPT_EVIDENCE + 2)]
    assert evidence_files("chat") == paths[2:]
    assert json.loads(paths[-1].read_text(encoding="utf-8")) == {"seen": KEPT_EVIDENCE + 1}
    assert stat.S_IMODE(paths[-1].stat().st_mode) == 0o600
    assert stat.S_IMODE(paths[-1].parent.stat().st_mode) == 0o700


def test_without_evidence_there_are_no_files() -> None:
    assert evidence_files("never") == []
