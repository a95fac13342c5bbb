# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask Ansible which models and images an inventory needs, as its own plan would see them. No host is asked."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelError, parse_hub_url, parse_models
from ansible_collections.llmops.serving.plugins.module_utils._registry_names import Reference, parse_reference
from ansible_collections.llmops.serving.plugins.plugin_utils._images import mirrored
from llmops_serving.errors import DriverError
from llmops_serving.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.llmops.serving.plugins.module_utils._model_spec import ModelSpec
    from llmops_serving.progress import Progress


@dataclass(frozen=True)
class Source:
    """A hub, and who asks it.

    Attributes:
        url: Its address.
        token: Secret for it, empty for none.
    """

    url: str
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class WantedImage:
    """An image that hosts ask for.

    Attributes:
        own: Its own name, such as `ghcr.io/ggml-org/llama.cpp:server-b11243`.
        source: Where the inventory gets it from: its own name, or that of a mirror.
        insecure: Whether that registry may be asked without TLS.
    """

    own: Reference
    source: Reference
    insecure: bool = False


@dataclass(frozen=True)
class Wanted:
    """What a bundle must hold.

    Attributes:
        hosts: The hosts that need it.
        models: The models by where they come from, each once.
        images: The images, each once.
    """

    hosts: tuple[str, ...]
    models: Mapping[Source, tuple[ModelSpec, ...]]
    images: tuple[WantedImage, ...]

    @property
    def specs(self) -> list[ModelSpec]:
        """All models, wherever they come from."""
        return [spec for specs in self.models.values() for spec in specs]


class _Reader(Site):
    """A site that is only read."""

    def read(self, progress: Progress | None) -> list[dict[str, Any]]:
        """Give what each host needs, as `playbooks/bundle.yml` hands it over."""
        # It holds the hub's token, so nobody else may enter the folder, and it goes with it.
        with tempfile.TemporaryDirectory(prefix="llmops-bundle-") as folder:
            result = self._run("bundle", extra_vars={"bundle_answers": folder}, progress=progress)
            if not result.ok:
                said = [host.error for host in result.hosts if host.error] or list(result.errors)
                raise DriverError("\n".join(dict.fromkeys(said)) or "the inventory could not be read; see above")
            return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(folder).glob("*.json"))]


def read_inventory(site: Site, progress: Progress | None = None) -> Wanted:
    """Ask Ansible what the hosts of an inventory need.

    Args:
        site: The inventory, with limit and further variables.
        progress: Somebody who watches the run.

    Returns:
        What a bundle must hold.

    Raises:
        DriverError: The inventory has problems; all of them, one a line.
    """
    return wanted_by(_Reader(**site.__dict__).read(progress))


def wanted_by(answers: Iterable[Mapping[str, Any]]) -> Wanted:
    """Bring together what the hosts need.

    Args:
        answers: By host `host`, `problems`, `images`, `registries`, `insecure`, `models`, `hub_url` and `token`, as
            `playbooks/bundle.yml` hands them over.

    Raises:
        DriverError: Something is wrong with it; all problems, one a line.
    """
    answers = sorted(answers, key=lambda answer: str(answer["host"]))
    problems = [problem for answer in answers for problem in answer["problems"]]
    models: dict[Source, dict[ModelSpec, None]] = {}
    images: dict[str, WantedImage] = {}
    for answer in answers:
        specs, wrong = parse_models(answer["models"])
        problems += wrong.values()
        try:
            source = Source(parse_hub_url(answer["hub_url"], answer["token"]), answer["token"])
        except ModelError as error:
            problems.append(str(error))
            continue
        models.setdefault(source, {}).update(dict.fromkeys(specs))
        for own in [] if problems else map(parse_reference, answer["images"]):
            found = mirrored(own, answer["registries"])
            images.setdefault(str(own), WantedImage(own, found, found.registry in answer["insecure"]))
    problems += _clashes(spec for specs in models.values() for spec in specs)
    if problems:
        raise DriverError("\n".join(dict.fromkeys(problems)))
    hosts = tuple(str(answer["host"]) for answer in answers)
    return Wanted(hosts, {source: tuple(specs) for source, specs in models.items() if specs}, tuple(images.values()))


def _clashes(specs: Iterable[ModelSpec]) -> list[str]:
    """Find names that mean one thing on a host and another on the next, where a bundle cannot serve both."""
    by_place: dict[tuple[str, str], set[ModelSpec]] = {}
    by_name: dict[str, set[ModelSpec]] = {}
    for spec in specs:
        by_place.setdefault((spec.name, spec.key), set()).add(spec)
        by_name.setdefault(spec.name, set()).add(spec)
    # Two versions of one name are no clash: they have places of their own, and each host asks by its commit.
    places = [(name, group) for (name, _key), group in by_place.items() if len(group) > 1]
    addresses = [
        (name, group) for name, group in by_name.items() if len(group) > 1 and any(spec.kind == "url" for spec in group)
    ]
    return [
        f"serving_models['{name}']: hosts mean different things by it; give each its own name, or make a bundle for "
        "each (--limit)"
        for name in dict.fromkeys(name for name, _group in [*places, *addresses])
    ]
