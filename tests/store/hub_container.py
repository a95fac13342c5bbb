# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's hub (nginx, git http-backend, giftless) in a container of the tests' own, beside any lab."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from llmops_serving.lab import daemon, hub, images, pki, services
from llmops_serving.lab.build import MACHINE_ROOT, Builder, archive
from llmops_serving.lab.machine import Machine
from llmops_serving.lab.progress import Reporter
from llmops_serving.lab.state import FileFacts, Paths, RepoFacts
from tests.store.content import repositories

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docker import DockerClient
    from docker.models.containers import Container

LABEL = "llmops.store-tests"
START_TIMEOUT_S = 60


@dataclass(frozen=True)
class Hub:
    """A running hub."""

    paths: Paths
    #: port of its nginx on 127.0.0.1
    port: int
    #: repository -> its commit and the truth about its files
    repos: Mapping[str, RepoFacts]

    @property
    def token(self) -> str:
        """What opens gated repositories."""
        return self.paths.hub_token.read_text(encoding="ascii").strip()

    def put_object(self, repo: str, content: bytes) -> FileFacts:
        """Offer a further object of a repository."""
        return self.put(f"{repo}/{hub.Source(content).facts().sha256}", content)

    def put(self, path: str, content: bytes) -> FileFacts:
        """Offer a file on the objects' host, or replace it there in one step.

        nginx makes the ETag of size and time, to the second; so each content has a second of its own.
        """
        place = self.paths.hub / "cdn" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_name(place.name + ".new")
        fresh.write_bytes(content)
        second = 1_700_000_000 + int(hub.Source(content).facts().sha256[:6], 16)
        os.utime(fresh, (second, second))
        fresh.replace(place)
        return hub.Source(content).facts()

    @contextlib.contextmanager
    def says(self, repo: str, file: str, facts: FileFacts) -> Iterator[None]:
        """Let `resolve` announce and send another object for a file, at the same commit."""
        manifest = self.paths.hub / "manifest.json"
        before = manifest.read_text(encoding="utf-8")
        changed: dict[str, Any] = json.loads(before)
        changed["repos"][repo]["files"][file].update(oid=facts.sha256, size=facts.size)
        _replace(manifest, json.dumps(changed))
        try:
            yield
        finally:
            _replace(manifest, before)


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


@contextlib.contextmanager
def running_hub(root: Path) -> Iterator[Hub]:
    """Publish the repositories and serve them."""
    client = daemon.connect()
    if client is None:
        pytest.fail(daemon.why_not(), pytrace=False)
    _remove_left(client)
    _ensure_image(client)
    paths = Paths(root)
    paths.make()
    pki.ensure_secrets(paths)
    repos = hub.publish(paths.hub, repositories())
    paths.hub_access_log.parent.mkdir(parents=True)
    container = _create(client, paths)
    try:
        container.start()
        yield Hub(paths, _wait(container), repos)
    finally:
        container.remove(force=True, v=True)


def _create(client: DockerClient, paths: Paths) -> Container:
    described = hub.describe(paths)
    container: Container = client.containers.create(
        described.image,
        name=f"llmops-store-hub-{os.getpid()}",
        labels={LABEL: str(os.getpid())},
        ports={"443/tcp": ("127.0.0.1", 0)},
        volumes={source: {"bind": path, "mode": mode} for source, (path, mode) in described.binds.items()},
        **described.options,
    )
    container.put_archive("/", archive(described.files))
    return container


def _wait(container: Container) -> int:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        container.reload()
        if container.status == "exited":
            break
        if container.status == "running" and container.exec_run(["test", "-e", "/run/hub/ready"]).exit_code == 0:
            published = container.ports["443/tcp"] or []
            return int(published[0]["HostPort"])
        time.sleep(0.1)
    pytest.fail(f"the hub does not come up; its log:\n{services.log_tail(container)}", pytrace=False)


def _ensure_image(client: DockerClient) -> None:
    """Build the hub's image where no lab has done it yet (about a minute)."""
    paths = Paths()
    paths.make()
    with paths.exclusive(print):
        machine = Machine.probe(MACHINE_ROOT)
        builder = Builder(client, machine, paths, Reporter(print), services.NETWORK)
        missing = [recipe for recipe in images.layers([images.HUB]) if builder.find(recipe) is None]
        if missing and builder.find(images.HUB) is None:
            services.ensure_network(client, machine.mtu)
            for recipe in missing:
                builder.ensure(recipe)


def _remove_left(client: DockerClient) -> None:
    """Remove the containers of tests that were killed."""
    for container in client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
        if not Path(f"/proc/{container.labels[LABEL]}").exists():
            container.remove(force=True, v=True)
