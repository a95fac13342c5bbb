# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``model`` as a function: parameters in, result out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._ca_file import ca_file
from ansible_collections.llmops.serving.plugins.module_utils._model_apply import Fetcher, FetchError, Outcome, report
from ansible_collections.llmops.serving.plugins.module_utils._model_git import Git
from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient
from ansible_collections.llmops.serving.plugins.module_utils._model_hub import Hub
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest
from ansible_collections.llmops.serving.plugins.module_utils._model_peer import (
    PEER_OPTIONS,
    parse_peers,
    peer_warnings,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_plan import (
    ModelPlan,
    check_plan_space,
    plan_models,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_progress import Meter
from ansible_collections.llmops.serving.plugins.module_utils._model_references import references
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import (
    ModelError,
    ModelSpec,
    check_name,
    parse_hub_url,
    parse_models,
    variable,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_store import BusyError, Store, describe
from ansible_collections.llmops.serving.plugins.module_utils._model_transfer import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ARGUMENTS: dict[str, dict[str, Any]] = {
    "models": {"type": "dict", "required": True},
    "path": {"type": "path", "default": "/var/lib/llmops/models"},
    "hub_url": {"type": "str", "default": "https://huggingface.co"},
    "token": {"type": "str", "default": "", "no_log": True},
    "ca_path": {"type": "path"},
    "ca": {"type": "str", "default": ""},
    "verify": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 30},
    "connections": {"type": "int", "default": CONNECTIONS},
    "peers": {"type": "list", "elements": "dict", "options": PEER_OPTIONS, "default": []},
    "progress": {"type": "path"},
    "job": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def run(params: Mapping[str, Any], check_mode: bool, git: str | None) -> dict[str, Any]:
    """Do what the module's parameters ask.

    Args:
        params: The module's parameters.
        check_mode: Whether to write nothing.
        git: The git program's path, None when the host has none.

    Returns:
        The module's result; ``msg`` is there after a failure, ``warnings`` always.
    """
    with ca_file(params["ca"], params["ca_path"]) as ca_path:
        return _run(dict(params, ca_path=ca_path), check_mode, git)


def _run(params: Mapping[str, Any], check_mode: bool, git: str | None) -> dict[str, Any]:
    store = Store(params["path"])
    models: Mapping[str, Any] = params["models"]
    names = [str(name) for name in models]
    before = {name: store.versions(name) for name in names}
    try:
        if params["state"] == "absent":
            result = _absent(store, names, check_mode)
        elif check_mode:
            result = _plan(store, models, params)
        else:
            result = _present(store, models, params, git)
    except BusyError as error:
        # A job is not done with its patience, which is longer where the other one gets on.
        if params.get("progress"):
            raise
        result = _failure([str(error)], {})
    except FetchError as error:
        result = _failure(error.problems, _reports(store, error.outcomes))
        result["changed"] = any(outcome.changed for outcome in error.outcomes.values())
    except ModelError as error:
        result = _failure([str(error)], {})
    except OSError as error:
        where = error.filename or store.root
        result = _failure(
            [f"serving_model_dir: {where}: {error.strerror or error}; see that root can read and write there"], {}
        )
    after = result.pop("after", None)
    if after is None:
        after = describe({name: store.versions(name) for name in names})
    result["diff"] = {
        "before": _lines(describe(before)),
        "after": _lines(after),
        "before_header": "models",
        "after_header": "models",
    }
    return result


def _present(store: Store, models: Mapping[str, Any], params: Mapping[str, Any], git: str | None) -> dict[str, Any]:
    specs, problems = parse_models(models)
    if problems:
        return _failure(list(problems.values()), {})
    if params["connections"] < 1:
        raise ModelError("connections", f"{params['connections']} fetch nothing; set it to 1 or more")
    token = params["token"] or ""
    hub_url = parse_hub_url(params["hub_url"], token)
    client = HttpClient(params["ca_path"], params["timeout"])
    peers = parse_peers(params["peers"])
    meter = Meter(params["progress"])
    fetcher = Fetcher(
        store,
        Hub(hub_url, token, client),
        Git(git, params["ca_path"] or "") if git else None,
        meter,
        peers,
        params["connections"],
    )
    try:
        outcomes = fetcher.ensure(specs, params["verify"])
    finally:
        meter.close()
    warnings = (
        peer_warnings(peers)
        + _unpinned(store, specs)
        + [
            "{}: {} of {} was damaged or missing; fetched again".format(
                spec.var(), ", ".join(outcomes[spec.name].damaged), store.folder(spec.name, spec.key)
            )
            for spec in specs
            if outcomes[spec.name].damaged
        ]
    )
    return {
        "changed": any(outcome.changed for outcome in outcomes.values()),
        "models": _reports(store, outcomes),
        "warnings": warnings,
    }


def _unpinned(store: Store, specs: Sequence[ModelSpec]) -> list[str]:
    """Tell the digests of files that nothing pins yet."""
    found = []
    for spec in specs:
        manifest = Manifest.load(store.manifest_path(spec.name, spec.key))
        if spec.kind == "url" and not spec.sha256 and manifest:
            found.append(
                f"{spec.var('sha256')}: nothing pins what {spec.source('')} is; set it to {manifest.files[0].sha256}, "
                "which is what came here"
            )
    return found


def _plan(store: Store, models: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    plans = plan_models(
        models,
        path=params["path"],
        hub_url=params["hub_url"],
        token=params["token"] or "",
        ca_path=params["ca_path"],
        timeout=params["timeout"],
        verify=params["verify"],
    )
    problems = [plan.problem for plan in plans.values() if plan.problem]
    if problems:
        return _failure(problems, {})
    check_plan_space(store, list(plans.values()))
    after = {name: store.versions(name) for name in plans}
    lines = describe(after)
    for plan in plans.values():
        if plan.spec and not plan.present:
            lines = _with(lines, plan.spec, plan)
    return {
        "changed": not all(plan.present for plan in plans.values()),
        "models": {
            name: _planned(store, plan.spec, plan, params["hub_url"]) for name, plan in plans.items() if plan.spec
        },
        "warnings": [],
        "after": sorted(lines, key=lambda line: (line["name"], line["revision"])),
    }


def _with(lines: Sequence[dict[str, Any]], spec: ModelSpec, plan: ModelPlan) -> list[dict[str, Any]]:
    version = spec.revision or spec.key
    kept = [line for line in lines if (line["name"], line["revision"]) != (spec.name, version)]
    return [*kept, {"name": spec.name, "revision": version, "bytes": plan.bytes}]


def _planned(store: Store, spec: ModelSpec, plan: ModelPlan, hub_url: str) -> dict[str, Any]:
    manifest = Manifest.load(store.manifest_path(spec.name, spec.key)) if plan.present else None
    if manifest:
        return report(store, Outcome(manifest, False))
    return {
        "path": str(store.folder(spec.name, spec.key)),
        "key": spec.key,
        "changed": True,
        "bytes": plan.bytes,
        "files": [],
        "seconds": 0.0,
        "source": spec.source(hub_url.rstrip("/")),
        "revision": spec.revision,
        "fetched_bytes": 0,
        "damaged": list(plan.damaged),
    }


def _absent(store: Store, names: Sequence[str], check_mode: bool) -> dict[str, Any]:
    for name in names:
        check_name(name)
    there = [name for name in names if store.has(name)]
    _refuse_referred(store, there)
    if there and not check_mode:
        with store.lock():
            for name in there:
                store.remove(name)
    result: dict[str, Any] = {"changed": bool(there), "models": {}, "warnings": []}
    if check_mode:
        result["after"] = []
    return result


def _refuse_referred(store: Store, names: Sequence[str]) -> None:
    """Refuse to take a model from a server that would not start again without it."""
    used = references(store.root, careful=True) if names else {}
    for name, key in sorted(used):
        if name in names:
            raise ModelError(
                variable(name),
                f"{', '.join(used[name, key])} uses {store.folder(name, key)}; remove that first, or keep the model",
            )


def _reports(store: Store, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    return {name: report(store, outcome) for name, outcome in outcomes.items()}


def _failure(problems: Sequence[str], models: Mapping[str, Any]) -> dict[str, Any]:
    unique = list(dict.fromkeys(problems))
    return {"msg": "\n".join(unique), "problems": unique, "models": dict(models), "changed": False, "warnings": []}


def _lines(entries: Sequence[Mapping[str, Any]]) -> str:
    """The diff's text: one line for each version, so that a diff shows whole models."""
    return "".join(
        "{} {} {}\n".format(
            entry["name"],
            entry["revision"],
            "size unknown" if entry["bytes"] is None else "{} bytes".format(entry["bytes"]),
        )
        for entry in entries
    )
