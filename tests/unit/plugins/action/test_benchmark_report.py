# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the first line of a journal to the report, as the roles go."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path
from unittest import mock

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.action import benchmark_report
from ansible_collections.llmops.serving.plugins.action.benchmark_report import ARGUMENTS, ActionModule
from ansible_collections.llmops.serving.plugins.modules import benchmark_report as documented
from tests.unit.plugins.plugin_utils import test__tune as tuning
from tests.unit.plugins.plugin_utils.test__bench_plan import ASKED
from tests.unit.plugins.plugin_utils.test__measured import FACTS
from tests.unit.plugins.plugin_utils.test__tournament import plan
from tests.unit.plugins.plugin_utils.test__tune import step

ANSWER = {"prompt": "?", "text": "Yes.", "ok": True, "why": "", "tokens": 2}
PREPARED = {"answers": [ANSWER], "versions": {"aiohttp": "3"}}
MEMORY = {"container_peak": 1, "host_peak": 2, "gpu_peak": None}
WATCHED = {"memory": MEMORY, "power_w": None, "argv": ["vllm", "serve"]}


def run(**words: t.Any) -> dict[str, t.Any]:
    task = mock.Mock(args={name: value for name, value in words.items() if value is not None}, async_val=0)
    action = ActionModule(task, mock.Mock(), mock.Mock(), mock.Mock(), mock.Mock(), mock.Mock())
    return action.run(task_vars={})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    found = plan("vllm", "tgi", **{**ASKED, "concurrency": [2]})
    begun = run(state="begun", path=str(tmp_path / "r"), kind="tournament", host="h", facts=FACTS, seed=1,
                profile=found["profile"], inventory=found["inventory"], candidates=found["candidates"])  # fmt: skip
    return Path(begun["path"])


def results(*rates: float) -> list[dict[str, t.Any]]:
    level = {"concurrency": 2, "rate": None, "batch": None}
    return [
        {"step": step(rate, 1, number), "benchmark_step": {**level, "repetition": number}}
        for number, rate in enumerate(rates, start=1)
    ]


def test_a_report_is_made_of_what_was_noted(place: Path) -> None:
    run(
        state="noted",
        path=str(place),
        candidate="vllm",
        prepared=PREPARED,
        watched=WATCHED,
        results=results(50, 51, 52),
    )
    done = run(state="finished", path=str(place))
    assert not done.get("failed"), done
    document = json.loads(Path(done["report"]).read_text(encoding="utf-8"))
    by_name = {candidate["name"]: candidate for candidate in document["candidates"]}
    assert (by_name["vllm"]["status"], by_name["vllm"]["argv"]) == ("measured", ["vllm", "serve"])
    assert by_name["tgi"]["status"] == "failed"
    assert document["tools"]["aiohttp"] == "3"
    assert document["verdict"]["winner"] == "vllm"
    assert Path(done["page"]).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "serving_changes" in yaml.safe_load(Path(done["recommended"]).read_text(encoding="utf-8"))
    assert sorted(path.name for path in place.iterdir()) == ["recommended.yml", "report.html", "report.json"]


def test_no_secret_of_a_server_is_in_it(place: Path) -> None:
    run(state="noted", path=str(place), candidate="vllm", prepared=PREPARED, results=results(50))
    run(state="finished", path=str(place))
    assert [path.name for path in place.iterdir() if "s3cret" in path.read_text(encoding="utf-8")] == []


def test_where_nothing_could_be_measured_every_reason_is_told(place: Path) -> None:
    said = run(state="noted", path=str(place), candidate="vllm", failure={"msg": "it died; see its log"})["said"]
    assert said == {"status": "failed", "reason": "it died", "remedy": "see its log"}
    done = run(state="finished", path=str(place))
    assert done["failed"]
    assert "not measured: vllm: it died; see its log; tgi: " in done["msg"]
    assert Path(done["report"]).is_file(), "the report is written all the same"


def test_a_report_that_cannot_be_written_leaves_what_was_measured(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Path, _text: str, **_: t.Any) -> int:
        raise OSError(28, "No space left on device")

    run(state="noted", path=str(place), candidate="vllm", results=results(50))
    monkeypatch.setattr(benchmark_report.Path, "write_text", full)
    done = run(state="finished", path=str(place))
    assert done["failed"]
    assert "No space left on device: free some space; what was measured lies in" in done["msg"]
    assert (place / "journal.jsonl").is_file()


def test_a_search_is_told_what_to_try(tmp_path: Path) -> None:
    found = tuning.plan()
    begun = run(state="begun", path=str(tmp_path / "r"), kind="tune", host="h", facts=FACTS, profile=found["profile"],
                inventory=found["inventory"], candidates=found["candidates"])  # fmt: skip
    site = {"models": dict(tuning.SITE.models), "model_dir": "/srv", "registries": {}, "accelerator": "cpu"}
    search = {"server": found["server"], "site": site, "cores": 4, "minutes": 30}
    turn = run(state="searched", path=begun["path"], search=search)["turn"]
    assert (turn["candidate"], turn["start"], len(turn["steps"])) == ("as-it-is", 1, 1)


def test_the_documentation_names_every_option() -> None:
    options = yaml.safe_load(documented.DOCUMENTATION)["options"]
    said = {name: (one.get("type"), one.get("choices"), one.get("default")) for name, one in options.items()}
    assert said == {name: (one["type"], one.get("choices"), one.get("default")) for name, one in ARGUMENTS.items()}
