# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Turn the entries of `serving_servers` into what the module `server` makes true."""

from __future__ import annotations

import json
import shlex
import typing as t
from dataclasses import dataclass
from posixpath import basename

from ansible_collections.llmops.serving.plugins.module_utils._gpu_proof import RULES as GPU_RULES
from ansible_collections.llmops.serving.plugins.module_utils._gpu_words import gpu_words
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import parse_models
from ansible_collections.llmops.serving.plugins.plugin_utils._arguments import arguments
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import of_variant
from ansible_collections.llmops.serving.plugins.plugin_utils._exposure import firewall, is_exposed, routes_of
from ansible_collections.llmops.serving.plugins.plugin_utils._site import (
    Site,
    image_of,
    model_names,
    served_names,
    task_of,
    template_of,
    variant_of,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import Definition

SECRETS: t.Final = "/run/secrets/llmops"
MODELS: t.Final = "/models"
FILES: t.Final = "/run/llmops"
CACHE: t.Final = "/cache"
# Where the module `server` keeps all that it keeps, and what an engine compiled, from one start to the next.
STATE: t.Final = "/var/lib/llmops"
CACHE_DIR: t.Final = STATE + "/servers/{name}/cache"
CHAT_TEMPLATE: t.Final = "chat-template.jinja"
# What the module `server` puts in once it knows: the directory of the generation and the image by digest.
GENERATION: t.Final = "@GENERATION@"
IMAGE: t.Final = "@IMAGE@"
# The file of an engine that takes its key from an environment variable.
_ENVIRONMENT: t.Final = "environment"


def server_plan(server: Mapping[str, t.Any], site: Site) -> dict[str, t.Any]:
    """Turn one server's entry without problems into what the module `server` makes true.

    Args:
        server: One entry of `serving_servers`.
        site: What the host's servers share.

    Returns:
        The parameters of the module `server` but its `secrets`, and in `unit_words` what the unit's template needs.
    """
    definition = of_variant(site.engines[server["engine"]], variant_of(server, site))
    specs, _problems = parse_models({name: site.models[name] for name in model_names(server)})
    models = [
        {
            "name": label,
            "task": task_of(spec.name, site, definition),
            "path": f"{site.model_dir}/{spec.name}/{spec.key}",
            **_places(label if definition["models"].get("named_by_path") else spec.name, spec.files, definition),
        }
        for spec, label in zip(specs, served_names(server), strict=True)
    ]
    template = template_of(server, site)
    files = {} if template is None else {CHAT_TEMPLATE: template.read_text(encoding="utf-8")}
    keys = _key_words(server, definition)
    engine = arguments(
        server,
        [(model["name"], model["inside"]) for model in models],
        [model["task"] for model in models],
        {"chat_template": f"{FILES}/{CHAT_TEMPLATE}"} if files else {},
        definition,
    )
    command = [*keys.before, *definition["entrypoint"], *engine.words, *keys.after]
    gpus = [] if site.accelerator == "cpu" else server.get("gpus") or ["all"]
    # CUDA counts the fastest GPU first otherwise, and not as nvidia-smi and the sums of the plan do.
    container = _Container(
        mounts=[f"type=bind,src={model['path']},dst={model['mount']},readonly" for model in models]
        + ([f"type=bind,src={GENERATION}/secrets,dst={SECRETS},readonly"] if server.get("api_key") else [])
        + ([f"type=bind,src={GENERATION}/files,dst={FILES},readonly"] if files else [])
        + ([f"type=bind,src={CACHE_DIR.format(name=server['name'])},dst={CACHE}"] if definition["caches"] else []),
        environment=({"CUDA_DEVICE_ORDER": "PCI_BUS_ID"} if gpus else {})
        | {name: str(value) for name, value in definition["environment"].items()}
        | {name: f"{CACHE}/{place}" for name, place in definition["caches"].items()}
        | engine.environment
        | (server.get("environment") or {}),
        gpus=gpus,
    )
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
        "routes": routes_of(definition),
        "exposed": bool(is_exposed(server)),
        "accept_open_routes": server.get("accept_open_routes") or [],
        "gate": [
            {"task": model["task"], "model": model["name"], **((server.get("gate") or {}).get(model["task"]) or {})}
            for model in models
        ],
        "files": files,
        "cache": CACHE_DIR.format(name=server["name"]) if definition["caches"] else None,
        "healthy_but": definition["healthy_but"],
        "load": definition["load"] | ({"timeout": server["load_timeout"]} if server.get("load_timeout") else {}),
        # What Docker says when it cannot give a container its GPUs is the same for every engine.
        "doctor": definition["doctor"] + (GPU_RULES if container.gpus else []),
        "watchdog": _watchdog(server, definition),
        "unit_words": {
            "title": definition["title"],
            # By the names in the inventory: what clients call them may be anything, and a unit's text may not.
            "models": [spec.name for spec in specs],
            "stop_seconds": definition["stop_seconds"],
            # File systems that must be there first: what the collection keeps, and the model store.
            "mounts": list(dict.fromkeys([STATE, site.model_dir])),
            "firewall": firewall(server),
            # The specification of CDI is made anew at each boot.
            "after": ["nvidia-cdi-refresh.service"] if container.gpus and site.gpu_way == "cdi" else [],
            "run": _docker_words(server, definition, container, site) + _entry(command),
        },
    }


def _watchdog(server: Mapping[str, t.Any], definition: Definition) -> dict[str, t.Any]:
    """Say what the host's watchdog reads of a server; nothing where it shall not look."""
    if server.get("watchdog") is False:
        return {}
    return {"metrics": definition.get("metrics"), "port": definition["container_port"], **definition["watchdog"]}


def _places(name: str, files: Sequence[str], definition: Definition) -> dict[str, str]:
    """Say where a model lies in the container, and how the engine is told."""
    mount = f"{MODELS}/{name}"
    # An engine that shows its path as the model's name is started in the directory above, so the path is the name.
    told = name if definition["models"].get("named_by_path") else mount
    return {"mount": mount, "inside": told + (f"/{basename(files[0])}" if files else "")}


@dataclass(frozen=True)
class _Container:
    """What a server's container is given, besides what all are given."""

    mounts: list[str]
    environment: dict[str, str]
    gpus: list[str]


def _docker_words(server: Mapping[str, t.Any], definition: Definition, container: _Container, site: Site) -> list[str]:
    bind = server.get("bind") or "127.0.0.1"
    host = f"[{bind}]" if ":" in bind else bind
    words = ["--rm", "--name", f"llmops-{server['name']}", "--pull", "never", "--init", "--log-driver", "none"]
    # Whether an engine answers sensibly the gate and the watchdog find out; its image may ask at another port.
    words += ["--no-healthcheck"]
    words += ["--label", f"llmops.server={server['name']}", "--user", definition["user"]]
    # CIS Docker Benchmark, section 5; an engine that cannot live with one of these says so in its definition.
    words += ["--read-only", "--tmpfs", "/tmp:mode=1777", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]  # noqa: S108  the container's own
    # Docker 29 gives a container 1024 open files, too few for connections; not more than small hosts may give.
    words += ["--pids-limit", "4096", "--ulimit", "nofile=16384:16384"]
    words += ["--publish", f"{host}:{server['port']}:{definition['container_port']}"]
    if definition["shm"]:
        words += ["--shm-size", definition["shm"]]
    if definition["models"].get("named_by_path"):
        words += ["--workdir", MODELS]
    words += gpu_words(site.gpu_way, container.gpus)
    words += [word for mount in container.mounts for word in ("--mount", mount)]
    words += [word for name, value in container.environment.items() for word in ("--env", f"{name}={value}")]
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
    if "file" not in rule:
        files = {_ENVIRONMENT: f"{rule['env']}={shlex.quote(keys[0])}\n"}
    elif "key" in rule:
        # JSON is YAML, and quotes whatever a key holds.
        files = {rule["file"]: json.dumps({rule["key"]: list(keys) if rule.get("list") else keys[0]}) + "\n"}
    else:
        files = {rule["file"]: "".join(f"{key}\n" for key in keys)}
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
