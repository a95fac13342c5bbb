# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people get to read."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from llmops_serving.report import render
from llmops_serving.results import Fit, HostResult, Probe, RunResult, Server, Step, parse_events

FIXTURES = Path(__file__).parent / "fixtures"


def text(result: RunResult, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(render(result))
    printed = console.file.getvalue()  # type: ignore[attr-defined] # the file is the StringIO above
    return str(printed)


def run(server: Server, *, check: bool = False, ok: bool = True, steps: tuple[Step, ...] = ()) -> RunResult:
    changed = server.changed
    host = HostResult(server.host, ok=ok, changed=changed, servers=(server,), steps=steps)
    return RunResult("apply", ok=ok, changed=changed, check=check, hosts=(host,), seconds=12.34)


GOOD = Server(
    name="chat",
    host="lab1",
    ok=True,
    changed=True,
    engine="llama_cpp",
    action="created",
    url="http://127.0.0.1:8001/v1",
    models=("tiny-chat",),
    seconds={"total": 34.21},
    probes=(Probe("chat", ok=True, model="tiny-chat", sample="Paris.", latency_ms=321.0),),
)


@pytest.mark.parametrize("width", [80, 140])
def test_failures_come_with_check_cause_and_remedy_and_fit_the_terminal(width: int) -> None:
    events = json.loads((FIXTURES / "apply_mixed.json").read_text())
    printed = text(parse_events(events, command="apply", rc=2), width)

    assert max(map(len, printed.splitlines())) <= width
    flat = " ".join(printed.split())
    for said in (
        "lab1 embed failed",
        "check embedding.constant",
        "cause all vectors are equal",
        "remedy pick another model in serving_models",
        "the previous generation serves again",
        "line two",
        "lab2 unreachable",
        "Connection refused",
        "lab3 2 problems, nothing was changed",
        "- disk: 1 GiB free in /var/lib, 3 GiB needed",
        "failed: 3 hosts, 2 servers, 1 of 2 probes good, 2 changes",
    ):
        assert said in flat
    assert "sk-very-secret" not in printed


def test_a_table_names_server_engine_model_url_probe_sample_and_seconds() -> None:
    printed = text(run(GOOD))

    first, second = printed.splitlines()[1:3]
    assert first.split() == ["lab1", "chat", "llama_cpp", "http://127.0.0.1:8001/v1", "created", "34.2"]
    assert second.split() == ["ok", "chat", "tiny-chat", "Paris.", "0.3"]
    assert "done: 1 host, 1 server, 1 of 1 probe good" in printed
    assert "12.3 s" in printed


def test_a_plan_says_what_it_would_do() -> None:
    step = Step("lab1", "Serve", "llmops.serving.server", "changed", "chat")
    printed = text(run(GOOD, check=True, steps=(step,)))

    assert "http://127.0.0.1:8001/v1  create " in printed
    assert "lab1 would change:\n  Serve (chat)" in printed
    assert "would change: 1 host" in printed


def test_notices_are_shown_though_nothing_is_wrong() -> None:
    event = {"res": {"problems": [], "notices": ["serving_servers['t'].engine: TGI is in maintenance mode"]}}
    data = {"host": "lab1", "task": "Look", "task_action": "llmops.serving.preflight", **event}
    result = parse_events([{"event": "runner_on_ok", "event_data": data}], command="apply")
    assert result.ok
    assert result.to_dict()["hosts"][0]["notices"] == event["res"]["notices"]
    assert "lab1 note: serving_servers['t'].engine: TGI is in maintenance mode" in text(result)


def test_a_plan_without_changes_has_nothing_to_do() -> None:
    assert "nothing to do: " in text(run(Server("chat", "lab1", ok=True, action="unchanged"), check=True))


def test_models_that_no_probe_names_are_listed_with_the_engine() -> None:
    printed = text(run(Server("embed", "lab1", ok=True, engine="infinity", models=("minilm", "tiny-rerank"))))

    assert "minilm" in printed
    assert "tiny-rerank" in printed


def test_an_answer_cannot_draw_outside_its_cell() -> None:
    probe = Probe("chat", ok=True, model="m", sample="a\x1b[2Jb\n[red]c[/red]" + "x" * 500)
    printed = text(run(Server("chat", "lab1", ok=True, probes=(probe,))))

    assert "\x1b" not in printed
    assert "[red]c[/red]" in printed, "no markup of rich either"
    assert "…" in printed


def test_an_interrupted_run_says_so() -> None:
    assert "interrupted: 0 hosts" in text(RunResult("apply", ok=False, interrupted=True))


FITS = (
    Fit("chat", "fits", "GPU 0", "weights 0.9 + KV cache 0.2 = 1.1 GiB of 15.7 GiB free on GPU 0"),
    Fit("big", "fits with", "GPU 0", "weights 14.9 + KV cache 4.0 = 18.9 GiB of 15.7", "set context_length to 4096"),
)


@pytest.mark.parametrize("width", [80, 140])
def test_a_plan_shows_the_sum_of_each_server(width: int) -> None:
    host = HostResult("gpu1", ok=True, fits=FITS)
    printed = text(RunResult("plan", ok=True, check=True, hosts=(host,)), width)

    assert max(map(len, printed.splitlines())) <= width
    flat = " ".join(printed.split())
    assert "chat fits weights 0.9 + KV cache 0.2" in flat
    assert "set context_length to 4096" in flat


def test_sums_are_shown_afterwards_only_where_something_failed() -> None:
    good = RunResult("apply", ok=True, hosts=(HostResult("gpu1", ok=True, fits=FITS),))
    bad = RunResult("apply", ok=False, hosts=(HostResult("gpu1", ok=False, fits=FITS, problems=("no",)),))

    assert "KV cache" not in text(good)
    assert "KV cache" in text(bad)
