# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    from testinfra.host import Host

KEY = Path(os.environ.get("LLMOPS_LAB_DIR") or Path.home() / ".cache/llmops-lab") / "secrets/api_key"


@pytest.fixture(scope="module")
def reports() -> dict[str, t.Any]:
    """The reports by server, and those of a load from the controller under its name."""
    found = {}
    for path in sorted(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]).glob("reports/*/report.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        candidate = document["candidates"][0]
        place = document["profile"]["from"]
        found[f"{candidate['model']['name']} {place}"] = {"path": path.parent, **document}
    return found


def test_each_model_that_can_be_measured_has_a_report(reports: dict[str, t.Any]) -> None:
    assert set(reports) == {"tiny-chat host", "minilm host", "tiny-rerank host", "tiny-chat controller"}


def test_answers_have_the_length_that_was_asked(reports: dict[str, t.Any]) -> None:
    for step in reports["tiny-chat host"]["candidates"][0]["steps"]:
        count = step["requests"]["sent"]
        assert step["requests"] == {"sent": count, "good": count, "failed": 0, "short": 0, "cut": 0}
        assert (step["tokens"]["input"], step["tokens"]["output"]) == (96 * count, 24 * count)
        assert step["tokens"]["off_input"] == 0


def test_three_repetitions_of_each_level_were_measured(reports: dict[str, t.Any]) -> None:
    (summary,) = reports["tiny-chat host"]["summary"]
    assert [(level["concurrency"], level["repetitions"]) for level in summary["levels"]] == [(1, 3), (2, 3)]
    for level in summary["levels"]:
        low, high = level["output_tokens_per_s"]["ci"]
        assert 0 < low <= level["output_tokens_per_s"]["value"] <= high
        assert 0 < level["ttft_ms"]["p50"] < level["e2el_ms"]["p50"]


@pytest.mark.parametrize("name", ["minilm host", "tiny-rerank host"])
def test_batches_are_levels_and_items_are_counted(reports: dict[str, t.Any], name: str) -> None:
    (summary,) = reports[name]["summary"]
    assert {(level["batch"], level["concurrency"]) for level in summary["levels"]} == {(1, 1), (1, 2), (4, 1), (4, 2)}
    assert all(level["items_per_s"]["value"] > 0 for level in summary["levels"])


def test_a_rate_and_an_objective_are_reported(reports: dict[str, t.Any]) -> None:
    document = reports["tiny-chat controller"]
    (level,) = document["summary"][0]["levels"]
    assert (level["rate"], level["concurrency"]) == (5.0, None)
    assert level["goodput_per_s"]["value"] > 0
    assert document["verdict"]["decided_by"].startswith("good requests/s")


def test_a_report_says_what_is_needed_to_measure_again(reports: dict[str, t.Any]) -> None:
    document = reports["tiny-chat host"]
    (candidate,) = document["candidates"]
    assert "@sha256:" in candidate["image"]
    assert len(candidate["model"]["revision"]) == 40
    assert "--ctx-size" in candidate["argv"]
    assert candidate["memory"]["container_peak"] > 1 << 20
    assert document["host"]["cpu"]["cores"] >= 1
    assert {"llmops.serving", "ansible-core", "aiohttp", "python"} <= set(document["tools"])
    assert candidate["answers"][0]["text"] == "The capital of France is Paris."


def test_no_key_is_in_a_report(reports: dict[str, t.Any]) -> None:
    key = KEY.read_text(encoding="utf-8").strip()
    files = [file for document in reports.values() for file in document["path"].iterdir()]
    assert len(files) >= 2 * len(reports)
    assert [file.name for file in files if key in file.read_text(encoding="utf-8")] == []


def test_the_host_is_as_it_was(host: Host) -> None:
    assert not host.file("/var/lib/llmops/benchmark").exists
    assert not host.file("/run/llmops-benchmark").exists
    # Ansible's own supervisor of a task in the background looks every 5 seconds whether that has ended.
    assert host.run("for i in $(seq 40); do pgrep -f [b]enchmark_watch || exit 1; sleep 0.5; done").rc == 1
    for name in ("chat", "embed"):
        assert host.file(f"/var/lib/llmops/servers/{name}/current").linked_to.endswith("0001")
        assert host.check_output(f"systemctl show --property NRestarts --value llmops-{name}") == "0"
