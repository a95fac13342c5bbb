# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A played host for removals: it also has containers, rules of a firewall, a store of models and an agent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils import (
    _agent,
    _chains,
    _hold,
    _image_record,
    _leftovers,
    _model_job,
    _model_references,
    _purge,
    _purge_images,
    _purge_models,
    _traces,
)
from ansible_collections.llmops.serving.plugins.module_utils._command import MissingError
from ansible_collections.llmops.serving.plugins.module_utils._model_store import Store as ModelStore
from tests.unit.plugins.played_host import PlayedHost, play_on

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from ansible_collections.llmops.serving.plugins.module_utils._command import Completed
    from ansible_collections.llmops.serving.plugins.module_utils._generations import Store

MARK = "# Ansible managed (llmops.serving)\n"


@dataclass
class PurgedHost(PlayedHost):
    """A host from which something is removed.

    Attributes:
        boxes: What `docker inspect` says of its containers, by id.
        rules: What `iptables -S` says.
        loaded: The units that systemd has in mind.
        missing: Programs that it has not.
    """

    boxes: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)

    @property
    def state_dir(self) -> Path:
        """Where the generations lie, in the collection's folder for state."""
        return self.folder / "state" / "servers"

    @property
    def models(self) -> ModelStore:
        """The model store."""
        return ModelStore(str(self.folder / "state" / "models"))

    @property
    def library(self) -> Path:
        """Where the agent lies."""
        return self.folder / "lib"

    def box(self, name: str, server: str = "", image: str = "id:1", mounts: tuple[str, ...] = ()) -> None:
        """Put a container on the host."""
        self.boxes[name + "-id"] = {
            "Id": name + "-id",
            "Name": "/" + name,
            "Image": image,
            "Config": {"Labels": {"llmops.server": server} if server else {}},
            "Mounts": [{"Source": source} for source in mounts],
        }

    def serve(self, name: str, model: str = "", **asked: Any) -> Store:
        """Put a server on the host: generations, unit and its links, container, and what systemd knows of it."""
        models = [{"name": model, "task": "chat", "path": str(self.models.folder(model, "a" * 12))}] if model else []
        store = self.have(name, engine="vllm", **{"models": models, **asked})
        unit = self.units / f"llmops-{name}.service"
        unit.write_text(MARK + "[Unit]\n", encoding="utf-8")
        wants = self.units / "multi-user.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / unit.name).symlink_to(unit)
        self.loaded.append(unit.name)
        self.box(f"llmops-{name}", name)
        return store

    def run(self, argv: list[str], timeout: float = 60, check: bool = True) -> Completed:
        """Play a program."""
        if argv[0] in self.missing:
            raise MissingError(f"{argv[0]} is not installed")
        return super().run(argv, timeout, check)

    def _play(self, argv: list[str]) -> tuple[int, str]:  # noqa: PLR0911  one for each answer
        match argv:
            case ["docker", "ps", *_]:
                return 0, "\n".join(self.boxes)
            case ["docker", "inspect", "--type", "container", *ids]:
                return 0, json.dumps([self.boxes[one] for one in ids])
            case ["docker", "rm", *_, one]:
                # As Docker does, by id or by name.
                self.boxes = {key: box for key, box in self.boxes.items() if one not in (key, box["Name"][1:])}
            case ["docker", "image", "inspect", name]:
                digest = self.images.get(name, name)
                here = name in self.pulled or digest in {self.images[one] for one in self.pulled}
                return (
                    (0, json.dumps([{"Id": "id:" + digest[-1], "Size": 7, "RepoDigests": [digest]}]))
                    if here
                    else (1, "")
                )
            case ["docker", "image", "rm", name]:
                self.pulled = {one for one in self.pulled if name not in (one, self.images[one])}
            case ["systemctl", "list-units", *_]:
                return 0, "".join(f"● {name} not-found failed failed\n" for name in self.loaded)
            case ["systemctl", "reset-failed", name]:
                self.loaded = [one for one in self.loaded if one != name]
            case ["iptables", "--wait", "-S"]:
                return 0, "\n".join(self.rules)
            case ["iptables", "--wait", "-X", chain]:
                self.rules = [rule for rule in self.rules if chain not in rule]
            case _:
                return super()._play(argv)
        return 0, ""


def purged_host(folder: Path, monkeypatch: pytest.MonkeyPatch) -> PurgedHost:
    """Make the module utils of this process act on a host from which something is removed."""
    host = PurgedHost(folder)
    play_on(host, monkeypatch)
    for module in (_traces, _chains, _purge_images, _model_references):
        monkeypatch.setattr(module, "run", host.run)
    monkeypatch.setattr(_image_record, "RECORDS", host.state_dir.parent / "images")
    monkeypatch.setattr(_hold, "RECORD", host.state_dir.parent / "held.json")
    monkeypatch.setattr(_traces, "RUN", host.folder / "run")
    monkeypatch.setattr(_traces, "LIBRARY", host.library)
    monkeypatch.setattr(_traces, "ELSEWHERE", (str(host.folder / "etc"),))
    monkeypatch.setattr(_purge, "LIBRARY", host.library)
    monkeypatch.setattr(_model_job, "JOBS", host.folder / "run" / "llmops-jobs")
    monkeypatch.setattr(_agent, "remove", lambda: host.library.rmdir() if host.library.is_dir() else None)
    monkeypatch.setattr(_purge, "endangered", list)
    for module in (_leftovers, _purge_models):
        monkeypatch.setattr(module, "DEFAULT_MODEL_DIR", str(host.models.root))
    return host
