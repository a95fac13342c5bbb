# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables with which `apply` works from a bundle: where its hub and its registry are, and whom to trust there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ansible_collections.llmops.serving.plugins.module_utils._registry_names import Reference
    from llmops_serving.bundle.document import Bundle, Model

NAME = "bundle-vars.yml"
# Models by name, whose addresses are others from now on. It is combined with what the inventory says, so that it need
# not repeat it, and a host gets no model that it does not want.
_MOVED = (
    "{{ serving_models | default({}) | combine(bundle_addresses | dict2items"
    " | selectattr('key', 'in', serving_models | default({})) | items2dict, recursive=true) }}"
)
_URL_WORDS = ("models_wanted", "preflight_models")
_HEAD = """\
# Written by `llmops bundle load`: where hub and registry of a bundle are, and whom to trust there. It holds no secret.
# llmops apply -i INVENTORY -e @{path}
---
"""


@dataclass(frozen=True)
class Served:
    """Where a bundle is served, as hosts reach it.

    Attributes:
        hub: Address of the hub, empty where the inventory's own is used.
        registry: Host, port and perhaps a prefix of the registry, empty where the inventory's own is used.
        ca: Whom to trust there, PEM; empty where hosts do already.
    """

    hub: str = ""
    registry: str = ""
    ca: str = ""


def words_of(models: Iterable[Model]) -> tuple[str, ...]:
    """Name the words of an inventory in whose place a bundle stands."""
    addresses = _URL_WORDS if any(model.kind == "url" for model in models) else ()
    return ("serving_hub_url", "serving_hub_token", "serving_registries", "serving_ca", *addresses)


def place_of(image: Reference) -> str:
    """Name the repository that an image has in a bundle's registry, such as `ghcr.io/ggml-org/llama.cpp`.

    A repository's name takes no colon and no capital, which a registry's may have.
    """
    return f"{registry_place(image.registry)}/{image.name}"


def registry_place(registry: str) -> str:
    """Name the first part of repositories that stand in for a registry's, such as `registry.lab-5000`."""
    return re.sub(r"[^a-z0-9.]+", "-", registry.lower()).strip("-.")


def file_path(model: Model) -> str:
    """Give the path at which the hub of a bundle has the file of a `url` model: by its content, its name last."""
    return f"/files/{model.files[0].sha256}/{model.files[0].path}"


def variables(bundle: Bundle, served: Served) -> dict[str, Any]:
    """Give the variables that let an inventory work from a bundle.

    Args:
        bundle: What it holds.
        served: Where it is served.

    Returns:
        Variables by name, for `--extra-vars`.
    """
    found: dict[str, Any] = {}
    if served.hub:
        # The bundle asks nobody who he is, so no secret needs to travel.
        found |= {"serving_hub_url": served.hub, "serving_hub_token": ""}
        moved = {
            model.name: {"url": served.hub + file_path(model)}
            for model in bundle.models
            if model.kind == "url" and model.files
        }
        if moved:
            found |= {"bundle_addresses": moved, **dict.fromkeys(_URL_WORDS, _MOVED)}
    if served.registry:
        registries = sorted({image.name.registry for image in bundle.images})
        found["serving_registries"] = {
            registry: f"{served.registry}/{registry_place(registry)}" for registry in registries
        }
    if served.ca:
        found["serving_ca"] = served.ca
    return found


class _Dumper(yaml.SafeDumper):
    """Writes certificates as they are usually seen."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def document(words: dict[str, Any], path: str) -> str:
    """Write the variables as a file of their own.

    Args:
        words: The variables.
        path: Where it will be.
    """
    return _HEAD.format(path=path) + yaml.dump(words, Dumper=_Dumper, sort_keys=False, width=1000)


def next_command(path: str, hosts: Sequence[str]) -> str:
    """Say what to run now."""
    return f"llmops apply -i INVENTORY -e @{path}    # {', '.join(hosts)}"
