# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put the images of a bundle into a registry that a site has already: only what it lacks is sent."""

from __future__ import annotations

import http.client
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from ansible_collections.llmops.serving.plugins.module_utils._registry_client import (
    RegistryClient,
    RegistryError,
    tls_context,
)
from ansible_collections.llmops.serving.plugins.module_utils._registry_names import Reference, is_loopback
from llmops_serving.bundle.credentials import login_for
from llmops_serving.bundle.document import Blob, Bundle, Image, blob_path
from llmops_serving.bundle.progress import SEND
from llmops_serving.bundle.variables import place_of
from llmops_serving.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from llmops_serving.bundle.progress import Bars

# A registry may hash, and move, what it was given before it answers.
_TIMEOUT_S = 300.0
_AT_ONCE = 3
_ATTEMPTS = 3
_DONE = {http.client.OK, http.client.CREATED, http.client.ACCEPTED, http.client.NO_CONTENT}
# What a registry says of an index that names manifests which it does not have.
_INCOMPLETE = {http.client.BAD_REQUEST, http.client.NOT_FOUND}


@dataclass(frozen=True)
class Target:
    """A registry to push to: host and port, and what repositories there begin with."""

    registry: str
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> Target:
        """Split `HOST[:PORT][/PREFIX]`."""
        registry, _slash, prefix = text.strip("/").partition("/")
        return cls(registry, prefix)

    def __str__(self) -> str:
        """The registry with its prefix, as `serving_registries` takes it."""
        return f"{self.registry}/{self.prefix}" if self.prefix else self.registry

    def name_of(self, image: Image) -> Reference:
        """Name an image there."""
        place = place_of(image.name)
        return replace(image.name, registry=self.registry, name=f"{self.prefix}/{place}" if self.prefix else place)


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, file: IO[bytes], on_bytes: Callable[[int], None]) -> None:
        self._file = file
        self._on_bytes = on_bytes
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._read += len(piece)
        self._on_bytes(len(piece))
        return piece

    def seek(self, position: int) -> int:
        """Begin again."""
        self._on_bytes(position - self._read)
        self._read = position
        return self._file.seek(position)


def push_images(bundle: Bundle, folder: Path, target: Target, bars: Bars, ca_path: str | None = None) -> None:
    """Push all images.

    Args:
        bundle: What the bundle holds.
        folder: Where it is.
        target: The registry.
        bars: Shows how far it has come.
        ca_path: A file with an authority that the registry's certificate is of.

    Raises:
        DriverError: The registry does not take something; what it has stays there, and need not be sent again.
    """
    for image in bundle.images:
        name = target.name_of(image)
        client = RegistryClient(
            name,
            tls_context(target.registry, ca_path),
            _TIMEOUT_S,
            insecure=is_loopback(target.registry),
            login=login_for(target.registry),
            actions="pull,push",
        )
        try:
            _Push(image, name, client, folder, bars).run()
        except RegistryError as error:
            msg = f"--push-registry {target}: {name}: {error}"
            raise DriverError(msg) from error


class _Push:
    """One image on its way."""

    def __init__(self, image: Image, name: Reference, client: RegistryClient, folder: Path, bars: Bars) -> None:
        self._image = image
        self._name = name
        self._client = client
        self._folder = folder
        self._bars = bars

    def run(self) -> None:
        """Send blobs, then the manifests that name them, and the one with the tag last."""
        title = str(self._name)
        missing = [blob for blob in self._image.blobs if not self._has(f"blobs/{blob.digest}")]
        self._bars.plan(title, sum(blob.size for blob in missing), doing=SEND)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                list(pool.map(self._blob, missing))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        top, *children = self._image.manifests
        for child in children:
            self._manifest(child, child.digest)
        self._top(top, children)
        self._bars.done(title)
        self._bars.say(f"{title}  {len(missing)} of {len(self._image.blobs)} layers sent")

    def _has(self, path: str) -> bool:
        reply = self._client.ask(path, method="HEAD")
        if reply.status not in {http.client.OK, http.client.NOT_FOUND}:
            raise RegistryError(self._client.refusal(reply, f"to push to {self._name.name}"))
        return reply.status == http.client.OK

    def _top(self, top: Blob, children: list[Blob]) -> None:
        """Put the manifest that the tag means; a registry that wants a whole index gets its one manifest instead."""
        wanted = self._name.tag or top.digest
        status = self._put(top, wanted)
        if status in _DONE:
            return
        if not children or status not in _INCOMPLETE:
            raise RegistryError(f"does not take the manifest (HTTP {status}); look at the registry")
        if self._name.digest or len(children) > 1:
            message = (
                "does not take an index that names platforms which the bundle lacks; make the bundle again with "
                "--platform all"
            )
            raise RegistryError(message)
        self._manifest(children[0], wanted)
        self._bars.say(f"{self._name}: the registry takes whole indexes only: the tag is the one platform's manifest")

    def _manifest(self, blob: Blob, wanted: str) -> None:
        status = self._put(blob, wanted)
        if status not in _DONE:
            raise RegistryError(f"does not take the manifest {blob.digest[:19]} (HTTP {status}); look at the registry")

    def _put(self, blob: Blob, wanted: str) -> int:
        body = (self._folder / blob_path(blob.digest)).read_bytes()
        reply = self._client.ask(
            f"manifests/{wanted}", method="PUT", headers={"Content-Type": blob.media_type}, body=body
        )
        if reply.status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN, http.client.TOO_MANY_REQUESTS}:
            raise RegistryError(self._client.refusal(reply, f"to push to {self._name.name}"))
        return reply.status

    def _blob(self, blob: Blob) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._send(blob)
            except RegistryError:
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def _send(self, blob: Blob) -> None:
        begun = self._client.ask("blobs/uploads/", method="POST", headers={"Content-Length": "0"}, body=b"")
        place = begun.headers.get("location", "")
        if begun.status != http.client.ACCEPTED or not place:
            raise RegistryError(self._client.refusal(begun, f"to push to {self._name.name}"))
        place += f"{'&' if '?' in place else '?'}digest={quote(blob.digest)}"
        headers = {"Content-Length": str(blob.size), "Content-Type": "application/octet-stream"}
        title = str(self._name)
        with (self._folder / blob_path(blob.digest)).open("rb") as file:
            counted = _Counted(file, lambda count: self._bars.add(title, count))
            try:
                reply = self._client.ask(place, method="PUT", headers=headers, body=counted)
                if reply.status not in _DONE:
                    raise RegistryError(self._client.refusal(reply, f"to push {blob.digest[:19]} to {self._name.name}"))
            except RegistryError:
                counted.seek(0)
                raise
