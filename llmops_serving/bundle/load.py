# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Serve a bundle where there is no internet: check all of it, then be its hub and registry."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmops_serving.bundle import variables
from llmops_serving.bundle.checksums import check_bundle
from llmops_serving.bundle.document import read_bundle
from llmops_serving.bundle.hub import Hub
from llmops_serving.bundle.progress import Sending
from llmops_serving.bundle.push import Target, push_images
from llmops_serving.bundle.registry import Registry
from llmops_serving.bundle.repositories import git_program
from llmops_serving.bundle.server import BundleServer
from llmops_serving.bundle.settings import PORT
from llmops_serving.bundle.tls import ensure_tls, given_tls
from llmops_serving.bundle.variables import Served
from llmops_serving.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llmops_serving.bundle.document import Bundle
    from llmops_serving.bundle.progress import Bars
    from llmops_serving.bundle.tls import Tls
    from llmops_serving.bundle.web import Answer, Request


@dataclass(frozen=True)
class Listen:
    """Where a bundle is served.

    Attributes:
        address: The address of this machine.
        port: The port.
        name: By which name or address hosts reach it.
    """

    address: str
    port: int
    name: str

    @classmethod
    def parse(cls, text: str, name: str = "") -> Listen:
        """Read `ADDRESS[:PORT]`; port 0 is one that is free.

        Args:
            text: As on the command line.
            name: By which name hosts reach it, empty for the address.

        Raises:
            UsageError: It is none, or hosts cannot reach what it names.
        """
        try:
            parts = urlsplit(f"//{text}")
            address, port = parts.hostname or "", PORT if parts.port is None else parts.port
        except ValueError as error:
            msg = f"--listen {text}: write ADDRESS:PORT, such as 10.0.0.5:{PORT}"
            raise UsageError(msg) from error
        if not address or ":" in address or ":" in name:
            msg = f"--listen {text}: write an IPv4 address or a name, and a port, such as 10.0.0.5:{PORT}"
            raise UsageError(msg)
        if not name and _is_any(address):
            msg = (
                f"--listen {text}: hosts cannot ask for {address}: add --name with the name or address of this machine"
            )
            raise UsageError(msg)
        return cls(address, port, name or address)

    @property
    def local(self) -> bool:
        """Whether nobody but this machine reaches it."""
        return self.name == "localhost" or self.name.startswith("127.")


def _is_any(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_unspecified
    except ValueError:
        return False


@dataclass(frozen=True)
class Options:
    """How a bundle is loaded.

    Attributes:
        folder: The bundle.
        listen: Where it is served.
        state: Where certificate and variables go.
        certificate: The server's certificate of a site's own authority, None for one that is made here.
        key: Its key.
        ca: A site's own authority, for hosts that do not trust it yet, and for a registry that is pushed to.
        push: A registry that gets the images, None to serve them.
        serve: Whether anything is served at all.
        access_log: A file for a line of JSON for each request.
    """

    folder: Path
    listen: Listen
    state: Path
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    push: Target | None = None
    serve: bool = True
    access_log: Path | None = None


@dataclass(frozen=True)
class Loaded:
    """A bundle that was found sound, and is served.

    Attributes:
        bundle: What it holds.
        checksum: The sha256 of its `bundle.json`.
        server: Serves it, from `start` on; None where it was only pushed.
        variables: The file with the variables.
        served: Where what is served.
    """

    bundle: Bundle
    checksum: str
    server: BundleServer | None
    variables: Path
    served: Served


def load_bundle(options: Options, bars: Bars) -> Loaded:
    """Check a bundle, and make ready to serve it.

    Nothing is sent, served or written before every file of it was found sound.

    Args:
        options: How.
        bars: Shows how far it has come.

    Raises:
        UsageError: There is no bundle, or an option makes no sense.
        DriverError: It is damaged, or a registry does not take it.
    """
    bundle, checksum = read_bundle(options.folder)
    if any(model.tree for model in bundle.models):
        git_program()
    check_bundle(bundle, options.folder, bars)
    bars.say(f"{len(bundle.files())} files of the bundle are as they were made (bundle.json has sha256 {checksum})")
    if options.push:
        push_images(bundle, options.folder, options.push, bars, str(options.ca) if options.ca else None)
    known = options.ca.read_text(encoding="ascii") if options.ca and options.push else ""
    if not options.serve:
        served = Served(registry=str(options.push or ""), ca=known)
        return Loaded(bundle, checksum, None, _write(options.state, bundle, served), served)
    tls = _tls(options)
    answers: list[Callable[[Request], Answer | None]] = []
    if not options.push:
        answers.append(Registry(bundle, options.folder).answer)
    answers.append(Hub(bundle, options.folder).answer)
    listen = options.listen
    server = BundleServer((listen.address, listen.port), answers, tls, Sending(bars), options.access_log)
    netloc = f"{listen.name}:{server.port}"
    served = Served(
        hub=f"https://{netloc}" if bundle.models else "",
        registry=str(options.push or netloc) if bundle.images else "",
        # Whoever serves the images may be known by another authority than this hub.
        ca=tls.ca if known in tls.ca else tls.ca + known,
    )
    return Loaded(bundle, checksum, server, _write(options.state, bundle, served), served)


def _tls(options: Options) -> Tls:
    if options.ca and not (options.push or options.certificate):
        msg = "--ca is the authority of --cert and --key, or of the registry that is pushed to: give these as well"
        raise UsageError(msg)
    if options.certificate and options.key:
        return given_tls(options.certificate, options.key, options.ca)
    if options.certificate or options.key:
        msg = "--cert and --key belong together: give both, or none to have a certificate made"
        raise UsageError(msg)
    return ensure_tls(options.state / "tls", [options.listen.name])


def _write(state: Path, bundle: Bundle, served: Served) -> Path:
    path = state / variables.NAME
    try:
        path.write_text(variables.document(variables.variables(bundle, served), str(path)), encoding="utf-8")
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}; name a folder that can with --state"
        raise UsageError(msg) from error
    return path
