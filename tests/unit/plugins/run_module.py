# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module of the collection as Ansible does, in a process of its own, and compares its words with its options."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ansible_collections.llmops.serving.plugins.doc_fragments._probe import ModuleDocFragment
from ansible_collections.llmops.serving.plugins.module_utils._probes import argument_spec

if TYPE_CHECKING:
    from types import ModuleType

_ROOT = Path(__file__).parents[3]
_PACKAGE = "ansible_collections.llmops.serving.plugins.modules."


def run_module(name: str, **parameters: Any) -> tuple[int, dict[str, Any]]:
    """Exit status and result of a module."""
    path = os.pathsep.join([str(_ROOT / ".collections"), *filter(None, sys.path)])
    done = subprocess.run(  # noqa: S603  # the interpreter of this test and a module of this tree
        [sys.executable, "-m", _PACKAGE + name],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": parameters}),
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, result


def assert_documented(module: ModuleType, task: str, result: dict[str, Any]) -> None:
    """The documentation says of every option and every returned value what the code does."""
    documented = dict(yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"])
    documented.update(yaml.safe_load(module.DOCUMENTATION)["options"])
    said = {name: (o.get("type"), o.get("default"), o.get("elements"), o.get("choices"), o.get("required", False))
            for name, o in documented.items()}  # fmt: skip
    done = {name: (o.get("type"), o.get("default"), o.get("elements"), o.get("choices"), o.get("required", False))
            for name, o in argument_spec(task).items()}  # fmt: skip
    assert said == done
    values = yaml.safe_load(module.RETURN)
    assert set(values) == set(result) - {"changed", "invocation", "failed"}
    # Every check that ran is named in the documentation.
    words = " ".join(values["checks"]["description"])
    assert not [check["name"] for check in result["checks"] if "C({})".format(check["name"]) not in words]
    for example in yaml.safe_load(module.EXAMPLES):
        assert set(example[f"llmops.serving.{task}_probe"]) <= set(documented)
