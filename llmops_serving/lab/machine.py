# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How this machine reaches its package registries, so that containers can reach them the same way.

Everything here is read when it is needed and handed to a container for as long as it runs: mirrors, proxies,
certificates and credentials of a machine never become part of an image.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import socket
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from llmops_serving.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Suites that have updates and security archives; a testing suite is taken alone.
STABLE_SUITES = frozenset({"bookworm", "trixie"})
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_APT_SETTING = re.compile(r'^(Acquire::(?:http|https|ftp|Check-|Retries|ForceIPv)[^ ]* ".*";)$', re.MULTILINE)
#: Settings of pip that say where packages are. Certificates are handled on their own.
_PIP_LISTS = frozenset({"find-links", "extra-index-url", "trusted-host"})
_PIP_TAKEN = _PIP_LISTS | {"index-url", "proxy", "timeout", "default-timeout", "retries"}
#: apt lets one at a time in, and images that are built side by side may miss the same command.
_INSTALLING = threading.Lock()


@dataclass(frozen=True)
class AptAccess:
    """Mirrors and transport settings of apt; empty where this machine has none, and images keep their own."""

    mirror: str = ""
    security: str = ""
    #: lines of an apt.conf
    settings: str = ""

    def sources(self, suite: str) -> str:
        """Give a sources.list for a suite of Debian."""
        return debian_sources(suite, self.mirror, self.security)


@dataclass(frozen=True)
class PipAccess:
    """pip's settings with the machine's paths replaced by the places where a container sees them."""

    #: text of a pip.conf
    config: str
    #: directory on this machine -> directory in the container
    mounts: Mapping[Path, str]


@dataclass(frozen=True)
class Machine:
    """The build machine as far as containers need it."""

    apt: AptAccess
    pip: PipAccess
    #: bundle of certification authorities this machine trusts
    ca_bundle: Path | None
    #: authorities that a site added to its machines, as PEM texts by file name
    site_cas: Mapping[str, str] = field(default_factory=dict)
    proxies: Mapping[str, str] = field(default_factory=dict)
    #: largest packet of the way out, in bytes: a bridge with more loses packets where path discovery is filtered
    mtu: int = 1500

    @classmethod
    def probe(cls, container_root: str) -> Machine:
        """Look at this machine; `container_root` is where build containers see mounted directories."""
        return cls(
            apt=read_apt(),
            pip=read_pip(os.environ, Path.home(), container_root),
            ca_bundle=find_ca_bundle(os.environ),
            site_cas=read_site_cas(Path("/usr/local/share/ca-certificates")),
            proxies={name: os.environ[name] for name in PROXY_VARIABLES if os.environ.get(name)},
            mtu=read_mtu(),
        )


def debian_sources(suite: str, mirror: str, security: str) -> str:
    """Give the text of a sources.list; empty without a mirror."""
    lines = [f"deb {mirror} {suite} main"] if mirror else []
    if mirror and suite in STABLE_SUITES:
        lines += [f"deb {mirror} {suite}-updates main"]
    if security and suite in STABLE_SUITES:
        lines += [f"deb {security} {suite}-security main"]
    return "".join(f"{line}\n" for line in lines)


def apt_settings(dump: str) -> str:
    """Pick the transport settings out of the output of `apt-config dump`."""
    return "".join(f"{line}\n" for line in _APT_SETTING.findall(dump) if not line.endswith('"";'))


def read_apt() -> AptAccess:
    """Take mirrors and settings from apt of this machine; there are none where this is no Debian."""
    if shutil.which("apt-config") is None:
        return AptAccess()
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False)  # noqa: S607  # apt is where the PATH says
    texts = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*")))
        if path.is_file() and path.suffix in {".list", ".sources"}
    ]
    mirror, security = find_mirrors("\n".join(texts))
    return AptAccess(mirror, security, apt_settings(dump.stdout))


def find_mirrors(sources: str) -> tuple[str, str]:
    """Find the mirrors of Debian's archive and of its security archive in texts of apt's sources.

    On Ubuntu and on others there are none: both are empty.
    """
    uncommented = "\n".join(line for line in sources.splitlines() if not line.lstrip().startswith("#"))
    urls = re.findall(r"https?://[^\s\]]+", uncommented)
    trimmed = [url.rstrip("/") for url in urls]
    mirror = next((url for url in trimmed if url.endswith("/debian")), "")
    security = next((url for url in trimmed if url.endswith("/debian-security")), "")
    return mirror, security


def read_pip(environ: Mapping[str, str], home: Path, container_root: str) -> PipAccess:
    """Read pip's settings from its files and variables, in pip's order."""
    settings: dict[str, str] = {}
    config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [
        Path("/etc/xdg/pip/pip.conf"),
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        config_home / "pip" / "pip.conf",
    ]
    if own := environ.get("PIP_CONFIG_FILE"):
        files.append(Path(own))
    for path in files:
        parser = configparser.RawConfigParser()
        parser.read(path, encoding="utf-8")
        for section in ("global", "install"):
            if parser.has_section(section):
                settings.update(parser.items(section))
    settings.update(
        {name[4:].lower().replace("_", "-"): value for name, value in environ.items() if name.startswith("PIP_")}
    )
    return translate_pip(settings, container_root)


def translate_pip(settings: Mapping[str, str], container_root: str) -> PipAccess:
    """Write a pip.conf whose local directories are those of the container.

    A local index is a directory `simple` with its files next to it, so the directory above it is mounted.
    """
    mounts: dict[Path, str] = {}

    def place(directory: Path) -> str:
        return mounts.setdefault(directory, f"{container_root}/pip-{len(mounts)}")

    def translate(word: str) -> str:
        local = Path(word.removeprefix("file://"))
        if not local.is_absolute() or not local.is_dir():
            return word
        prefix = "file://" if word.startswith("file://") else ""
        if local.name == "simple":
            return f"{prefix}{place(local.parent)}/simple"
        return f"{prefix}{place(local)}"

    lines = ["[global]", "disable-pip-version-check = true", "no-cache-dir = true", "root-user-action = ignore"]
    taken = sorted(settings.keys() & _PIP_TAKEN)
    lines += [f"{name} = {' '.join(translate(word) for word in settings[name].split())}" for name in taken]
    return PipAccess("\n".join(lines) + "\n", mounts)


def find_ca_bundle(environ: Mapping[str, str]) -> Path | None:
    """Find the bundle of certification authorities that this machine's programs use."""
    candidates: Iterable[str | None] = (
        environ.get("PIP_CERT"),
        environ.get("SSL_CERT_FILE"),
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
    )
    return next((Path(path) for path in candidates if path and Path(path).is_file()), None)


def read_site_cas(directory: Path) -> dict[str, str]:
    """Read the authorities that were added to this machine in Debian's place for them."""
    if not directory.is_dir():
        return {}
    return {path.name: path.read_text(encoding="ascii", errors="replace") for path in sorted(directory.glob("*.crt"))}


def read_mtu() -> int:
    """Tell the packet size of the interface with the default route, 1500 where that cannot be told."""
    try:
        routes = Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]
        interface = next(line.split()[0] for line in routes if line.split()[1] == "00000000")
        return int(Path(f"/sys/class/net/{interface}/mtu").read_text(encoding="ascii"))
    except (OSError, StopIteration, ValueError):
        return 1500


def require_commands(packages: Mapping[str, str]) -> None:
    """Make sure that commands exist: install their Debian packages as root, else say what is missing.

    Args:
        packages: command -> Debian package.

    Raises:
        LabError: commands are missing and cannot be installed here.
    """
    with _INSTALLING:
        missing = sorted({package for command, package in packages.items() if shutil.which(command) is None})
        if missing:
            _install(missing)


def _install(missing: Sequence[str]) -> None:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise LabError(
            f"missing on this machine: {', '.join(missing)} (names of Debian packages); "
            "install them, or run this as root on Debian, where they are installed for you"
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update"],
        ["apt-get", "-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends", *missing],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # fixed command, package names from our own table
        if done.returncode != 0:
            tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
            raise LabError(f"`{' '.join(command)}` failed: install {', '.join(missing)} yourself\n{tail}")


def free_port(preferred: int, taken: Iterable[int] = ()) -> int:
    """Find a free TCP port of 127.0.0.1: the preferred one or the next free above it."""
    avoid = set(taken)
    for port in range(preferred, 65536):
        if port in avoid:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise LabError(f"no free port on 127.0.0.1 from {preferred} on")
