# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hub as the host sees it through a proxy that misbehaves on request: the one of the model store's tests.

The proxy listens on this machine's loopback, and so does its way to the hub. One ssh connection carries both: the
fronts to the host's loopback, under the same ports, and from there to the hub that only the lab's hosts can reach.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llmops_serving.lab import Lab, pki
from llmops_serving.lab.machine import free_port
from tests.store.faults import FRONTS
from tests.store.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WAIT_S = 20.0
_FIRST_PORT = 21000


@contextlib.contextmanager
def proxied_hub(host: str, certificate: tuple[Path, Path] | None = None) -> Iterator[Proxy]:
    """Put a proxy between a host and the hub.

    Args:
        host: The host's name in the lab.
        certificate: Certificate and key of the fronts; by default good ones.
    """
    paths = Lab().paths
    names = [name for name, _upstream in FRONTS.values()]
    found = certificate or pki.ensure_certificate(paths, "fronts", sorted(set(names)))
    port = free_port(_FIRST_PORT)
    proxy = Proxy(port, paths.ca_cert, *found)
    fronts = [urlsplit(proxy.url(front)).port for front in FRONTS]
    options = [
        f"IdentityFile={paths.ssh_key}",
        "IdentitiesOnly=yes",
        f"UserKnownHostsFile={paths.known_hosts}",
        "ExitOnForwardFailure=yes",
        "LogLevel=ERROR",
    ]
    words = [word for option in options for word in ("-o", option)]
    words += ["-L", f"127.0.0.1:{port}:hub.lab:443"]
    words += [word for front in fronts for word in ("-R", f"{front}:127.0.0.1:{front}")]
    ssh_port = str(paths.load().hosts[host].ssh_port)
    tunnel = subprocess.Popen(  # noqa: S603 - our own forward
        ["ssh", "-N", "-p", ssh_port, *words, "root@127.0.0.1"],  # noqa: S607
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _await(tunnel, port)
        yield proxy
    finally:
        proxy.ungate()
        tunnel.terminate()
        tunnel.communicate()
        proxy.close()


def _await(tunnel: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        assert tunnel.poll() is None, f"no way to the hub: {tunnel.communicate()[1]}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            # The ports on the host are there before those here.
            return
        time.sleep(0.1)
    msg = "no way to the hub"
    raise AssertionError(msg)
