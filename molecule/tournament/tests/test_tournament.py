# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import itertools
import json
import os
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    from testinfra.host import Host


@pytest.fixture(scope="module")
def reports() -> list[dict[str, t.Any]]:
    """The reports: three engines, one engine alone, a search."""
    folder = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "reports"
    found = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*/report.json")]
    return sorted(found, key=lambda document: str(document["began"]))


# What looks after the servers of a host belongs to none of them.
AGENT = {"llmops-watchdog", "llmops-recover", "llmops-recover@"}


def by_name(document: dict[str, t.Any]) -> dict[str, t.Any]:
    return {candidate["name"]: candidate for candidate in document["candidates"]}


def test_engines_that_can_serve_are_measured_and_the_other_is_a_row(reports: list[dict[str, t.Any]]) -> None:
    candidates = by_name(reports[0])
    assert {name: one["status"] for name, one in candidates.items()} == {
        "vllm": "measured", "llama_cpp": "measured", "tgi": "failed",
    }  # fmt: skip
    assert "no image for cpu" in candidates["tgi"]["reason"]
    assert reports[0]["verdict"]["ranking"]


def test_both_were_sent_the_same_prompts_of_the_same_length(reports: list[dict[str, t.Any]]) -> None:
    sent: dict[t.Any, set[str]] = {}
    for candidate in by_name(reports[0]).values():
        for step in candidate["steps"]:
            count = step["requests"]["sent"]
            assert step["requests"] == {"sent": count, "good": count, "failed": 0, "short": 0, "cut": 0}
            assert (step["tokens"]["input"], step["tokens"]["output"]) == (96 * count, 24 * count)
            sent.setdefault((step["repetition"], step["concurrency"], count), set()).add(step["prompts"])
    assert all(len(digests) == 1 for digests in sent.values())


def test_engines_that_fit_side_by_side_took_turns(reports: list[dict[str, t.Any]]) -> None:
    candidates = by_name(reports[0])
    assert [len(candidates[name]["loads"]) for name in ("vllm", "llama_cpp")] == [1, 1]
    order = sorted((step["began"], name) for name in ("vllm", "llama_cpp") for step in candidates[name]["steps"])
    changes = sum(one[1] != other[1] for one, other in itertools.pairwise(order))
    assert changes == 3, "each repetition begins with the one that ended the repetition before"


def test_one_that_has_the_host_alone_is_started_twice(reports: list[dict[str, t.Any]]) -> None:
    (candidate,) = reports[1]["candidates"]
    assert len(candidate["loads"]) == 2
    assert {(step["start"], step["repetition"]) for step in candidate["steps"]} == {(1, 1), (1, 2), (2, 3)}


def test_the_search_measured_the_server_as_it_is_and_others(reports: list[dict[str, t.Any]]) -> None:
    document = reports[2]
    assert document["kind"] == "tune"
    names = [candidate["name"] for candidate in document["candidates"]]
    assert names[0] == "as-it-is"
    assert len(names) == 3, "two were tried"
    assert set(document["verdict"]["ranking"]) <= {
        one["name"] for one in document["candidates"] if one["status"] == "measured"
    }
    assert document["recommendation"]["server"] == "chat"


def test_the_host_serves_what_it_served_and_nothing_else(host: Host) -> None:
    states = host.check_output("systemctl is-active llmops-chat llmops-vectors || true").split()
    assert states == ["active", "inactive"]
    assert host.check_output("ls /var/lib/llmops/servers").split() == ["chat", "vectors"]
    assert host.check_output("docker ps --all --format '{{.Names}}'") == "llmops-chat"
    units = {Path(path).stem for path in host.check_output("ls /etc/systemd/system/llmops-*.service").split()}
    assert units - AGENT == {"llmops-chat", "llmops-vectors"}


@pytest.mark.parametrize("path", ["/var/lib/llmops/held.json", "/var/lib/llmops/benchmark", "/run/llmops-benchmark"])
def test_nothing_is_left_of_it(host: Host, path: str) -> None:
    assert not host.file(path).exists
