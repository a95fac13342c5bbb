# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Find what on a host is not as the inventory says: servers too many, models, Docker, driver and toolkit.

Whether a server itself is as it shall be the module `server` says, in check mode.
"""

from __future__ import annotations

import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._generations import Store as Generations
from ansible_collections.llmops.serving.plugins.module_utils._generations import server_names
from ansible_collections.llmops.serving.plugins.module_utils._hold import HoldError, read_held
from ansible_collections.llmops.serving.plugins.module_utils._host import host_facts
from ansible_collections.llmops.serving.plugins.module_utils._model_manifest import Manifest
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelSpec, parse_models, variable
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store
from ansible_collections.llmops.serving.plugins.module_utils._unit import Unit

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "servers": {"type": "list", "elements": "str"},
    "models": {"type": "dict", "default": {}},
    "path": {"type": "path", "default": "/var/lib/llmops/models"},
    "verify": {"type": "bool", "default": False},
    "locked": {"type": "dict", "default": {}},
    "versions": {"type": "dict", "default": {}},
    "toolkit": {"type": "str", "default": ""},
    "host": {"type": "bool", "default": True},
}
# Of files that differ so many are named, the rest is counted.
_SHOWN = 5


class Difference(t.NamedTuple):
    """Something that is not as the inventory says.

    Attributes:
        about: What kind of thing: server, model, docker, driver or toolkit.
        name: Its name, empty where there is one of its kind.
        what: What differs, in words.
    """

    about: str
    name: str
    what: str


def look(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Look at everything that the module's parameters ask about.

    Args:
        params: The module's parameters.

    Returns:
        `differs`, `extra`, `unlocked` and `found`, as the module returns them.

    Raises:
        OSError: The model store cannot be read.
        CommandError: A program of the host does not answer.
    """
    store = Store(params["path"])
    specs = parse_models(params["models"])[0]
    extra = [] if params["servers"] is None else extra_servers(params["servers"])
    differs = [Difference("server", name, "is not in the inventory; serving_prune: true removes it") for name in extra]
    for spec in specs:
        differs += [Difference("model", spec.name, line) for line in model_lines(store, spec, params["verify"])]
    unlocked = [problem for spec in specs for problem in _unlocked(store, spec, params["locked"])]
    differs += [Difference("model", name, f"{path}: {line}") for name, path, line in unlocked]
    versions: dict[str, str] = {}
    if params["host"]:
        host = host_facts(model_dir=params["path"])
        versions = version_words(host)
        differs += version_lines(versions, params["versions"], params["toolkit"])
        differs += docker_lines(host["docker"]) if params["servers"] or specs else []
    return {
        "differs": [one._asdict() for one in differs],
        "extra": extra,
        "unlocked": [f"{variable(name)}: {path}: {line}" for name, path, line in unlocked],
        "found": {"servers": _servers(), "models": _models(store, specs), "versions": versions},
    }


def extra_servers(wanted: t.Collection[str]) -> list[str]:
    """Name the servers of a host that nobody wants.

    Args:
        wanted: The names of those that somebody wants.

    Returns:
        Those of which there is a unit or a folder; none while a tournament holds the servers, whose guests come and go.
    """
    try:
        if read_held() is not None:
            return []
    except HoldError:
        return []
    return sorted({*server_names(), *_unit_names()} - set(wanted))


def _unit_names() -> t.Iterator[str]:
    """Name the servers that have a unit; the collection's other units name no container."""
    pattern = Unit("*").path
    for path in sorted(pattern.parent.glob(pattern.name)):
        name = path.stem[len("llmops-") :]
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if f"llmops.server={name}" in text:
            yield name


def model_lines(store: Store, spec: ModelSpec, verify: bool) -> t.Iterator[str]:
    """Say how a model in the store differs from what is asked for.

    Args:
        store: The model store.
        spec: What is asked for.
        verify: Read every file, and not only those whose size or time is another.

    Yields:
        A line for each difference.
    """
    state = store.state(spec, verify)
    if state.manifest is None:
        there = ", ".join(manifest.revision or manifest.key for manifest in store.versions(spec.name))
        asked = spec.revision or spec.sha256 or spec.key
        yield f"{asked} is asked for, the store has {there or 'no version of it'}"
        return
    folder = store.folder(spec.name, spec.key)
    entries = {entry.path: entry for entry in state.manifest.files}
    for path in state.damaged[:_SHOWN]:
        yield f"{path}: {_damage(folder / path, entries[path].size)}"
    if len(state.damaged) > _SHOWN:
        yield f"{len(state.damaged) - _SHOWN} more files are not as they were fetched"
    if state.missing:
        yield f"{', '.join(state.missing)} is asked for, and was not fetched"
    if state.reselect:
        yield "include and exclude choose other files than those that were fetched"


def _damage(path: t.Any, size: int) -> str:
    try:
        found = path.stat().st_size
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"
    return "its bytes are not those that were fetched" if found == size else f"has {found} bytes instead of {size}"


def _unlocked(store: Store, spec: ModelSpec, locked: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, str, str]]:
    """Find files that are others than the lock file's: model, path, and what is wrong."""
    wanted = ((locked.get(spec.name) or {}).get(spec.key) or {}).get("files")
    manifest = Manifest.load(store.manifest_path(spec.name, spec.key))
    if wanted is None or manifest is None:
        # That the file lacks it is a problem of the inventory, and that the store lacks it is told already.
        return
    for entry in manifest.files:
        if entry.path not in wanted:
            yield spec.name, entry.path, "is not in the lock file"
        elif entry.sha256 != wanted[entry.path]:
            yield spec.name, entry.path, f"has the sha256 {entry.sha256}, the lock file has {wanted[entry.path]}"


def version_words(host: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Tell the versions on a host that decide how servers run.

    Args:
        host: The facts of `host_facts`.

    Returns:
        `docker`, `driver` and `toolkit`; without those that are not there.
    """
    nvidia = host["nvidia"]
    found = {
        "docker": host["docker"]["version"],
        "driver": nvidia["module"] or nvidia["library"],
        "toolkit": host["toolkit"]["version"],
    }
    return {word: str(version) for word, version in found.items() if version}


def version_lines(found: t.Mapping[str, str], locked: t.Mapping[str, t.Any], toolkit: str) -> t.Iterator[Difference]:
    """Compare versions.

    Args:
        found: Those of the host.
        locked: Those of the lock file.
        toolkit: The version of the toolkit that the inventory asks for, empty for none; it wins over the lock file's.
    """
    for about in ("docker", "driver", "toolkit"):
        asked = toolkit if about == "toolkit" and toolkit else locked.get(about)
        if not asked or found.get(about) == asked:
            continue
        whose = "the inventory asks for" if about == "toolkit" and toolkit else "the lock file has"
        have = f"{found[about]} is installed" if about in found else "is not installed"
        yield Difference(about, "", f"{have}, {whose} {asked}")


def docker_lines(docker: t.Mapping[str, t.Any]) -> t.Iterator[Difference]:
    """Say what keeps a host's Docker from running servers, now or after a restart."""
    if not docker["installed"]:
        yield Difference("docker", "", "is not installed")
    elif not docker["service_active"]:
        yield Difference("docker", "", "docker.service is {}".format(docker["service_state"]))
    elif not docker["service_enabled"]:
        yield Difference("docker", "", "docker.service does not start with the host")


def _servers() -> dict[str, dict[str, str]]:
    found = {name: Generations(name).current() for name in server_names()}
    return {
        name: {"image": current.image, "asked": str(current.asked.get("image", ""))}
        for name, current in found.items()
        if current
    }


def _models(store: Store, specs: t.Sequence[ModelSpec]) -> dict[str, dict[str, t.Any]]:
    found = {}
    for spec in specs:
        manifest = Manifest.load(store.manifest_path(spec.name, spec.key))
        if manifest:
            found[spec.name] = {
                "key": manifest.key,
                "source": manifest.source,
                "revision": manifest.revision,
                "files": {entry.path: entry.sha256 for entry in manifest.files},
            }
    return found
