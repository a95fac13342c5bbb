# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch the images of a bundle, by digest: manifests unchanged, layers in parallel, going on where it ended."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._model_download import Download
from ansible_collections.llmops.serving.plugins.module_utils._model_http import HttpClient, HttpError
from ansible_collections.llmops.serving.plugins.module_utils._model_journal import Journal
from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError
from ansible_collections.llmops.serving.plugins.module_utils._model_transfer import Transfer
from ansible_collections.llmops.serving.plugins.module_utils._registry_client import (
    Manifest,
    RegistryClient,
    RegistryError,
    tls_context,
)
from ansible_collections.llmops.serving.plugins.module_utils._registry_names import is_loopback
from llmops_serving.bundle.credentials import login_for
from llmops_serving.bundle.document import IMAGES, Blob, Image
from llmops_serving.bundle.layout import Layout
from llmops_serving.bundle.settings import ALL
from llmops_serving.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from llmops_serving.bundle.settings import Settings
    from llmops_serving.bundle.words import Wanted, WantedImage

_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Plan:
    """An image whose manifests are known, and whose blobs may still have to come.

    Attributes:
        image: What it will be.
        client: Asks its registry.
        missing: Its blobs that are not there.
    """

    image: Image
    client: RegistryClient
    missing: tuple[Blob, ...]

    @property
    def bytes(self) -> int:
        """Bytes that have to come."""
        return sum(blob.size for blob in self.missing)


def plan_images(wanted: Wanted, settings: Settings) -> list[Plan]:
    """Ask for the manifests of all images, which are kept at once.

    Args:
        wanted: What a bundle must hold.
        settings: How it is made.

    Raises:
        DriverError: Some cannot be had; one line each.
    """
    layout = Layout(settings.folder / IMAGES)
    if settings.verify:
        for path in layout.drop_damaged():
            settings.bars.say(f"{path} is damaged: it comes again", "yellow")
    plans: list[Plan] = []
    problems: list[str] = []
    planned: set[str] = set()
    for image in wanted.images:
        try:
            plan = _Planner(image, settings, layout).plan()
        except RegistryError as error:
            problems.append(f"image: {image.source}: {error}")
            continue
        # Images share layers, and each comes once.
        missing = tuple(blob for blob in plan.missing if blob.digest not in planned)
        planned |= {blob.digest for blob in missing}
        plans.append(Plan(plan.image, plan.client, missing))
    if problems:
        raise DriverError("\n".join(problems))
    return plans


def fetch_images(plans: Sequence[Plan], settings: Settings) -> tuple[Image, ...]:
    """Fetch what is missing of planned images.

    Args:
        plans: The images.
        settings: How the bundle is made.

    Raises:
        DriverError: A layer cannot be had, or is not what it should be.
    """
    layout = Layout(settings.folder / IMAGES)
    for plan in plans:
        if plan.missing:
            _fetch(plan, layout, settings)
    images = tuple(plan.image for plan in plans)
    layout.save(images)
    shutil.rmtree(layout.partial, ignore_errors=True)
    return images


def client_for(image: WantedImage, ca_path: str | None) -> RegistryClient:
    """Ask for an image where its inventory gets it."""
    source = image.source
    return RegistryClient(
        source,
        tls_context(source.registry, ca_path),
        _TIMEOUT_S,
        insecure=image.insecure or is_loopback(source.api_host),
        login=login_for(source.registry),
    )


class _Planner:
    """Reads one image's manifests: from the disk where it has them, else from the registry."""

    def __init__(self, image: WantedImage, settings: Settings, layout: Layout) -> None:
        self._image = image
        self._settings = settings
        self._layout = layout
        self._client = client_for(image, settings.ca_path)

    def plan(self) -> Plan:
        top = self._top()
        children = [self._get(digest, kind) for digest, kind in self._chosen(top)]
        blobs = {blob.digest: blob for manifest in children or [top] for blob in _blobs(manifest)}
        if not children:
            self._check_platform(top)
        manifests = [top, *children]
        for manifest in manifests:
            self._layout.put(manifest.body)
        found = Image(
            reference=str(self._image.own),
            digest=top.digest,
            manifests=tuple(Blob(one.digest, len(one.body), one.media_type) for one in manifests),
            blobs=tuple(blobs.values()),
        )
        return Plan(found, self._client, tuple(blob for blob in found.blobs if not self._layout.has(blob)))

    def _top(self) -> Manifest:
        source = self._image.source
        if source.digest and (there := self._layout.manifest(source.digest)):
            return there
        try:
            return self._client.manifest(source.wanted)
        except RegistryError as error:
            # A tag may have moved, so its registry is asked; a bundle that has the image needs no registry to be whole.
            known = self._layout.known().get(str(self._image.own))
            there = self._layout.manifest(known.digest, known.media_type) if known else None
            if there is None or not self._whole(there):
                raise
            self._settings.bars.say(f"kept as it is: image: {source}: {error}", "yellow")
            return there

    def _whole(self, top: Manifest) -> bool:
        found = [self._layout.manifest(digest, kind) for digest, kind in self._chosen(top)] or [top]
        return all(one is not None and all(self._layout.has(blob) for blob in _blobs(one)) for one in found)

    def _get(self, digest: str, kind: str) -> Manifest:
        return self._layout.manifest(digest, kind) or self._client.manifest(digest)

    def _chosen(self, top: Manifest) -> Iterator[tuple[str, str]]:
        """Choose the manifests of an index, by digest and media type; none of what is no index."""
        entries = top.parsed.get("manifests")
        if not isinstance(entries, list):
            return
        if ALL in self._settings.platforms:
            yield from ((str(entry["digest"]), str(entry.get("mediaType") or "")) for entry in entries)
            return
        for platform in self._settings.platforms:
            found = [entry for entry in entries if _fits(entry, platform)]
            if not found:
                offered = sorted({_platform(entry) for entry in entries} - {""})
                message = (
                    f"exists for {', '.join(offered) or 'no platform'} only, and not for {platform}; correct "
                    "--platform, or image"
                )
                raise RegistryError(message)
            yield from ((str(entry["digest"]), str(entry.get("mediaType") or "")) for entry in found)

    def _check_platform(self, manifest: Manifest) -> None:
        """Refuse an image of another machine, which says so in its configuration alone."""
        digest = _blobs(manifest)[0].digest
        try:
            content = self._layout.path(digest).read_bytes()
        except OSError:
            content = self._client.blob(digest)
        try:
            told = json.loads(content)
            found = f"{told['os']}/{told['architecture']}"
        except (ValueError, KeyError, TypeError):
            # Only the warning is missing then: layers and their digests are as good without it.
            return
        self._layout.put(content)
        platforms = self._settings.platforms
        if ALL not in platforms and not any(
            platform == found or platform.startswith(f"{found}/") for platform in platforms
        ):
            message = f"is for {found}, and not for {' or '.join(platforms)}; correct --platform, or image"
            raise RegistryError(message)


def _platform(entry: Any) -> str:
    told = entry.get("platform") or {} if isinstance(entry, dict) else {}
    names = [told.get("os"), told.get("architecture"), told.get("variant")]
    # Attestations lie beside the images, for no platform at all.
    return "" if "unknown" in names else "/".join(str(name) for name in names if name)


def _fits(entry: Any, platform: str) -> bool:
    """Tell whether an index's entry is for a platform; one that names no variant fits all of them."""
    found = _platform(entry)
    return found == platform or found.startswith(f"{platform}/")


def _blobs(manifest: Manifest) -> list[Blob]:
    """List configuration and layers."""
    try:
        entries: Iterable[Any] = [manifest.parsed["config"], *manifest.parsed["layers"]]
        return [Blob(str(entry["digest"]), int(entry["size"])) for entry in entries]
    except (KeyError, TypeError, ValueError) as error:
        message = f"is no image that Docker runs ({manifest.media_type or 'of no known type'}); correct image"
        raise RegistryError(message) from error


def _fetch(plan: Plan, layout: Layout, settings: Settings) -> None:
    """Bring an image's missing blobs, several of them and several ranges of each side by side."""
    name, bars = plan.image.reference, settings.bars
    wants = [_want(blob, plan, layout.partial, partial(bars.add, name)) for blob in plan.missing]
    bars.plan(name, plan.bytes, sum(_kept(journal) for _want, _target, journal in wants))
    try:
        # The first answer tells scheme and token, which the links need.
        plan.client.ask(f"manifests/{plan.image.digest}", method="HEAD")
        Transfer(HttpClient(settings.ca_path, _TIMEOUT_S), wants).run()
    except HttpError as error:
        message = (
            f"image: {name}: {plan.client.image.api_host} does not give the layer {error.label[:19]} "
            f"({error.detail}); run again, which goes on where this ended, or look at the registry"
        )
        raise DriverError(message) from error
    except (ModelError, RegistryError) as error:
        raise DriverError(f"image: {name}: {error}") from error
    except OSError as error:
        message = f"{layout.folder} cannot be written: {error.strerror or error}; what came is kept: run again"
        raise DriverError(message) from error
    for blob in plan.missing:
        layout.take(_partial(layout.partial, blob), blob.digest)
    bars.done(name)


def _want(blob: Blob, plan: Plan, folder: Path, on_bytes: Any) -> tuple[Download, Path, Path]:
    target = _partial(folder, blob)
    want = Download(
        label=blob.digest,
        variable="layer",
        link=partial(plan.client.blob_link, blob.digest),
        # A token that has ended is asked for again, as an address that has.
        handed_out=True,
        size=blob.size,
        sha256=blob.digest.partition(":")[2],
        on_bytes=on_bytes,
    )
    return want, target, target.with_name(target.name + ".journal")


def _partial(folder: Path, blob: Blob) -> Path:
    return folder / blob.digest.partition(":")[2]


def _kept(path: Path) -> int:
    return int(Journal(path).have.total)
