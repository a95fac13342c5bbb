# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Put the agent on the host: what looks after the servers when no Ansible runs.

It is this collection's own module utils, copied from where the running module was imported:

    /usr/local/lib/llmops/agent-<version>/   the code, never changed once it is there
    /usr/local/lib/llmops/agent -> …         the version in use, switched in one step
    /etc/systemd/system/llmops-watchdog.*    every some seconds: do the servers answer?
    /etc/systemd/system/llmops-recover*      at boot, or for one server: what did a change leave that was cut off?

Nothing here asks the network, and a host that has it already is only compared.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import shutil
import sys
import typing as t
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from ansible_collections.llmops.serving.plugins.module_utils._command import run
from ansible_collections.llmops.serving.plugins.module_utils._lock import server_lock
from ansible_collections.llmops.serving.plugins.module_utils._unit import UNIT_DIR, write_atomically

if t.TYPE_CHECKING:
    # Never imported here: Ansible sends what a module names in its imports, and so the agent comes to the host.
    from ansible_collections.llmops.serving.plugins.module_utils import _agent_main  # noqa: F401

ROOT = Path("/usr/local/lib/llmops")
RUN_DIR = Path("/run/llmops-watchdog")
#: Seconds from the end of one look at the servers to the next.
INTERVAL_S = 20

_OWN = "ansible_collections.llmops.serving.plugins.module_utils"
_FROM = ("ansible.module_utils", _OWN)
_ENTRY = _OWN + "._agent_main"
_LIST = "modules.json"
_PATIENCE_S = 60
_TIMER = "llmops-watchdog.timer"
_WATCHDOG = "llmops-watchdog.service"
_BOOT = "llmops-recover.service"
_RECOVER = "llmops-recover@.service"
_ENABLED = (_TIMER, _BOOT)

# By its real path, for the link may be switched while this runs.
_MAIN = f"""import os
import sys

sys.path[0] = os.path.realpath(sys.path[0])
from {_ENTRY} import main

sys.exit(main())
"""


class Places(t.NamedTuple):
    """Where the agent lies."""

    root: Path = ROOT
    units: Path = UNIT_DIR
    run: Path = RUN_DIR

    @property
    def link(self) -> Path:
        """The version in use."""
        return self.root / "agent"


# -- what is to be there


def unit_texts(places: Places | None = None, python: str = "") -> dict[str, str]:
    """Write the agent's units.

    Args:
        places: Where the agent lies.
        python: The interpreter that runs it, by default the one that runs this.

    Returns:
        By the unit's name its text.
    """
    link = (places or Places()).link
    # Not the environment's and the user's modules: what runs as root is what was put there.
    command = f"{python or sys.executable} -E -s {link}"
    head = "# Written by llmops.serving\n[Unit]\nDescription=llmops: "
    return {
        _WATCHDOG: head + "do the servers answer?\n"
        f"After=docker.service {_BOOT}\n"
        "\n[Service]\nType=oneshot\n"
        f"ExecStart={command} watch\n"
        "TimeoutStartSec=10min\n"
        # Not two lines in the journal for each look: what the agent does is notice or above.
        "LogLevelMax=notice\n",
        _TIMER: head + f"watchdog, every {INTERVAL_S} s\n"
        "\n[Timer]\n"
        f"OnActiveSec={INTERVAL_S}s\nOnUnitInactiveSec={INTERVAL_S}s\nAccuracySec=1s\n"
        "\n[Install]\nWantedBy=timers.target\n",
        # The servers' units are ordered after it, so what it puts back is what starts.
        _BOOT: head + "put back what a change left that was cut off\n"
        f"RequiresMountsFor=/var/lib/llmops {link.parent}\n"
        "\n[Service]\nType=oneshot\n"
        f"ExecStart={command} recover\n"
        "TimeoutStartSec=5min\n"
        "\n[Install]\nWantedBy=multi-user.target\n",
        _RECOVER: head + "put back server %i after a change that was cut off\n"
        "After=docker.service\n"
        "\n[Service]\nType=oneshot\n"
        f"ExecStart={command} recover --start %i\n"
        # As long as the server loads.
        "TimeoutStartSec=infinity\n",
    }


class _Source(t.NamedTuple):
    text: str
    is_package: bool


def _source(name: str) -> _Source | None:
    """Give a module's source text from wherever it is imported, a zip or a folder; None if there is no such module."""
    spec = _spec(name)
    get = getattr(spec.loader, "get_source", None) if spec else None
    text = get(name) if get else None
    return _Source(text, spec.submodule_search_locations is not None) if spec and text is not None else None


@lru_cache(maxsize=None)  # noqa: UP033  Python 3.8 has no cache
def _spec(name: str) -> ModuleSpec | None:
    """Find a module by where its packages lie, for some of Ansible's put another module in their own place."""
    parent = name.rpartition(".")[0]
    if not parent:
        return importlib.util.find_spec(name)
    above = _spec(parent)
    places = above.submodule_search_locations if above else None
    return PathFinder.find_spec(name, places) if places is not None else None


def _imports(name: str, source: _Source) -> t.Iterator[str]:
    """Name what a module imports when it runs, and each name that may be a module."""
    waiting: list[ast.AST] = [ast.parse(source.text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = name.split(".")
            above = parts[: len(parts) - node.level + source.is_package] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def _modules() -> dict[str, _Source]:
    """Find every module that the agent needs, but the standard library's."""
    found: dict[str, _Source] = {}
    missing: set[str] = set()
    waiting = [_ENTRY]
    while waiting:
        name = waiting.pop()
        if name in found or name in missing or not name.startswith(_FROM):
            continue
        source = _source(name)
        if source is None or (source.is_package and not source.text.strip()):
            # Whether a package has an empty file or none differs from a zip to a folder; here each has one.
            missing.add(name)
        else:
            found[name] = source
            waiting += [name.rpartition(".")[0], *_imports(name, source)]
    return found


def _files(modules: t.Mapping[str, _Source]) -> dict[str, str]:
    """Lay the modules out as files, by their path."""
    files = {"__main__.py": _MAIN, _LIST: json.dumps(sorted(modules), indent=0) + "\n"}
    for name, source in modules.items():
        path = name.replace(".", "/")
        files[f"{path}/__init__.py" if source.is_package else f"{path}.py"] = source.text
        parents = path.split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            files.setdefault("/".join([*parents[:depth], "__init__.py"]), "")
    return files


def _version(files: t.Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(sorted(files.items())).encode("utf-8"))
    return digest.hexdigest()[:12]


# -- what is there


def _has_code(places: Places) -> bool:
    """Whether the version in use is what would be put there.

    What a module imports is told by its text, so as long as no text differs, the list of modules stands too.
    """
    try:
        names = json.loads((places.link / _LIST).read_text(encoding="utf-8"))
        sources = {name: _source(name) for name in names}
        files = _files({name: source for name, source in sources.items() if source})
        same = all((places.link / path).read_text(encoding="utf-8") == text for path, text in files.items())
    except (OSError, ValueError, TypeError, AttributeError):
        return False
    return same and _ENTRY in names and None not in sources.values()


def _stale_units(places: Places, python: str) -> list[str]:
    """Name the units whose files are not what they shall be."""
    stale = []
    for name, text in unit_texts(places, python).items():
        path = places.units / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    return stale


def _units_stand() -> bool:
    """Whether systemd starts what it shall at boot, and the timer runs."""
    done = run(
        ["systemctl", "show", "--property", "UnitFileState,ActiveState,NeedDaemonReload", *_ENABLED], check=False
    )
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in done.out.split("\n\n")]
    return (
        len(blocks) == len(_ENABLED)
        and all(block.get("UnitFileState") == "enabled" for block in blocks)
        and all(block.get("NeedDaemonReload") == "no" for block in blocks)
        and blocks[0].get("ActiveState") == "active"
    )


# -- change


def ensure(dry: bool = False, places: Places | None = None, python: str = "") -> bool:
    """Make the host have the agent, running.

    Args:
        dry: Say only whether something would change.
        places: Where the agent lies.
        python: The interpreter that runs it, by default the one that runs this.

    Returns:
        Whether anything changed. systemd may have read its units anew then.

    Raises:
        CommandError: systemd does not answer.
        LockError: Another run is at it and does not end.
        OSError: The files cannot be written.
    """
    where = places or Places()
    if _has_code(where) and not _stale_units(where, python) and _units_stand():
        return False
    if dry:
        return True
    with server_lock(".agent", patience=_PATIENCE_S, what="installing the agent of"):
        if not _has_code(where):
            _install(where)
        stale = _stale_units(where, python)
        for name in stale:
            write_atomically(where.units / name, unit_texts(where, python)[name], 0o644)
        if stale or not _units_stand():
            # Not `enable --now`: it would have systemd read all units once more for each.
            run(["systemctl", "--no-reload", "enable", "--quiet", *_ENABLED])
            run(["systemctl", "daemon-reload"])
            run(["systemctl", "restart" if _TIMER in stale else "start", _TIMER])
    return True


def _install(places: Places) -> None:
    """Write a version beside the others, and switch to it."""
    files = _files(_modules())
    version = _version(files)
    directory = places.root / f"agent-{version}"
    draft = places.root / f".agent-{version}.{os.getpid()}"
    before = places.link.resolve() if places.link.is_symlink() else None
    shutil.rmtree(str(draft), ignore_errors=True)
    try:
        for path, text in files.items():
            _write(draft / path, text)
        # One that is there and got here is not whole, or was changed by somebody.
        shutil.rmtree(str(directory), ignore_errors=True)
        draft.rename(directory)
    finally:
        shutil.rmtree(str(draft), ignore_errors=True)
    link = places.root / f".agent.{os.getpid()}"
    if link.is_symlink():
        link.unlink()
    link.symlink_to(directory.name)
    link.replace(places.link)
    # The one before may still run, and import more of itself.
    for old in places.root.glob("agent-*"):
        if old not in (directory, before):
            shutil.rmtree(str(old), ignore_errors=True)


def _write(path: Path, text: str) -> None:
    # Not the caller's umask: the code is read by whoever looks, and written by root alone.
    missing = [place for place in [path.parent, *path.parent.parents] if not place.is_dir()]
    for place in reversed(missing):
        place.mkdir()
        place.chmod(0o755)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
    path.chmod(0o644)


def remove(places: Places | None = None) -> list[str]:
    """Take the agent away, with its units and what it noted; for when the last server goes.

    Args:
        places: Where the agent lies.

    Returns:
        The paths that were removed.

    Raises:
        CommandError: systemd does not answer.
        OSError: A file cannot be removed.
    """
    where = places or Places()
    units = [where.units / name for name in unit_texts(where)]
    there = [path for path in units if path.exists()]
    if there:
        run(["systemctl", "--no-reload", "disable", "--quiet", *_ENABLED], check=False)
        run(["systemctl", "stop", _TIMER, _WATCHDOG], check=False)
    for path in there:
        path.unlink()
    if there:
        run(["systemctl", "daemon-reload"])
        run(["systemctl", "reset-failed", _WATCHDOG, _BOOT, _RECOVER.replace("@", "@*")], check=False)
    removed = [str(path) for path in there]
    places_left = [where.link, *sorted(where.root.glob("agent-*")), *sorted(where.root.glob(".agent*")), where.run]
    for path in places_left:
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(str(path))
        else:
            continue
        removed.append(str(path))
    if where.root.is_dir() and not any(where.root.iterdir()):
        where.root.rmdir()
        removed.append(str(where.root))
    return removed
