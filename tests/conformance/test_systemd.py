# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an engine's container receives through systemd and Docker, on a booted host, is what was meant."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

import jinja2
import pytest

from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import ROLES
from ansible_collections.llmops.serving.plugins.plugin_utils._systemd import quote
from tests.conformance.cases import AWKWARD, ENGINES, Case
from tests.conformance.lab_host import ECHO_IMAGE, Host, Started, Unit, lab_host
from tests.conformance.words import read_words, rows

if t.TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = ROLES / "engine/templates/server.service.j2"
KEY = "it's\"$HOME`id`\\n100%h"
NAME = "it's 100%h $HOME C:\\new 東京 a=b"


def first_variant(engine: str) -> str:
    return str(next(iter(ENGINES[engine]["images"])))


def awkward_options(engine: str) -> dict[str, t.Any]:
    """Give every awkward value that the engine can be told to some flag that takes any text."""
    owned = ENGINES[engine]["owned"]
    free = [
        name.removeprefix("--")
        for name, row in rows(engine).items()
        if row.keys() <= {"env", "aliases"} and name.removeprefix("--") not in owned
    ]
    options: dict[str, t.Any] = {
        flag: value
        for flag, value in zip(free, AWKWARD.values(), strict=False)
        if not Case("", engine, first_variant(engine), {"options": {flag: value}}).problems()
    }
    many = next((name for name, row in rows(engine).items() if row.get("repeat") and "choices" not in row), None)
    rest = [value for value in AWKWARD.values() if value not in options.values()]
    if many and rest and not ENGINES[engine]["splits_arguments"] and many.removeprefix("--") not in owned:
        flag = many.removeprefix("--")
        # A value alone, so that one which is refused does not take the others with it.
        told = [
            value
            for value in rest
            if not Case("", engine, first_variant(engine), {"options": {flag: [value]}}).problems()
        ]
        options[flag] = told
    return options


def all_cases() -> Iterator[Case]:
    variables = {f"AWKWARD_{number}": value for number, value in enumerate(AWKWARD.values())}
    for engine, definition in ENGINES.items():
        variant = first_variant(engine)
        yield Case("awkward", engine, variant, {"options": awkward_options(engine), "environment": variables})
        if not definition["models"].get("named_by_path"):
            yield Case("name", engine, variant, {"served_model_name": NAME})
        if "refused" not in definition["secrets"]["api_key"]:
            yield Case("key", engine, variant, {"api_key": [KEY]})
        if definition["models"].get("named_by_path"):
            for kind, value in AWKWARD.items():
                case = Case(f"name of {kind}", engine, variant, {"served_model_name": value})
                if not case.problems():
                    yield case


CASES = [
    dataclasses.replace(case, entry={**case.entry, "name": f"c{number}", "port": 20000 + number})
    for number, case in enumerate(all_cases())
]


def unit_of(case: Case) -> Unit:
    """Write a server's unit as the role does, and what the module `server` puts beside it."""
    plan, name = case.plan(), case.server["name"]
    run = list(plan.run)
    # The lab's hosts have no GPUs.
    while "--device" in run[: run.index("@IMAGE@")]:
        at = run.index("--device")
        del run[at : at + 2]
    planned = plan.planned | {"unit_words": plan.planned["unit_words"] | {"run": run}}
    environment = jinja2.Environment(keep_trailing_newline=False, trim_blocks=True, autoescape=False)  # noqa: S701  no HTML
    environment.filters["llmops.serving.systemd_quote"] = quote
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        ansible_managed="Ansible managed", engine_plan=planned
    )
    generation = f"/var/lib/llmops-conformance/{name}"
    places = {"/run/secrets/llmops": f"{generation}/secrets", "/run/llmops": f"{generation}/files"}
    return Unit(
        name,
        text.replace("@IMAGE@", ECHO_IMAGE).replace("@GENERATION@", generation) + "\n",
        {f"{places[path.rpartition('/')[0]]}/{path.rpartition('/')[2]}": text for path, text in plan.files.items()},
        [*(model["path"] for model in planned["models"]), *([planned["cache"]] if planned["cache"] else [])],
    )


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A booted host with Docker."""
    with lab_host() as found:
        yield found


@pytest.fixture(scope="module")
def started(host: Host) -> dict[str, Started | str]:
    """What came of every server."""
    return host.start([unit_of(case) for case in CASES])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.engine}-{case.id}")
def test_the_engine_is_started_with_what_is_meant(case: Case, started: dict[str, Started | str]) -> None:
    assert not case.problems()
    found = started[case.server["name"]]
    assert isinstance(found, Started), found
    plan, definition = case.plan(), case.definition
    if definition["splits_arguments"]:
        meant = {f"--{flag}": value for flag, value in case.entry.get("options", {}).items()}
        understood = read_words(rows(case.engine), found.words, found.environment)
        assert {name: understood.get(name) for name in meant} == meant
    else:
        assert found.words == [*definition["entrypoint"][1:], *definition["command"], *plan.words]
    assert {name: found.environment.get(name) for name in plan.environment} == plan.environment


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.engine}-{case.id}")
def test_a_name_changes_nothing_else_of_the_unit(case: Case, started: dict[str, Started | str]) -> None:
    found = started[case.server["name"]]
    assert isinstance(found, Started), found
    assert found.description == f"llmops {case.server['name']}: {case.definition['title']} serving tiny"
    assert "docker.service" in found.requires


@pytest.mark.parametrize("case", [case for case in CASES if case.id == "key"], ids=lambda case: case.engine)
def test_the_key_comes_by_a_file_alone(case: Case, started: dict[str, Started | str]) -> None:
    found = started[case.server["name"]]
    assert isinstance(found, Started), found
    rule = case.definition["secrets"]["api_key"]
    if "file" not in rule:
        assert found.environment[rule["env"]] == KEY
    text = unit_of(case).text
    assert not any(part in text for part in (KEY, quote([KEY]), "$HOME`id`"))


def test_every_awkward_value_is_told_to_every_engine() -> None:
    for engine, case in itertools.product(ENGINES, CASES):
        if case.engine == engine and case.id == "awkward":
            told = [value if isinstance(value, list) else [value] for value in case.entry["options"].values()]
            missing = {kind for kind, value in AWKWARD.items() if value not in itertools.chain(*told)}
            assert missing <= {"two dashes alone", "line breaks", "tabs and returns"}
