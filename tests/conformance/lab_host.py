# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host of the lab with Docker, on which units run whose engines print what they were started with."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import tarfile
import typing as t
from pathlib import Path

import pytest

from llmops_serving.lab import Lab, LabError, images
from tests.conformance.cases import ENGINES
from tests.conformance.lab_images import docker

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
NAME = "conformance"
ECHO_IMAGE = "llmops-conformance:1"
#: The words of tgi-entrypoint.sh that matter: `$@` without quotes.
TGI_ENTRYPOINT = "#!/bin/bash\nexec text-generation-launcher $@\n"
# What of a Debian the echo image needs.
_KEPT = re.compile(r"[^/]+|usr/bin/(bash|dash|env|od|sh|tr)|usr/lib.*/(libc|libtinfo|ld-linux[^/]*)\.so[.0-9]*")


class Unit(t.NamedTuple):
    """A systemd unit of a server, and the files that the module `server` would have written beside it."""

    name: str
    text: str
    #: by path on the host
    files: Mapping[str, str]
    folders: Sequence[str]


class Started(t.NamedTuple):
    """What an engine was started with."""

    description: str
    #: the units that its own needs
    requires: list[str]
    words: list[str]
    environment: dict[str, str]


class Host:
    """Runs commands on the lab's host."""

    def __init__(self) -> None:
        """Find the host in the lab's state."""
        paths = Lab().paths
        options = [
            f"IdentityFile={paths.ssh_key}",
            "IdentitiesOnly=yes",
            f"UserKnownHostsFile={paths.known_hosts}",
            "LogLevel=ERROR",
        ]
        port = str(paths.load().hosts[NAME].ssh_port)
        self._ssh = ["ssh", "-p", port, *(word for option in options for word in ("-o", option)), "root@127.0.0.1"]

    def run(self, command: str, data: bytes = b"") -> str:
        """Run a shell command; one that fails fails the test."""
        done = subprocess.run([*self._ssh, command], input=data, capture_output=True, check=False)  # noqa: S603  our own
        if done.returncode:
            pytest.fail(f"{command[:200]} ended with {done.returncode}\n{done.stderr.decode()}", pytrace=False)
        return done.stdout.decode()

    def start(self, units: Sequence[Unit]) -> dict[str, Started | str]:
        """Start units, once each, and give by name what their engines said, or the unit's journal."""
        names = " ".join(unit.name for unit in units)
        self.run("tar -x -C / && systemctl daemon-reload", _archive(units))
        told = self.run(
            f"for name in {names}; do\n"
            "  systemctl start llmops-$name\n"
            "  for try in $(seq 200); do systemctl is-active --quiet llmops-$name || break; sleep 0.1; done\n"
            "  systemctl show --property Description --value llmops-$name\n"
            "  systemctl show --property Requires --value llmops-$name\n"
            "  journalctl --quiet --unit llmops-$name --output cat\n"
            "  echo '=== llmops'\n"
            "done 2>&1"
        )
        parts = told.split("=== llmops\n")[:-1]
        return {unit.name: _started(text) for unit, text in zip(units, parts, strict=True)}


def _started(text: str) -> Started | str:
    lines = text.split("\n")
    line = next((line for line in lines if line.startswith("llmops-echo ")), None)
    if line is None:
        return text
    _, words, environment = line.split(" ")
    pairs = bytes.fromhex(environment).decode().split("\0")[:-1]
    return Started(
        lines[0],
        lines[1].split(),
        [bytes.fromhex(word).decode() for word in words.split(",")[:-1]],
        dict(pair.split("=", 1) for pair in pairs),
    )


def _archive(units: Sequence[Unit]) -> bytes:
    # An engine that has said what it has to say shall stay down.
    files = {"/etc/systemd/system/llmops-.service.d/once.conf": "[Service]\nRestart=no\n"}
    folders: list[str] = []
    for unit in units:
        files[f"/etc/systemd/system/llmops-{unit.name}.service"] = unit.text
        files |= unit.files
        folders += unit.folders
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in dict.fromkeys(folders):
            member = tarfile.TarInfo(folder.lstrip("/"))
            member.type, member.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(member)
        for name, text in files.items():
            _add(tar, name, text.encode(), 0o644)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name.lstrip("/"))
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))


def echo_image() -> bytes:
    """Make the root of an image that is every engine: a shell, and the echo at each entrypoint."""
    container = docker("create", images.base("bookworm").tag, "true").stdout.strip()
    try:
        exported = subprocess.run(["docker", "export", container], capture_output=True, check=True).stdout  # noqa: S603, S607
    finally:
        docker("rm", container)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(exported)) as base, tarfile.open(fileobj=buffer, mode="w") as tar:
        for member in base:
            if _is_kept(member):
                tar.addfile(member, base.extractfile(member) if member.isreg() else None)
        echo = (HERE / "echo.sh").read_bytes()
        entrypoints = {entry for engine in ENGINES.values() for entry in _entrypoints(engine)}
        for entry in sorted({*entrypoints, "text-generation-launcher"}):
            path = entry if entry.startswith("/") else f"/usr/bin/{entry}"
            content = TGI_ENTRYPOINT.encode() if entry == "/tgi-entrypoint.sh" else echo
            _add(tar, path, content, 0o755)
    return buffer.getvalue()


def _is_kept(member: tarfile.TarInfo) -> bool:
    # The links of a merged /usr, and what is named.
    return bool(_KEPT.fullmatch(member.name)) and (member.issym() or (member.isreg() and "/" in member.name))


def _entrypoints(definition: Mapping[str, t.Any]) -> list[str]:
    owners = [definition, *definition["images"].values()]
    return [owner["entrypoint"][0] for owner in owners if "entrypoint" in owner]


@contextlib.contextmanager
def lab_host() -> Iterator[Host]:
    """Boot a host, give it Docker with the role of this collection, and the echo image; remove it afterwards."""
    lab = Lab()
    with contextlib.suppress(LabError):
        lab.destroy_host(NAME)
    lab.create_host(NAME, engines=())
    try:
        environment = os.environ | {"LLMOPS_LAB_HOSTS": NAME, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        command = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "--inventory",
            str(ROOT / "inventories/lab"),
        ]
        done = subprocess.run(  # noqa: S603  our own playbook
            [*command, str(HERE / "docker.yml")], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.fail(f"the host got no Docker:\n{done.stdout[-3000:]}{done.stderr}", pytrace=False)
        host = Host()
        host.run(f"docker import - {ECHO_IMAGE}", echo_image())
        yield host
    finally:
        lab.destroy_host(NAME)
