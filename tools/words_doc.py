#!/usr/bin/env python3
# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write docs/words.md out of the engines' definitions: what each word of a server becomes on each engine."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PREFACE = """# What each word becomes

Written by `tools/words_doc.py` out of `roles/*/engine.yml` and `flags.json`. A word that an engine has not is refused
by its name, never ignored; the cell says what to set instead. What the words mean is in [options.md](options.md).
"""
# How an engine is told its keys, by what its definition says of them.
_KEYS = {"flag": "file, `{flag}`", "env": "environment `{env}`, read from a file by the container's shell"}


def document() -> str:
    """Give the page's text."""
    parts = [PREFACE]
    for path in sorted(ROOT.glob("roles/*/engine.yml")):
        definition = yaml.safe_load(path.read_text(encoding="utf-8"))
        listing = json.loads(path.with_name("flags.json").read_text(encoding="utf-8"))
        parts += [_head(path.parent.name, definition, listing), *_words(definition), *_images(definition), ""]
    return "\n".join(parts)


def _head(name: str, definition: dict[str, t.Any], listing: dict[str, t.Any]) -> str:
    rule = definition["secrets"]["api_key"]
    key = (
        "refused"
        if "refused" in rule
        else next(text.format(**rule) for kind, text in _KEYS.items() if kind in rule)
        + (f", {rule['max']} at most" if "max" in rule else "")
    )
    return (
        f"## {name}\n\n{definition['title']}, one {definition['models']['format']} model a server"
        f"{'' if definition['models'].get('max') == 1 else ' or several'}, for {', '.join(definition['tasks'])}. "
        f"{len(listing['flags'])} flags, from {listing['source']} {listing['version']}. API key: {key}. "
        f"Ready: `{definition['readiness']}`, metrics: `{definition['metrics']}`. {_open(definition)}\n\n"
        "| word | cpu | gpu |\n|---|---|---|"
    )


def _open(definition: dict[str, t.Any]) -> str:
    """Say what the engine does for whoever reaches it, key or not."""
    groups = [group for group in definition["routes"] if group["kind"] in ("inference", "admin") and group.get("open")]
    paths = dict.fromkeys(path for group in groups for path in group.get("post", []) + group.get("get", []))
    if not paths:
        return "Its key guards all that computes or changes something."
    return f"Not guarded by a key: {', '.join(f'`{path}`' for path in paths)}."


def _words(definition: dict[str, t.Any]) -> list[str]:
    cpu, gpu = (_variant(definition, name) for name in ("cpu", "cuda"))
    words = sorted(cpu.keys() | gpu.keys())
    return [f"| `{word}` | {cpu.get(word, '')} | {gpu.get(word, '')} |" for word in words]


def _variant(definition: dict[str, t.Any], name: str) -> dict[str, str]:
    if name not in definition["images"]:
        return {}
    image = definition["images"][name]
    lacks = {**definition.get("lacks", {}), **image.get("lacks", {})}
    rules = {**definition["options"], **image.get("options", {})}
    found = {word: f"*none:* {text}" for word, text in lacks.items()}
    return found | {word: _rule(rule) for word, rule in rules.items() if rule is not None}


def _rule(rule: dict[str, t.Any]) -> str:
    parts = [*(f"`{word}`" for word in rule.get("with", []))]
    for part in [rule, *rule.get("also", [])]:
        target = part.get("flag") or part.get("env")
        factor = f" times {part['times']}" if "times" in part else f" times {part['scale']}" if "scale" in part else ""
        parts += [f"`{target}`{factor}"] if target else ["nothing to pass: the engine sees it in the model"]
    if "default" in rule:
        parts.append(f"(default {rule['default']})")
    if "values" in rule:
        parts.append(", ".join(f"{ours} → {theirs}" for ours, theirs in rule["values"].items()))
    if "dropped" in rule:
        parts.append("not " + ", ".join(rule["dropped"]))
    return " ".join(parts).replace("|", "\\|")


def _images(definition: dict[str, t.Any]) -> list[str]:
    rows = ["\n| variant | image | driver |\n|---|---|---|"]
    for name, image in definition["images"].items():
        full = f"`{image['name']}:{image['tag']}`" if "name" in image else "yours (`image` or `serving_images`)"
        rows.append(f"| {name} | {full} | {image.get('driver', '')} |")
    return rows


if __name__ == "__main__":
    (ROOT / "docs/words.md").write_text(document(), encoding="utf-8")
