# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""What the servers of a host share, and what an entry of `serving_servers` means by it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.llmops.serving.plugins.plugin_utils._images import mirrored, pinned

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.llmops.serving.plugins.module_utils._registry_names import Reference
    from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import Definition
    from ansible_collections.llmops.serving.plugins.plugin_utils._lockfile import Lock


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a host's servers share.

    Attributes:
        models: The value of `serving_models`.
        model_dir: The model store on the host.
        registries: Mirrors of registries, by prefix.
        accelerator: What the servers compute on.
        engines: All definitions.
        images: By engine, the image of its servers that name none themselves.
        search: Directories of the controller in which files that servers name are looked for.
        variants: By server, the one of its engine's images that suits the host's driver where the server names none.
        gpu_way: How containers get GPUs on the host.
        lock: The lock file beside the inventory, None without one.
    """

    models: Mapping[str, Mapping[str, t.Any]]
    model_dir: str
    registries: Mapping[str, str]
    accelerator: str
    engines: Mapping[str, Definition]
    images: Mapping[str, str] = field(default_factory=dict)
    search: Sequence[str] = ()
    variants: Mapping[str, str] = field(default_factory=dict)
    gpu_way: str = "cdi"
    lock: Lock | None = None


def model_names(server: Mapping[str, t.Any]) -> list[str]:
    """List the models of a server, whichever word names them."""
    return [*([server["model"]] if server.get("model") else []), *(server.get("models") or [])]


def format_of(model: Mapping[str, t.Any]) -> str:
    """Tell a model's format by its entry in `serving_models`: one .gguf file, or a repository of safetensors."""
    # A signed address has more behind the file's name.
    single = str(model.get("file") or urlsplit(str(model.get("url") or "")).path)
    return "gguf" if single.lower().endswith(".gguf") else "safetensors"


def task_of(name: str, site: Site, definition: Definition) -> str:
    """Tell which task a model is for: its own word, else its engine's default."""
    return str(site.models[name].get("task") or definition["default_task"])


def variant_of(server: Mapping[str, t.Any], site: Site) -> str:
    """Name the one of an engine's images that a server is made for."""
    return str(server.get("variant") or site.variants.get(str(server.get("name"))) or site.accelerator)


def served_names(server: Mapping[str, t.Any]) -> list[str]:
    """List the names under which clients ask for a server's models, in the models' order."""
    names = model_names(server)
    return [server["served_model_name"]] if server.get("served_model_name") and len(names) == 1 else names


def image_of(server: Mapping[str, t.Any], site: Site) -> str:
    """Name the image of a server without problems, as the lock file has it, at the mirror it comes from."""
    return _named(reference_of(server, site), site)


def image_of_variant(server: Mapping[str, t.Any], variant: str, site: Site) -> str:
    """Name one of the images of a server's engine, as the lock file has it, at the mirror it comes from."""
    return _named(_reference_of_variant(server, variant, site), site)


def reference_of(server: Mapping[str, t.Any], site: Site) -> Reference:
    """Give the image of a server without problems by its own name, as the inventory says it."""
    own = own_image(server, site)
    return pinned(own) if own else _reference_of_variant(server, variant_of(server, site), site)


def _reference_of_variant(server: Mapping[str, t.Any], variant: str, site: Site) -> Reference:
    image = site.engines[server["engine"]]["images"][variant]
    return pinned(f"{image['name']}:{image['tag']}")


def _named(image: Reference, site: Site) -> str:
    return str(mirrored(site.lock.pin(image) if site.lock else image, site.registries))


def own_image(server: Mapping[str, t.Any], site: Site) -> str | None:
    """Give the image that the inventory names for a server; None where it is one of its engine's own."""
    return server.get("image") or site.images.get(server["engine"])


def template_of(server: Mapping[str, t.Any], site: Site) -> Path | None:
    """Find the file on the controller that `chat_template` of a server names; None where there is none."""
    if not server.get("chat_template"):
        return None
    named = Path(server["chat_template"]).expanduser()
    return next((path for place in site.search or (".",) if (path := Path(place) / named).is_file()), None)
