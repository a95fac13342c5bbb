# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Turn the entries of `serving_servers` into what the module `server` makes true."""

from __future__ import annotations

import ipaddress
import re
import shlex
import typing as t
from dataclasses import dataclass
from posixpath import basename

from ansible_collections.llmops.serving.plugins.module_utils._model_spec import parse_models
from ansible_collections.llmops.serving.plugins.module_utils._probes import check_options
from ansible_collections.llmops.serving.plugins.plugin_utils._arguments import arguments, word_problems
from ansible_collections.llmops.serving.plugins.plugin_utils._images import ImageError, mirrored, pinned

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import Definition

# Unit, container and path are named after the server, so only what is safe in all three.
NAME: t.Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
SECRETS: t.Final = "/run/secrets/llmops"
MODELS: t.Final = "/models"
# What the module `server` puts in once it knows: the directory of the generation and the image by digest.
GENERATION: t.Final = "@GENERATION@"
IMAGE: t.Final = "@IMAGE@"
_LAST_PORT: t.Final = 65535
# The file of an engine that takes its key from an environment variable.
_ENVIRONMENT: t.Final = "environment"


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a host's servers share."""

    models: Mapping[str, Mapping[str, t.Any]]
    model_dir: str
    registries: Mapping[str, str]
    accelerator: str
    engines: Mapping[str, Definition]


def model_names(server: Mapping[str, t.Any]) -> list[str]:
    """List the models of a server, whichever word names them."""
    return [*([server["model"]] if server.get("model") else []), *(server.get("models") or [])]


def task_of(name: str, site: Site, definition: Definition) -> str:
    """Tell which task a model is for: its own word, else its engine's default."""
    return str(site.models[name].get("task") or definition["default_task"])


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
    if not 1 <= server["port"] <= _LAST_PORT:
        yield f"port: {server['port']} is no TCP port: choose one from 1 to 65535"
    yield from _access_problems(server)
    definition = site.engines.get(server["engine"])
    if definition is None:
        yield f"engine: {server['engine']!r} is unknown: choose one of {', '.join(sorted(site.engines))}"
        return
    yield from _image_problems(server, site, definition)
    yield from _model_problems(server, site, definition)
    yield from word_problems(server, definition, site.engines)
    limit = definition["secrets"]["api_key"].get("max")
    if limit and len(server.get("api_key") or []) > limit:
        yield f"api_key: {definition['title']} takes {limit} key only: leave one"
    yield from _gate_problems(server, site, definition)


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
    bind, keys = server.get("bind") or "127.0.0.1", server.get("api_key")
    try:
        public = not ipaddress.ip_address(bind).is_loopback
    except ValueError:
        public = False
        yield f"bind: {bind!r} is no IP address: write 127.0.0.1, 0.0.0.0, or an address of the host"
    if keys is not None and (not keys or any(not key.strip() for key in keys)):
        # Every engine takes an empty key for "no key" and serves everybody.
        yield "api_key: a key is empty, and engines take that for no key and serve everybody: set a value, or remove it"
    elif keys and any(set(key) & set(",\r\n\0 \t") for key in keys):
        yield "api_key: a key holds a comma, a blank or a line break: choose one without"
    elif not keys and public:
        yield f"bind: {bind} is public and api_key is not set: set api_key, or bind 127.0.0.1"


def _image_problems(server: Mapping[str, t.Any], site: Site, definition: Definition) -> Iterator[str]:
    if server.get("image"):
        try:
            pinned(server["image"])
        except ImageError as exc:
            yield f"image: {exc}"
    elif site.accelerator not in definition["images"]:
        have = ", ".join(sorted(definition["images"])) or "none"
        yield f"engine: {definition['title']} has no image for {site.accelerator} (it has: {have}): set image"


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
            continue
        model = site.models[name]
        if not isinstance(model, dict):
            continue  # told as a problem of serving_models
        task = task_of(name, site, definition)
        single = str(model.get("file") or model.get("url") or "")
        fits = single.lower().endswith(".gguf") if definition["models"]["format"] == "gguf" else not single
        if not fits:
            wants = (
                "one GGUF file: set file" if definition["models"]["format"] == "gguf" else "a repository: remove file"
            )
            yield f"model: {definition['title']} cannot load {name!r}, it wants {wants} of serving_models[{name!r}]"
        if task not in definition["tasks"]:
            can = ", ".join(definition["tasks"])
            yield f"model: {definition['title']} cannot do {task}, the task of {name!r} (it does {can}): change engine"


def image_of(server: Mapping[str, t.Any], site: Site) -> str:
    """Name the image of a server without problems, at the mirror it comes from."""
    variant = site.engines[server["engine"]]["images"].get(site.accelerator, {})
    image = pinned(server.get("image") or f"{variant['name']}:{variant['tag']}")
    return str(mirrored(image, site.registries))


def server_plan(server: Mapping[str, t.Any], site: Site) -> dict[str, t.Any]:
    """Turn one server's entry without problems into what the module `server` makes true.

    Args:
        server: One entry of `serving_servers`.
        site: What the host's servers share.

    Returns:
        The parameters of the module `server` but its `secrets`, and in `unit_words` what the unit's template needs.
    """
    definition = site.engines[server["engine"]]
    # An image of the user's own is still one for this accelerator.
    variant = definition["images"].get(site.accelerator, {})
    specs, _problems = parse_models({name: site.models[name] for name in model_names(server)})
    models = [
        {
            "name": spec.name,
            "task": task_of(spec.name, site, definition),
            "path": f"{site.model_dir}/{spec.name}/{spec.key}",
            "inside": f"{MODELS}/{spec.name}" + (f"/{basename(spec.files[0])}" if spec.files else ""),
        }
        for spec in specs
    ]
    keys = _key_words(server, definition)
    words = arguments(
        server,
        [(model["name"], model["inside"]) for model in models],
        [model["task"] for model in models],
        variant,
        definition,
    )
    command = [*keys.before, *definition["entrypoint"], *words, *keys.after]
    bind = server.get("bind") or "127.0.0.1"
    return {
        "name": server["name"],
        "engine": server["engine"],
        "image": image_of(server, site),
        "bind": bind,
        "port": server["port"],
        "models": [{key: model[key] for key in ("name", "task", "path")} for model in models],
        "user": definition["user"],
        "readiness": definition["readiness"],
        "guarded": definition["guarded"],
        "gate": [
            {"task": model["task"], "model": model["name"], **((server.get("gate") or {}).get(model["task"]) or {})}
            for model in models
        ],
        "load": definition["load"] | ({"timeout": server["load_timeout"]} if server.get("load_timeout") else {}),
        "doctor": definition.get("doctor", []),
        "unit_words": {
            "title": definition["title"],
            "stop_seconds": definition["stop_seconds"],
            "run": _docker_words(server, definition, models, has_secrets=bool(server.get("api_key"))) + _entry(command),
        },
    }


def _docker_words(
    server: Mapping[str, t.Any], definition: Definition, models: list[dict[str, t.Any]], *, has_secrets: bool
) -> list[str]:
    bind = server.get("bind") or "127.0.0.1"
    host = f"[{bind}]" if ":" in bind else bind
    words = ["--rm", "--name", f"llmops-{server['name']}", "--pull", "never", "--init", "--log-driver", "none"]
    words += ["--label", f"llmops.server={server['name']}", "--user", definition["user"]]
    # CIS Docker Benchmark, section 5; an engine that cannot live with one of these says so in its definition.
    words += ["--read-only", "--tmpfs", "/tmp:mode=1777", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]  # noqa: S108  the container's own
    # Docker 29 gives a container 1024 open files, too few for connections; not more than small hosts may give.
    words += ["--pids-limit", "4096", "--ulimit", "nofile=16384:16384"]
    words += ["--publish", f"{host}:{server['port']}:{definition['container_port']}"]
    for model in models:
        words += ["--mount", f"type=bind,src={model['path']},dst={MODELS}/{model['name']},readonly"]
    if has_secrets:
        words += ["--mount", f"type=bind,src={GENERATION}/secrets,dst={SECRETS},readonly"]
    environment = definition["environment"] | (server.get("environment") or {})
    for name, value in environment.items():
        words += ["--env", f"{name}={value}"]
    return words


def _entry(command: list[str]) -> list[str]:
    return ["--entrypoint", command[0], IMAGE, *command[1:]]


def server_secrets(server: Mapping[str, t.Any], site: Site) -> dict[str, t.Any]:
    """Find what of one server's entry must not be seen.

    Args:
        server: One entry of `serving_servers`, without problems.
        site: What the host's servers share.

    Returns:
        `files`, by name the texts that the container reads, and `client_key`, the key that the gate sends.
    """
    if not (keys := server.get("api_key")):
        return {"files": {}, "client_key": None}
    rule = site.engines[server["engine"]]["secrets"]["api_key"]
    if "file" in rule:
        files = {rule["file"]: "".join(f"{key}\n" for key in keys)}
    else:
        files = {_ENVIRONMENT: f"{rule['env']}={shlex.quote(keys[0])}\n"}
    return {"files": files, "client_key": keys[0]}


class _KeyWords(t.NamedTuple):
    """Words of a command line that lead an engine to its keys."""

    before: list[str]
    after: list[str]


def _key_words(server: Mapping[str, t.Any], definition: Definition) -> _KeyWords:
    if not server.get("api_key"):
        return _KeyWords([], [])
    rule = definition["secrets"]["api_key"]
    if "file" in rule:
        return _KeyWords([], [rule["flag"], f"{SECRETS}/{rule['file']}"])
    # The shell reads the file inside the container, so `docker inspect` shows a path where --env-file shows the key.
    return _KeyWords(["/bin/sh", "-c", f'set -a; . {SECRETS}/{_ENVIRONMENT}; set +a; exec "$@"', "sh"], [])
