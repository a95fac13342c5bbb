# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What we start an engine with, as its own parser understands it: vLLM, SGLang, Aphrodite and infinity."""

from __future__ import annotations

import sys
import typing as t
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.conformance.cases import ALWAYS, ENGINES, Case, awkward_cases, cases, flag_cases, key_cases
from tests.conformance.lab_images import ask_parser

if t.TYPE_CHECKING:
    from collections.abc import Iterator

# Engines whose parser is a Python object, the slowest to load first.
PYTHON = sorted(
    (name for name, definition in ENGINES.items() if definition["parser"]["kind"] in {"argparse", "click"}),
    key=lambda name: name == "infinity",
)
CASES = {engine: [*cases(engine), *awkward_cases(engine), *key_cases(engine)] for engine in PYTHON}
FLAGS = {engine: list(flag_cases(engine)) for engine in PYTHON}
UNKNOWN = "--no-such-flag"


class Asked(t.NamedTuple):
    """What an engine's parser said to each of our lines."""

    #: by spelling of a flag, the name of its value
    destinations: dict[str, str]
    cases: dict[str, dict[str, t.Any]]
    flags: dict[str, dict[str, t.Any]]
    cut_off: dict[str, t.Any]
    unknown: dict[str, t.Any]


Ask = t.Callable[[str], Asked]


def plain(engine: str, **entry: t.Any) -> Case:
    return Case("plain", engine, next(iter(ENGINES[engine]["images"])), entry)


def cut_off(engine: str) -> tuple[str, str]:
    """Give a flag with a number, and the shortest spelling of it that no other flag has."""
    flag = "--port"
    others = [word for word in ENGINES[engine]["flags"].flags if word != flag]
    short = next(flag[:end] for end in range(3, len(flag)) if not any(word.startswith(flag[:end]) for word in others))
    return flag, short


def ask(engine: str) -> Asked:
    """Ask once for all, for an engine takes long to be imported."""
    sound = [case for case in CASES[engine] if not case.problems()]
    lines = [
        {"tries": [case.plan().words], "ask": sorted({**ALWAYS[engine], **case.meant}), "files": case.plan().files}
        for case in sound
    ]
    lines += [
        {"tries": [case.plan().words for case in tries if not case.problems()], "ask": []} for _, tries in FLAGS[engine]
    ]
    words = plain(engine).plan().words
    lines += [{"tries": [[*words, *more]], "ask": []} for more in ([cut_off(engine)[1], "1234"], [UNKNOWN])]
    told = ask_parser(engine, lines)
    answers = iter(told.answers)
    return Asked(
        told.destinations,
        {case.id: next(answers) for case in sound},
        {name: next(answers) for name, _ in FLAGS[engine]},
        next(answers),
        next(answers),
    )


@pytest.fixture(scope="module")
def asked(request: pytest.FixtureRequest) -> Iterator[Ask]:
    """Ask the engines that were chosen two at a time, each once."""
    items = [
        item
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is sys.modules[__name__]
    ]
    chosen = dict.fromkeys(str(item.callspec.params["engine"]) for item in items)
    with ThreadPoolExecutor(2) as pool:
        found: dict[str, Future[Asked]] = {engine: pool.submit(ask, engine) for engine in chosen}
        yield lambda engine: found[engine].result()


@pytest.mark.parametrize(
    ("engine", "case"),
    [pytest.param(engine, case, id=f"{engine}-{case.id}") for engine in PYTHON for case in CASES[engine]],
)
def test_understands_a_server_as_it_is_meant(engine: str, case: Case, asked: Ask) -> None:
    if not case.may_run():
        return
    answer = asked(engine).cases[case.id]
    assert "problem" not in answer, f"{answer['problem']}: {case.plan().words}"
    meant = {**ALWAYS[engine], **case.meant}
    assert {name: answer["values"].get(name, "(nothing)") for name in meant} == meant
    environment = case.plan().environment
    assert {name: environment.get(name) for name in case.environment} == case.environment


@pytest.mark.parametrize("engine", PYTHON)
def test_takes_every_flag_of_the_table_as_we_write_it(engine: str, asked: Ask) -> None:
    told = asked(engine)
    refused = {name: answer["problem"] for name, answer in told.flags.items() if "problem" in answer}
    assert not refused


@pytest.mark.parametrize("engine", PYTHON)
def test_switches_on_and_off_what_we_switch(engine: str, asked: Ask) -> None:
    told = asked(engine)
    wrong = {}
    for name, answer in told.flags.items():
        flag, _, value = name.partition(" ")
        if value in {"True", "False"} and not ENGINES[engine]["flags"].get(flag).choices:
            found = answer.get("values", {}).get(told.destinations[flag], "the default")
            if found not in (value == "True", [value == "True"], "the default"):
                wrong[name] = found
    assert not wrong


@pytest.mark.parametrize("engine", PYTHON)
def test_refuses_a_flag_that_there_is_not(engine: str, asked: Ask) -> None:
    assert UNKNOWN in asked(engine).unknown["problem"]
    (problem,) = plain(engine, options={UNKNOWN.removeprefix("--"): True}).problems()
    assert f"has no flag {UNKNOWN}" in problem


@pytest.mark.parametrize("engine", PYTHON)
def test_a_cut_off_flag_is_refused_by_our_table_alone(engine: str, asked: Ask) -> None:
    flag, short = cut_off(engine)
    told = asked(engine)
    if ENGINES[engine]["parser"]["kind"] == "argparse":
        # It would go by what is owned, and change its meaning with the next release that has a flag like it.
        assert told.cut_off["values"][told.destinations[flag]] == 1234
    else:
        assert short in told.cut_off["problem"]
    (problem,) = plain(engine, options={short.removeprefix("--"): 1234}).problems()
    assert f"has no flag {short}: did you mean" in problem
