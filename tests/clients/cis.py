# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CIS Docker Benchmark 1.6.0, section 5, of one running container.

5.23 and 5.24 are about what people do to a container, so they are not among the checks. 5.1 is about the host's Docker.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, t.Any]

_HOST_FOLDERS: t.Final = ("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr")
_PRIVILEGED_PORTS: t.Final = 1024
_RESTARTS: t.Final = 5


@dataclass(frozen=True)
class Container:
    """What is known of a container.

    Attributes:
        inspected: As `docker inspect` shows it.
        info: As `docker info` shows its host.
        programs: Names of the programs that run in it.
        bind: The address that its server was asked to be published at.
        port: The port.
    """

    inspected: Json
    info: Json
    programs: list[str]
    bind: str
    port: int

    @property
    def host(self) -> Json:
        """What the container was given of its host."""
        return t.cast("Json", self.inspected["HostConfig"])

    @property
    def options(self) -> list[str]:
        """Its security options."""
        return self.host["SecurityOpt"] or []

    @property
    def published(self) -> list[Json]:
        """Where its ports can be reached."""
        return [where for places in (self.host["PortBindings"] or {}).values() for where in places]

    def has(self, module: str) -> bool:
        """Whether the host has a security module."""
        return any(option.startswith(f"name={module}") for option in self.info["SecurityOptions"] or [])


def _apparmor(it: Container) -> bool:
    return "apparmor=unconfined" not in it.options and (not it.has("apparmor") or bool(it.inspected["AppArmorProfile"]))


def _selinux(it: Container) -> bool:
    return not any(option.startswith("label=disable") for option in it.options)


def _folders(it: Container) -> bool:
    return not any(mount["Source"].rstrip("/") in (*_HOST_FOLDERS[1:], "") for mount in it.inspected["Mounts"])


def _ports(it: Container) -> bool:
    inside = [int(port.partition("/")[0]) for port in it.host["PortBindings"] or {}]
    return min(inside) >= _PRIVILEGED_PORTS


def _no_others(it: Container) -> bool:
    return [where["HostPort"] for where in it.published] == [str(it.port)] and not it.host["PublishAllPorts"]


def _interface(it: Container) -> bool:
    return [where["HostIp"] for where in it.published] == [it.bind]


def _restarts(it: Container) -> bool:
    policy = it.host["RestartPolicy"]
    return policy["Name"] == "on-failure" and policy["MaximumRetryCount"] <= _RESTARTS


def _devices(it: Container) -> bool:
    # GPUs come as a request, or by CDI, which is one as well.
    return not it.host["Devices"]


def _shared(it: Container) -> bool:
    return all(mount["Propagation"] in ("", "private", "rprivate") for mount in it.inspected["Mounts"])


#: By its number: what the container must be.
CHECKS: t.Final[dict[str, Callable[[Container], bool]]] = {
    "5.1": lambda it: it.info["Swarm"]["LocalNodeState"] == "inactive",
    "5.2": _apparmor,
    "5.3": _selinux,
    "5.4": lambda it: it.host["CapDrop"] == ["ALL"] and not it.host["CapAdd"],
    "5.5": lambda it: not it.host["Privileged"],
    "5.6": _folders,
    "5.7": lambda it: "sshd" not in it.programs,
    "5.8": _ports,
    "5.9": _no_others,
    "5.10": lambda it: it.host["NetworkMode"] != "host",
    "5.11": lambda it: it.host["Memory"] > 0,
    "5.12": lambda it: it.host["CpuShares"] > 0,
    "5.13": lambda it: it.host["ReadonlyRootfs"],
    "5.14": _interface,
    "5.15": _restarts,
    "5.16": lambda it: it.host["PidMode"] != "host",
    "5.17": lambda it: it.host["IpcMode"] not in ("host", "shareable"),
    "5.18": _devices,
    "5.19": lambda it: bool(it.host["Ulimits"]),
    "5.20": _shared,
    "5.21": lambda it: it.host["UTSMode"] != "host",
    "5.22": lambda it: not any(option.startswith("seccomp") for option in it.options) and it.has("seccomp"),
    "5.25": lambda it: not it.host["CgroupParent"],
    "5.26": lambda it: any(option.startswith("no-new-privileges") for option in it.options),
    "5.27": lambda it: (it.inspected["Config"].get("Healthcheck") or {"Test": ["NONE"]})["Test"] != ["NONE"],
    "5.28": lambda it: "@sha256:" in it.inspected["Config"]["Image"],
    # A kernel that cannot limit them makes Docker drop the limit, as the lab's does.
    "5.29": lambda it: not it.info["PidsLimit"] or (it.host["PidsLimit"] or 0) > 0,
    "5.30": lambda it: it.host["NetworkMode"] not in ("default", "bridge"),
    "5.31": lambda it: it.host["UsernsMode"] != "host",
    "5.32": lambda it: not any("docker.sock" in mount["Source"] for mount in it.inspected["Mounts"]),
}
