# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bare hosts: containers that boot systemd and sshd, and in which a role can install and run Docker."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from llmops_serving.lab import images, services
from llmops_serving.lab.errors import LabError
from llmops_serving.lab.machine import free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from docker import DockerClient
    from docker.models.containers import Container

    from llmops_serving.lab.machine import Machine
    from llmops_serving.lab.state import HostFacts, Paths

PREFIX = "llmops-lab-host-"
BOOT_TIMEOUT_S = 60
SSH_PORT = 22
#: Ports of servers that are published on the build machine.
SERVER_PORTS = (8001, 8005)
#: Where the search for free ports begins: lab1 gets 18001, 18005 and 12201, lab2 18101, 18105 and 12202.
FIRST_SERVER_PORT = 10000
FIRST_SSH_PORT = 12200
PORTS_PER_HOST = 100
#: Every capability but SYS_RESOURCE, PERFMON, BPF and CHECKPOINT_RESTORE, which build machines themselves may lack:
#: there `--privileged` fails as a whole.
CAPABILITIES = (
    "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER",
    "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD",
    "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG",
    "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_TIME",
    "SYS_TTY_CONFIG", "WAKE_ALARM",
)  # fmt: skip
_NAME = re.compile(r"^[a-z0-9]([a-z0-9_-]{0,40}[a-z0-9])?$")


def check_name(name: str) -> None:
    """Refuse names that are no host names."""
    if not _NAME.match(name):
        raise LabError(f"{name!r} is no name for a host: use small letters, digits, dashes and underscores")


def container_name(name: str) -> str:
    """Give the container's name of a host."""
    return PREFIX + name


def choose_ports(index: int, taken: Iterable[int]) -> tuple[int, dict[int, int]]:
    """Choose the ports on 127.0.0.1 of the host number `index` (from 1): ssh, and those of its servers."""
    used = set(taken)
    ssh = free_port(FIRST_SSH_PORT + index, used)
    used.add(ssh)
    servers: dict[int, int] = {}
    for inside in SERVER_PORTS:
        servers[inside] = free_port(FIRST_SERVER_PORT + inside + PORTS_PER_HOST * (index - 1), used)
        used.add(servers[inside])
    return ssh, servers


def machine_files(machine: Machine, paths: Paths, suite: str) -> dict[str, tuple[bytes, int]]:
    """Give the files that make a container of the host image a machine of this site: mirrors, authorities, keys."""
    files = {
        "etc/apt/apt.conf.d/90lab": (machine.apt.settings.encode(), 0o644),
        "usr/local/share/ca-certificates/llmops-lab.crt": (paths.ca_cert.read_bytes(), 0o644),
        "root/.ssh/authorized_keys": (paths.ssh_key.with_suffix(".pub").read_bytes(), 0o600),
    }
    if sources := machine.apt.sources(suite):
        files["etc/apt/sources.list"] = (sources.encode(), 0o644)
        # The base image's own mirrors, which this machine may not reach.
        files["etc/apt/sources.list.d/debian.sources"] = (b"", 0o644)
    for name, text in machine.site_cas.items():
        files[f"usr/local/share/ca-certificates/site-{name}"] = (text.encode(), 0o644)
    if machine.proxies:
        lines = "".join(f"{name}={value}\n" for name, value in machine.proxies.items())
        files["etc/environment"] = (lines.encode(), 0o644)
    return files


def describe(name: str, facts: HostFacts, machine: Machine, paths: Paths) -> services.Service:
    """Describe a host's container."""
    return services.Service(
        name=container_name(name),
        role="host",
        image=images.host(facts.suite).tag,
        root=str(paths.root),
        # A host name may not hold the underscore that a role's name has.
        hostname=name.replace("_", "-"),
        files=machine_files(machine, paths, facts.suite),
        # The volume is anonymous, so it goes with its container; without it the Docker inside had overlay on overlay.
        ports={SSH_PORT: facts.ssh_port, **facts.ports},
        options={
            "volumes": ["/var/lib/docker"],
            "cap_drop": ["ALL"],
            "cap_add": list(CAPABILITIES),
            "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
            "cgroupns": "private",
            # How systemd is told to shut down in order.
            "stop_signal": "SIGRTMIN+3",
            "tmpfs": {"/run": "exec,mode=755", "/tmp": "exec,mode=1777"},  # noqa: S108  # the host's own /tmp
        },
    )


def wait(client: DockerClient, name: str) -> str:
    """Wait until a host has booted, and give its public ssh keys.

    Raises:
        LabError: it did not come up.
    """
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    while time.monotonic() < deadline:
        container = services.find(client, container_name(name))
        if container is None or container.status in {"exited", "dead"}:
            log = services.log_tail(container) if container else ""
            raise LabError(f"the host {name} ended while booting; it last wrote:\n{log}")
        if _booted(container):
            keys = container.exec_run(["sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub"])
            return services.text(keys.output)
        time.sleep(0.2)
    raise LabError(
        f"the host {name} did not boot within {BOOT_TIMEOUT_S} s: see `docker exec {PREFIX}{name} systemctl`"
    )


def _booted(container: Container) -> bool:
    if container.status != "running":
        return False
    # Never `systemctl is-system-running` alone: a unit that failed makes it say degraded for good.
    done = container.exec_run(["systemctl", "is-active", "--quiet", "ssh.service", "multi-user.target"])
    return bool(done.exit_code == 0)


def known_hosts(keys: Mapping[str, str], hosts: Mapping[str, HostFacts]) -> str:
    """Write a known_hosts file: the keys of each host under its published port."""
    lines = []
    for name in sorted(hosts):
        for key in keys.get(name, "").splitlines():
            kind, value, *_ = key.split()
            lines.append(f"[127.0.0.1]:{hosts[name].ssh_port} {kind} {value}")
    return "\n".join(lines) + "\n"
