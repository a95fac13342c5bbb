# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of its models, and by which addresses others reach it: read from disk and kernel, nobody is asked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._addresses import (
    candidates,
    default_addresses,
    own_addresses,
)
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelSpec, parse_models
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

ARGUMENTS: dict[str, dict[str, Any]] = {
    "models": {"type": "dict", "required": True},
    "path": {"type": "path", "default": "/var/lib/llmops/models"},
    "address": {"type": "str", "default": ""},
    "names": {"type": "list", "elements": "str", "default": []},
}


def look(params: Mapping[str, Any]) -> dict[str, Any]:
    """Look at the store and the network.

    Args:
        params: The module's parameters.

    Returns:
        The module's result. Models whose description is wrong are not in it: `model` says what is wrong with them.
    """
    store = Store(params["path"])
    specs, _wrong = parse_models(params["models"])
    reach = [params["address"]] if params["address"] else [*default_addresses(), *params["names"]]
    return {
        "models": {
            spec.name: {"key": spec.key, "content": content_id(spec), "complete": store.state(spec).complete}
            for spec in specs
        },
        "addresses": candidates(reach),
        "clients": list(dict.fromkeys([*own_addresses(), *candidates(reach)])),
        # Not "path": Ansible adds owner and mode to a result that has one.
        "store": params["path"],
    }


def content_id(spec: ModelSpec) -> str:
    """Name what a model shall consist of: hosts whose names are equal want the same files.

    Args:
        spec: The wanted model. Where it comes from does not count where its sha256 is given.
    """
    words = dict(asdict(spec), url="")
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode("utf-8")).hexdigest()[:16]
