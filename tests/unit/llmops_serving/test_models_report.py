# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people get to read about model stores."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from llmops_serving.models_result import ModelStore, ModelVersion
from llmops_serving.report import render
from llmops_serving.results import HostResult, RunResult

GIB = 1 << 30
CHAT = ModelVersion(
    "tiny-chat",
    "aaaaaaaaaaaa",
    15 * GIB,
    source="https://huggingface.co/org/tiny-chat",
    files=12,
    licence="LICENSE",
    fetched_at="2026-01-31T12:00:00Z",
    wanted=True,
    used_by=("server chat",),
)
OLD = replace(CHAT, key="bbbbbbbbbbbb", wanted=False, used_by=())
HALF = replace(OLD, source="", complete=False)
LEFT = ModelVersion("embed", "cccccccccccc", GIB, unfinished=True)


def text(store: ModelStore | None, width: int = 110, command: str = "models list", **words: Any) -> str:
    hosts = (HostResult("gpu1", ok=True, store=store), HostResult("gpu2", ok=True, store=ModelStore("/none")))
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(render(RunResult(command, ok=True, hosts=hosts, seconds=1.2, **words)))
    printed: str = console.file.getvalue()  # type: ignore[attr-defined] # the file is the StringIO above
    assert max(map(len, printed.splitlines())) <= width
    return "\n".join(line.rstrip() for line in printed.splitlines())


def test_a_list_says_who_needs_what_and_where_it_came_from() -> None:
    printed = text(ModelStore("/m", 46 * GIB, (CHAT, OLD, HALF), (LEFT, replace(LEFT, wanted=True))))
    assert printed.splitlines() == [
        "host  model              version           size  needed by, source",
        "gpu1  tiny-chat          aaaaaaaaaaaa  15.0 GiB  server chat, the inventory",
        "                                                 12 files from https://huggingface.co/org/tiny-chat at",
        "                                                 2026-01-31T12:00:00Z, licence in LICENSE",
        "      tiny-chat          bbbbbbbbbbbb  15.0 GiB  nobody",
        "                                                 12 files from https://huggingface.co/org/tiny-chat at",
        "                                                 2026-01-31T12:00:00Z, licence in LICENSE",
        "      tiny-chat          bbbbbbbbbbbb  15.0 GiB  nobody  incomplete",
        "      embed  unfinished  cccccccccccc   1.0 GiB  needed by nobody",
        "      embed  unfinished  cccccccccccc   1.0 GiB  the next fetch goes on with it",
        "",
        "done: 2 hosts, 3 versions of models, 46.0 GiB, no changes, 1.2 s",
    ]


def test_a_check_says_what_is_whole() -> None:
    checked = [replace(CHAT, damaged=()), replace(OLD, damaged=("a.safetensors", "b")), replace(HALF, damaged=())]
    printed = text(ModelStore("/m", 1, tuple(checked)), command="models verify")
    assert [line.partition(" GiB  ")[2] for line in printed.splitlines()[1:4]] == [
        "ok",
        "damaged: a.safetensors, b",
        "no manifest says what it should hold: llmops models prune removes it",
    ]


@pytest.mark.parametrize(
    ("check", "verb", "freed", "verdict"),
    [(True, "would be removed", "16.0 GiB to free", "would change"), (False, "removed", "16.0 GiB freed", "done")],
)
def test_a_prune_says_what_goes_and_why_the_rest_stays(check: bool, verb: str, freed: str, verdict: str) -> None:
    kept = replace(CHAT, reasons=("used by server chat", "wanted by the inventory"))
    store = ModelStore("/m", 15 * GIB, (CHAT,), removed=(OLD, LEFT), kept=(kept,), freed=16 * GIB)
    printed = text(store, command="models prune", check=check, changed=True).splitlines()
    assert printed[1] == f"gpu1  tiny-chat          bbbbbbbbbbbb  15.0 GiB  {verb}"
    assert printed[2] == f"      embed  unfinished  cccccccccccc   1.0 GiB  {verb}"
    assert printed[3].endswith("kept: used by server chat; wanted by the inventory")
    assert printed[-1].startswith(f"{verdict}: 2 hosts, 1 version of models, 15.0 GiB, {freed}, ")
    assert not [line for line in printed if "would change:" in line and line != printed[-1]]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_it_fits_any_terminal(width: int) -> None:
    assert "tiny-chat" in text(ModelStore("/m", 1, (CHAT,), (LEFT,)), width)


def test_hosts_without_models_say_so() -> None:
    assert text(ModelStore("/m")).startswith("gpu1: no models in /m\ngpu2: no models in /none\n")


def test_an_apply_that_prunes_shows_its_servers_as_ever() -> None:
    assert "tiny-chat" not in text(ModelStore("/m", 1, (CHAT,)), command="apply")
