# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a role documents, what it checks and what it does without being told are the same."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[3]
ROLES = sorted(path.name for path in (CHECKOUT / "roles").iterdir() if path.is_dir())

# Python types of the values that an option of each type may have as its default. `bool` is an `int` for isinstance,
# therefore types are compared, not instances.
TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "dict": (dict,),
    "float": (float, int),
    "int": (int,),
    "list": (list,),
    "path": (str,),
    "raw": (bool, dict, float, int, list, str),
    "str": (str,),
}
TEMPLATE = re.compile(r"\{\{.*\}\}|\{%.*%\}", re.DOTALL)


@cache
def load(role: str, path: str) -> Any:
    file = CHECKOUT / "roles" / role / path
    return yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None


def options(role: str) -> dict[str, Any]:
    return dict(load(role, "meta/argument_specs.yml")["argument_specs"]["main"].get("options") or {})


def defaults(role: str) -> dict[str, Any]:
    return dict(load(role, "defaults/main.yml") or {})


def walk(found: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every option and, at every depth, the options inside it."""
    for name, option in found.items():
        yield prefix + name, option
        yield from walk(option.get("options") or {}, f"{prefix}{name}.")


def is_template(value: object) -> bool:
    return isinstance(value, str) and bool(TEMPLATE.search(value))


def test_there_are_roles() -> None:
    assert {"docker", "engine", "infinity", "llama_cpp", "models", "preflight"} <= set(ROLES)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "path", ["README.md", "meta/main.yml", "meta/argument_specs.yml", "defaults/main.yml", "tasks/main.yml"]
)
def test_role_has(role: str, path: str) -> None:
    file = CHECKOUT / "roles" / role / path

    assert file.is_file(), f"{file.relative_to(CHECKOUT)} is missing"
    assert file.read_text(encoding="utf-8").strip("-\n "), f"{file.relative_to(CHECKOUT)} says nothing"


@pytest.mark.parametrize("role", ROLES)
def test_readme_is_about_the_role(role: str) -> None:
    file = CHECKOUT / "roles" / role / "README.md"

    assert file.is_file(), f"{file.relative_to(CHECKOUT)} is missing"
    assert re.match(rf"# .*\b{role}\b", file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("role", ROLES)
def test_role_has_a_scenario(role: str) -> None:
    assert (CHECKOUT / "molecule" / role / "molecule.yml").is_file(), f"molecule/{role}/molecule.yml is missing"


@pytest.mark.parametrize("role", ROLES)
def test_role_says_what_it_does(role: str) -> None:
    main = load(role, "meta/argument_specs.yml")["argument_specs"]["main"]

    assert main["short_description"]
    assert main["description"]


@pytest.mark.parametrize("role", ROLES)
def test_names_agree(role: str) -> None:
    with_default = {name for name, option in options(role).items() if "default" in option}

    assert with_default == set(defaults(role)), (
        "defaults/main.yml and the options with a default in meta/argument_specs.yml differ"
    )


@pytest.mark.parametrize("role", ROLES)
def test_values_agree(role: str) -> None:
    values = defaults(role)
    documented = {name: option["default"] for name, option in options(role).items() if "default" in option}

    wrong = {
        name: f"{value!r} in argument_specs, {values[name]!r} in defaults"
        for name, value in documented.items()
        # 1, 1.0 and true are equal in Python, but not for whoever reads the documentation.
        if name in values and (value != values[name] or type(value) is not type(values[name]))
    }
    assert not wrong


@pytest.mark.parametrize("role", ROLES)
def test_default_has_the_type_of_its_option(role: str) -> None:
    wrong = {
        name: f"{option['default']!r} is no {option.get('type', 'str')}"
        for name, option in walk(options(role))
        if "default" in option
        and not is_template(option["default"])
        and type(option["default"]) not in TYPES[option.get("type", "str")]
    }
    assert not wrong


@pytest.mark.parametrize("role", ROLES)
def test_option_is_well_formed(role: str) -> None:
    problems = []
    for name, option in walk(options(role)):
        if not option.get("description"):
            problems.append(f"{name} has no description")
        if option.get("type") not in TYPES:
            problems.append(f"{name} has type {option.get('type')!r}, expected one of {', '.join(TYPES)}")
        if option.get("type") == "list" and "elements" not in option:
            problems.append(f"{name} is a list and does not say of what (elements)")
        if option.get("required") and "default" in option:
            problems.append(f"{name} is required and has a default")
        choices = option.get("choices")
        if choices and "default" in option and not is_template(option["default"]) and option["default"] not in choices:
            problems.append(f"{name} has the default {option['default']!r}, which is none of its choices")
        # Words of a name, not parts of words: `max_tokens` holds no secret.
        if re.search(r"(^|[._])(key|password|secret|token)$", name) and not option.get("no_log"):
            problems.append(f"{name} holds a secret and lacks no_log: true")
    assert not problems


@pytest.mark.parametrize("role", ROLES)
def test_variables_carry_the_name_of_the_role(role: str) -> None:
    names = {*options(role), *defaults(role), *(load(role, "vars/main.yml") or {})}

    assert not [name for name in sorted(names) if not name.startswith(f"{role}_")]
