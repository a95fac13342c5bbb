# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flags of a Rust program whose struct derives clap's Parser, out of its source."""

from __future__ import annotations

import re
import typing as t
from collections import Counter
from dataclasses import dataclass, replace

from tools.flag_readers.table import Flag, Rows, table

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_COMMENT = re.compile(r"^\s*//.*$", re.MULTILINE)
_STRUCT = re.compile(
    r"#\[derive\([^)]*\bParser\b[^)]*\)\](?:\s*#\[[^\]]*\])*\s*(?:pub )?struct \w+ \{(?P<body>.*?)\n\}", re.DOTALL
)
_ENUM = re.compile(r"\benum (?P<name>\w+) \{(?P<body>.*?)\n\}", re.DOTALL)
_FIELD = re.compile(r"(?:pub )?(?P<name>\w+)\s*:\s*(?P<type>[\w:<>]+)\s*,?\s*$")
_VARIANT = re.compile(r"(?P<name>[A-Z]\w*)\s*,?\s*$")
_ATTRIBUTE = re.compile(r"\s*#\[(?P<kind>\w+)\((?P<content>.*)\)\]\s*$", re.DOTALL)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")


# #[clap(default_value = "3000", long, short, env)]
# port: u16,
@dataclass(frozen=True)
class _Item:
    """A field of a struct or a variant of an enum, with the attributes before it."""

    text: str
    attributes: list[tuple[str, str]]

    def clap(self) -> dict[str, str | None]:
        """Give what its clap attributes say; None for a word without a value."""
        found: dict[str, str | None] = {}
        for kind, content in self.attributes:
            if kind in {"clap", "arg", "value"}:
                for part in _split(content):
                    key, _, value = part.partition("=")
                    found[key.strip()] = value.strip().strip("\"'") or None
        return found


def read(sources: Sequence[str], features: Collection[str] = ()) -> Rows:
    """Find the flags of the struct that derives Parser.

    Args:
        sources: Rust source, the struct's first; enums of its values may be in any of them.
        features: The cargo features that the program is built with, for variants under a condition.

    Raises:
        ValueError: No struct derives Parser.
    """
    clean = [_COMMENT.sub("", source) for source in sources]
    enums = {
        match["name"]: [name for item in _items(match["body"]) if (name := _variant(item, features))]
        for source in reversed(clean)
        for match in _ENUM.finditer(source)
    }
    struct = next((match for source in clean if (match := _STRUCT.search(source))), None)
    if struct is None:
        raise ValueError("no struct derives clap's Parser")
    flags = [flag for item in _items(struct["body"]) if (flag := _flag(item, enums))]
    # The launcher of TGI has -p for two flags.
    claims = Counter(spelling for flag in flags for spelling in flag.on)
    return table(replace(flag, on=[word for word in flag.on if claims[word] == 1]) for flag in flags)


def _flag(item: _Item, enums: dict[str, list[str]]) -> Flag | None:
    field = _FIELD.search(item.text)
    says = item.clap()
    if field is None or "long" not in says:
        return None
    name, kind = field["name"], field["type"]
    inner = re.sub(r"^(?:Option<)?(?:Vec<)?([\w:]+)>*$", r"\1", kind).rpartition("::")[2]
    arity = _arity(kind, says)
    return Flag(
        on=[
            f"--{says['long'] or name.replace('_', '-')}",
            *([f"-{says['short'] or name[0]}"] if "short" in says else []),
        ],
        value=arity,
        repeat="Vec<" in kind,
        choices=["true", "false"] if inner == "bool" and arity != "none" else enums.get(inner),
        env=(says["env"] or name.upper()) if "env" in says else None,
    )


def _arity(kind: str, says: dict[str, str | None]) -> str:
    count = says.get("num_args")
    if count:
        return "optional" if count.replace(" ", "") == "0..=1" else "one" if count == "1" else "many"
    return "none" if kind == "bool" else "one"


def _variant(item: _Item, features: Collection[str]) -> str | None:
    match = _VARIANT.search(item.text)
    conditions = [content for kind, content in item.attributes if kind == "cfg"]
    says = item.clap()
    if match is None or "skip" in says or not all(_holds(condition, features) for condition in conditions):
        return None
    # clap writes LastToken as last-token.
    return says.get("name") or "-".join(_WORD.findall(match["name"])).lower()


def _holds(condition: str, features: Collection[str]) -> bool:
    """Evaluate `any(feature = "x", not(…))`."""
    condition = condition.strip()
    if match := re.fullmatch(r'feature\s*=\s*"([^"]+)"', condition):
        return match[1] in features
    if match := re.fullmatch(r"(any|all|not)\((.*)\)", condition, re.DOTALL):
        parts = [_holds(part, features) for part in _split(match[2])]
        return {"any": any(parts), "all": all(parts), "not": not any(parts)}[match[1]]
    return False


def _items(body: str) -> Iterator[_Item]:
    attributes: list[tuple[str, str]] = []
    for part in _split(body):
        text = part
        while (end := _attribute_end(text)) is not None:
            if match := _ATTRIBUTE.fullmatch(text[:end]):
                attributes.append((match["kind"], match["content"]))
            text = text[end:]
        if text.strip():
            yield _Item(text.strip(), attributes)
        attributes = []


def _attribute_end(text: str) -> int | None:
    if not text.lstrip().startswith("#["):
        return None
    depth = 0
    for at, char in enumerate(text):
        depth += (char == "[") - (char == "]")
        if char == "]" and depth == 0:
            return at + 1
    return None


def _split(text: str) -> list[str]:
    """Split at the commas that are in no brackets and no string."""
    parts, depth, inside = [""], 0, False
    for char in text:
        if char == '"':
            inside = not inside
        if not inside:
            depth += (char in "([{<") - (char in ")]}>")
        if char == "," and depth == 0 and not inside:
            parts.append("")
        else:
            parts[-1] += char
    return [part for part in parts if part.strip()]
