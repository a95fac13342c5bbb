# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._bench_report import complete
from llmops_serving import DriverError, Interrupted, RunResult, Site, cli
from llmops_serving.results import HostResult, parse_events
from tests.unit.plugins import bench_documents

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, name: str, document: dict[str, Any]) -> str:
    path = folder / name
    path.write_text(json.dumps(complete(document)), encoding="utf-8")
    return str(path)


def slower(document: dict[str, Any], times: float) -> dict[str, Any]:
    """The same candidates, each step of which took so many times as long."""
    for candidate in document["candidates"]:
        for step in candidate["steps"]:
            step["seconds"] *= times
            for name in ("ttft_ms", "tpot_ms", "e2el_ms", "itl_ms"):
                step["samples"][name] = [value * times for value in step["samples"].get(name) or []]
    return document


# -- compare


def test_the_same_report_has_no_regression(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = written(tmp_path, "a.json", bench_documents.clear_winner())
    assert cli.main(["benchmark", "--compare", one, one]) == 0
    assert "no regression" in capsys.readouterr().out


def test_a_regression_has_an_exit_code_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = written(tmp_path, "a.json", bench_documents.clear_winner())
    after = written(tmp_path, "b.json", slower(bench_documents.clear_winner(), 2.0))
    assert cli.main(["benchmark", "--compare", before, after]) == 4
    assert "a regression" in capsys.readouterr().out
    assert cli.main(["benchmark", "--compare", before, after, "--threshold", "200"]) == 0
    capsys.readouterr()
    assert cli.main(["benchmark", "--compare", before, after, "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["regressions"] > 0
    assert cli.main(["benchmark", "--compare", after, before]) == 0, "faster is none"


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "this is no JSON"), ('{"format": "other"}', "this is no document of a benchmark"), (None, "cannot be read")],
)
def test_what_is_no_report_is_told(
    text: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = written(tmp_path, "a.json", bench_documents.clear_winner())
    if text is not None:
        (tmp_path / "b.json").write_text(text, encoding="utf-8")
    assert cli.main(["benchmark", "--compare", good, str(tmp_path / "b.json")]) == 2
    assert said in capsys.readouterr().err


def test_reports_of_different_profiles_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = written(tmp_path, "a.json", bench_documents.clear_winner())
    other = written(tmp_path, "b.json", bench_documents.embedding())
    assert cli.main(["benchmark", "--compare", one, other]) == 2
    assert "compare two benchmarks of one" in capsys.readouterr().err


# -- usage


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["benchmark"], "no inventory: name one with -i"),
        (["tournament", "lab1"], "no inventory: name one with -i"),
        (["tournament", "lab1", "-i", "lab1,"], "a tournament needs --model and --engines"),
        (["tournament", "lab1", "-i", "lab1,", "--model", "m"], "a tournament needs --model and --engines"),
        (["tune", "lab1", "chat"], "no inventory: name one with -i"),
    ],
)
def test_what_is_missing_is_told(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    assert said in capsys.readouterr().err


# -- what runs


class Runs:
    """Plays the runs of playbooks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *outcomes: Any) -> None:
        self.asked: list[tuple[str, str | None, dict[str, Any]]] = []
        self.outcomes = list(outcomes)
        self.owners: list[str] = []

        def run(site: Site, command: str, **words: Any) -> RunResult:
            variables = dict(words.get("extra_vars") or {})
            self.owners.append(variables.pop("tournament_owner", ""))
            self.asked.append((command, site.limit, variables))
            outcome = self.outcomes.pop(0)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome  # type: ignore[no-any-return]

        monkeypatch.setattr(Site, "_run", run)


GOOD = RunResult("tournament", True, hosts=(HostResult("lab1", True),))


def test_a_tournament_is_one_hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = Runs(monkeypatch, GOOD)
    monkeypatch.chdir(tmp_path)
    words = ["--model", "a", "--model", "b,c", "--engines", "vllm,sglang", "--concurrency", "1,2", "--output", "out"]
    assert cli.main(["tournament", "lab1", "-i", "lab1,", *words]) == 0
    assert runs.asked == [
        (
            "tournament",
            "lab1",
            {
                "tournament_models": ["a", "b", "c"],
                "tournament_engines": ["vllm", "sglang"],
                "tournament_together": "auto",
                "benchmark_concurrency": [1, 2],
                "benchmark_output": str(tmp_path / "out"),
            },
        )
    ]


def test_tune_and_restore_are_of_the_same_playbook(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(monkeypatch, GOOD, GOOD)
    assert cli.main(["tune", "lab1", "chat", "-i", "lab1,", "--minutes", "5"]) == 0
    assert cli.main(["tournament", "lab1", "-i", "lab1,", "--restore"]) == 0
    assert runs.asked == [
        ("tune", "lab1", {"tournament_server": "chat", "tournament_minutes": 5.0, "tournament_tries": 0}),
        ("restore", "lab1", {"tournament_state": "restored"}),
    ]


def test_after_ctrl_c_the_servers_are_put_back_before_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = Interrupted(replace(GOOD, ok=False, interrupted=True))
    runs = Runs(monkeypatch, stopped, replace(GOOD, command="restore"))
    assert cli.main(["tune", "lab1", "chat", "-i", "lab1,"]) == 130
    assert [asked[0] for asked in runs.asked] == ["tune", "restore"]
    assert runs.owners[0]
    assert runs.owners[0] == runs.owners[1], "what somebody else holds stays"
    assert "interrupted" in capsys.readouterr().out


def test_what_could_not_be_put_back_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = Interrupted(replace(GOOD, ok=False, interrupted=True))
    Runs(monkeypatch, stopped, replace(GOOD, ok=False))
    with pytest.raises(DriverError, match=r"could not all be put back: `llmops tournament lab1 --restore`"):
        Site("lab1,").tournament("lab1", ["m"], ["vllm"])


def test_two_ctrl_c_leave_a_word_of_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped = Interrupted(replace(GOOD, ok=False, interrupted=True))
    Runs(monkeypatch, stopped, stopped)
    assert cli.main(["tune", "lab1", "chat", "-i", "lab1,"]) == 130
    assert "llmops tournament lab1 --restore" in " ".join(capsys.readouterr().out.split())


def test_a_pipe_that_broke_does_not_leave_servers_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(monkeypatch, BrokenPipeError(), replace(GOOD, command="restore"))
    with pytest.raises(BrokenPipeError):
        Site("lab1,").tune("lab1", "chat")
    assert [asked[0] for asked in runs.asked] == ["tune", "restore"]


def test_after_ctrl_c_a_benchmark_cleans_up_and_releases_nobodys_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = Interrupted(replace(GOOD, ok=False, interrupted=True))
    runs = Runs(monkeypatch, stopped, GOOD)
    with pytest.raises(Interrupted):
        Site("lab1,").benchmark()
    assert runs.asked[1] == ("restore", None, {"tournament_state": "restored"})
    assert runs.owners[1]


def test_a_host_that_was_lost_on_the_way_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = replace(GOOD, ok=False, hosts=(HostResult("lab1", False, unreachable=True),))
    Runs(monkeypatch, lost)
    result = Site("lab1,").tune("lab1", "chat")
    assert "lab1 was lost on the way: run `llmops tournament lab1 --restore`" in result.errors[0]


# -- what came of it


def event(action: str, result: dict[str, Any], kind: str = "runner_on_ok") -> dict[str, Any]:
    return {
        "event": kind,
        "event_data": {"host": "lab1", "task": "t", "resolved_action": f"llmops.serving.{action}", "res": result},
    }


STATS = {"event": "playbook_on_stats", "event_data": {"failures": {}, "dark": {}, "changed": {}}}


def test_guests_are_told_in_the_report_alone_and_what_is_put_back_is_a_server(tmp_path: Path) -> None:
    path = written(tmp_path, "report.json", bench_documents.clear_winner())
    events = [
        event("server", {"name": "tournament-vllm", "msg": "it failed", "cause": "c"}, "runner_on_failed"),
        event("preflight", {"problems": ["no room"]}),
        event("server_hold", {"servers": [{"name": "chat", "ok": True, "action": "restarted", "probes": []}]}),
        event("benchmark_report", {"path": str(tmp_path), "report": path, "page": "p", "recommended": ""}),
        STATS,
    ]
    result = parse_events(events, command="tournament")
    assert result.ok
    assert [(server.name, server.action) for server in result.servers] == [("chat", "restarted")]
    (found,) = result.hosts[0].reports
    assert found.document["kind"] == "tournament"
    told = result.to_dict()["hosts"][0]["reports"][0]
    assert told["verdict"]["winner"]
    assert "candidates" not in told, "every single request is in the file"


def test_problems_that_failed_the_host_count() -> None:
    failed = {"event": "playbook_on_stats", "event_data": {"failures": {"lab1": 1}, "dark": {}, "changed": {}}}
    result = parse_events([event("preflight", {"problems": ["no room"]}), failed], command="apply", rc=2)
    assert (result.ok, result.hosts[0].problems) == (False, ("no room",))
