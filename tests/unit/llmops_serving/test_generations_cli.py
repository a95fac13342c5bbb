# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`llmops history`, `llmops rollback` and waves: command lines, and the collection's own playbooks on this machine."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmops_serving import Site
from llmops_serving.cli import build_parser, main
from llmops_serving.generations_cli import apply_options, run_generations

COLLECTIONS = Path(__file__).parents[3] / ".collections"


class Recorder:
    """A site that only remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: tuple[Any, ...] = ()

    def history(self, *words: Any, **more: Any) -> None:
        self.asked = ("history", words, {name: value for name, value in more.items() if name != "progress"})

    def rollback(self, *words: Any, **more: Any) -> None:
        self.asked = ("rollback", words, {name: value for name, value in more.items() if name != "progress"})


WAVES = {"serial": None, "max_fail_percentage": None}


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["history", "gpu1"], ("history", ("gpu1", []), {})),
        (["history", "gpu1", "chat"], ("history", ("gpu1", ["chat"]), {})),
        (["rollback", "gpu1", "chat"], ("rollback", ("gpu1", "chat", None), {"check": False, "diff": False, **WAVES})),
        (
            ["rollback", "gpu*", "chat", "3", "--check", "--diff", "--serial", "1,50%", "--max-fail-percentage", "20"],
            (
                "rollback",
                ("gpu*", "chat", 3),
                {"check": True, "diff": True, "serial": "1,50%", "max_fail_percentage": 20.0},
            ),
        ),
    ],
)
def test_command_lines(words: list[str], asked: tuple[Any, ...]) -> None:
    site = Recorder()
    args = build_parser().parse_args([*words, "-i", "inventory"])
    run_generations(site, args, None)  # type: ignore[arg-type]
    assert site.asked == asked
    assert (args.limit, args.server) == (None, [])


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], {**WAVES, "keep_failed": False}),
        (["--serial", "2", "--keep-failed"], {**WAVES, "serial": "2", "keep_failed": True}),
    ],
)
def test_what_an_apply_takes(words: list[str], options: dict[str, Any]) -> None:
    assert apply_options(build_parser().parse_args(["apply", "-i", "a", *words])) == options


def test_the_lab_applies_without_them() -> None:
    assert apply_options(build_parser().parse_args(["lab", "up"])) == {**WAVES, "keep_failed": False}


@pytest.mark.parametrize(
    "words",
    [
        ["history"],
        ["history", "a", "b", "c"],
        ["history", "a", "--check"],
        ["rollback", "a"],
        ["rollback", "a", "b", "x"],
        ["rollback", "a", "b", "-l", "c"],
        ["apply", "--max-fail-percentage", "many"],
    ],
)
def test_wrong_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args([*words, "-i", "a"])
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rollback", "a", "chat", "0"], "GENERATION 0: generations are counted from 1"),
        (["rollback", "a", "chat", "--serial", "x"], "--serial x: x is no size of a wave"),
        (["apply", "--serial", "0"], "--serial 0: 0 is no size of a wave"),
    ],
)
def test_what_means_nothing_is_told_before_anything_runs(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "-i", "a,"]) == 2
    assert said in capsys.readouterr().err


# -- end to end: nothing serves on this machine, whatever else it has


@pytest.fixture
def own(driver: Any) -> Any:
    """The driver with the collection of this tree, and three hosts that are this machine."""
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = {"serving": {"hosts": dict.fromkeys(["a", "b", "c"], host)}}
    (driver.folder / "hosts.yml").write_text(json.dumps(inventory))
    return replace(driver, environment={**driver.environment, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)})


def test_a_server_that_is_not_there(own: Any) -> None:
    done = own.run("history", "a", "no-such-server", "-i", "hosts.yml")
    assert done.returncode == 1, done.stderr
    assert "no server named no-such-server on this host" in done.stdout
    done = own.run("rollback", "a", "no-such-server", "--check", "-i", "hosts.yml", "--json")
    (server,) = json.loads(done.stdout)["hosts"][0]["servers"]
    assert (done.returncode, server["failed_check"]) == (1, "generation")


def test_a_number_is_for_one_host(own: Any) -> None:
    done = own.run("rollback", "a,b", "chat", "2", "--check", "-i", "hosts.yml")
    assert done.returncode == 1, done.stderr
    assert "hosts count their generations on their own" in done.stdout


def test_the_site_says_which_hosts_a_wave_did_not_get_to(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(COLLECTIONS))
    result = Site(own.folder / "hosts.yml").rollback("all", "no-such-server", check=True, serial=1)
    assert [host.name for host in result.hosts] == ["a"]
    assert result.waves
    assert (result.waves.begun, result.waves.not_reached) == ((("a",),), ("b", "c"))
    assert result.exit_code == 1
