# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host for the modules about servers: files below a temporary folder, systemd and Docker played, the rest real."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

from ansible.module_utils.testing import patch_module_args

from ansible_collections.llmops.serving.plugins.module_utils import (
    _agent,
    _differences,
    _docker,
    _generations,
    _judgement,
    _lock,
    _prepare,
    _unit,
)
from ansible_collections.llmops.serving.plugins.module_utils._command import CommandError, Completed
from ansible_collections.llmops.serving.plugins.module_utils._evidence import Evidence
from ansible_collections.llmops.serving.plugins.module_utils._generations import Secrets, Store
from tests.unit.plugins.fake_engine import ChatParts, FakeEngine, Reply, Request, Route, as_json

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    import pytest

OWNER = (os.getuid(), os.getgid())


@dataclass
class PlayedHost:
    """A host.

    Attributes:
        folder: Where its files lie.
        images: Of its images and those of the registries, the digest by the name with a tag.
        pulled: The names of the images that are on the host.
        properties: What `systemctl show` says of every unit.
        journal: What every unit has logged.
        commands: What was run, in order.
        broken: The beginning of the commands that fail, with their message.
        ports: The sockets that listen, as `listening_ports` gives them.
    """

    folder: Path
    images: dict[str, str] = field(default_factory=dict)
    pulled: set[str] = field(default_factory=set)
    properties: dict[str, str] = field(default_factory=lambda: {"ActiveState": "inactive", "SubState": "dead"})
    journal: str = ""
    commands: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    ports: list[dict[str, Any]] = field(default_factory=list)

    @property
    def units(self) -> Path:
        """Where the units lie."""
        return self.folder / "units"

    @property
    def state_dir(self) -> Path:
        """Where the generations lie."""
        return self.folder / "servers"

    def files(self) -> list[str]:
        """All that lies on the host."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def run(self, argv: list[str], timeout: float = 60, check: bool = True) -> Completed:
        """Play a program; the real `run` has the same signature."""
        line = " ".join(argv)
        self.commands.append(line)
        for start, message in self.broken.items():
            if line.startswith(start):
                raise CommandError(f"{start}: {message}, within {timeout:g} s")
        code, out = self._play(argv)
        if code and check:
            raise CommandError(f"{line}: {out}")
        return Completed(code, out, "")

    def _play(self, argv: list[str]) -> tuple[int, str]:
        name = argv[-1]
        if argv[:2] == ["systemctl", "show"]:
            return 0, "".join(f"{word}={value}\n" for word, value in self.properties.items())
        if argv[:2] == ["systemctl", "restart"]:
            self.properties = {"ActiveState": "active", "SubState": "running", "UnitFileState": "enabled"}
        elif argv[:2] == ["systemctl", "stop"]:
            self.properties = {**self.properties, "ActiveState": "inactive", "SubState": "dead"}
        elif argv[0] == "journalctl":
            return 0, self.journal
        elif argv[:2] == ["docker", "pull"]:
            if name not in self.images:
                return 1, "manifest unknown"
            self.pulled.add(name)
        elif argv[:3] == ["docker", "image", "inspect"]:
            here = {self.images[image] for image in self.pulled}
            digest = name if name in here else self.images.get(name) if name in self.pulled else None
            return (0, json.dumps([{"RepoDigests": [digest]}])) if digest else (1, "[]")
        return 0, ""

    def have(self, name: str, key: str | None = None, current: bool = True, **asked: Any) -> Store:
        """Put a server on the host, as an earlier run would have, and give its generations."""
        store = Store(name)
        words = {"unit": "[Unit]\n", "image": "img:1", "bind": "127.0.0.1", "port": 8001, "models": [], "gate": []}
        secrets = Secrets({"api-key": key} if key else {}, key, OWNER)
        generation = store.add({**words, "guarded": "/v1/models", **asked}, "img@sha256:1", secrets)
        if current:
            store.keep(generation)
        return store


def evidence(log: list[str]) -> Evidence:
    """What a host knows that has nothing but an engine's log."""
    return Evidence({}, {}, log, [], [], [], [], {}, [], [], [])


def played_host(folder: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedHost:
    """Make the module utils of this process act on a played host."""
    host = PlayedHost(folder)
    play_on(host, monkeypatch)
    return host


def play_on(host: PlayedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the module utils of this process act on a played host that is made already."""
    host.units.mkdir(parents=True)
    monkeypatch.setattr(_generations, "STATE_DIR", host.state_dir)
    monkeypatch.setattr(_unit, "UNIT_DIR", host.units)
    monkeypatch.setattr(_lock, "LOCK_DIR", host.folder / "lock")
    monkeypatch.setattr(_unit, "run", host.run)
    for module in (_docker, _prepare, _differences):
        monkeypatch.setattr(module, "run", host.run)
    # What runs the tests is no host to look after.
    monkeypatch.setattr(_agent, "ensure", lambda **_: False)
    monkeypatch.setattr(_agent, "remove", list)
    monkeypatch.setattr(_judgement, "collect", lambda *_: evidence(host.journal.splitlines()))
    monkeypatch.setattr(_prepare, "listening_ports", lambda _root: host.ports)


def run_main(
    module: ModuleType, capsys: pytest.CaptureFixture[str], **parameters: Any
) -> tuple[int, dict[str, Any], str]:
    """Run a module in this process: exit status, result, and the result as it was printed."""
    # Ansible writes into a default that is a dict, and a module's process has one run only.
    arguments = copy.deepcopy(getattr(module, "ARGUMENTS", {}))
    with patch_module_args(parameters), mock.patch.object(module, "ARGUMENTS", arguments, create=True):
        try:
            module.main()
        except SystemExit as exc:
            text = capsys.readouterr().out
            return int(exc.code or 0), json.loads(text), text
    raise AssertionError("the module ended without a result")


def engine(key: str | None = None, parts: ChatParts | None = None) -> FakeEngine:
    """A chat server that is ready; with a key, one that refuses requests without it."""
    made = (parts or ChatParts()).engine()
    made.routes["GET /health"] = as_json({"status": "ok"})
    if key:
        for name in ("GET /v1/models", "POST /v1/chat/completions"):
            made.routes[name] = _guarded(made.routes[name], key)
    return made


def _guarded(route: Route, key: str) -> Route:
    def answer(request: Request) -> Reply:
        if request.headers.get("Authorization") != f"Bearer {key}":
            return as_json({"error": {"code": 401, "message": "Invalid API Key"}}, 401)
        return route if isinstance(route, Reply) else route(request)

    return answer


def port_of(server: FakeEngine) -> int:
    """The port of a server that runs."""
    return int(server.root.rpartition(":")[2])
