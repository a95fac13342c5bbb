# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.

"""Say what a server asks of a host's memory, GPUs and driver, for the host to be asked whether it has them."""

from __future__ import annotations

import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import version_tuple
from ansible_collections.llmops.serving.plugins.plugin_utils._definitions import of_variant
from ansible_collections.llmops.serving.plugins.plugin_utils._site import (
    Site,
    image_of,
    image_of_variant,
    model_names,
    own_image,
    variant_of,
)

if t.TYPE_CHECKING:
    from collections.abc import Mapping


def alternatives(server: Mapping[str, t.Any], site: Site) -> list[dict[str, str]]:
    """List the images that a server may be served from, for the host's GPUs and driver to choose.

    Args:
        server: One entry of `serving_servers`, without problems.
        site: What the host's servers share.

    Returns:
        The best one first, each with `variant`, `image`, and of that image the oldest `driver` and compute
        `capability`, "" where nothing is known. One alone where the inventory has chosen; none on a CPU.
    """
    if site.accelerator == "cpu":
        return []
    images = site.engines[server["engine"]]["images"]
    if own_image(server, site):
        # What it needs is for the image itself to say.
        return [{"variant": variant_of(server, site), "image": image_of(server, site), "driver": "", "capability": ""}]
    names = [server["variant"]] if server.get("variant") else _variants(images, site.accelerator)
    return [
        {
            "variant": name,
            "image": image_of_variant(server, name, site),
            "driver": images[name].get("driver", ""),
            "capability": images[name].get("capability", ""),
        }
        for name in names
    ]


def _variants(images: Mapping[str, t.Any], accelerator: str) -> list[str]:
    names = [
        name for name, image in images.items() if "name" in image and image.get("accelerator", name) == accelerator
    ]
    # The one that needs the newest driver is the newest; the sort keeps the definition's order otherwise.
    return sorted(names, key=lambda name: version_tuple(images[name].get("driver")), reverse=True)


def demand(server: Mapping[str, t.Any], site: Site) -> dict[str, t.Any]:
    """Say what a server asks of memory and GPUs.

    Args:
        server: One entry of `serving_servers`, without problems.
        site: What the host's servers share.

    Returns:
        What `server_fits` of module_utils/_fit.py takes, and in `capability` the oldest compute capabilities by
        `dtype` and `quantization`.
    """
    definition = of_variant(site.engines[server["engine"]], variant_of(server, site))
    options = definition["flags"].merged(definition["arguments"], server.get("options") or {})
    return {
        "server": server["name"],
        "engine": server["engine"],
        "title": definition["title"],
        "models": model_names(server),
        "accelerator": site.accelerator,
        "gpus": server.get("gpus"),
        "tensor_parallel": _word("tensor_parallel_size", server, definition) or 1,
        "context_length": server.get("context_length"),
        "parallel": _word("parallel", server, definition),
        "fraction": server.get("gpu_memory_fraction"),
        "kv_gib": _word("kv_cache_gib", server, definition),
        "dtype": server.get("dtype"),
        "quantization": server.get("quantization"),
        "options": {name.removeprefix("--"): value for name, value in options.items()},
        "environment": {**definition["environment"], **(server.get("environment") or {})},
        "memory": definition["memory"],
        "capability": definition["capability"],
        "shm": definition["shm"],
        "fit": server.get("fit") or "refuse",
    }


def _word(word: str, server: Mapping[str, t.Any], definition: Mapping[str, t.Any]) -> t.Any:
    """Give what a server says, else what the engine is told where the server says nothing."""
    said = server.get(word)
    return (definition["options"].get(word) or {}).get("default") if said is None else said
