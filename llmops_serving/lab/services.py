# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers of the lab that must run as described: the hub, the registry and the hosts."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, NotFound

from llmops_serving.lab.build import LABEL, archive
from llmops_serving.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from docker import DockerClient
    from docker.models.containers import Container

NETWORK = "llmops-lab"
RESTART: Any = {"Name": "unless-stopped"}
IDENTITY_LABEL = "llmops.lab.identity"
ROLE_LABEL = "llmops.lab.role"
#: Directory of the lab a container belongs to.
ROOT_LABEL = "llmops.lab.root"


@dataclass(frozen=True)
class Service:
    """A container as it should be."""

    name: str
    role: str
    image: str
    #: directory of the lab it belongs to
    root: str
    aliases: tuple[str, ...] = ()
    hostname: str | None = None
    #: path without leading slash -> content, mode; put in before the start and never part of an image
    files: Mapping[str, tuple[bytes, int]] = field(default_factory=dict)
    #: source (path or volume) -> (path in the container, "ro" or "rw")
    binds: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    #: container port -> port on 127.0.0.1
    ports: Mapping[int, int] = field(default_factory=dict)
    #: further arguments of docker's create call
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Hash of the description: a container with another one is replaced."""
        parts = [
            self.image,
            self.aliases,
            self.hostname,
            sorted((path, hashlib.sha256(content).hexdigest(), mode) for path, (content, mode) in self.files.items()),
            sorted(self.binds.items()),
            sorted(self.ports.items()),
            {name: self.options[name] for name in sorted(self.options)},
        ]
        return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def ensure_network(client: DockerClient, mtu: int) -> None:
    """Make the lab's network unless it is there."""
    try:
        client.networks.get(NETWORK)
    except NotFound:
        client.networks.create(NETWORK, options={"com.docker.network.driver.mtu": str(mtu)}, labels={LABEL: "network"})


def refuse_foreign(client: DockerClient, root: str) -> None:
    """Refuse to touch the lab of another directory: names and the network are one for each daemon.

    Raises:
        LabError: this daemon runs such a lab.
    """
    for container in client.containers.list(all=True, filters={"label": ROOT_LABEL}, ignore_removed=True):
        owner = container.labels[ROOT_LABEL]
        if owner != root:
            raise LabError(
                f"this Docker daemon already runs the lab of {owner}: "
                f"use that one with LLMOPS_LAB_DIR={owner}, or remove it with `LLMOPS_LAB_DIR={owner} llmops lab down`"
            )


def find(client: DockerClient, name: str) -> Container | None:
    """Give a container of the lab by its name."""
    try:
        return client.containers.get(name)
    except NotFound:
        return None


def is_current(client: DockerClient, service: Service) -> bool:
    """Tell whether the container runs as described."""
    container = find(client, service.name)
    return (
        container is not None
        and container.labels.get(IDENTITY_LABEL) == service.identity
        and container.status == "running"
    )


def ensure(client: DockerClient, service: Service, say: Callable[[str], object]) -> bool:
    """Make the container run as described; tells whether anything had to be done.

    Args:
        client: the daemon.
        service: the container as it should be; one that differs is replaced.
        say: told if one is replaced.

    Raises:
        LabError: it could not be created or started.
    """
    container = find(client, service.name)
    if container is not None and container.labels.get(IDENTITY_LABEL) == service.identity:
        return wake(container)
    if container is not None:
        say(f"replacing {service.name}: its description has changed")
        container.remove(force=True, v=True)
    _start(_create(client, service))
    return True


def _create(client: DockerClient, service: Service) -> Container:
    volumes: dict[str, Any] = {}
    if service.binds:
        volumes["volumes"] = {source: {"bind": path, "mode": mode} for source, (path, mode) in service.binds.items()}
    try:
        container = client.containers.create(
            service.image,
            name=service.name,
            hostname=service.hostname or service.name,
            labels={
                LABEL: "container",
                ROLE_LABEL: service.role,
                ROOT_LABEL: service.root,
                IDENTITY_LABEL: service.identity,
            },
            ports={f"{inside}/tcp": ("127.0.0.1", outside) for inside, outside in service.ports.items()},
            **volumes,
            restart_policy=RESTART,
            # Aliases can only be given when a container is connected.
            network=None if service.aliases else NETWORK,
            **service.options,
        )
        if service.aliases:
            # Created on the default network, which it must leave: its name server knows no other container.
            client.networks.get("bridge").disconnect(container, force=True)
            client.networks.get(NETWORK).connect(container, aliases=list(service.aliases))
        container.put_archive("/", archive(service.files))
    except APIError as error:
        _remove(client, service.name)
        raise LabError(f"the container {service.name} could not be created: {error.explanation}") from error
    return container


def wake(container: Container) -> bool:
    """Start a container that does not run; tells whether it had to be started."""
    if container.status == "running":
        return False
    _start(container)
    return True


def _start(container: Container) -> None:
    try:
        container.start()
    except APIError as error:
        raise LabError(f"the container {container.name} does not start: {error.explanation}") from error


def _remove(client: DockerClient, name: str) -> None:
    with contextlib.suppress(NotFound, APIError):
        client.containers.get(name).remove(force=True, v=True)


def text(output: object) -> str:
    """Give the output of a command in a container as text."""
    return output.decode("utf-8", "replace") if isinstance(output, bytes) else ""


def log_tail(container: Container, lines: int = 10) -> str:
    """Give the last lines a container wrote."""
    return bytes(container.logs(tail=lines)).decode("utf-8", "replace").strip()
