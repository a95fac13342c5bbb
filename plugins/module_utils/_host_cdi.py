# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The specifications of CDI on a host, by which Docker gives containers its GPUs. Looks only.

They are YAML or JSON files (https://github.com/cncf-tags/container-device-interface, SPEC.md).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import read_text
from ansible_collections.llmops.serving.plugins.module_utils._host_yaml import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KIND = "nvidia.com/gpu"
# Docker looks into the first and the last one; /var/run is a link to /run on most hosts.
DIRECTORIES = ("etc/cdi", "run/cdi", "var/run/cdi")


def cdi_facts(root: Path) -> dict[str, Any]:
    """Tell which GPUs the host's specifications name.

    Args:
        root: The root of the file tree to look at.

    Returns:
        specs (path, devices, missing: device nodes that it names and that the host lacks), devices (all names,
        sorted), twice (names in more than one file; of files in one directory Docker takes neither then).
    """
    specs = []
    for path in _files(root):
        read = _devices_and_nodes(_content(path))
        if read is None:
            continue
        devices, nodes = read
        missing = sorted({node for node in nodes if node.startswith("/dev/") and not (root / node[1:]).exists()})
        specs.append({"path": "/" + str(path.relative_to(root)), "devices": devices, "missing": missing})
    names = [name for spec in specs for name in dict.fromkeys(spec["devices"])]
    return {
        "specs": specs,
        "devices": sorted(set(names)),
        "twice": sorted({name for name in names if names.count(name) > 1}),
    }


def _files(root: Path) -> Iterator[Path]:
    seen = set()
    for directory in DIRECTORIES:
        place = (root / directory).resolve()
        if place in seen:
            continue
        seen.add(place)
        try:
            found = sorted((root / directory).iterdir())
        except OSError:
            continue
        yield from (path for path in found if path.suffix in (".yaml", ".json"))


def _content(path: Path) -> Any:
    text = read_text(path) or ""
    try:
        return json.loads(text) if path.suffix == ".json" else read_yaml(text)
    except (ValueError, RecursionError):
        return None


def _devices_and_nodes(spec: Any) -> tuple[list[str], list[str]] | None:
    """List names and device nodes of a specification; None for one of something else, or that is none."""
    if not isinstance(spec, dict) or spec.get("kind") != KIND or not isinstance(spec.get("devices", []), list):
        return None
    devices = [device for device in _list(spec, "devices") if isinstance(device, dict) and device.get("name")]
    # Of a node's two paths the host's is the one that must be there.
    nodes = [
        str(node.get("hostPath") or node.get("path") or "")
        for part in [*devices, spec]
        for node in _list(part.get("containerEdits"), "deviceNodes")
        if isinstance(node, dict)
    ]
    return [str(device["name"]) for device in devices], nodes


def _list(holder: Any, key: str) -> list[Any]:
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, list) else []
