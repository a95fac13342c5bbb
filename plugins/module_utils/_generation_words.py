# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Say in words what one generation of a server has otherwise than another."""

from __future__ import annotations

import re
import typing as t
from pathlib import PurePosixPath

if t.TYPE_CHECKING:
    from ansible_collections.llmops.serving.plugins.module_utils._generations import Generation

IMAGE = "@IMAGE@"
# A word of a unit's command line, as plugin_utils/_systemd.py quotes it.
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_ESCAPED = re.compile(r"\\(.)|([%$])\2")
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}
# What the words about port, models and image say better.
_TOLD = ("--publish", "--entrypoint")
_SHOWN = 120
# Lines of a unit that are told otherwise, or say nothing of how the server runs.
_APART = ("#", "Description=", "ExecStart=")
# Where models lie in a container, as plugin_utils/_plan.py mounts them.
_MODELS = "/models/"


class CommandLine(t.NamedTuple):
    """The command line of a server's unit: Docker's options, and those of the engine with its program."""

    docker: dict[str, list[str]]
    engine: dict[str, list[str]]


def differences(old: Generation, new: Generation, secrets: t.Mapping[str, str] | None = None) -> list[str]:
    """Compare two generations of a server.

    Args:
        old: The one of before.
        new: The one whose words are told.
        secrets: The secrets of `new` where that is not on the host yet; else they are read there.

    Returns:
        A line for each thing that runs otherwise, such as `option --ctx-size: 512, was 1024`. Secrets are named, and
        never shown; neither are the values of environment variables.
    """
    before, after = old.asked, new.asked
    lines = _values(
        {
            "engine": (before.get("engine"), after.get("engine")),
            "image": (_image(old), _image(new)),
            "port": (before.get("port"), after.get("port")),
            "bind": (before.get("bind"), after.get("bind")),
        }
    )
    lines += _mapped("model", models(old), models(new))
    # The options of another engine are other options.
    if before.get("engine") == after.get("engine"):
        lines += _options(_command(old), _command(new))
    lines += _lines(str(before.get("unit") or ""), str(after.get("unit") or ""))
    lines += _named("file", before.get("files") or {}, after.get("files") or {})
    lines += _named("secret", _secrets(old), _secrets(new) if secrets is None else secrets)
    return lines


def models(generation: Generation) -> dict[str, str]:
    """Give the versions of the models that a generation serves, by the models' names in the inventory."""
    paths = [PurePosixPath(str(model.get("path", ""))) for model in generation.asked.get("models") or []]
    return {path.parent.name: path.name for path in paths}


def command_line(unit: str) -> CommandLine:
    """Read a unit's command line into options with their values.

    Args:
        unit: The unit's text, with `@IMAGE@` in it.

    Returns:
        The options; one that is given several times has several values, one without a value an empty one.
    """
    line = next((line for line in unit.splitlines() if line.startswith("ExecStart=")), "")
    words = [_plain(*match.groups()) for match in _WORD.finditer(line.partition("=")[2])]
    place = words.index(IMAGE) if IMAGE in words else len(words)
    return CommandLine(_parse(words[:place]), _parse(words[place + 1 :]))


def _plain(quoted: str | None, bare: str | None) -> str:
    text = bare if quoted is None else quoted
    return _ESCAPED.sub(lambda found: found.group(2) or _CONTROLS.get(found.group(1), found.group(1)), text or "")


def _parse(words: list[str]) -> dict[str, list[str]]:
    """Read words as options; those that belong to none stand under the empty name."""
    found: dict[str, list[str]] = {}
    name = ""
    values: list[str] = []
    for word in [*words, "-"]:
        # A negative number is a value.
        if word.startswith("-") and not re.match(r"-\.?\d", word):
            if name or values:
                found.setdefault(name, []).append(" ".join(values))
            name, equals, value = word.partition("=")
            values = [value] if equals else []
        else:
            values.append(word)
    return found


def _command(generation: Generation) -> CommandLine:
    return command_line(str(generation.asked.get("unit") or ""))


def _options(old: CommandLine, new: CommandLine) -> list[str]:
    # Where a model lies is told with the model.
    engine = [{name: text for name, text in _joined(line.engine).items() if not _is_path(text)} for line in (old, new)]
    lines = _mapped("option", *engine)
    docker = [{name: values for name, values in line.docker.items() if name not in _TOLD} for line in (old, new)]
    lines += _named("environment", *(_environment(words.pop("--env", [])) for words in docker))
    mounts = [words.pop("--mount", []) for words in docker]
    # Those of the models are told as models; a folder of the generation itself has no name of its own.
    others = [sorted(mount for mount in found if f"dst={_MODELS}" not in mount) for found in mounts]
    lines += _values({"mounts": (" ".join(others[0]), " ".join(others[1]))})
    return lines + _mapped("docker", *map(_joined, docker))


def _lines(old: str, new: str) -> list[str]:
    """Tell which other lines of the unit differ."""
    return _mapped("unit", _settings(old), _settings(new))


def _settings(unit: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        if "=" in line and not line.startswith(_APART):
            name, _equals, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return _joined(found)


def _joined(options: dict[str, list[str]]) -> dict[str, str]:
    return {name or "words": " ".join(values) for name, values in options.items()}


def _is_path(text: str) -> bool:
    return text.startswith(_MODELS)


def _environment(values: list[str]) -> dict[str, str]:
    return dict(value.partition("=")[::2] for value in values)


def _secrets(generation: Generation) -> dict[str, str]:
    found = dict(generation.secrets())
    key = generation.client_key()
    return found if key is None else {**found, "client-key": key}


def _image(generation: Generation) -> str:
    name, digest = str(generation.asked.get("image") or ""), generation.image.partition("@")[2]
    return name if not digest or digest in name else f"{name} ({digest[:19]})"


def _values(pairs: dict[str, tuple[t.Any, t.Any]]) -> list[str]:
    return [f"{name}: {_shown(new)}, was {_shown(old)}" for name, (old, new) in pairs.items() if old != new]


def _mapped(kind: str, old: dict[str, str], new: dict[str, str]) -> list[str]:
    lines = []
    for name in [*old, *(name for name in new if name not in old)]:
        if old.get(name) == new.get(name):
            continue
        if name not in new:
            was = f", was {_shown(old[name])}" if old[name] else ""
            lines.append(f"{kind} {name}: removed{was}")
        elif name not in old:
            lines.append(f"{kind} {name}: added" + (f", {_shown(new[name])}" if new[name] else ""))
        else:
            lines.append(f"{kind} {name}: {_shown(new[name])}, was {_shown(old[name])}")
    return lines


def _named(kind: str, old: t.Mapping[str, str], new: t.Mapping[str, str]) -> list[str]:
    """Tell which of some texts differ, and not what they are."""
    lines = []
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            what = "added" if name not in old else "removed" if name not in new else "changed"
            lines.append(f"{kind} {name}: {what}")
    return lines


def _shown(value: t.Any) -> str:
    text = " ".join(str(value).split())
    if not text:
        return "nothing"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
