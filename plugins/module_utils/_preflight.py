# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Judge whether a host can take its servers: system, ports, images, disk. Looks only."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._docker import image_digest
from ansible_collections.llmops.serving.plugins.module_utils._generations import Store, server_names
from ansible_collections.llmops.serving.plugins.module_utils._registry import check_image
from ansible_collections.llmops.serving.plugins.module_utils._same_image import same_image

_MIB = 1 << 20
_PROXY = "docker-proxy"
# An unpacked image is about this many times its compressed layers, which lie beside it while they are unpacked.
_UNPACKED = 3.5


def file_problems(needs: list[dict[str, str]], files: dict[str, tuple[str, ...] | None]) -> t.Iterator[str]:
    """Find models that lack the files which their engine loads.

    Args:
        needs: `model`, `files` (a regular expression that one of its paths must match) and the `problem` otherwise.
        files: By model, the paths of its files, None where only the fetch will tell.

    Yields:
        One line a problem.
    """
    for need in needs:
        paths = files.get(need["model"])
        if paths is not None and not any(re.search(need["files"], path) for path in paths):
            yield need["problem"]


class DiskNeed(t.NamedTuple):
    """What is to be written below a directory."""

    path: str
    what: str
    size: int


def host_problems(host: dict[str, t.Any]) -> t.Iterator[str]:
    """Find what keeps a host from serving at all.

    Args:
        host: The facts of `host_facts`.

    Yields:
        One line a problem.
    """
    if not host["systemd"]["running"]:
        yield (
            "host {}: systemd does not run there, and servers are systemd units: choose another host".format(
                host["hostname"]
            )
        )
    system = host["distribution"]
    if not host["docker"]["installed"] and not system["supported"]:
        yield (
            "host {}: {} is not among the distributions on which Docker is installed (Debian 12+, Ubuntu 22.04+, "
            "RHEL, Rocky, Alma 9+, Fedora): install Docker there yourself, it is left alone then".format(
                host["hostname"], f"{system['id'] or 'its system'} {system['version'] or ''}".strip()
            )
        )


def port_problems(
    servers: list[dict[str, t.Any]], ports: list[dict[str, t.Any]], leaving: t.Collection[str] = ()
) -> t.Iterator[str]:
    """Find ports that somebody else holds.

    Args:
        servers: `name`, `bind` and `port` of each server.
        ports: The listening sockets of `host_facts`.
        leaving: Names of servers that will be gone before these start.

    Yields:
        One line a problem.
    """
    own = {}
    for name in server_names():
        current = Store(name).current()
        if current:
            own[current.asked["port"]] = name
    wanted = {*leaving, *(server["name"] for server in servers)}
    for server in servers:
        holder = own.get(server["port"])
        listening = [
            entry for entry in ports if entry["port"] == server["port"] and _meets(server["bind"], entry["address"])
        ]
        # Docker's own process holds the port of a server of ours; of one that is down, another program may have it.
        if not listening or (holder in wanted and all(entry["process"] in {_PROXY, None} for entry in listening)):
            continue
        where = f"serving_servers[{server['name']!r}].port: {server['port']}"
        if holder and holder not in wanted:
            yield (
                f"{where} is held by the server {holder!r}, which the inventory no longer has: set serving_prune: "
                "true, or remove that one first"
            )
        else:
            entry = listening[0]
            who = "{} (process {})".format(entry["process"], entry["pid"]) if entry["pid"] else "another program"
            yield f"{where} is held by {who} on the host: choose another port, or stop that program"


def image_needs(
    servers: list[dict[str, t.Any]], docker_dir: str, for_gpus: bool = False, ca_path: str | None = None
) -> tuple[list[str], list[DiskNeed], dict[str, str]]:
    """Ask the registries for the images that the host does not have yet.

    Args:
        servers: `name` and `image` of each server.
        docker_dir: Where Docker keeps its images.
        for_gpus: Whether to ask what the images need of a driver.
        ca_path: A file with further certificates to trust.

    Returns:
        The problems, what the images need on disk, and by image its NVIDIA_REQUIRE_CUDA.
    """
    problems, needs, requires = [], [], {}
    for image in dict.fromkeys(server["image"] for server in servers if not _has_image(server)):
        answer = check_image(image, for_gpus=for_gpus, ca_path=ca_path)
        requires[image] = answer.requires
        if answer.problem:
            name = next(server["name"] for server in servers if server["image"] == image)
            problems.append(f"serving_servers[{name!r}].{answer.problem}")
        elif answer.size:
            needs.append(DiskNeed(docker_dir, f"the image {image}", int(answer.size * _UNPACKED)))
    return problems, needs, requires


def disk_problems(needs: list[DiskNeed], disk: dict[str, dict[str, t.Any]]) -> t.Iterator[str]:
    """Find file systems that are too small for all that is to come.

    Args:
        needs: What is to be written.
        disk: Space by path, as in `host_facts`.

    Yields:
        One line for each file system, with numbers.
    """
    mounts: dict[str, list[DiskNeed]] = {}
    for need in needs:
        if need.path in disk:
            mounts.setdefault(disk[need.path]["mount"], []).append(need)
    for mount, wanted in mounts.items():
        total, free = sum(need.size for need in wanted), disk[wanted[0].path]["free"]
        if total > free:
            what = ", ".join(f"{need.what} {need.size // _MIB} MiB" for need in wanted)
            yield (
                f"disk: {mount} needs {total // _MIB} MiB ({what}) and has {free // _MIB} MiB free: free "
                f"{(total - free) // _MIB + 1} MiB there, or set serving_model_dir to another disk"
            )


def _meets(bind: str, address: str) -> bool:
    # :: takes the addresses of IPv4 too, 0.0.0.0 takes those alone.
    if bind == address or "::" in {bind, address}:
        return True
    return "0.0.0.0" in {bind, address} and ":" not in bind + address  # noqa: S104  compared, not bound


def _has_image(server: dict[str, t.Any]) -> bool:
    current = Store(server["name"]).current()
    if current and same_image(server["image"], str(current.asked["image"]), current.image):
        return image_digest(current.image) is not None
    return image_digest(server["image"]) is not None
