# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Pack a Python library of the controller for a host that has none, and no internet."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import subprocess
import sys
import tarfile
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from collections.abc import Iterator

# The libraries that a load needs on a host.
WANTED: t.Final = "aiohttp"
_OLDER: t.Final = ("async-timeout", "typing-extensions")
_ENOUGH: t.Final = (3, 11)
_NAME: t.Final = re.compile(r"[A-Za-z0-9._-]+")


class PackError(Exception):
    """The library cannot be packed; the message says what to do."""


class Python(t.NamedTuple):
    """An interpreter, by what decides which wheels it can load.

    Attributes:
        version: Such as `3.11`.
        machine: Such as `x86_64`.
        libc: Name and version of its C library, such as `glibc 2.36`.
    """

    version: str
    machine: str
    libc: str


def own_python() -> Python:
    """Describe the interpreter that runs this."""
    name, version = platform.libc_ver()
    return Python(f"{sys.version_info.major}.{sys.version_info.minor}", platform.machine(), f"{name} {version}")


def pack(python: Python, archive: Path, cache: Path) -> str:
    """Write an archive of the library and all it needs.

    Args:
        python: The host's interpreter.
        archive: The tar file to write.
        cache: A directory for wheels that were fetched.

    Returns:
        The library's version.

    Raises:
        PackError: There is none for the host.
    """
    if _is_alike(python, own_python()):
        with tarfile.open(archive, "w") as tar:
            for source, name in _installed_files():
                tar.add(source, name, recursive=False)
        return importlib.metadata.version(WANTED)
    place = cache / f"{WANTED}-{python.version}-{python.machine}"
    if not any(place.glob(f"{WANTED}-*.dist-info")):
        _fetch(python, place)
    with tarfile.open(archive, "w") as tar:
        tar.add(place, ".")
    return next(place.glob(f"{WANTED}-*.dist-info")).name.removesuffix(".dist-info").rpartition("-")[2]


def _is_alike(host: Python, own: Python) -> bool:
    """Whether a host can load what is installed here: compiled parts are for one version of Python and one machine."""
    return host == own or (host[:2] == own[:2] and host.libc.split()[:1] == own.libc.split()[:1] == ["glibc"])


def _installed_files() -> Iterator[tuple[Path, str]]:
    """Give the files of the library and of all it needs, each with its place below site-packages."""
    for name in sorted(_needed(WANTED, set())):
        for file in importlib.metadata.files(name) or []:
            source = Path(str(file.locate()))
            if ".." not in file.parts and file.suffix != ".pyc" and source.is_file():
                yield source, str(file)


def _needed(name: str, found: set[str]) -> set[str]:
    """Give a distribution and what it needs, without extras and without what other systems need."""
    if name in found:
        return found
    try:
        requires = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        if found:
            # For another version of Python, or another system.
            return found
        msg = f"{WANTED} is not installed on the controller: pip install {WANTED}"
        raise PackError(msg) from None
    found.add(name)
    for line in requires:
        wanted, _semicolon, marker = line.partition(";")
        if "extra" not in marker:
            _needed(_NAME.match(wanted.strip())[0].lower(), found)  # type: ignore[index]
    return found


def _fetch(python: Python, place: Path) -> None:
    """Have pip fetch wheels for the host's interpreter, which is another than this one."""
    glibc = python.libc.partition(" ")[2].replace(".", "_") if python.libc.startswith("glibc") else ""
    tags = [f"manylinux_{glibc}_{python.machine}", f"manylinux2014_{python.machine}"] if glibc else []
    tags += [] if glibc else [f"musllinux_1_2_{python.machine}"]
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    argv += ["--target", str(place), "--python-version", python.version, "--implementation", "cp"]
    argv += [word for tag in tags for word in ("--platform", tag)]
    # pip reads conditions of packages for the Python that runs it, so what older ones need besides must be named.
    wanted = [WANTED, *(_OLDER if tuple(map(int, python.version.split("."))) < _ENOUGH else ())]
    done = subprocess.run([*argv, *wanted], capture_output=True, text=True, check=False)  # noqa: S603  pip, by this interpreter
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        msg = (
            f"{WANTED} for Python {python.version} on {python.machine} cannot be had: {said}; give the controller a "
            "package index, or set benchmark_from to controller"
        )
        raise PackError(msg)
