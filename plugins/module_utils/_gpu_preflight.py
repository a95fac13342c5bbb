# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.

"""Judge whether a host's GPUs and driver suit the images and models of its servers. Pure functions over facts."""

from __future__ import annotations

import typing as t

from ansible_collections.llmops.serving.plugins.module_utils._cuda import (
    CAPABILITY_FLOORS,
    cuda_of,
    floor_of,
    older,
    suits,
)
from ansible_collections.llmops.serving.plugins.module_utils._host_gpu import version_tuple

# The branch with long-term support that is new enough for every image of the definitions.
_NEWER_DRIVER = (
    'install a newer driver (nvidia_driver_enabled: true and nvidia_driver_branch: "580" let the role nvidia_driver do '
    "it)"
)


class Choice(t.NamedTuple):
    """Which of the images that a server may be served from suits the host.

    Attributes:
        variant: The image's name among its engine's.
        image: The image.
        notice: Why it is not the first, "" where it is.
        problem: Why none suits, "" where one does.
    """

    variant: str
    image: str
    notice: str = ""
    problem: str = ""


def driver_of(host: dict[str, t.Any]) -> str:
    """Give the version of the driver that the host's GPUs run with; "" where none is known."""
    told = [gpu["driver_version"] for gpu in host["gpus"] if gpu["driver_version"]]
    return str(told[0]) if told else ""


def chosen_gpus(wanted: t.Sequence[str] | None, host: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Find the GPUs that a server may use.

    Args:
        wanted: Indices, UUIDs or MIG devices; None or ``all`` for all.
        host: The facts of `host_facts`.

    Returns:
        Their facts. A MIG device stands for its GPU.
    """
    # One that another driver holds, or none, is on the bus and nobody's.
    gpus: list[dict[str, t.Any]] = [gpu for gpu in host["gpus"] if gpu["uuid"]]
    if not wanted or list(wanted) == ["all"]:
        return gpus
    names = {str(name).partition(":")[0] for name in wanted}
    return [
        gpu
        for gpu in gpus
        if str(gpu["index"]) in names
        or gpu["uuid"] in names
        or any(part.get("uuid") in names for part in gpu.get("mig_devices", []))
    ]


def choose_image(
    server: str, images: t.Sequence[dict[str, str]], gpus: t.Sequence[dict[str, t.Any]], driver: str
) -> Choice:
    """Choose the best image that driver and GPUs can run.

    Args:
        server: The server's name, for messages.
        images: Best first, each with `variant`, `image`, and its oldest `driver` and compute `capability` or "".
        gpus: The facts of the GPUs that it may use.
        driver: The version of the host's driver, "" if unknown.

    Returns:
        The choice; the first one where nothing is known of the host.
    """
    if not images:
        return Choice("", "")
    judged = [(image, _against(image, gpus, driver)) for image in images]
    best, first = judged[0]
    for image, reason in judged:
        if not reason:
            told = f"serving_servers[{server!r}]: {first}, so {image['image']} is served in its place"
            return Choice(image["variant"], image["image"], told if first else "")
    # Each image's own reason, the newest image's first.
    reasons = " and ".join(reason for _image, reason in judged)
    outdated = any(image["driver"] and driver and older(driver, image["driver"]) for image in images)
    ways = f"{_NEWER_DRIVER}, or set image of the server to a release for an older CUDA"
    remedy = ways if outdated else "set gpus of the server to newer ones, or image to one made for this GPU"
    return Choice(best["variant"], best["image"], "", f"serving_servers[{server!r}].image: {reasons}: {remedy}")


def _against(image: dict[str, str], gpus: t.Sequence[dict[str, t.Any]], driver: str) -> str:
    """Say what speaks against an image, "" for nothing."""
    if image["driver"] and driver and older(driver, image["driver"]):
        return f"{image['image']} needs driver {image['driver']} or newer, and the host has {_driver_words(driver)}"
    for gpu in gpus:
        told = gpu["compute_capability"]
        if image["capability"] and told and _lower(told, image["capability"]):
            return (
                f"{image['image']} is made for compute capability {image['capability']} and higher, and GPU "
                f"{gpu['index']} ({gpu['name']}) has {told}"
            )
    return ""


def requirement_problem(server: str, image: str, requires: str, gpus: t.Sequence[dict[str, t.Any]], driver: str) -> str:
    """Compare a host's driver with what an image says of itself.

    Args:
        server: The server's name, for messages.
        image: The image.
        requires: Its NVIDIA_REQUIRE_CUDA.
        gpus: The facts of the GPUs that the server may use.
        driver: The version of the host's driver, "" if unknown.

    Returns:
        One line, "" where they suit each other or nothing is known.
    """
    if not requires or not driver:
        return ""
    where = f"serving_servers[{server!r}].image"
    if not suits(requires, driver):
        floor = floor_of(requires) or "newer"
        return (
            f"{where}: {image} says that it needs {requires.split(maxsplit=1)[0]}, so driver {floor} or newer, and the "
            f"host has {_driver_words(driver)}: {_NEWER_DRIVER}, or set image of the server to a release for an older "
            "CUDA"
        )
    major = version_tuple(requires.partition("cuda>=")[2])[:1]
    floor = CAPABILITY_FLOORS.get(major[0], "") if major else ""
    for gpu in gpus:
        if floor and gpu["compute_capability"] and _lower(gpu["compute_capability"], floor):
            return (
                f"{where}: {image} holds CUDA {major[0]}, which computes from compute capability {floor} on, and GPU "
                f"{gpu['index']} ({gpu['name']}) has {gpu['compute_capability']}: set image of the server to a release "
                "for an older CUDA, or gpus of the server to newer ones"
            )
    return ""


def format_problems(
    demand: dict[str, t.Any], quantizations: t.Sequence[str], gpus: t.Sequence[dict[str, t.Any]]
) -> t.Iterator[str]:
    """Find number formats and quantisations that the chosen GPUs are too old for.

    Args:
        demand: What the server asks, with `capability` of its engine's definition.
        quantizations: What its models say that they are quantised with.
        gpus: The facts of the GPUs that it may use.

    Yields:
        One line a problem.
    """
    where, rules = f"serving_servers[{demand['server']!r}]", demand["capability"]
    asked = [("dtype", demand["dtype"], "set dtype of the server to half, or gpus to newer ones")]
    asked += [
        ("quantization", name, "serve the model without quantisation, or in another one, or set gpus to newer ones")
        for name in dict.fromkeys([*([demand["quantization"]] if demand["quantization"] else []), *quantizations])
    ]
    for word, value, remedy in asked:
        floor = rules.get(word, {}).get(value)
        old = [gpu for gpu in gpus if gpu["compute_capability"] and _lower(gpu["compute_capability"], floor or "0")]
        if floor and old:
            yield (
                f"{where}.{word}: {value} needs compute capability {floor} or higher in {demand['title']}, and GPU "
                f"{old[0]['index']} ({old[0]['name']}) has {old[0]['compute_capability']}: {remedy}"
            )


def reload_notices(endangered: t.Sequence[str]) -> list[str]:
    """Say beforehand which servers a reload of systemd may take the GPUs from."""
    return [
        f"server {name} got its GPUs through the toolkit's hook, and a change of any server's unit takes them away "
        "again: it is asked a real question after each change, and started anew if it cannot answer; set "
        "nvidia_container_toolkit_way to cdi to be rid of this"
        for name in endangered
    ]


def _driver_words(driver: str) -> str:
    cuda = cuda_of(driver)
    return f"driver {driver}" + (f" (CUDA {cuda})" if cuda else "")


def _lower(capability: str, than: str) -> bool:
    return version_tuple(capability) < version_tuple(than)
