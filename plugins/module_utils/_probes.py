# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probes by name, and the one call that runs any of them: for the probe modules and for the gate of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.llmops.serving.plugins.module_utils import (
    _probe_chat,
    _probe_classify,
    _probe_embedding,
    _probe_rerank,
)
from ansible_collections.llmops.serving.plugins.module_utils._http import Endpoint, HttpError, read_key
from ansible_collections.llmops.serving.plugins.module_utils._probe import (
    Context,
    Probe,
    ProbeStop,
    Report,
    choose_model,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible.module_utils.basic import AnsibleModule

__all__ = ["PROBES", "Endpoint", "argument_spec", "check_options", "run_module", "run_probe"]

PROBES: Mapping[str, Probe] = {
    probe.name: probe
    for probe in (_probe_chat.PROBE, _probe_embedding.PROBE, _probe_rerank.PROBE, _probe_classify.PROBE)
}

_MODEL: Mapping[str, Any] = {"model": {"type": "str"}}
_CONNECTION: Mapping[str, Any] = {
    "url": {"type": "str", "required": True},
    "api_key": {"type": "str", "no_log": True},
    # The path of a key file is no secret; no_log false says so to Ansible, which warns at "key" in a name.
    "api_key_file": {"type": "path", "no_log": False},
    "timeout": {"type": "float", "default": 60.0},
    "ca_path": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
}


def argument_spec(task: str) -> dict[str, Any]:
    """The argument spec of a probe module: connection, model and the probe's own options."""
    return {**_CONNECTION, **_MODEL, **PROBES[task].options}


def run_probe(task: str, endpoint: Endpoint, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Sends real requests to a server and judges the answers by meaning.

    Args:
        task: `chat`, `embedding`, `rerank` or `classify`.
        endpoint: Where and how to ask; its timeout holds for each request.
        options: `model` and the probe's own options; defaults fill the rest.

    Returns:
        Always `{"probe": str, "ok": bool, "checks": [{"name", "ok", "detail"}], "latency_ms": float, "sample": str,
        "model": str, "raw": JSON of at most 64 KiB, "msg": str}`. Whatever the server does ends in this, never in an
        exception; `msg` of a failure is `<check>: <what was seen>; <what to do>`. The API key is in none of it.
    """
    report = Report(task)
    problems, values = _validated(task, options)
    if problems:
        report.add("options", False, "; ".join(problems))
        return report.result(endpoint)
    try:
        probe = PROBES[task]
        served = choose_model(endpoint, probe, values["model"], report)
        report.model = served.name
        probe.run(Context(endpoint, values, report, served))
    except HttpError as error:
        report.fail(error)
    except ProbeStop:
        pass  # the failed check that ended the probe is in the report
    return report.result(endpoint)


def check_options(task: str, options: Mapping[str, Any] | None = None) -> list[str]:
    """What is wrong with the options of a probe, without asking any server.

    Args:
        task: Name of the probe, as an inventory gives it.
        options: As for `run_probe`.

    Returns:
        One line for each problem; empty if there is none.
    """
    return _validated(task, options)[0]


def run_module(module: AnsibleModule, task: str) -> None:
    """Runs a probe with a module's parameters and ends the module with its result.

    Args:
        module: Made with `argument_spec(task)`.
        task: Name of the probe.
    """
    params = module.params
    key = params["api_key"]
    if params["api_key_file"] is not None:
        try:
            key = read_key(params["api_key_file"])
        except HttpError as error:
            report = Report(task)
            report.fail(error)
            module.fail_json(**report.result(Endpoint(params["url"])))
    endpoint = Endpoint(params["url"], key, params["timeout"], params["ca_path"], params["validate_certs"])
    names = (*_MODEL, *PROBES[task].options)
    result = run_probe(task, endpoint, {name: params[name] for name in names})
    if result["ok"]:
        module.exit_json(changed=False, **result)
    module.fail_json(changed=False, **result)


def _validated(task: str, options: Mapping[str, Any] | None) -> tuple[list[str], dict[str, Any]]:
    """Problems of the options, and the options with defaults and right types."""
    if task not in PROBES:
        return ["there is no probe {!r}: use one of {}".format(task, ", ".join(PROBES))], {}
    if options is not None and not isinstance(options, dict):
        return [f"the options of {task} are {type(options).__name__}: give a mapping of option to value"], {}
    probe = PROBES[task]
    spec = {name: dict(option) for name, option in {**_MODEL, **probe.options}.items()}
    # An option that an inventory sets to null is an option not set.
    given = {name: value for name, value in (options or {}).items() if value is not None}
    known = ", ".join(sorted(spec))
    unknown = [f"the {task} probe has no option {name!r}: use some of {known}" for name in given if name not in spec]
    if unknown:
        return unknown, {}
    # Ansible's validator has no types of its own.
    validator: Any = ArgumentSpecValidator
    result = validator(spec).validate(given)
    if result.error_messages:
        return [f"the {task} probe: {message}" for message in result.error_messages], {}
    values = result.validated_parameters
    return probe.check(values), values
