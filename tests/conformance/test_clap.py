# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What we start TGI and TEI with, by their tables of flags and the rules of clap, for no parser of theirs runs here.

Of TGI also what its entrypoint makes of it, in a real bash.
"""

from __future__ import annotations

import csv
import json
import os
import posixpath
import shutil
import subprocess
import sys
import typing as t

import pytest

from tests.conformance.cases import ALWAYS, ENGINES, Case, awkward_cases, cases, flag_cases, key_cases
from tests.conformance.words import WordError, read_words, rows

if t.TYPE_CHECKING:
    from collections.abc import Callable

CLAP = [name for name, definition in ENGINES.items() if definition["parser"]["kind"] == "clap"]
CASES = [case for engine in CLAP for case in (*cases(engine), *awkward_cases(engine), *key_cases(engine))]
#: tgi-entrypoint.sh of 3.3.7, without the two lines before that need its image.
ENTRYPOINT = "#!/bin/bash\n\nexec text-generation-launcher $@\n"
LAUNCHER = """\
#!{python}
import json, os, sys
print(json.dumps([sys.argv[1:], dict(os.environ)]))
"""

Received = tuple[list[str], dict[str, str]]
Receive = t.Callable[[list[str], dict[str, str]], Received]


@pytest.fixture(scope="module")
def through_bash(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[str], dict[str, str]], Received]:
    """What a stand-in for the launcher is started with by TGI's entrypoint, in a folder where globs match."""
    folder = tmp_path_factory.mktemp("tgi")
    bash = shutil.which("bash")
    assert bash
    for name, text in (("entrypoint.sh", ENTRYPOINT), ("text-generation-launcher", LAUNCHER)):
        (folder / name).write_text(text.format(python=sys.executable), encoding="utf-8")
        (folder / name).chmod(0o755)
    work = folder / "models"
    work.mkdir()
    for name in ("a", "ab", "x y", "-x"):
        (work / name).touch()

    def receive(words: list[str], environment: dict[str, str]) -> Received:
        path = os.pathsep.join([str(folder), os.environ["PATH"]])
        command = [bash, str(folder / "entrypoint.sh"), *words]
        done = subprocess.run(  # noqa: S603  our own script
            command, cwd=work, env={**environment, "PATH": path}, capture_output=True, text=True, check=True
        )
        received: Received = tuple(json.loads(done.stdout))
        return received

    return receive


def received(case: Case, receive: Receive) -> Received:
    """Give what the engine's program itself is started with."""
    plan = case.plan()
    split = case.definition["splits_arguments"]
    return receive(plan.words, plan.environment) if split else (plan.words, plan.environment)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.engine}-{case.id}")
def test_understands_a_server_as_it_is_meant(case: Case, through_bash: Receive) -> None:
    if not case.may_run():
        return
    words, environment = received(case, through_bash)
    found = read_words(rows(case.engine), words, environment)
    meant = {**ALWAYS[case.engine], **case.meant}
    assert {name: found.get(name, "(nothing)") for name in meant} == meant
    assert {name: environment.get(name) for name in case.environment} == case.environment


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.engine}-{case.id}")
def test_the_model_lies_where_the_engine_is_told(case: Case) -> None:
    if not case.may_run():
        return
    run, words = case.plan().run, case.plan().words
    told = read_words(rows(case.engine), words)["--model-id"]
    folder = run[run.index("--workdir") + 1]
    # Docker reads a mount as a line of CSV.
    (line,) = csv.reader([run[run.index("--mount") + 1]])
    mount = dict(part.partition("=")[::2] for part in line)
    assert posixpath.normpath(posixpath.join(folder, told)) == posixpath.normpath(mount["dst"])
    assert posixpath.normpath(mount["dst"]).startswith("/models/")


@pytest.mark.parametrize("engine", CLAP)
def test_writes_every_flag_of_the_table_as_clap_takes_it(engine: str, through_bash: Receive) -> None:
    wrong = {}
    for name, tries in flag_cases(engine):
        for case in tries:
            assert not case.problems()
            flag, value = name.partition(" ")[0], case.entry["options"][name.partition(" ")[0].removeprefix("--")]
            try:
                found = read_words(rows(engine), *received(case, through_bash)).get(flag, "(nothing)")
            except WordError as exc:
                found = str(exc)
            meant = value if isinstance(value, bool) else str(value)
            if found not in (meant, [meant], str(meant).lower()):
                wrong[name] = found
            if len(tries) > 1:
                break
    assert not wrong


@pytest.mark.parametrize("engine", CLAP)
@pytest.mark.parametrize("flag", ["no-such-flag", "hostnam"])
def test_refuses_a_flag_that_there_is_not(engine: str, flag: str) -> None:
    (problem,) = Case("", engine, next(iter(ENGINES[engine]["images"])), {"options": {flag: "x"}}).problems()
    assert f"has no flag --{flag}" in problem


def test_what_is_not_passed_by_environment_would_be_split(through_bash: Receive) -> None:
    words, _ = through_bash(["--otlp-service-name", "x y", "--otlp-endpoint", "a*", "--revision", ""], {})
    assert words == ["--otlp-service-name", "x", "y", "--otlp-endpoint", "a", "ab", "--revision"]
