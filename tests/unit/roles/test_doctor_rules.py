# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every rule of the doctor on the log of its failure: recorded from the lab's engines, or the words of its source.

A log is `tests/fixtures/doctor/<engine, or whose words>/<rule>[.<which>].log`; `good` is of a server that has nothing,
and `healthy_but.<rule>` of one that is ready and not what was asked for.
"""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.llmops.serving.plugins.module_utils._doctor import FUNCTIONS, diagnose, in_order, matched
from ansible_collections.llmops.serving.plugins.module_utils._gpu_proof import RULES as GPU_RULES
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import ROLES, definitions, role_options

Rule = dict[str, t.Any]

FIXTURES = Path(__file__).parents[2] / "fixtures/doctor"
LOGS = sorted(FIXTURES.glob("*/*.log"))
ENGINES = sorted(definitions())
_BUT = "healthy_but"
_WORDS = {"name", "pattern", "cause", "remedy", "source", "measure", "compute", "generic"}
_MEASURED = {"free_gib", "total_gib", "fits"}
#: Commands that help where no variable does.
_COMMAND = re.compile(
    r"systemctl|setsebool|docker (?:ps|rm)|journalctl|dmesg|nvidia-smi|restart the (?:host|server)|apply again"
    r"|-e models_verify"
)
#: Words with an underscore that are no variables of an inventory: an option of the chat probe, and names of SELinux.
_NO_VARIABLES = {"tool_call", "container_file_t", "container_use_devices"}


def _read(name: str) -> dict[str, list[t.Any]]:
    return t.cast("dict[str, list[t.Any]]", yaml.safe_load((ROLES / name).read_text(encoding="utf-8")))


LIBRARIES: dict[str, list[Rule]] = _read("engine/doctor_libraries.yml")
SHARES: dict[str, list[str]] = {engine: _read(f"{engine}/doctor.yml")["shares"] for engine in ENGINES}
#: By whose words they are, every list of rules that there is.
TABLES: dict[str, list[Rule]] = (
    {engine: _read(f"{engine}/doctor.yml")["rules"] for engine in ENGINES}
    | {f"{engine}/{_BUT}": _read(f"{engine}/doctor.yml").get(_BUT, []) for engine in ENGINES}
    | {f"libraries/{name}": rules for name, rules in LIBRARIES.items()}
    | {f"engine/{name}": rules for name, rules in _read("engine/doctor.yml").items()}
    | {"gpu": GPU_RULES}
)
RULES = [(table, rule) for table, rules in TABLES.items() for rule in rules]


def _id(value: t.Any) -> str:
    return value["name"] if isinstance(value, dict) else str(value)


def rules_for(folder: str) -> list[Rule]:
    """Give the rules by which a log of a folder is read: an engine's, or those of an engine that has these words."""
    if folder == "gpu":
        return [*definitions()["vllm"]["doctor"], *GPU_RULES]
    engine = folder if folder in ENGINES else next((e for e in ENGINES if folder in SHARES[e]), "llama_cpp")
    return t.cast("list[Rule]", definitions()[engine]["doctor"])


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _expected(path: Path) -> str:
    return path.name.removeprefix(f"{_BUT}.").partition(".")[0]


def _of_log(path: Path) -> list[Rule]:
    return definitions()[path.parent.name][_BUT] if path.name.startswith(_BUT) else rules_for(path.parent.name)


@pytest.mark.parametrize("path", LOGS, ids=[f"{path.parent.name}-{path.stem}" for path in LOGS])
def test_a_failure_is_known_by_its_log(path: Path) -> None:
    rules, lines = _of_log(path), _lines(path)
    if path.stem == "good":
        assert matched(lines, rules) is None
        assert matched(lines, definitions()[path.parent.name][_BUT]) is None
        return
    found = diagnose(lines, rules)
    assert found.rule == _expected(path), found
    assert "{" not in found.cause
    assert found.source


@pytest.mark.parametrize(("table", "rule"), RULES, ids=_id)
def test_every_rule_has_a_log_that_it_explains(table: str, rule: Rule) -> None:
    """A rule that stands behind another one, which fits all that it fits, explains nothing."""
    paths = [path for path in LOGS if _expected(path) == rule["name"] and path.name.startswith(_BUT) == (_BUT in table)]
    explained = [path for path in paths if _first(_lines(path), _of_log(path)) == rule["pattern"]]
    assert explained, f"no log in {FIXTURES} that {rule['name']} of {table} explains first"


def _first(lines: list[str], rules: list[Rule]) -> str:
    return next(
        (rule["pattern"] for rule in in_order(rules) if any(re.search(rule["pattern"], line) for line in lines)), ""
    )


@pytest.mark.parametrize(("table", "rule"), RULES, ids=_id)
def test_a_rule_is_whole_and_fills_in_only_what_it_finds(table: str, rule: Rule) -> None:
    assert {"name", "pattern", "cause", "remedy", "source"} <= rule.keys() <= _WORDS
    known = set(re.compile(rule["pattern"]).groupindex) | {"said", "title"}
    known |= _MEASURED if "measure" in rule else set()
    for name, expression in rule.get("compute", {}).items():
        call = re.fullmatch(r"(\w+)\(([\w., ]+)\)", expression)
        assert call, expression
        assert call[1] in FUNCTIONS
        assert {word for word in re.split(r",\s*", call[2]) if not word.replace(".", "").isdigit()} <= known
        known.add(name)
    assert set(re.findall(r"\{(\w+)\}", rule["cause"] + rule["remedy"])) <= known
    assert [other["name"] for other in TABLES[table]].count(rule["name"]) == 1
    assert re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", rule["name"])


@pytest.mark.parametrize(("table", "rule"), RULES, ids=_id)
def test_a_remedy_names_what_there_is(table: str, rule: Rule) -> None:
    servers = set(role_options("engine")["engine_servers"]["options"])
    variables = {name for path in ROLES.iterdir() if path.is_dir() for name in role_options(path.name)}
    variables |= {f"serving_{word}" for word in _serving()}
    remedy = rule["remedy"]
    written = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", re.sub(r"\{\w+\}", "", remedy)))
    assert written - servers - variables - {path.name for path in ROLES.iterdir()} - _NO_VARIABLES == set()
    named = {word for word in re.findall(r"[a-z_]+", remedy) if word in servers | variables}
    assert named or _COMMAND.search(remedy)
    for flag in re.findall(r"options: \{([a-z-]+):", remedy):
        assert definitions()[table.partition("/")[0]]["flags"].find(f"--{flag}") is not None, flag


def _serving() -> set[str]:
    """List the common variables of an inventory, which the roles' defaults read."""
    texts = [path.read_text(encoding="utf-8") for path in ROLES.glob("*/defaults/main.yml")]
    return set(re.findall(r"\bserving_(\w+)", "".join(texts)))


@pytest.mark.parametrize("engine", ENGINES)
def test_what_says_least_comes_last(engine: str) -> None:
    """A generic line stands in every log of an engine's failures, before or after the one that tells the cause."""
    rules = definitions()[engine]["doctor"]
    generic = [rule for rule in rules if rule.get("generic")]
    assert generic
    for rule in generic:
        path = next(path for path in LOGS if _expected(path) == rule["name"])
        noise = [line for line in _lines(path) if re.search(rule["pattern"], line)]
        telling = next(
            other for other in LOGS if other.parent.name == "host" and _expected(other) == "port-of-container"
        )
        assert diagnose([*noise, *_lines(telling), *noise], rules).rule == "port-of-container"


def test_every_folder_of_logs_is_somebodys() -> None:
    assert {path.parent.name for path in LOGS} <= {*ENGINES, *LIBRARIES, "host", "answers", "gpu"}
    assert {name for shares in SHARES.values() for name in shares} == set(LIBRARIES)
