# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sixteen causes, put into real engines, and what finds them: the preflight, the model's check, or the doctor."""

from __future__ import annotations

import re
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils._doctor import diagnose, matched
from ansible_collections.llmops.serving.plugins.module_utils._gpu_health import gpu_health
from ansible_collections.llmops.serving.plugins.module_utils._host_ports import listening_ports
from ansible_collections.llmops.serving.plugins.module_utils._preflight import port_problems
from llmops_serving.lab import Lab, images
from tests.faults.doctor_run import Fault, Heard, Stage, listening

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TABLE = Path(__file__).with_name("doctor_cases.yml")
#: Engines side by side: more only wait for each other.
SIDE_BY_SIDE = 2
_EVERY = "every engine"
_OF_A_FAULT = {field.name for field in fields(Fault)} - {"engine", "name"}


@dataclass(frozen=True)
class Case:
    """A row of the table: a cause on an engine, and what is expected of it."""

    id: str
    fault: Fault
    expected: dict[str, t.Any]

    @property
    def rules(self) -> list[str]:
        """The names of the rules of which one explains it."""
        rule = self.expected["rule"]
        return rule if isinstance(rule, list) else [rule]


def _cases() -> list[Case]:
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    found = []
    for engine in images.ALL_ENGINES:
        for cause in table["causes"]:
            rows = [table[_EVERY].get(cause), table[engine].get(cause)]
            assert any(rows), f"nothing is known of {cause} on {engine}"
            for number, row in enumerate(row for row in rows if row):
                words = {word: value for word, value in row.items() if word in _OF_A_FAULT}
                expected = {word: value for word, value in row.items() if word not in _OF_A_FAULT}
                assert expected.keys() <= {"rule", "remedy", "before", "impossible", "healthy"}, f"{engine}, {cause}"
                found.append(
                    Case(f"{engine}-{cause}{number or ''}", Fault(engine=engine, name=cause, **words), expected)
                )
    return found


CASES = _cases()
HOST = "doctor"


@pytest.fixture(scope="session")
def heard(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Case], Heard]]:
    """Start the engines of all cases that shall run, some side by side, and tell what each said."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    params = [item.callspec.params["case"] for item in items if "heard" in item.fixturenames]
    wanted = [case for case in params if isinstance(case, Case)]
    keep = request.config.getoption("--keep-logs")

    def hear(root: Path, cases: list[Case]) -> list[Heard]:
        root.mkdir()
        found = Stage(cases[0].fault, root).hear([case.fault for case in cases])
        for case, said in zip(cases, found, strict=True):
            _keep(keep, case, said)
        return found

    # Its images and models are built for whoever boots a host that can serve with those engines.
    lab = Lab()
    lab.create_host(HOST, engines=sorted({case.fault.engine for case in wanted}))
    lab.destroy_host(HOST)
    together: dict[str, list[Case]] = {}
    for case in wanted:
        together.setdefault(case.fault.start, []).append(case)
    base = tmp_path_factory.mktemp("doctor")
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        running = {
            start: pool.submit(hear, base / str(number), cases)
            for number, (start, cases) in enumerate(together.items())
        }
        yield lambda case: running[case.fault.start].result()[together[case.fault.start].index(case)]
        for future in running.values():
            future.cancel()


def _keep(folder: str, case: Case, said: Heard) -> None:
    """Write down what an engine said, for tests/fixtures/doctor."""
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        text = "\n".join([*said.lines, f"ANSWER {said.answer}", f"CODE {said.code}"])
        Path(folder, f"{case.id}.log").write_text(text + "\n", encoding="utf-8")


def _ids(cases: list[Case]) -> list[t.Any]:
    return [pytest.param(case, id=case.id) for case in cases]


@pytest.mark.parametrize("case", _ids([case for case in CASES if "before" in case.expected]))
def test_it_is_found_before_the_start(case: Case, tmp_path: Path) -> None:
    before: dict[str, t.Any] = case.expected["before"]
    entry = {**case.fault.entry, **before.get("entry", {})}
    words = {field.name: getattr(case.fault, field.name) for field in fields(Fault)} | {"entry": entry}
    stage = Stage(Fault(**words), tmp_path)
    if "entry" in before:
        assert any(before["says"] in problem for problem in stage.problems()), stage.problems()
    if "model" in before:
        assert before["model"] in stage.model_problem()
    if "port" in before:
        with listening(stage.port):
            asked = [{"name": "chat", "bind": "127.0.0.1", "port": stage.port}]
            (problem,) = port_problems(asked, listening_ports(Path("/")))
            assert before["port"] in problem
    if "gpu" in before:
        (problem,) = gpu_health({"hostname": "host", "gpus": [], "nvidia": {"wsl": False}})
        assert before["gpu"] in problem


@pytest.mark.parametrize("case", _ids([case for case in CASES if "impossible" not in case.expected]))
def test_the_doctor_names_cause_and_variable(case: Case, heard: Callable[[Case], Heard]) -> None:
    said = heard(case)
    lives = bool(case.fault.ask) or case.expected.get("healthy", False)
    assert (said.code is None) == lives, said.lines[-5:]
    assert bool(said.answer) == bool(case.fault.ask), "the probe is content"
    # As the host tells it (_evidence.py).
    ended = [] if said.code is None else [f"exit code {said.code}: failed"]
    lines = [*said.lines, *([said.answer] if said.answer else []), *ended]
    if case.expected.get("healthy"):
        found = matched(lines, said.healthy_but)
        assert found
    else:
        found = diagnose(lines, said.rules)
    assert found.rule in case.rules, found
    assert not [key for key in case.fault.entry.get("api_key", []) if any(key in line for line in said.lines)]
    assert re.search(rf"\b{re.escape(case.expected['remedy'])}\b", found.remedy), found
