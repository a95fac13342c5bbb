# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab as one object: up, down, hosts."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from llmops_serving.lab import daemon, graph, hosts, hub, images, models, pki, registry, services
from llmops_serving.lab.build import LABEL, MACHINE_ROOT, REPOSITORY, Builder, Recipe
from llmops_serving.lab.errors import LabError
from llmops_serving.lab.machine import Machine, free_port
from llmops_serving.lab.progress import Progress, Reporter, silent
from llmops_serving.lab.state import HostFacts, LabState, Paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from docker import DockerClient

DEFAULT_SUITE = "bookworm"
#: Two builds at a time: more only wait for each other's disk and network.
SIDE_BY_SIDE = 2
#: Room in MiB for what a host installs and fetches besides the images of its engines.
HOST_MIB = 800


@dataclass(frozen=True)
class LabStatus:
    """What is there now."""

    root: Path
    daemon: bool
    #: name -> state as Docker tells it ("running", "exited", …), for the hub, the registry and each host
    containers: Mapping[str, str]
    state: LabState


class Lab:
    """Throw-away hosts with a model hub and an image registry, on this machine."""

    def __init__(self, root: Path | None = None) -> None:
        """Use the lab under `root`; by default under LLMOPS_LAB_DIR or the user's cache directory."""
        self.paths = Paths(root)

    def up(
        self,
        hosts: int = 1,
        suite: str = DEFAULT_SUITE,
        progress: Progress = silent,
        engines: Sequence[str] = images.DEFAULT_ENGINES,
    ) -> LabState:
        """Make the lab run with hosts lab1, lab2, …; what is there already is left as it is.

        Args:
            hosts: number of hosts; further hosts that exist stay.
            suite: Debian suite of the hosts, one of `images.HOST_SUITES`.
            progress: receives lines about what is being done.
            engines: names of `images.ENGINE_RECIPES`; images of others are neither built nor pushed.

        Raises:
            LabError: something is missing on this machine, or a build failed.
        """
        names = [f"lab{index}" for index in range(1, hosts + 1)]
        with self._alone(progress):
            return self._up(names, suite, engines, progress)

    def create_host(
        self,
        name: str,
        suite: str = DEFAULT_SUITE,
        progress: Progress = silent,
        engines: Sequence[str] = images.DEFAULT_ENGINES,
    ) -> HostFacts:
        """Add one host, with the rest of the lab if need be."""
        with self._alone(progress):
            return self._up([name], suite, engines, progress).hosts[name]

    def destroy_host(self, name: str, progress: Progress = silent) -> None:
        """Remove a host with all that it holds.

        Raises:
            LabError: there is no such host.
        """
        with self._alone(progress):
            state = self.paths.load()
            client = daemon.connect()
            container = services.find(client, hosts.container_name(name)) if client else None
            if container is None and name not in state.hosts:
                known = ", ".join(sorted(state.hosts)) or "none"
                raise LabError(f"there is no host {name!r} in the lab; there are: {known}")
            if container is not None:
                with Reporter(progress).stage(f"host {name}", "removing it"):
                    container.remove(force=True, v=True)
            rest = {key: facts for key, facts in state.hosts.items() if key != name}
            self._save(dataclasses.replace(state, hosts=rest))

    def down(self, keep_cache: bool = False, progress: Progress = silent) -> None:
        """Remove what the lab made: containers, network, volumes, images and its directory.

        Args:
            keep_cache: keep images, models and pushed images, so that the next start is quick.
            progress: receives lines about what is being done.
        """
        reporter = Reporter(progress)
        if not self.paths.root.exists() and daemon.connect() is None:
            return
        with self._alone(progress):
            state = self._load_leniently()
            client = daemon.connect()
            if client is not None:
                services.refuse_foreign(client, str(self.paths.root))
                with reporter.stage("down", "removing containers and networks"):
                    self._remove_objects(client, keep_cache)
            if state.daemon_pid is not None and not keep_cache:
                reporter.say("down", "stopping the Docker daemon that the lab started")
                daemon.stop(state.daemon_pid)
            if keep_cache:
                # The repositories stay where they are, so they need not be written, and told, again.
                self.paths.save(LabState(daemon_pid=state.daemon_pid, repos=state.repos))
            else:
                self._remove_directory()

    def shell(self, host: str = "lab1", command: Sequence[str] = ()) -> int:
        """Open a shell on a host by ssh, or run a command there; gives the exit status.

        Raises:
            LabError: there is no such host.
        """
        facts = self.paths.load().hosts.get(host)
        if facts is None:
            known = ", ".join(sorted(self.paths.load().hosts)) or "none; `llmops lab up` makes one"
            raise LabError(f"there is no host {host!r} in the lab; there are: {known}")
        options = [
            f"IdentityFile={self.paths.ssh_key}",
            "IdentitiesOnly=yes",
            f"UserKnownHostsFile={self.paths.known_hosts}",
        ]
        words = ["ssh", "-p", str(facts.ssh_port), *(word for option in options for word in ("-o", option))]
        return subprocess.run([*words, "root@127.0.0.1", *command], check=False).returncode  # noqa: S603  # the caller's own command on the caller's own host

    def docker(self, progress: Progress) -> DockerClient:
        """Connect to the Docker daemon; one that has to be started is stopped with the lab.

        Raises:
            LabError: there is no daemon and this machine is not one where it can be started.
        """
        with self._alone(progress):
            return self._ensure_daemon(Reporter(progress))

    def status(self) -> LabStatus:
        """Tell what is there, changing nothing."""
        state = self._load_leniently()
        client = daemon.connect()
        found = {}
        if client is not None:
            for container in client.containers.list(all=True, filters={"label": services.ROLE_LABEL}):
                found[str(container.name).removeprefix(hosts.PREFIX).removeprefix("llmops-lab-")] = container.status
        return LabStatus(self.paths.root, client is not None, found, state)

    @contextlib.contextmanager
    def _alone(self, progress: Progress) -> Iterator[None]:
        with self.paths.exclusive(lambda message: progress("lab", message)):
            try:
                yield
            except APIError as error:
                raise LabError(f"Docker refused: {error.explanation or error}") from error
            except (DockerException, requests.RequestException) as error:
                raise LabError(f"the Docker daemon stopped answering ({error}): see {self.paths.daemon_log}") from error

    def _ensure_daemon(self, reporter: Reporter) -> DockerClient:
        self.paths.make()
        state = self.paths.load()
        client, started = daemon.ensure(self.paths, reporter)
        if started is not None:
            self.paths.save(dataclasses.replace(state, daemon_pid=started))
        return client

    # -- up --------------------------------------------------------------------------------------------------------

    def _up(self, names: Sequence[str], suite: str, engines: Sequence[str], progress: Progress) -> LabState:
        for name in names:
            hosts.check_name(name)
        images.host(suite)
        reporter = Reporter(progress)
        paths = self.paths
        client = self._ensure_daemon(reporter)
        state = paths.load()
        machine = Machine.probe(MACHINE_ROOT)
        builder = Builder(client, machine, paths, reporter, services.NETWORK)
        fresh = [
            name
            for name in names
            if services.find(client, hosts.container_name(name)) is None
            or not set(engines) <= set(state.hosts[name].engines if name in state.hosts else ())
        ]
        builder.check_disk(recipes(suite, engines), len(fresh) * (images.size_mib(engines) + HOST_MIB))
        services.refuse_foreign(client, str(paths.root))
        services.ensure_network(client, machine.mtu)
        pki.ensure_secrets(paths)
        push_port = state.registry_push_port
        if push_port is None or services.find(client, registry.NAME) is None:
            # Ports are kept as long as their container is there; later somebody else may have them.
            push_port = free_port(registry.PREFERRED_PUSH_PORT)
        state = dataclasses.replace(
            state, registry_push_port=push_port, hosts=self._plan_hosts(client, state, names, suite, engines)
        )
        paths.save(state)
        graph.run_all(
            self._works(client, builder, machine, reporter, state, names, engines),
            SIDE_BY_SIDE,
            lambda: _end_builds(client),
        )
        return self.paths.load()

    def _plan_hosts(
        self, client: DockerClient, state: LabState, names: Sequence[str], suite: str, engines: Sequence[str]
    ) -> dict[str, HostFacts]:
        known = {
            name: facts
            for name, facts in state.hosts.items()
            if services.find(client, hosts.container_name(name)) is not None
        }
        taken = {port for facts in known.values() for port in (facts.ssh_port, *facts.ports.values())}
        for name in names:
            if name in known:
                known[name] = dataclasses.replace(known[name], suite=suite, engines=tuple(engines))
                continue
            digits = name.removeprefix("lab")
            index = int(digits) if digits.isdigit() and digits != "0" and len(digits) < 3 else len(known) + 1  # noqa: PLR2004  # lab1 to lab99 have ports of their own
            ssh, servers = hosts.choose_ports(index, taken)
            taken |= {ssh, *servers.values()}
            known[name] = HostFacts(suite, ssh, servers, tuple(engines))
        return known

    def _works(  # noqa: PLR0913, PLR0917  # the parts that every piece of work needs
        self,
        client: DockerClient,
        builder: Builder,
        machine: Machine,
        reporter: Reporter,
        state: LabState,
        names: Sequence[str],
        engines: Sequence[str],
    ) -> list[graph.Work]:
        port = state.registry_push_port
        assert port is not None  # noqa: S101  # set just before
        works: list[graph.Work] = []

        def add(name: str, after: Sequence[str], run: object) -> None:
            works.append(graph.Work(name, frozenset(after), run))  # type: ignore[arg-type]

        seen: set[str] = set()

        def image(recipe: Recipe) -> str:
            if recipe.name not in seen:
                after = [image(recipe.base)] if recipe.base else []
                seen.add(recipe.name)
                add(recipe.name, after, lambda: builder.ensure(recipe))
            return recipe.name

        def push(engine: str) -> object:
            source = images.ENGINE_RECIPES[engine].tag
            return lambda: registry.push(client, port, source, images.engine_image(engine), reporter)

        # In this order where there is a choice: the longest chain (PyTorch, infinity, training) first, then the engines
        # that take long to build and to push.
        image(images.TORCH)
        if "llama_cpp" in engines:
            image(images.base("forky"))
        image(images.INFINITY)
        add("models", [image(images.MODEL_BUILDER)], lambda: models.ensure(client, self.paths, reporter))
        slowest_first = sorted(engines, key=lambda engine: -images.size_mib([engine]))
        for engine in slowest_first:
            image(images.ENGINE_RECIPES[engine])
        add("registry", [image(images.REGISTRY)], lambda: registry.ensure(client, self.paths, port, reporter))
        for engine in slowest_first:
            add(f"push {engine}", ["registry", images.ENGINE_RECIPES[engine].name], push(engine))
        plain = images.base(images.PROOF_SUITE)
        add(
            "push debian",
            ["registry", image(plain)],
            lambda: registry.push(client, port, plain.tag, images.PROOF_IMAGE, reporter),
        )
        for name, facts in state.hosts.items():
            # Hosts that were not asked for are started if they stopped, and never replaced.
            needs = [image(images.host(facts.suite))] if name in names else []
            boot = self._boot if name in names else self._wake
            add(f"host {name}", needs, boot(client, name, facts, machine, reporter))
        add("hub", ["models", image(images.HUB)], lambda: self._publish(client, reporter))
        add("known hosts", [f"host {name}" for name in state.hosts], lambda: self._write_known_hosts(client))
        return works

    def _boot(self, client: DockerClient, name: str, facts: HostFacts, machine: Machine, reporter: Reporter) -> object:
        def run() -> None:
            described = hosts.describe(name, facts, machine, self.paths)
            if not services.is_current(client, described):
                with reporter.stage(f"host {name}", f"booting Debian {facts.suite}") as stage:
                    services.ensure(client, described, stage.note)
                    hosts.wait(client, name)

        return run

    def _wake(
        self, client: DockerClient, name: str, _facts: HostFacts, _machine: Machine, reporter: Reporter
    ) -> object:
        def run() -> None:
            container = services.find(client, hosts.container_name(name))
            if container is not None and services.wake(container):
                with reporter.stage(f"host {name}", "starting it again"):
                    hosts.wait(client, name)

        return run

    def _publish(self, client: DockerClient, reporter: Reporter) -> None:
        key = models.key()
        if not hub.published(self.paths, key):
            with reporter.stage("hub", "writing the model repositories"):
                repos = hub.publish(self.paths.hub, hub.catalogue(models.place(self.paths)))
                self._save(dataclasses.replace(self.paths.load(), repos=repos))
                hub.mark_published(self.paths, key)
        hub.ensure(client, self.paths, reporter)

    def _write_known_hosts(self, client: DockerClient) -> None:
        known = self.paths.load().hosts
        keys = {name: hosts.wait(client, name) for name in known}
        self.paths.known_hosts.write_text(hosts.known_hosts(keys, known), encoding="ascii")

    def _save(self, state: LabState) -> None:
        self.paths.save(state)

    # -- down ------------------------------------------------------------------------------------------------------

    def _load_leniently(self) -> LabState:
        with contextlib.suppress(LabError):
            return self.paths.load()
        return LabState()

    def _remove_objects(self, client: DockerClient, keep_cache: bool) -> None:
        if not keep_cache and self.paths.root.exists() and os.geteuid() != 0:
            self._open_directory(client)
        for container in client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
            with contextlib.suppress(NotFound):
                container.remove(force=True, v=True)
        for network in client.networks.list(filters={"label": LABEL}):
            with contextlib.suppress(NotFound):
                network.remove()
        if keep_cache:
            return
        for volume in client.volumes.list(filters={"label": LABEL}):
            with contextlib.suppress(NotFound):
                volume.remove(force=True)
        self._remove_images(client)

    def _remove_images(self, client: DockerClient) -> None:
        # Images have parents that cannot go before their children: repeat while something goes.
        left = {tag for image in client.images.list() for tag in image.tags if tag.startswith(f"{REPOSITORY}/")}
        while left:
            gone = set()
            for tag in left:
                with contextlib.suppress(APIError):
                    with contextlib.suppress(ImageNotFound):
                        client.images.remove(tag)
                    gone.add(tag)
            if not gone:
                raise LabError(
                    f"these images are in use by containers that are not the lab's: {', '.join(sorted(left))}"
                )
            left -= gone

    def _open_directory(self, client: DockerClient) -> None:
        """Let this user remove what containers wrote as root into the lab's directory."""
        with contextlib.suppress(DockerException):
            client.containers.run(
                images.base("bookworm").tag,
                ["chmod", "-R", "a+rwX", "/lab"],
                volumes={str(self.paths.root): {"bind": "/lab", "mode": "rw"}},
                network_mode="none",
                remove=True,
            )

    def _remove_directory(self) -> None:
        try:
            shutil.rmtree(self.paths.root)
        except FileNotFoundError:
            return
        except OSError as error:
            raise LabError(f"{self.paths.root} could not be removed ({error}): remove it yourself") from error


def recipes(suite: str, engines: Sequence[str]) -> list[Recipe]:
    """Say what must be built for hosts that serve with some engines; the models need infinity's libraries always."""
    wanted = [images.MODEL_BUILDER, images.HUB, images.REGISTRY, images.host(suite)]
    return images.layers([*wanted, *(images.ENGINE_RECIPES[engine] for engine in engines)])


def _end_builds(client: DockerClient) -> None:
    """End what is being built, so that the threads that wait for it end."""
    for container in client.containers.list(filters={"label": f"{LABEL}=build"}, ignore_removed=True):
        with contextlib.suppress(APIError):
            container.remove(force=True, v=True)
