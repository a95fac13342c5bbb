# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest

from llmops_serving import Site
from llmops_serving.cli import build_parser
from llmops_serving.diagnose_cli import run_diagnose
from tests.unit.llmops_serving.test_diagnose_report import ILL, WELL


def test_a_well_host_is_exit_code_0(driver: Any) -> None:
    driver.inventory(WELL)
    done = driver.run("diagnose", "box", "-i", "hosts.yml")
    assert done.returncode == 0, done.stderr
    assert "box chat  serving" in done.stdout
    assert "done: 1 host, 1 server, 1 of 1 probe good, no changes" in done.stdout


def test_an_ill_server_is_exit_code_1_with_cause_and_remedy(driver: Any) -> None:
    driver.inventory(WELL, ILL)
    done = driver.run("diagnose", "box", "-i", "hosts.yml")
    assert done.returncode == 1, done.stderr
    said = " ".join(done.stdout.split())
    assert "box embed ill" in said
    assert "cause the model file is truncated" in said
    assert "remedy fetch it again" in said
    # Not a second time, as the failure of a task.
    assert said.count("the model file is truncated") == 1


def test_json_has_the_evidence(driver: Any) -> None:
    driver.inventory(ILL)
    done = driver.run("diagnose", "box", "embed", "-i", "hosts.yml", "--json")
    result = json.loads(done.stdout)
    assert (done.returncode, result["command"], result["ok"]) == (1, "diagnose", False)
    (server,) = result["hosts"][0]["servers"]
    assert (server["name"], server["ok"], server["cause"]) == ("embed", False, ILL["cause"])
    assert server["evidence"]["unit"]["exit_code"] == 1


def test_a_host_that_there_is_not_is_wrong_usage(driver: Any) -> None:
    driver.inventory(WELL)
    done = driver.run("diagnose", "bax", "-i", "hosts.yml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "matches --limit bax" in done.stderr


LINES = [
    (["box", "-i", "a"], "box", [], True),
    (["box", "chat", "-i", "a"], "box", ["chat"], True),
    (["box", "-i", "a", "--no-requests"], "box", [], False),
]


@pytest.mark.parametrize(("words", "host", "servers", "gate"), LINES)
def test_command_lines(
    words: list[str], host: str, servers: list[str], gate: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(Site, "diagnose", lambda _site, *given, **named: asked.append((*given, named["gate"])))
    run_diagnose(Site("a"), build_parser().parse_args(["diagnose", *words]), progress=None)  # type: ignore[arg-type]
    assert asked == [(host, servers, gate)]


@pytest.mark.parametrize("words", [[], ["box"], ["box", "-i", "a", "--check"], ["box", "-i", "a", "-l", "b"]])
def test_wrong_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(["diagnose", *words])
    assert stop.value.code == 2


def test_the_site_limits_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def run(site: Site, command: str, **words: Any) -> None:
        asked.append((site.limit, site.servers, command, words["extra_vars"]))

    monkeypatch.setattr(Site, "_run", run)
    Site("a", limit="other", servers=["other"]).diagnose("box", ["chat"], gate=False)
    assert asked == [("box", ("chat",), "diagnose", {"diagnose_gate": False})]
