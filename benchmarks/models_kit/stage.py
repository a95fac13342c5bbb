# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stage of `benchmarks/models.py`: files of models, and one container with a hub and all tools.

The container has no network but loopback, so that server and tools meet nobody else, and sees two folders of the
machine, on one file system: what the hub serves, and the folder in which the tools work.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops_serving.lab import daemon, hub, images, services
from llmops_serving.lab.build import LABEL, MACHINE_ROOT, Builder, Recipe
from llmops_serving.lab.errors import LabError
from llmops_serving.lab.machine import Machine
from llmops_serving.lab.progress import Reporter
from llmops_serving.lab.state import Paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from docker.models.containers import Container

    from llmops_serving.lab.progress import Progress
    from llmops_serving.lab.state import RepoFacts

INSIDE = Path(__file__).parent / "inside"
MODULE_UTILS = "plugins/module_utils"
HF_VERSION = "2.4.0"
PIECE = 1 << 20
START_TIMEOUT_S = 30
#: Room that a run needs beside the models, as a multiple of the largest: what git-lfs takes, and a margin.
ROOM = 3.2

IMAGE = Recipe(
    name="bench-models",
    script=str(INSIDE / "image.sh"),
    base=images.HUB,
    arguments={"HF_VERSION": HF_VERSION},
    config=("ENTRYPOINT []", 'CMD ["/bin/sh", "/bench/start.sh"]'),
    about="the tools that fetch models (about 60 s)",
    size_mib=200,
)


@dataclass(frozen=True)
class Repo:
    """A repository of the benchmark's hub."""

    name: str
    #: bytes of each file of weights
    sizes: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of all weights."""
        return sum(self.sizes)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files of weights, as the libraries name them."""
        count = len(self.sizes)
        if count == 1:
            return ("model.safetensors",)
        return tuple(f"model-{part:05d}-of-{count:05d}.safetensors" for part in range(1, count + 1))


@dataclass(frozen=True)
class Order:
    """One run of a tool; `inside/probe.py` says what each field does."""

    script: str
    environment: Mapping[str, str]
    warm: tuple[str, ...]
    expect: Mapping[str, str]
    fresh: bool = True
    kill_after: int = 0


class Stage:
    """The running container, and what its hub has."""

    def __init__(self, container: Container, repos: Mapping[str, RepoFacts]) -> None:
        """Made by `prepared`."""
        self._container = container
        self.repos = repos

    def run(self, order: Order) -> dict[str, Any]:
        """Run a tool and give what the probe saw.

        Raises:
            LabError: the tool failed, or what it left is not what it was asked for.
        """
        seen = self._probe(json.dumps(vars(order), default=dict))
        if order.kill_after and seen["status"] == 0:
            raise LabError(f"`{order.script}` ended before it could be killed: take a larger --size")
        if not order.kill_after and seen["status"]:
            raise LabError(f"`{order.script}` ended with status {seen['status']}:\n{seen['output']}")
        if seen.get("wrong"):
            raise LabError(f"`{order.script}` says that all is well, but left wrong: {', '.join(seen['wrong'])}")
        return seen

    def facts(self) -> dict[str, Any]:
        """Describe machine and tools."""
        return self._probe()

    def _probe(self, *arguments: str) -> dict[str, Any]:
        done = self._container.exec_run(["python3", "/bench/probe.py", *arguments], demux=True)
        out, complaints = (services.text(part) for part in done.output)
        if done.exit_code:
            raise LabError(f"the probe failed:\n{complaints[-2000:]}")
        answer: dict[str, Any] = json.loads(out)
        return answer


@contextlib.contextmanager
def prepared(folder: Path, checkout: Path, repos: Sequence[Repo], say: Progress) -> Iterator[Stage]:
    """Make the image, the models and the container; remove models and container at the end.

    Args:
        folder: where models are made and fetched to; created, and removed at the end.
        checkout: the collection that is measured.
        repos: what the hub shall have.
        say: told what is being done: stage and message.

    Raises:
        LabError: something is missing on this machine, or the disk is too small.
    """
    _check_disk(folder, repos)
    paths, reporter = Paths(), Reporter(say)
    paths.make()
    client, _started = daemon.ensure(paths, reporter)
    machine = Machine.probe(MACHINE_ROOT)
    builder = Builder(client, machine, paths, reporter, services.NETWORK)
    with paths.exclusive(lambda message: say("image", message)):
        services.ensure_network(client, machine.mtu)
        for recipe in images.layers([IMAGE]):
            builder.ensure(recipe)
    try:
        (folder / "fetched").mkdir(parents=True)
    except FileExistsError:
        raise LabError(
            f"{folder} is there already: another run's, or left by one; remove it, or name another"
        ) from None
    container = None
    try:
        say("models", f"making {sum(repo.size for repo in repos) >> 20} MiB of random weights in {folder}")
        known = _publish(folder, repos)
        container = client.containers.run(
            IMAGE.tag,
            detach=True,
            init=True,
            network_mode="none",
            labels={LABEL: "bench"},
            volumes={
                str(folder / "hub"): {"bind": "/hub", "mode": "ro"},
                str(folder / "fetched"): {"bind": "/fetched", "mode": "rw"},
                str(INSIDE): {"bind": "/bench", "mode": "ro"},
                str(checkout / MODULE_UTILS): {
                    "bind": f"/collections/ansible_collections/llmops/serving/{MODULE_UTILS}",
                    "mode": "ro",
                },
            },
        )
        _wait(container)
        yield Stage(container, known)
    finally:
        if container is not None:
            # What the tools wrote belongs to the container's root.
            container.exec_run(["find", "/fetched", "-mindepth", "1", "-delete"])
            container.remove(force=True, v=True)
        shutil.rmtree(folder, ignore_errors=True)


def _check_disk(folder: Path, repos: Sequence[Repo]) -> None:
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    needed = sum(repo.size for repo in repos) + int(ROOM * max(repo.size for repo in repos))
    if free < needed:
        raise LabError(
            f"{place} has {free >> 20} MiB free, and {needed >> 20} MiB are needed: "
            "name a folder on a larger disk with --data, or a smaller --size"
        )


def _publish(folder: Path, repos: Sequence[Repo]) -> dict[str, RepoFacts]:
    catalogue: dict[str, hub.Repo] = {}
    for repo in repos:
        made = folder / "made" / repo.name
        made.mkdir(parents=True)
        for name, size in zip(repo.files, repo.sizes, strict=True):
            write_weights(made / name, size)
        catalogue[repo.name] = hub.Repo({"config.json": hub.Source(b"{}\n"), **hub.directory(made)})
    facts = hub.publish(folder / "hub", catalogue)
    # The hub has them by hard links.
    shutil.rmtree(folder / "made")
    return facts


def write_weights(path: Path, size: int) -> None:
    """Write a safetensors file of `size` bytes: one tensor of random bytes, which nothing can compress.

    Format: https://huggingface.co/docs/safetensors#format, whose header is padded with spaces.
    """
    room = 248
    length = size - 8 - room
    header = json.dumps({"weights": {"dtype": "U8", "shape": [length], "data_offsets": [0, length]}})
    with path.open("wb") as file:
        file.write(struct.pack("<Q", room) + header.encode("ascii").ljust(room))
        for begin in range(0, length, PIECE):
            file.write(os.urandom(min(PIECE, length - begin)))


def _wait(container: Container) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if container.exec_run(["curl", "-sf", "http://127.0.0.1:8009/status"]).exit_code == 0:
            return
        time.sleep(0.2)
    raise LabError(f"the benchmark's hub does not come up; its log:\n{services.log_tail(container)}")
