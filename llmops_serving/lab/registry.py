# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An image registry for the hosts: TLS as registry.lab:5000 inside the network, plain HTTP on loopback for pushing."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import yaml

from llmops_serving.lab import images, pki, services
from llmops_serving.lab.build import LABEL
from llmops_serving.lab.errors import LabError

if TYPE_CHECKING:
    from docker import DockerClient

    from llmops_serving.lab.images import EngineImage
    from llmops_serving.lab.progress import Reporter
    from llmops_serving.lab.state import Paths

NAME = "llmops-lab-registry"
HOST = "registry.lab"
PORT = 5000
PUSH_PORT_INSIDE = 5001
PREFERRED_PUSH_PORT = 15000
VOLUME = "llmops-lab-registry"
START_TIMEOUT_S = 20
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def configuration(listen: int, certificate: str | None, key: str | None) -> str:
    """Give the configuration of one listener.

    Args:
        listen: port.
        certificate: path of the certificate in the container, None for plain HTTP.
        key: path of its key.
    """
    http: dict[str, Any] = {"addr": f":{listen}", "secret": "one storage, two listeners, no uploads across them"}
    if certificate is not None:
        http["tls"] = {"certificate": certificate, "key": key}
    return yaml.safe_dump(
        {
            "version": 0.1,
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": "/var/lib/registry"}, "delete": {"enabled": True}},
            "http": http,
        }
    )


def describe(paths: Paths, push_port: int) -> services.Service:
    """Describe the registry's container."""
    certificate, key = pki.ensure_certificate(paths, "registry", [HOST])
    directory = "etc/lab-registry"
    files = {
        f"{directory}/tls.crt": (certificate.read_bytes(), 0o644),
        f"{directory}/tls.key": (key.read_bytes(), 0o600),
        f"{directory}/tls.yml": (configuration(PORT, f"/{directory}/tls.crt", f"/{directory}/tls.key").encode(), 0o644),
        f"{directory}/plain.yml": (configuration(PUSH_PORT_INSIDE, None, None).encode(), 0o644),
    }
    return services.Service(
        name=NAME,
        role="registry",
        image=images.REGISTRY.tag,
        root=str(paths.root),
        aliases=(HOST,),
        files=files,
        binds={VOLUME: ("/var/lib/registry", "rw")},
        ports={PUSH_PORT_INSIDE: push_port},
        options={"init": True},
    )


def ensure(client: DockerClient, paths: Paths, push_port: int, reporter: Reporter) -> None:
    """Make the registry run and answer."""
    if not client.volumes.list(filters={"name": VOLUME}):
        client.volumes.create(VOLUME, labels={LABEL: "volume"})
    services.ensure(client, describe(paths, push_port), lambda message: reporter.say("registry", message))
    _get(client, f"http://127.0.0.1:{push_port}/v2/")


def stored_name(image: EngineImage) -> str:
    """Tell under which name the registry keeps an image: that of the registry it stands in for is part of it."""
    return image.name.removeprefix(f"{HOST}:{PORT}/")


def stored_image(client: DockerClient, push_port: int, image: EngineImage) -> str | None:
    """Tell the id of the image that the registry has under a name, None if it has none."""
    body = _get(client, f"http://127.0.0.1:{push_port}/v2/{stored_name(image)}/manifests/{image.tag}")
    return None if body is None else str(json.loads(body)["config"]["digest"])


def _get(client: DockerClient, url: str) -> bytes | None:
    """Ask the registry, waiting for it while it starts; None if it does not have that.

    Raises:
        LabError: it does not answer, or with an error.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    request = urllib.request.Request(url, headers={"Accept": MANIFEST})  # noqa: S310  # loopback, fixed scheme
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  # as above
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            if error.code == 404:  # noqa: PLR2004  # unknown manifest
                return None
            raise LabError(f"the registry answers {error.code} to {url}") from error
        except OSError as error:
            if time.monotonic() > deadline:
                container = services.find(client, NAME)
                log = services.log_tail(container) if container else ""
                raise LabError(f"the registry does not answer {url} ({error}); its log:\n{log}") from error
            time.sleep(0.2)


def push(client: DockerClient, push_port: int, source: str, image: EngineImage, reporter: Reporter) -> bool:
    """Put an image of the daemon into the registry under an engine's name, if it is not there; tells if it was not.

    Raises:
        LabError: the push failed.
    """
    local = client.images.get(source)
    if stored_image(client, push_port, image) == local.id:
        return False
    repository = f"127.0.0.1:{push_port}/{stored_name(image)}"
    with reporter.stage(f"push {image.name}:{image.tag}", "pushing to the lab's registry"):
        local.tag(repository, image.tag)
        try:
            for line in client.api.push(repository, image.tag, stream=True, decode=True):
                if "error" in line:
                    raise LabError(f"pushing {image.name}:{image.tag} failed: {line['error']}")
        finally:
            client.images.remove(f"{repository}:{image.tag}")
    return True
