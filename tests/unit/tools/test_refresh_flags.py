# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tools import refresh_flags
from tools.flag_readers.table import render

if TYPE_CHECKING:
    from collections.abc import Callable

CHECKOUT = Path(__file__).parents[3]
TABLES = sorted(CHECKOUT.glob("roles/*/flags.json"))
ENGINES = sorted(CHECKOUT.glob("roles/*/engine.yml"))
KEYS = {
    "aliases": list,
    "choices": list,
    "env": str,
    "off": str,
    "off_aliases": list,
    "repeat": bool,
    "value": str,
}


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.parent.name)
def test_a_table_is_as_the_script_writes_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    listing = json.loads(text)
    assert list(listing) == ["source", "version", "flags"]
    assert text == render(listing["source"], listing["version"], listing["flags"])


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.parent.name)
def test_a_table_means_one_flag_by_one_spelling(path: Path) -> None:
    seen: set[str] = set()
    for name, row in json.loads(path.read_text(encoding="utf-8"))["flags"].items():
        spellings = [name, *row.get("aliases", []), *filter(None, [row.get("off")]), *row.get("off_aliases", [])]
        assert not seen & {*spellings}, f"{name} shares a spelling with another flag"
        seen.update(spellings)
        assert all(
            re.fullmatch(r"--?[A-Za-z0-9][\w.-]*", spelling) and spelling[-1].isalnum() for spelling in spellings
        )
        assert name.startswith("--")
        assert all(isinstance(content, KEYS[key]) and content for key, content in row.items())
        assert row.get("value", "one") in {"one", "none", "optional", "many"}


@pytest.mark.parametrize("path", ENGINES, ids=lambda path: path.parent.name)
def test_an_engine_says_how_it_is_read(path: Path) -> None:
    rule = yaml.safe_load(path.read_text(encoding="utf-8"))["parser"]
    needs = {
        "argparse": {"code", "packages"},
        "click": {"code", "packages"},
        "help": {"version"},
        "clap": {"source"},
    }[rule["kind"]]
    assert needs <= set(rule)
    assert "code" not in rule or compile(rule["code"], "code", "exec")


DEFINITIONS: dict[str, dict[str, Any]] = {
    "help": {"kind": "help", "version": r"build (\d+)|version: (\d+) \("},
    "argparse": {"kind": "argparse", "packages": ["toy-cpu", "toy"], "code": "parser = 1"},
    "click": {"kind": "click", "packages": ["toy"], "code": "parser = 1"},
    "clap": {"kind": "clap", "source": "org/toy src/main.rs"},
}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A collection with one engine of the kind that is asked for."""
    monkeypatch.setattr(refresh_flags, "ROLES", tmp_path)

    def make(kind: str) -> Path:
        (tmp_path / "toy").mkdir()
        definition = {
            "title": "Toy",
            "entrypoint": ["/bin/toy"],
            "command": ["serve"],
            "parser": DEFINITIONS[kind],
        }
        (tmp_path / "toy/engine.yml").write_text(yaml.safe_dump(definition), encoding="utf-8")
        return tmp_path / "toy/flags.json"

    return make


class Docker:
    """Plays `docker run`: answers by the last word of the command."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.commands: list[list[str]] = []
        self.inputs: list[str] = []

    def __call__(self, command: list[str], *, input: str, **_: Any) -> subprocess.CompletedProcess[str]:  # noqa: A002
        self.commands.append(command)
        self.inputs.append(input)
        return subprocess.CompletedProcess(command, 0, self.answers.get(command[-1], ""))


HELPS = [
    ("version: 11243 (0c1e570)\nbuilt with GNU\n", "11243"),
    ("version: 0.7.0 (build 11669, commit Debian)\n", "11669"),
]


@pytest.mark.parametrize(("told", "version"), HELPS)
def test_reads_help(toy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, told: str, version: str) -> None:
    path = toy("help")
    docker = Docker({"--version": told, "--help": "--one N   first\n--two   second\n"})
    monkeypatch.setattr(subprocess, "run", docker)
    refresh_flags.main("toy", "toy:1")
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "source": "/bin/toy serve --help",
        "version": version,
        "flags": {"--one": {}, "--two": {"value": "none"}},
    }
    assert docker.commands[1][:2] == ["docker", "run"]
    assert docker.commands[1][-5:] == ["--entrypoint", "/bin/toy", "toy:1", "serve", "--help"]


def test_a_version_that_is_not_understood_is_told(toy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    toy("help")
    monkeypatch.setattr(subprocess, "run", Docker({"--version": "about five"}))
    with pytest.raises(SystemExit, match=r"toy:1 does not tell its version by .* it said: about five"):
        refresh_flags.main("toy", "toy:1")


PARAMETERS = {
    "argparse": {"spellings": ["--one"], "nargs": "?", "kind": "_StoreAction", "choices": None},
    "click": {
        "spellings": ["--one"],
        "off": [],
        "multiple": False,
        "nargs": 2,
        "flag": False,
        "choices": None,
        "env": None,
    },
}


@pytest.mark.parametrize(("kind", "value"), [("argparse", "optional"), ("click", "many")])
def test_asks_python_in_the_image(
    toy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, kind: str, value: str
) -> None:
    path = toy(kind)
    task = json.dumps({key: DEFINITIONS[kind][key] for key in ("kind", "code", "packages")})
    answer = {"package": "toy", "version": "0.3", "parameters": [PARAMETERS[kind]]}
    docker = Docker({task: json.dumps(answer)})
    monkeypatch.setattr(subprocess, "run", docker)
    refresh_flags.main("toy", "toy:1")
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "source": "PyPI toy",
        "version": "0.3",
        "flags": {"--one": {"value": value}},
    }
    assert docker.commands[0][-5:] == ["--entrypoint", "python3", "toy:1", "-", task]
    assert docker.inputs == [refresh_flags.IN_IMAGE.read_text(encoding="utf-8")]


def test_reads_source_and_prints_what_changed(
    toy: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = toy("clap")
    source = tmp_path / "main.rs"
    source.write_text(
        "#[derive(Parser)]\nstruct Args {\n    #[clap(long)]\n    mode: Option<Mode>,\n}\n", encoding="utf-8"
    )
    further = tmp_path / "mode.rs"
    further.write_text("enum Mode {\n    Quick,\n}\n", encoding="utf-8")
    path.write_text(render("org/toy src/main.rs", "1", {"--gone": {}, "--mode": {}}), encoding="utf-8")
    refresh_flags.main("toy", str(source), str(further), "2")
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "source": "org/toy src/main.rs",
        "version": "2",
        "flags": {"--mode": {"choices": ["quick"]}},
    }
    assert capsys.readouterr().out == (
        f'removed --gone\nchanged --mode: choices: null -> ["quick"]\n{path}: 1 flags of version 2\n'
    )


def test_a_program_without_flags_empties_no_table(toy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = toy("help")
    monkeypatch.setattr(subprocess, "run", Docker({"--version": "version: 1 (a)", "--help": "hello\n"}))
    with pytest.raises(SystemExit, match="toy:1 has no flags; is it Toy"):
        refresh_flags.main("toy", "toy:1")
    assert not path.exists()
