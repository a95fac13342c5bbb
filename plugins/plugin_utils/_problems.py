# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Find everything that is wrong with an inventory before anything is changed."""

from __future__ import annotations

import difflib
import re
import typing as t
from collections import Counter

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.llmops.serving.plugins.module_utils._model_spec import parse_models
from ansible_collections.llmops.serving.plugins.plugin_utils._checks import file_needs, server_notices, server_problems
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import role_options
from ansible_collections.llmops.serving.plugins.plugin_utils._demands import alternatives, demand
from ansible_collections.llmops.serving.plugins.plugin_utils._images import ImageError, pinned
from ansible_collections.llmops.serving.plugins.plugin_utils._site import Site, image_of

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ARGUMENT: t.Final = re.compile(r"argument '(\w+)'")


def inventory_problems(servers: t.Any, site: Site) -> list[str]:
    """List what is wrong with a host's servers and models, by the inventory alone.

    Args:
        servers: The value of `serving_servers`, whatever it is.
        site: What the host's servers share.

    Returns:
        One line a problem: the variable at fault, what is wrong, what to write instead. No line holds a secret.
    """
    problems = [*_models(site), *_registries(site), *_images(site)]
    if not isinstance(servers, list):
        return [*problems, "serving_servers: must be a list of servers: begin each entry with a dash"]
    if not isinstance(site.images, dict):
        return problems
    for index, server in enumerate(servers):
        problems += [f"{_where(server, index)}{line}" for line in _server_problems(server, site)]
    return [*problems, *_clashes([_filled(server) for server in servers if not list(_types(server))])]


def choice_problems(servers: t.Any, only: list[str]) -> list[str]:
    """List the chosen servers that there are none of.

    Args:
        servers: The value of `serving_servers`, whatever it is.
        only: The names that were chosen.

    Returns:
        One line a problem.
    """
    names = [server.get("name") for server in servers if isinstance(server, dict)] if isinstance(servers, list) else []
    have = ", ".join(str(name) for name in names) or "none"
    return [f"serving_only: there is no server {name!r}: choose among {have}" for name in only if name not in names]


def questions(servers: t.Any, site: Site) -> dict[str, t.Any]:
    """Prepare what the host is asked about: the part of the inventory that has no problems.

    Args:
        servers: The value of `serving_servers`, whatever it is.
        site: What the host's servers share.

    Returns:
        `servers` (name, bind, port, image, alternatives and demand of each) and `models`, `needs` of files
        and `notices` for people, all for the module `preflight`.
    """
    sound = (
        [_filled(server) for server in servers if not list(_server_problems(server, site))]
        if isinstance(servers, list) and not list(_images(site))
        else []
    )
    specs = parse_models(site.models)[0] if isinstance(site.models, dict) else []
    return {
        "servers": [
            {
                "name": server["name"],
                "bind": server["bind"],
                "port": server["port"],
                "image": image_of(server, site),
                "alternatives": alternatives(server, site),
                "demand": demand(server, site),
            }
            for server in sound
        ],
        "models": {spec.name: site.models[spec.name] for spec in specs},
        "needs": [need for server in sound for need in file_needs(server, site)],
        "notices": [
            f"serving_servers[{server['name']!r}].{line}" for server in sound for line in server_notices(server, site)
        ],
    }


def _server_problems(server: t.Any, site: Site) -> Iterator[str]:
    if lines := list(_types(server)):
        yield from (f": {line}" for line in lines)
    elif isinstance(site.models, dict):
        yield from (f".{line}" for line in server_problems(_filled(server), site))


def _where(server: t.Any, index: int) -> str:
    name = server.get("name") if isinstance(server, dict) else None
    return f"serving_servers[{name!r}]" if isinstance(name, str) else f"serving_servers[{index}]"


def _types(server: t.Any) -> Iterator[str]:
    if not isinstance(server, dict):
        yield "must be a dict of words such as name, engine, model and port"
        return
    # The role's own specification is the one place that says which words there are and of which type.
    words = role_options("engine")["engine_servers"]["options"]
    for word in server.keys() - words.keys():
        near = difflib.get_close_matches(str(word), words, n=2)
        yield f"{word}: is no word of a server" + (f": did you mean {' or '.join(near)}?" if near else ": remove it")
    known = {word: value for word, value in server.items() if word in words}
    for message in ArgumentSpecValidator(words).validate(known).error_messages:
        word = _ARGUMENT.search(message)
        # Ansible repeats the value in some messages, and the value of api_key is secret.
        yield (
            "api_key: must be a list of strings"
            if "api_key" in message
            else f"{word[1]}: {message}"
            if word
            else message
        )


def _filled(server: dict[str, t.Any]) -> dict[str, t.Any]:
    result = ArgumentSpecValidator(role_options("engine")["engine_servers"]["options"]).validate(dict(server))
    return t.cast("dict[str, t.Any]", result.validated_parameters)


def _models(site: Site) -> Iterator[str]:
    if isinstance(site.models, dict):
        yield from parse_models(site.models)[1].values()
    else:
        yield "serving_models: must be a dict of models by name"


def _registries(site: Site) -> Iterator[str]:
    for prefix, mirror in site.registries.items():
        if not isinstance(mirror, str) or "://" in mirror or not mirror.strip("/"):
            yield f"serving_registries[{prefix!r}]: {mirror!r} is no registry: write host:port/prefix without https://"


def _images(site: Site) -> Iterator[str]:
    if not isinstance(site.images, dict):
        yield "serving_images: must be a dict of image names by engine"
        return
    for engine, image in site.images.items():
        where = f"serving_images[{engine!r}]"
        if engine not in site.engines:
            yield f"{where}: there is no such engine: choose one of {', '.join(sorted(site.engines))}"
        elif not isinstance(image, str):
            yield f"{where}: {image!r} is no image: write its name with a tag or a digest"
        else:
            try:
                pinned(image)
            except ImageError as exc:
                yield f"{where}: {exc}"


def _clashes(servers: list[dict[str, t.Any]]) -> Iterator[str]:
    for name, count in Counter(server["name"] for server in servers).items():
        if count > 1:
            yield f"serving_servers: {count} servers have the name {name!r}: give each its own name"
    ports: dict[int, list[Mapping[str, t.Any]]] = {}
    for server in servers:
        ports.setdefault(server["port"], []).append(server)
    for port, sharing in ports.items():
        if len(sharing) > 1:
            names = " and ".join(repr(server["name"]) for server in sharing)
            yield f"serving_servers: port {port} is used by {names}: give each its own port"
