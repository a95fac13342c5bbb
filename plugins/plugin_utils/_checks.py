# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Find what is wrong with one server's entry, by the inventory alone."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._probes import check_options
from ansible_collections.llmops.serving.plugins.plugin_utils._arguments import with_key, word_problems
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import of_variant
from ansible_collections.llmops.serving.plugins.plugin_utils._exposure import (
    LOOPBACK,
    exposure_problems,
    is_exposed,
)
from ansible_collections.llmops.serving.plugins.plugin_utils._images import ImageError, pinned
from ansible_collections.llmops.serving.plugins.plugin_utils._site import (
    Site,
    format_of,
    model_names,
    task_of,
    template_of,
    variant_of,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import Definition

# Unit, container and path are named after the server, so only what is safe in all three.
NAME: t.Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
# Parts that are harmless in a path and in a mount, none of which leads upwards.
_FOLDER: t.Final = re.compile(r"(?!.*(^|/)\.)[\w.=~@+:-]+(/[\w.=~@+:-]+)*", re.ASCII)
# What the module `server` puts in place of them, wherever they stand in the unit.
_PLACES: t.Final = ("@IMAGE@", "@GENERATION@")
# What an engine of safetensors needs, unless its definition says otherwise for an option.
_SAFETENSORS: t.Final = {
    "files": r"\.safetensors$",
    "what": "safetensors files",
    "remedy": "serve a repository that has them, or GGUF with engine llama_cpp",
}
_LAST_PORT: t.Final = 65535
# Units of the agent on the host (module_utils/_agent.py) have these names.
_TAKEN: t.Final = frozenset({"recover", "watchdog"})


def server_problems(server: Mapping[str, t.Any], site: Site) -> Iterator[str]:
    """Find what is wrong with one server's entry, by the inventory alone.

    Args:
        server: One entry of `serving_servers`, its types already right.
        site: What the host's servers share.

    Yields:
        One line a problem: the word at fault, what is wrong, what to write instead.
    """
    if not NAME.fullmatch(server["name"]):
        yield f"name: {server['name']!r}: use up to 41 small letters, digits, - and _, beginning with a letter or digit"
    if server["name"] in _TAKEN:
        yield f"name: llmops-{server['name']}.service is a unit of the collection itself: choose another name"
    if not 1 <= server["port"] <= _LAST_PORT:
        yield f"port: {server['port']} is no TCP port: choose one from 1 to 65535"
    if taken := [place for place in _PLACES if place in str(server)]:
        yield f"{taken[0]} stands for something else in the unit: leave it out"
    yield from _access_problems(server)
    definition = site.engines.get(server["engine"])
    if definition is None:
        yield f"engine: {server['engine']!r} is unknown: choose one of {', '.join(sorted(site.engines))}"
        return
    definition = of_variant(definition, variant_of(server, site))
    yield from _image_problems(server, site, definition)
    yield from _model_problems(server, site, definition)
    yield from _name_problems(server, definition)
    yield from word_problems(server, definition, site.engines)
    if "chat_template" in definition["options"]:
        yield from _file_problems(server, site)
    yield from _gpu_problems(server, site)
    yield from _key_problems(server, definition)
    yield from exposure_problems(server, definition)
    yield from _gate_problems(server, site, definition)


def server_notices(server: Mapping[str, t.Any], site: Site) -> Iterator[str]:
    """Say what the user of a server without problems should know all the same.

    Args:
        server: One entry of `serving_servers`.
        site: What the host's servers share.

    Yields:
        One line a notice.
    """
    if notice := site.engines[server["engine"]]["notice"]:
        yield f"engine: {notice}"


def file_needs(server: Mapping[str, t.Any], site: Site) -> Iterator[dict[str, str]]:
    """Say which files the models of a server must have, which only their list of files tells.

    Args:
        server: One entry of `serving_servers`, without problems.
        site: What the host's servers share.

    Yields:
        `model`, `files` (a regular expression that one of its paths must match) and the `problem` otherwise.
    """
    definition = of_variant(site.engines[server["engine"]], variant_of(server, site))
    if definition["models"]["format"] != "safetensors":
        return
    options = definition["flags"].merged(definition["arguments"], server.get("options") or {})
    fits = [need for need in definition["needs"] if options.get(f"--{need['option']}") == need["value"]]
    need = fits[0] if fits else _SAFETENSORS
    for name in model_names(server):
        yield {
            "model": name,
            "files": need["files"],
            "problem": (
                f"serving_servers[{server['name']!r}].model: {definition['title']} needs {need['what']}, and "
                f"serving_models[{name!r}] has none: {need['remedy']}"
            ),
        }


def _file_problems(server: Mapping[str, t.Any], site: Site) -> Iterator[str]:
    if server.get("chat_template") and template_of(server, site) is None:
        places = ", ".join(site.search) or "the current directory"
        yield (
            f"chat_template: {server['chat_template']!r} is no file on this machine (looked in {places}): "
            "correct the path of the Jinja file"
        )


def _gpu_problems(server: Mapping[str, t.Any], site: Site) -> Iterator[str]:
    gpus, split = server.get("gpus"), server.get("tensor_parallel_size") or 1
    if gpus is not None and site.accelerator == "cpu":
        yield "gpus: serving_accelerator is cpu, so there are none: remove it"
    elif gpus is not None and split > len(gpus):
        yield f"tensor_parallel_size: {split} is more than the {len(gpus)} entries of gpus: name as many GPUs"


def _key_problems(server: Mapping[str, t.Any], definition: Definition) -> Iterator[str]:
    rule, keys = definition["secrets"]["api_key"], server.get("api_key") or []
    if keys and "refused" in rule:
        yield f"api_key: {rule['refused']}"
    elif (limit := rule.get("max")) and len(keys) > limit:
        yield f"api_key: {definition['title']} takes {limit} key only: leave one"
    own = server.get("environment") or {}
    if rule.get("env") in own:
        yield f"environment.{rule['env']}: would show the key in the unit: use api_key"
    for name in with_key(server, definition, "environment").keys() & own.keys():
        yield f"environment.{name}: {definition['title']} would write its key into its log: remove it"


def _gate_problems(server: Mapping[str, t.Any], site: Site, definition: Definition) -> Iterator[str]:
    tasks = {task_of(name, site, definition) for name in model_names(server) if isinstance(site.models.get(name), dict)}
    for task, options in (server.get("gate") or {}).items():
        if task not in tasks:
            yield f"gate.{task}: no model of the server is for {task}: remove it, or set task in serving_models"
        elif not isinstance(options, dict):
            yield f"gate.{task}: must be a dict of the options of {task}_probe"
        else:
            asked = {name: value for name, value in options.items() if name != "timeout"}
            yield from (f"gate.{task}: {problem}" for problem in check_options(task, asked))


def _access_problems(server: Mapping[str, t.Any]) -> Iterator[str]:
    bind, keys = server.get("bind") or LOOPBACK, server.get("api_key")
    if is_exposed(server) is None:
        yield f"bind: {bind!r} is no IP address: write 127.0.0.1, 0.0.0.0, or an address of the host"
    if keys is not None and (not keys or any(not key.strip() for key in keys)):
        # Every engine takes an empty key for "no key" and serves everybody.
        yield "api_key: a key is empty, and engines take that for no key and serve everybody: set a value, or remove it"
    elif keys and any(set(key) & set(",\r\n\0 \t") for key in keys):
        yield "api_key: a key holds a comma, a blank or a line break: choose one without"
    elif keys and any(key.startswith(("#", "-")) for key in keys):
        # The first begins a comment in llama.cpp's file, so that it serves everybody; the second is a flag to SGLang.
        yield "api_key: a key begins with # or -, which engines take for a comment or a flag: choose another"


def _image_problems(server: Mapping[str, t.Any], site: Site, definition: Definition) -> Iterator[str]:
    images, variant = definition["images"], variant_of(server, site)
    if server.get("variant") and variant not in images:
        yield f"variant: {definition['title']} has none called {variant!r}: choose one of {', '.join(sorted(images))}"
    elif server.get("variant") and (on := images[variant].get("accelerator", variant)) != site.accelerator:
        yield f"variant: {variant} computes on {on}, and serving_accelerator is {site.accelerator}: choose another"
    elif server.get("image"):
        try:
            pinned(server["image"])
        except ImageError as exc:
            yield f"image: {exc}"
    elif server["engine"] in site.images:
        return  # judged once, as serving_images
    elif "name" not in images.get(variant, {}):
        have = ", ".join(sorted(key for key, image in images.items() if "name" in image)) or "none"
        why = definition.get("image_help", "set image")
        yield f"image: {definition['title']} has no image for {variant} (it has: {have}): {why}"


def _model_problems(server: Mapping[str, t.Any], site: Site, definition: Definition) -> Iterator[str]:
    names, limit = model_names(server), definition["models"].get("max")
    if not names:
        yield "model: is missing: name an entry of serving_models"
    if limit and len(names) > limit:
        yield f"models: {definition['title']} serves {limit} model a server, not {len(names)}: make a server of each"
    if len(set(names)) < len(names):
        yield "models: a model is named twice: name each once"
    for name in names:
        if name not in site.models:
            have = ", ".join(sorted(site.models)) or "nothing"
            yield f"model: {name!r} is not in serving_models, which has {have}"
        elif isinstance(site.models[name], dict):  # anything else is told as a problem of serving_models
            yield from _fit_problems(name, site, definition)


def _fit_problems(name: str, site: Site, definition: Definition) -> Iterator[str]:
    """Tell whether an engine loads a model's format, and does what the model is for."""
    model, task, title = site.models[name], task_of(name, site, definition), definition["title"]
    single = str(model.get("file") or model.get("url") or "")
    kind = format_of(model)
    if kind != definition["models"]["format"] or (single and kind != "gguf"):
        wants = "one GGUF file: set file" if definition["models"]["format"] == "gguf" else "a repository: remove file"
        others = _others(site, kind, task)
        yield f"model: {title} cannot load {name!r}, it wants {wants} of serving_models[{name!r}]{others}"
    if task not in definition["tasks"]:
        can = ", ".join(definition["tasks"])
        yield (
            f"model: {title} cannot do {task}, the task of {name!r} (it does {can}): change engine"
            f"{_others(site, kind, task)}"
        )


def _name_problems(server: Mapping[str, t.Any], definition: Definition) -> Iterator[str]:
    label, names = server.get("served_model_name"), model_names(server)
    if label is None:
        return
    refused = sorted(set(label) & set(definition["models"].get("name_refuses", "")))
    if len(names) > 1:
        yield f"served_model_name: stands for one model, and the server has {len(names)}: remove it"
    elif not label.strip():
        yield "served_model_name: is empty: name it, or remove it for the model's own name"
    elif label.startswith("-") or not label.isprintable():
        yield f"served_model_name: {label!r} begins with a dash or holds a line break or the like: choose another"
    elif definition["models"].get("named_by_path") and not _FOLDER.fullmatch(label):
        yield (
            f"served_model_name: {definition['title']} names a model by its folder, which {label!r} cannot be: use "
            "letters, digits and .=~@+:-_, with a slash between parts"
        )
    elif refused:
        yield f"served_model_name: {definition['title']} does not take {refused[0]!r} in a name: choose another"


def _others(site: Site, kind: str, task: str) -> str:
    """Name the engines that load such a model for such a task."""
    fits = [
        name for name, other in site.engines.items() if other["models"]["format"] == kind and task in other["tasks"]
    ]
    return f" (engines that serve it as it is: {', '.join(fits)})" if fits else ""
