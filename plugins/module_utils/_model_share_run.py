# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module ``model_share`` as a function: parameters in, result out."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._detached import Process, detach, end
from ansible_collections.llmops.serving.plugins.module_utils._model_share import Offer, Share, offered
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
    "versions": {"type": "dict", "default": {}},
    "path": {"type": "path", "default": "/var/lib/llmops/models"},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "port": {"type": "int", "default": 0},
    "clients": {"type": "list", "elements": "str", "default": []},
    "idle": {"type": "int", "default": 300},
    "process": {"type": "dict"},
    "certificate": {"type": "str"},
    "key": {"type": "str", "no_log": True},
    "token": {"type": "str", "no_log": True},
}


def run(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Do what the module's parameters ask.

    Args:
        params: The module's parameters.
        check_mode: Whether to start and end nothing.

    Returns:
        The module's result; ``msg`` is there after a failure.
    """
    if params["state"] == "stopped":
        return {"changed": _stop(params["process"] or {}, check_mode)}
    try:
        return _start(params, check_mode)
    except ModelError as error:
        return {"changed": False, "msg": str(error)}
    except OSError as error:
        return {"changed": False, "msg": f"models_share: {error.strerror or error}; see what the host forbids"}


def _start(params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    manifests, files = offered(Store(params["path"]), params["versions"])
    result: dict[str, Any] = {"changed": bool(manifests), "manifests": {}, "port": 0}
    if check_mode or not manifests:
        return result
    for name in ("certificate", "key", "token"):
        if not params[name]:
            raise ModelError(name, "required to start; the action of this module makes it")
    share = Share(Offer(files, params["token"], params["clients"]), params["certificate"], params["key"])
    port = share.listen(params["addresses"], params["port"])
    try:
        process = detach(lambda: share.serve(params["idle"]), share.sockets(), "llmops-share", [*files.values()])
    finally:
        share.close()
    result.update(
        manifests={name: asdict(manifest) for name, manifest in manifests.items()},
        port=port,
        process=dict(process._asdict()),
    )
    return result


def _stop(process: Mapping[str, Any], check_mode: bool) -> bool:
    if not process:
        return False
    return check_mode or end(Process(int(process["pid"]), int(process["began"])))
