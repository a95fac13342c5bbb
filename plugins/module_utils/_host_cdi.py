# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The specifications of CDI on a host, by which Docker gives containers its GPUs. Looks only.

Read without a YAML parser, for a host has none: what `nvidia-ctk cdi generate` writes (block style, one key a line),
what people write by hand in the same style, and JSON (https://github.com/cncf-tags/container-device-interface).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import CDI_DIRECTORIES, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KIND = "nvidia.com/gpu"
_KIND_LINE = re.compile(r"^kind:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_NAME = re.compile(r"^(?P<indent>\s*)-\s+(?:\{\s*)?name:\s*(?P<name>\"[^\"]*\"|'[^']*'|[^\s,}#]+)")
_PATH = re.compile(r"(?:^|[\s{,-])(hostPath|path):\s*(\"[^\"]*\"|'[^']*'|[^\s,}#]+)")


def cdi_facts(root: Path) -> dict[str, Any]:
    """Tell which GPUs the host's specifications name.

    Args:
        root: The root of the file tree to look at.

    Returns:
        specs (path, devices, missing: device nodes that it names and that the host lacks), devices (all names,
        sorted), twice (names in more than one file: Docker refuses those).
    """
    specs = []
    for path in _files(root):
        text = read_text(path) or ""
        read = _from_json(text) if path.suffix == ".json" else _from_yaml(text)
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
    for directory in CDI_DIRECTORIES:
        # /var/run is a link to /run on most hosts.
        place = (root / directory).resolve()
        if place in seen or not place.is_dir():
            continue
        seen.add(place)
        yield from sorted(path for path in (root / directory).iterdir() if path.suffix in (".yaml", ".json"))


def _from_json(text: str) -> tuple[list[str], list[str]] | None:
    try:
        spec = json.loads(text)
        if spec["kind"] != KIND:
            return None
        nodes = [
            str(node.get("hostPath") or node.get("path"))
            for part in [*spec["devices"], spec]
            for node in part.get("containerEdits", {}).get("deviceNodes", [])
        ]
        return [str(device["name"]) for device in spec["devices"]], nodes
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _from_yaml(text: str) -> tuple[list[str], list[str]] | None:
    kind = _KIND_LINE.search(text)
    if kind is None or kind.group(1) != KIND:
        return None
    devices: list[str] = []
    nodes: list[str] = []
    section, indent, part, depth = "", None, "", 0
    for line in text.splitlines():
        bare = line.split(" #", 1)[0].rstrip()
        if not bare.strip() or bare.lstrip().startswith("#"):
            continue
        if re.match(r"^[A-Za-z]\w*:", bare):
            section, indent, part = bare.partition(":")[0], None, ""
        started = re.match(r"^(\s*)(?:-\s+)?(deviceNodes|mounts|hooks|env):", bare)
        if started:
            part, depth = started.group(2), len(started.group(1))
        elif part and len(bare) - len(bare.lstrip()) < depth:
            part = ""
        name = _NAME.match(bare) if section == "devices" else None
        # A list inside of a device has names too, and stands further to the right.
        if name and (indent is None or len(name.group("indent")) == indent):
            indent = len(name.group("indent"))
            devices.append(_unquoted(name.group("name")))
        if part == "deviceNodes" or "deviceNodes:" in bare:
            _add_nodes(nodes, bare)
    return devices, [node for node in nodes if node]


def _add_nodes(nodes: list[str], line: str) -> None:
    """Add the device nodes of a line; of a node's two paths the host's is the one that must be there."""
    for item in re.split(r"(?=\{)|(?=^\s*-\s)", line):
        if item.lstrip().startswith(("-", "{")):
            nodes.append("")
        for key, path in _PATH.findall(item):
            if key == "hostPath" or not nodes[-1:] or not nodes[-1]:
                nodes[-1:] = [_unquoted(path)]


def _unquoted(word: str) -> str:
    return word[1:-1] if word[:1] in ("'", '"') else word
