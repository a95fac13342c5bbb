#!/usr/bin/env python3
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write docs/options.md out of the roles' argument specifications, the one place where options are described."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
# In the order in which an apply needs them; engines are found by their definitions.
ROLES = (
    "preflight",
    "nvidia_driver",
    "docker",
    "nvidia_container_toolkit",
    "models",
    "engine",
    "benchmark",
    "tournament",
    *sorted(path.parent.name for path in ROOT.glob("roles/*/engine.yml")),
)
_MARKUP = re.compile(r"\b[A-Z]\(([^()]*(?:\([^()]*\))*[^()]*)\)")


def document() -> str:
    """Give the page's text."""
    parts = [
        "# Options\n",
        "Written by `tools/options_doc.py` out of `roles/*/meta/argument_specs.yml`. An inventory usually sets",
        "the variables `serving_*`, which the roles' own variables default to.\n",
    ]
    for role in ROLES:
        specs = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
        main = specs["argument_specs"]["main"]
        parts.append(
            f"## {role}\n\n{main['short_description']}.\n\n| variable | type | default | meaning |\n|---|---|---|---|"
        )
        parts += _rows(main["options"], "")
        parts.append("")
    return "\n".join(parts)


def _rows(options: dict[str, t.Any], prefix: str) -> list[str]:
    rows = []
    for name, option in options.items():
        kind = option.get("type", "str") + (f" of {option['elements']}" if "elements" in option else "")
        default = "required" if option.get("required") else f"`{option['default']}`" if "default" in option else ""
        meaning = option["description"] if isinstance(option["description"], str) else " ".join(option["description"])
        choices = f" One of {', '.join(map(str, option['choices']))}." if "choices" in option else ""
        cell = (_MARKUP.sub(r"`\1`", meaning) + choices).replace("|", "\\|")
        rows.append(f"| `{prefix}{name}` | {kind} | {default.replace('|', chr(92) + '|')} | {cell} |")
        rows += _rows(option.get("options", {}), f"{prefix}{name}[].")
    return rows


if __name__ == "__main__":
    (ROOT / "docs/options.md").write_text(document(), encoding="utf-8")
